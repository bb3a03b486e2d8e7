//! The two nodes: their links, how they recover from a failure, and what a client sees meanwhile.

mod heartbeats;
mod links;
mod raw;
mod restarts;
mod several_inside_nodes;
mod waiting_clients;

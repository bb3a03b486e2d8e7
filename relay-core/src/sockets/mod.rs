//! Every call on a socket, and on the other descriptors that stand for one.

pub mod accepted;
pub mod dial;
pub mod dial_queue;
pub mod end;
pub mod four_way;
pub mod inherited;
pub mod listen;
pub mod options;
pub mod proxy_handshake;
pub mod resolve;
pub mod socket_address;
pub mod socket_file;
pub mod socks_bind;

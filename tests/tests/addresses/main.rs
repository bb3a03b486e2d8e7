//! The address words: where a program listens, what it dials, and which port leads to which server.

mod dialling;
mod listening;
mod names;
mod services;
mod stdio;

//! Every call on a socket, and on the other descriptors that stand for one.

pub mod conversation;
pub mod dial;
pub mod end;
pub mod four_way;
pub mod inherited;
pub mod listen;
pub mod options;
pub mod resolve;
pub mod socks_bind;
pub mod turns;

//! What only Linux has. A port replaces these rooms.

pub mod errors;
pub mod instant;
pub mod privileges;
pub mod sandbox;
pub mod scheduling;
pub mod signals;
pub mod splice;
pub mod tcp_info;
pub mod ttl;

//! Protocols without sockets and clocks: bytes and the time go in, events and bytes come out.

pub mod addresses;
pub mod frame;
pub mod http_connect;
pub mod link;
pub mod proxy;
pub mod proxy_header;
mod proxy_refusal;
mod proxy_request;
pub mod socks;
pub mod ucspi;

//! Proxies: those that we dial through, those that listen for us, and the PROXY protocol.

mod proxy_protocol;
mod socks_bind;
mod via;

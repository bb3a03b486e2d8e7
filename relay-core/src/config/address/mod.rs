//! The words that stand for addresses on a command line, and what they mean.
//!
//! One grammar serves all three tools. A word is read once, by [`parse_listen`] or [`parse_target`]; the code that gets a
//! [`ListenPoint`] or a [`Target`] never looks at the text again, except to repeat it in a message. Each shows itself
//! as a word that means the same.
//!
//! Invariants: a range is expanded, so every value is one port; a port to dial is never 0; a host name has a
//! letter in it, so that nothing numeric is left for the resolver to guess at; an IPv4-mapped address is IPv4.
//!
//! Not here: names are not looked up (network interfaces after `%` are, their index is part of the address), and
//! descriptors are not examined; whether `fd:N` listens or is connected is decided where the plan is made.

mod error;
mod foreign;
mod four_way;
mod host;
mod names;
mod parse;
mod point;
mod ports;
mod proxy;
mod text;
mod word;

pub use error::{AddressError, AddressFault, ProxyFault};
pub use host::{BindAddress, ListenHost, TargetHost};
pub use names::{ServiceName, UnixName};
pub use parse::{parse_bind, parse_listen, parse_proxy, parse_target, split_service};
pub use point::{ListenAt, ListenPoint, Target, TargetAt, is_four_way};
pub use proxy::{Proxy, ProxyProtocol};
pub use text::without_password;

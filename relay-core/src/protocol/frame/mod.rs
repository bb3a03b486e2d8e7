//! The frames of the link protocol, version 1, as bytes: `man/relay-link.7` shows the same layout.
//!
//! A frame is `type: u8, length: u24` (big-endian) and `length` bytes. All numbers are big-endian. What may follow what is
//! not decided here but in [`super::link`].
//!
//! Everything that is parsed comes from a peer that is not trusted: no function here panics or allocates more than the
//! frame's own length, which [`Header::parse`] bounds.

mod codes;
mod control;
mod fields;
mod header;
mod node_ids;
mod payloads;

pub use codes::{AbortCode, ErrorCode, RefusedCode};
pub use control::Frame;
pub use header::{Header, Kind, MAGIC, Malformed, VERSION, kind_name};
pub use node_ids::{NodeId, SessionId};
pub use payloads::{Hello, Open, ServiceWidth, Welcome};

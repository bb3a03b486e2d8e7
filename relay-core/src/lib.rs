//! What the three tools share: a relay of TCP connections, on one epoll loop.
//!
//! **The way of a byte.** A client connects; [`listeners`] accepts it, and the tool ([`route`], [`outside`], [`inside`], or the raw
//! nodes) finds it an end to be joined to: [`socket::dial`] makes one, or [`link::pairing`] picks a link. From then on the two ends
//! are one entry of the loop: a [`session`] of two plain ends, or a [`relay`] between a plain end and a link, each with a
//! [`pump`] for each direction. epoll says that the client can be read; [`event_loop`] sets a flag and queues the entry; when its
//! turn comes, the pump takes the bytes, by splice(2) into a borrowed pipe if they are many, by one read if they are few, and
//! gives them to the other end, behind a DATA header if that is a link. What the other end does not take at once waits in the
//! pipe, and nothing more is read until it has gone.
//!
//! **The rooms**, from the command line down to the kernel:
//!
//! | room | what it holds |
//! |---|---|
//! | [`cli`], [`address`], [`plan`] | what was typed, and what it means |
//! | [`route`], [`outside`], [`inside`], [`raw_outside`], [`raw_inside`] | what each tool does with what the loop brings |
//! | [`event_loop`], [`entries`], [`token`], [`listeners`], [`announcements`] | the loop: who is woken when |
//! | [`access`] | who may come in |
//! | [`awaiting`], [`dialling`], [`session`], [`relay`], [`driver`], [`link_close`] | the stages of sessions and links, and how they end |
//! | [`pump`], [`link_end`], [`window`] | bytes |
//! | [`keyed`], [`authenticating`] | links that are encrypted, and prove a key |
//! | [`link`], [`proto`] | decisions and frames, without sockets and clocks |
//! | [`socket`], [`linux`] | calls of the system; what only Linux has |
//! | [`report`], [`limits`], [`ids`] | messages, numbers, names |

pub mod config;
pub mod event_loop;
pub mod ids;
pub mod keyed;
pub mod limits;
pub mod linux;
pub mod policy;
pub mod protocol;
pub mod report;
pub mod session;
pub mod sockets;
pub mod token;
pub mod tools;

pub use tools::inside::run_inside;
pub use tools::outside::run_outside;
pub use tools::route::run_route;

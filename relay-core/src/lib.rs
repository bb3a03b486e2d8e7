//! What the three tools share: a relay of TCP connections, on one epoll loop.
//!
//! **The path of a byte.** A client connects. [`event_loop::listeners`] accepts it, and the tool ([`tools`]) finds an end to join it
//! to: [`sockets::dial`] makes one, or [`policy::pairing`] chooses a link. From then on the two ends are one entry of the loop: a
//! session of two plain ends, or a session between a plain end and a link, each with a [`session::pump`] for each direction. epoll
//! reports that the client can be read. The loop sets a flag and queues the entry. When the entry runs, the pump reads the bytes:
//! by splice(2) into a borrowed pipe if there are many, by one read if there are few. It writes them to the other end, behind a
//! DATA header if that is a link. What the other end does not take waits in the pipe, and nothing more is read until it is gone.
//!
//! **The floors**, from the top. A file uses its own floor and those below:
//!
//! | floor | what it holds |
//! |---|---|
//! | [`tools`] | what each program does with its loop |
//! | [`session`] | one pair of ends from accept to close |
//! | [`event_loop`] | the phases of a turn, entries, listeners, announcements, admission |
//! | [`sockets`] | every socket call |
//! | [`config`] | what was typed and what it means |
//! | [`keyed`] | TLS of keyed links |
//! | [`linux`] | what only Linux has |
//! | [`policy`] | decisions without sockets and clocks |
//! | [`protocol`] | bytes: frames, SOCKS, CONNECT, PROXY headers |
//! | [`token`], [`ids`], [`limits`], [`report`] | the ground: epoll tokens, random ids, constants, messages |

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

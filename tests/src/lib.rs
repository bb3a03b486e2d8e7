//! The harness: the real binaries, run against real peers.
//!
//! A test reads like the manual. [`node!`] takes a command line, waits until the program has printed its addresses, and
//! ends it with the test. [`End`] and [`Server`] are the two ends of a session, and each wait in them has a timeout:
//!
//! ```no_run
//! use relay_tests::{Server, node};
//!
//! let server = Server::start();
//! let route = node!("tcpfwd --once 127.0.0.1:0 {server}");
//! let client = route.dial();
//! client.send(b"hello");
//! server.accept().expect(b"hello");
//! ```
//!
//! What to use:
//!
//! | for | see |
//! |---|---|
//! | a child process that cannot outlive its test | [`launch`], [`running`], [`transcript`], [`program`] |
//! | one of our programs, and what it reports | [`mod@node`], [`counters`], [`golden`] |
//! | sockets that expect bytes, end of file, reset, silence | [`end`], [`server`], [`service`], [`port`] |
//! | a test that runs through every topology, by splicing and by copying | [`session_tests!`], [`plan`] |
//! | programs of others | [`peer`], [`proxies`], [`balancer`], [`needs!`] |
//! | a network of its own, with a firewall and a name server | [`network_tests!`], [`mod@network`], [`name_server`] |
//! | two hosts, each behind a firewall that translates addresses | [`nat_lab`] |
//! | a peer that violates the link protocol; a man in the middle of a link | [`wire`], [`intercept`] |
//! | what the kernel counts | [`kernel`] |
//! | bytes to send, files to write, keys, a terminal to type at | [`data`], [`scratch`], [`key`], [`terminal`] |
//! | waiting without sleeping | [`timeouts`] |
//! | the text of the workspace, for tests of style and of manual pages | [`workspace`], [`manual`] |
//! | the page that `make demo` serves | [`page`] |

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "this is test code: a broken expectation is a failed test"
)]

pub mod balancer;
pub mod counters;
pub mod data;
pub mod end;
pub mod golden;
pub mod intercept;
pub mod kernel;
pub mod key;
pub mod launch;
pub mod manual;
pub mod name_server;
pub mod nat_lab;
pub mod network;
pub mod node;
pub mod page;
pub mod peer;
pub mod plan;
pub mod port;
pub mod program;
pub mod proxies;
pub mod requirement;
pub mod running;
pub mod scratch;
pub mod server;
pub mod service;
mod session_tests;
pub mod sshd;
pub mod terminal;
pub mod timeouts;
pub mod transcript;
pub mod vsftpd;
pub mod wire;
pub mod workspace;

pub use end::{End, exchange};
pub use key::KeyFile;
pub use launch::Launch;
pub use node::Node;
pub use plan::Plan;
pub use port::ReservedPort;
pub use running::Running;
pub use server::Server;
pub use service::Service;
pub use timeouts::{TIMEOUT, eventually};

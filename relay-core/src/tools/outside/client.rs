//! A client of the outside node before its server has accepted.

use std::io;
use std::sync::Arc;

use crate::event_loop::context::Context;
use crate::protocol::addresses::Addresses;
use crate::session::account::Account;
use crate::sockets::accepted::Accepted;
use crate::sockets::end::End;
use crate::token::{Key, Slot};

/// A client, before its server has accepted.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) end: End,
    /// Its own, and the one that it connected to.
    pub(super) addresses: Option<Addresses>,
    pub(super) service: usize,
    /// Which port of the service it came in by.
    pub(super) index: u16,
    pub(super) account: Account,
    /// Its first bytes, as far as they were read: they may have to be sent again.
    pub(super) kept: Vec<u8>,
    /// Its end of file is behind them.
    pub(super) ended: bool,
}

/// A client that waits for a link.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) client: Client,
    /// Whether epoll knows it: a client that gets its link at once is registered only there.
    pub(super) registered: bool,
}

/// Where a client came in.
#[derive(Clone, Debug)]
pub(super) struct ClientPort {
    pub(super) service: usize,
    pub(super) index: u16,
    pub(super) to: Arc<str>,
}

impl Client {
    pub(super) fn new(accepted: Accepted, account: Account, client_port: &ClientPort) -> Self {
        Self {
            addresses: accepted.addresses(),
            end: accepted.end,
            service: client_port.service,
            index: client_port.index,
            account,
            kept: Vec::new(),
            ended: false,
        }
    }
}

impl Waiting {
    /// A client that was reset while it waits is dropped; one that has ended its direction is still a client.
    pub(super) fn check(&mut self, key: Key, context: &Context) -> io::Result<()> {
        if !self.registered {
            self.registered = true;
            return self.client.end.register(&context.registry, key, Slot::LEFT);
        }
        if self.client.end.has_failed() {
            Err(self.client.end.failure())
        } else {
            Ok(())
        }
    }
}

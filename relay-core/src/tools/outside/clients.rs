//! The clients of `listen-listen`, until they have a link.

use std::io;

use super::client::{Client, ClientPort, Waiting};
use super::handshake::called;
use super::node::{Entry, Outside};
use crate::event_loop::context::Context;
use crate::policy::access_list::SessionSlot;
use crate::policy::pairing::Ticket;
use crate::session::account::Account;
use crate::session::awaiting_header::{AwaitingHeader, Progress};
use crate::session::close_reason::{CloseReason, Side};
use crate::session::plain::close_end;
use crate::sockets::accepted::Accepted;
use crate::token::{Key, Slot};

impl Outside {
    pub(super) fn client_accepted(
        &mut self,
        client_port: &ClientPort,
        accepted: Accepted,
        session_slot: SessionSlot,
        context: &mut Context,
    ) {
        let now = context.now();
        let mut account = self
            .ids
            .account(accepted.client(), client_port.to.clone(), now);
        account.session_slot = session_slot;
        context.report.debug(format_args!(
            "session {}: {} came on {}",
            account.id, account.client, client_port.to
        ));
        self.clients += 1;
        if self.client_gate.expects_proxies() {
            return self.await_header(client_port, accepted, account, context);
        }
        let key = self.entries.insert(Entry::Client(Box::new(Waiting {
            client: Client::new(accepted, account, client_port),
            registered: false,
        })));
        self.pairing.arrive(key, client_port.service, now);
    }

    /// The client's proxy has come.
    pub(super) fn await_header(
        &mut self,
        client_port: &ClientPort,
        mut accepted: Accepted,
        account: Account,
        context: &mut Context,
    ) {
        let key = self.entries.next_key();
        let registered = accepted.end.register(&context.registry, key, Slot::LEFT);
        let awaiting = AwaitingHeader::new(accepted, account, client_port.clone(), context.now());
        match registered {
            Ok(()) => {
                self.awaiting_headers += 1;
                self.entries.insert(Entry::AwaitingHeader(awaiting));
            }
            Err(error) => {
                let reason = CloseReason::Failed(Side::Left, error);
                self.close_awaiting_header(awaiting, &reason, context);
            }
        }
    }

    pub(super) fn run_awaiting_header(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::AwaitingHeader(awaiting)) = self.entries.get_mut(key) else {
            return;
        };
        match awaiting.run(&mut context.resources) {
            Progress::Waiting => {
                let deadline = awaiting.deadline();
                self.entries.arm(key, Some(deadline));
            }
            Progress::Over(reason) => self.drop_awaiting_header(key, &reason, context),
            Progress::Known => self.header_read(key, context),
        }
    }

    /// The client is known, and waits for a link.
    pub(super) fn header_read(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::AwaitingHeader(awaiting)) = self.entries.take(key) else {
            return;
        };
        self.awaiting_headers -= 1;
        let (client, word) = (awaiting.account.client, &awaiting.place.to);
        let Some(session_slot) = self.client_gate.session_slot(client, word, context) else {
            self.entries.remove(key);
            return self.close_awaiting_header(awaiting, &CloseReason::Denied, context);
        };
        let AwaitingHeader {
            accepted,
            mut account,
            place: client_port,
            ..
        } = *awaiting;
        account.session_slot = session_slot;
        context.report.debug(format_args!(
            "session {}: it is {}",
            account.id, account.client
        ));
        let waiting = Waiting {
            client: Client::new(accepted, account, &client_port),
            registered: true,
        };
        self.entries.put_back(key, Entry::Client(Box::new(waiting)));
        self.pairing.arrive(key, client_port.service, context.now());
    }

    /// The client's proxy has not said who the client is.
    pub(super) fn drop_awaiting_header(
        &mut self,
        key: Key,
        reason: &CloseReason,
        context: &mut Context,
    ) {
        if let Some(Entry::AwaitingHeader(_)) = self.entries.get_mut(key)
            && let Some(Entry::AwaitingHeader(awaiting)) = self.entries.remove(key)
        {
            self.awaiting_headers -= 1;
            self.close_awaiting_header(awaiting, reason, context);
        }
    }

    pub(super) fn close_awaiting_header(
        &mut self,
        awaiting: Box<AwaitingHeader<ClientPort>>,
        reason: &CloseReason,
        context: &mut Context,
    ) {
        awaiting.close(reason, &mut self.warnings.unserved, context);
        self.session_ended(reason);
    }

    pub(super) fn run_client(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Client(waiting)) = self.entries.get_mut(key) else {
            return;
        };
        if let Err(error) = waiting.check(key, context) {
            self.pairing.leave(key);
            self.give_up_client(key, &CloseReason::Failed(Side::Left, error), context);
        }
    }

    /// The client gets the link with that key.
    pub(super) fn hand_over(
        &mut self,
        client: Key,
        link: Key,
        context: &Context,
    ) -> Option<(Client, io::Result<()>)> {
        let Some(Entry::Client(waiting)) = self.entries.remove(client) else {
            return None;
        };
        let Waiting {
            mut client,
            registered,
        } = *waiting;
        let result = if registered {
            client.end.reregister(&context.registry, link, Slot::RIGHT)
        } else {
            client.end.register(&context.registry, link, Slot::RIGHT)
        };
        Some((client, result))
    }

    /// The client came first, and waits for another link before all others.
    pub(super) fn wait_again(&mut self, mut client: Client, ticket: Ticket, context: &mut Context) {
        let key = self.entries.next_key();
        match client.end.reregister(&context.registry, key, Slot::LEFT) {
            Ok(()) => {
                self.entries.insert(Entry::Client(Box::new(Waiting {
                    client,
                    registered: true,
                })));
                self.pairing.again(key, ticket);
            }
            Err(error) => self.end_client(client, &CloseReason::Failed(Side::Left, error), context),
        }
    }

    /// Why a client has waited in vain.
    pub(super) fn why_no_link(&mut self, key: Key) -> CloseReason {
        if let Some(Entry::Client(waiting)) = self.entries.get_mut(key)
            && self.pairing.is_unserved(waiting.client.service)
        {
            let name = called(&self.services[waiting.client.service].name);
            return CloseReason::Unreached(format!("no inside node that is linked has {name}"));
        }
        CloseReason::NoLink
    }

    /// The client does not wait any more.
    pub(super) fn give_up_client(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        if let Some(Entry::Client(waiting)) = self.entries.remove(key) {
            self.end_client(waiting.client, reason, context);
        }
    }

    /// A client that no server has accepted is reset.
    pub(super) fn end_client(
        &mut self,
        client: Client,
        reason: &CloseReason,
        context: &mut Context,
    ) {
        if matches!(
            reason,
            CloseReason::NoLink | CloseReason::Unreached(_) | CloseReason::LinkLost(_)
        ) {
            let text = format_args!(
                "unable to serve {} on {}: {reason}",
                client.account.client, client.account.to
            );
            if self.once {
                context.report.fatal(text);
            } else {
                self.warnings
                    .unserved
                    .warning(&context.report, context.now(), text);
            }
        }
        client
            .account
            .log(reason, 0, 0, &context.report, context.now());
        close_end(client.end, reason, &context.registry);
        self.session_ended(reason);
    }

    pub(super) fn give_up_all(&mut self, reason: &CloseReason, context: &mut Context) {
        let waiting = self
            .entries
            .iter_mut()
            .filter(|(_, entry)| !matches!(entry, Entry::Link(_) | Entry::Dialling(_)));
        let keys: Vec<Key> = waiting.map(|(key, _)| key).collect();
        for key in keys {
            self.pairing.leave(key);
            self.drop_awaiting_header(key, reason, context);
            self.give_up_client(key, reason, context);
        }
    }
}

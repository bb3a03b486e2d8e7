//! The sessions of `connect-connect`: a server for each client that is signalled.

use super::node::{Entry, Inside};
use super::reaching::{Outcome, Reaching, Server};
use crate::event_loop::context::Context;
use crate::policy::access_list::SessionSlot;
use crate::protocol::addresses::Addresses;
use crate::protocol::frame::{Open, RefusedCode};
use crate::protocol::proxy_header;
use crate::session::account::Account;
use crate::session::close_reason::CloseReason;
use crate::session::link_driver::{Ended, Stage};
use crate::sockets::accepted::Peer;
use crate::sockets::dial::{Dial, DialError};
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::token::{Key, Slot};

impl Inside {
    /// A client is there: its server is dialled.
    pub(super) fn open(&mut self, key: Key, open: Open, context: &mut Context) {
        let now = context.now();
        self.served = true;
        let port = self
            .services
            .iter()
            .find(|service| service.name == open.service)
            .and_then(|service| {
                // A list of one port serves all.
                if service.ports.len() == 1 {
                    service.ports.first()
                } else {
                    service.ports.get(usize::from(open.index))
                }
            });
        let refusal = if self.sessions >= self.sessions_max {
            RefusedCode::Full
        } else {
            RefusedCode::NoService
        };
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let Some((target, to)) = port.filter(|_| refusal != RefusedCode::Full) else {
            entry
                .driver
                .link
                .protocol
                .refuse(refusal, String::new(), now);
            entry.driver.stage = Stage::Settling;
            return;
        };
        let client = open.client.map_or(Peer::Unix, Peer::Tcp);
        let account = Account {
            id: open.session,
            client,
            to: to.clone(),
            started: now,
            closed_first: None,
            session_slot: SessionSlot::default(),
        };
        context.report.debug(format_args!(
            "session {}: {client} is signalled, dialling {to}",
            open.session
        ));
        let addresses = || Some(Addresses::new(open.client?, open.local?));
        let preface = proxy_header::preface(context.settings.send_proxy, addresses, open.session);
        self.sessions += 1;
        let server = match inherited::target(target, Purpose::Session) {
            None => Ok(Server::Dialling(Box::new(Dial::start(
                &target.at,
                self.server_dial_options.clone(),
                Slot::RIGHT,
                &mut context.resolver,
                key,
                now,
            )))),
            Some(end) => end.and_then(|mut end| {
                end.register(&context.registry, key, Slot::RIGHT)?;
                Ok(Server::There(Some(end)))
            }),
        };
        let (server, error) = match server {
            Ok(server) => (server, None),
            Err(error) => (Server::There(None), Some(error)),
        };
        entry.driver.stage = Stage::Pending(Box::new(Reaching::new(server, preface, account)));
        if let Some(error) = error {
            self.answered(key, Outcome::Unreached(DialError::Failed(error)), context);
        }
    }

    /// The server was reached, or was not.
    pub(super) fn answered(&mut self, key: Key, outcome: Outcome, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let Some(reaching) = entry.driver.take_pending() else {
            return;
        };
        match outcome {
            Outcome::Reached(server) => {
                context
                    .report
                    .debug(format_args!("session {}: connected", reaching.account.id));
                entry
                    .driver
                    .link
                    .protocol
                    .opened(reaching.answer_is_due(now));
                entry.driver.stage = Stage::Relaying(reaching.into_relay(server, now));
            }
            Outcome::Unreached(error) => {
                let why = error.sentence(&reaching.account.to);
                entry
                    .driver
                    .link
                    .protocol
                    .refuse(error.code(), why.clone(), now);
                if self.once {
                    context.report.fatal(&why);
                } else {
                    self.warnings.servers.warning(&context.report, now, &why);
                }
                let reason = CloseReason::of_dial(&error, &reaching.account.to);
                reaching.account.log(&reason, 0, 0, &context.report, now);
                self.session_ended(&reason);
            }
        }
    }

    /// Ends the session here. The other node knows, or learns it from the link's own state.
    pub(super) fn end_session(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match entry.driver.end_session(reason, context) {
            Ended::None => return,
            Ended::Running => {}
            Ended::Pending(reaching) => {
                reaching
                    .account
                    .log(reason, 0, 0, &context.report, context.now());
            }
        }
        self.session_ended(reason);
    }

    pub(super) fn session_ended(&mut self, reason: &CloseReason) {
        self.sessions -= 1;
        self.outcome = reason.exit();
    }
}

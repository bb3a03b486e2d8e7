//! The sessions of a route, from accept to close.

use super::node::{Entry, Route};
use crate::event_loop::context::Context;
use crate::policy::access_list::SessionSlot;
use crate::protocol::proxy_header;
use crate::report::{self, Exit};
use crate::session::account::Account;
use crate::session::awaiting_header::{AwaitingHeader, Progress as HeaderProgress};
use crate::session::close_reason::CloseReason;
use crate::session::dialling::{Dialling, Progress as DialProgress};
use crate::session::plain::{Progress, Session, close_end};
use crate::sockets::accepted::Accepted;
use crate::sockets::dial::Dial;
use crate::sockets::end::End;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::token::{Key, Slot};

impl Route {
    /// A client has come, or its proxy.
    pub(super) fn begin(
        &mut self,
        way: usize,
        mut accepted: Accepted,
        session_slot: SessionSlot,
        context: &mut Context,
    ) {
        let now = context.now();
        let client = accepted.client();
        let mut account = self.ids.account(client, self.ways[way].to.clone(), now);
        account.session_slot = session_slot;
        let key = self.entries.next_key();
        if let Err(error) = accepted.end.register(&context.registry, key, Slot::LEFT) {
            context.report.warning(format_args!(
                "unable to serve {client}: {}",
                report::reason(&error)
            ));
            self.outcome = Exit::Temporary;
            return;
        }
        let entry = if self.gate.expects_proxies() {
            context
                .report
                .debug(format_args!("session {}: {client} came", account.id));
            Some(Entry::AwaitingHeader(AwaitingHeader::new(
                accepted, account, way, now,
            )))
        } else {
            self.reach(way, accepted, account, key, context)
        };
        if let Some(entry) = entry {
            self.entries.insert(entry);
        }
    }

    /// The client is known: dial its server.
    pub(super) fn reach(
        &mut self,
        way: usize,
        accepted: Accepted,
        account: Account,
        key: Key,
        context: &mut Context,
    ) -> Option<Entry> {
        let now = context.now();
        context.report.debug(format_args!(
            "session {}: {} came, dialling {}",
            account.id, account.client, account.to
        ));
        let version = context.settings.send_proxy;
        let preface = proxy_header::preface(version, || accepted.addresses(), account.id);
        let left = accepted.end;
        let target = &self.ways[way].target;
        let entry = match inherited::target(target, Purpose::Session) {
            Some(right) => join_inherited(left, right, preface, account, key, context),
            None => {
                let dial = Dial::start(
                    &target.at,
                    self.options.clone(),
                    Slot::RIGHT,
                    &mut context.resolver,
                    key,
                    now,
                );
                Ok(Entry::Dialling(Dialling::new(left, dial, preface, account)))
            }
        };
        match entry {
            Ok(entry) => Some(entry),
            Err(error) => {
                context.report.fatal(format_args!(
                    "unable to use {}: {}",
                    self.ways[way].to,
                    report::reason(&error)
                ));
                self.outcome = Exit::Temporary;
                None
            }
        }
    }

    pub(super) fn run_awaiting_header(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::AwaitingHeader(mut awaiting)) = self.entries.take(key) else {
            return;
        };
        match awaiting.run(&mut context.resources) {
            HeaderProgress::Waiting => {
                self.entries.put_back(key, Entry::AwaitingHeader(awaiting));
            }
            HeaderProgress::Over(reason) => {
                self.entries.remove(key);
                self.finish(Entry::AwaitingHeader(awaiting), &reason, context);
            }
            HeaderProgress::Known => {
                let listener = self.ways[awaiting.place].listeners.first();
                let word = listener.map_or("-", |id| context.listeners.word(*id));
                let client = awaiting.account.client;
                let Some(session_slot) = self.gate.session_slot(client, word, context) else {
                    self.entries.remove(key);
                    let entry = Entry::AwaitingHeader(awaiting);
                    return self.finish(entry, &CloseReason::Denied, context);
                };
                let AwaitingHeader {
                    accepted,
                    mut account,
                    place: way,
                    ..
                } = *awaiting;
                account.session_slot = session_slot;
                match self.reach(way, accepted, account, key, context) {
                    Some(entry) => {
                        self.entries.put_back(key, entry);
                        self.entries.wake(key);
                    }
                    None => drop(self.entries.remove(key)),
                }
            }
        }
    }

    pub(super) fn run_dialling(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Dialling(dialling)) = self.entries.take(key) else {
            return;
        };
        match dialling.run(key, context) {
            DialProgress::Waiting(dialling) => {
                self.entries.put_back(key, Entry::Dialling(dialling));
            }
            DialProgress::Joined(session) => {
                context
                    .report
                    .debug(format_args!("session {}: connected", session.id()));
                self.entries.put_back(key, Entry::Session(session));
                self.run_session(key, context);
            }
            DialProgress::Over(reason, dialling) => {
                self.entries.remove(key);
                self.finish(Entry::Dialling(dialling), &reason, context);
            }
        }
    }

    pub(super) fn run_session(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Session(session)) = self.entries.get_mut(key) else {
            return;
        };
        match session.run(&self.timeouts, &mut context.resources) {
            Progress::Waiting => {}
            Progress::Again => self.entries.go_on(key),
            Progress::Over(reason) => {
                if let Some(entry) = self.entries.remove(key) {
                    self.finish(entry, &reason, context);
                }
            }
        }
    }

    /// The session is over.
    pub(super) fn finish(&mut self, entry: Entry, reason: &CloseReason, context: &mut Context) {
        self.outcome = reason.exit();
        if let CloseReason::Unreached(why) | CloseReason::Forbidden(why) = reason {
            if self.once {
                context.report.fatal(why);
            } else {
                self.unreached.warning(&context.report, context.now(), why);
            }
        }
        match entry {
            Entry::AwaitingHeader(awaiting) => {
                awaiting.close(reason, &mut self.unreached, context);
            }
            Entry::Dialling(dialling) => {
                let (left, account) = dialling.into_left();
                account.log(reason, 0, 0, &context.report, context.now());
                close_end(left, reason, &context.registry);
            }
            Entry::Session(session) => session.close(
                reason,
                &context.report,
                &context.registry,
                &mut context.resources,
            ),
        }
    }
}

pub(super) fn join_inherited(
    left: End,
    right: std::io::Result<End>,
    preface: Box<[u8]>,
    account: Account,
    key: Key,
    context: &mut Context,
) -> std::io::Result<Entry> {
    let mut right = right?;
    right.register(&context.registry, key, Slot::RIGHT)?;
    Ok(Entry::Session(Session::new(
        left,
        right,
        preface,
        account,
        context.now(),
    )))
}

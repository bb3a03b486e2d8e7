//! The raw links of the inside node, from the dial to the session.

use super::node::{Entry, RawInside};
use crate::event_loop::context::Context;
use crate::protocol::proxy_header;
use crate::report::Exit;
use crate::session::authenticating::{self, Authenticating};
use crate::session::close_reason::{CloseReason, Side};
use crate::session::dialling::Dialling;
use crate::session::plain::Session;
use crate::sockets::accepted::Peer;
use crate::sockets::dial::{Dial, DialError, Step};
use crate::sockets::end::End;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::token::{Key, Slot};

impl RawInside {
    pub(super) fn dial_link(&mut self, context: &mut Context) {
        let now = context.now();
        let key = self.entries.next_key();
        let dial = Dial::start(
            &self.link.at,
            self.link_dial_options.clone(),
            Slot::LEFT,
            &mut context.resolver,
            key,
            now,
        );
        self.entries.insert(Entry::Link(Box::new(dial)));
        self.dialling = Some(key);
    }

    pub(super) fn run_link(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Link(mut dial)) = self.entries.take(key) else {
            return;
        };
        let now = context.now();
        match dial.run(&context.registry, &mut context.resolver, key, now) {
            Step::Pending => self.entries.put_back(key, Entry::Link(dial)),
            Step::Connected(end, peer) => {
                let entry = self.connected(key, end, peer, context);
                self.go_on(key, entry, context);
            }
            Step::Failed(error) => {
                self.dialling = None;
                self.entries.remove(key);
                self.link_failed(&error, context);
            }
        }
    }

    /// The entry is in its next stage, if there is one.
    pub(super) fn go_on(&mut self, key: Key, entry: Result<Entry, CloseReason>, context: &Context) {
        if !matches!(entry, Ok(Entry::Authenticating(_))) {
            self.dialling = None;
            self.dial_at = Some(context.now() + self.pause_after_link());
        }
        match entry {
            Ok(entry) => {
                self.entries.put_back(key, entry);
                self.entries.wake(key);
            }
            Err(reason) => {
                context.report.fatal(reason);
                self.outcome = Exit::Temporary;
                self.entries.remove(key);
            }
        }
    }

    /// The link is connected. With a key file it is of use once the outside node has proved that it holds the key.
    pub(super) fn connected(
        &mut self,
        key: Key,
        mut link: End,
        peer: Peer,
        context: &mut Context,
    ) -> Result<Entry, CloseReason> {
        let Some(keys) = &self.keys else {
            return self.linked(key, link, peer, context);
        };
        link.protect(keys)
            .map_err(|error| CloseReason::Failed(Side::Left, error))?;
        Ok(Entry::Authenticating(Authenticating::new(
            link,
            peer,
            context.now(),
        )))
    }

    pub(super) fn run_authentication(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Authenticating(mut authenticating)) = self.entries.take(key) else {
            return;
        };
        match authenticating.run(self.keys.as_ref(), context.now()) {
            authenticating::Progress::Waiting => self
                .entries
                .put_back(key, Entry::Authenticating(authenticating)),
            authenticating::Progress::Proven => {
                let (link, peer) = authenticating.into_link();
                let entry = self.linked(key, link, peer, context);
                self.go_on(key, entry, context);
            }
            authenticating::Progress::Failed { why, lasting } => {
                self.dialling = None;
                self.entries.remove(key);
                authenticating.part();
                self.unauthenticated(&why, lasting, context);
            }
        }
    }

    pub(super) fn unauthenticated(&mut self, why: &str, lasting: bool, context: &Context) {
        let now = context.now();
        if lasting {
            self.backoff.unwanted(&mut self.rng, now);
        } else {
            self.backoff.failed(self.interval, &mut self.rng, now);
        }
        let text = format_args!("unable to link to {}: {why}", self.link);
        if self.once || self.inherited {
            context.report.fatal(text);
            self.outcome = Exit::Temporary;
            self.draining = true;
        } else {
            self.warnings.warning(&context.report, now, text);
        }
    }

    /// The link is up: its session begins with the dial of the server.
    pub(super) fn linked(
        &mut self,
        key: Key,
        link: End,
        peer: Peer,
        context: &mut Context,
    ) -> Result<Entry, CloseReason> {
        let now = context.now();
        let account = self.ids.account(peer, self.to.clone(), now);
        // A raw link does not tell who its client is.
        let preface = proxy_header::preface(self.send_proxy, || None, account.id);
        context.report.debug(format_args!(
            "session {}: linked to {peer}, dialling {}",
            account.id, account.to
        ));
        match inherited::target(&self.server, Purpose::Session) {
            None => {
                let dial = Dial::start(
                    &self.server.at,
                    self.server_dial_options.clone(),
                    Slot::RIGHT,
                    &mut context.resolver,
                    key,
                    now,
                );
                Ok(Entry::Server(Dialling::new(link, dial, preface, account)))
            }
            Some(end) => {
                let registered = end.and_then(|mut end| {
                    end.register(&context.registry, key, Slot::RIGHT)
                        .map(|()| end)
                });
                let end = registered.map_err(|error| CloseReason::Failed(Side::Right, error))?;
                Ok(Entry::Session(Session::new(
                    link, end, preface, account, now,
                )))
            }
        }
    }

    pub(super) fn link_failed(&mut self, error: &DialError, context: &mut Context) {
        let now = context.now();
        self.backoff.failed(self.interval, &mut self.rng, now);
        let text = error.sentence(&self.link);
        if self.once {
            context.report.fatal(text);
            self.outcome = CloseReason::of_dial(error, &self.link).exit();
            self.draining = true;
        } else {
            // Refusal is how a raw link says that no client waits: nothing to warn of.
            if error.is_refusal() {
                context.report.debug(text);
            } else {
                self.warnings.warning(&context.report, now, text);
            }
        }
    }
}

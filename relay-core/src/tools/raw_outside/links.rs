//! The raw links of the outside node, and when its link port is open.

use std::io;

use super::node::{Entry, RawOutside, Waiting};
use crate::event_loop::context::Context;
use crate::policy::unauthenticated::TOO_MANY;
use crate::report;
use crate::session::authenticating::{self, Authenticating};
use crate::session::close_reason::CloseReason;
use crate::session::plain::Session;
use crate::sockets::accepted::Peer;
use crate::sockets::end::End;
use crate::token::{Key, Slot};

impl RawOutside {
    pub(super) fn link_accepted(&mut self, mut link: End, peer: Peer, context: &mut Context) {
        let Some(keys) = &self.keys else {
            let register = |link: &mut End, key, context: &Context| {
                link.register(&context.registry, key, Slot::RIGHT)
            };
            return self.pair(link, register, context);
        };
        let key = self.entries.next_key();
        let protected = link
            .protect(keys)
            .and_then(|()| link.register(&context.registry, key, Slot::RIGHT));
        match protected {
            Ok(()) => {
                let authenticating = Authenticating::new(link, peer, context.now());
                self.unauthenticated.arrive(key, authenticating.origin());
                self.entries.insert(Entry::Authenticating(authenticating));
                self.hold_four_way(key);
            }
            Err(error) => self.refuse_link(peer, &report::reason(&error), context),
        }
    }

    pub(super) fn refuse_link(&mut self, peer: Peer, why: &str, context: &Context) {
        let text = format_args!("link from {peer} refused: {why}");
        self.refused.warning(&context.report, context.now(), text);
    }

    pub(super) fn close_surplus_links(&mut self, context: &mut Context) {
        while let Some(key) = self.unauthenticated.surplus() {
            if let Some(Entry::Authenticating(authenticating)) = self.entries.remove(key) {
                self.unauthenticated.gone(key, authenticating.origin());
                self.refuse_link(authenticating.peer, TOO_MANY, context);
            }
        }
    }

    pub(super) fn run_authentication(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Authenticating(authenticating)) = self.entries.get_mut(key) else {
            return;
        };
        if let Some(keys) = &mut self.keys
            && !keys.admit_handshake(context.now())
        {
            return self.entries.go_on(key);
        }
        let progress = authenticating.run(self.keys.as_ref(), context.now());
        if matches!(progress, authenticating::Progress::Waiting) {
            return;
        }
        let Some(Entry::Authenticating(authenticating)) = self.entries.remove(key) else {
            return;
        };
        let origin = authenticating.origin();
        if matches!(progress, authenticating::Progress::Proven) {
            self.unauthenticated.welcome(key, origin);
        }
        // Proven, it is its session's.
        self.unauthenticated.gone(key, origin);
        if let authenticating::Progress::Failed { why, lasting } = progress {
            self.refuse_link(authenticating.peer, &why, context);
            if let Some(four_way) = &mut self.four_way {
                four_way.refused(lasting, context.now());
            }
            return authenticating.part();
        }
        if let Some(four_way) = &mut self.four_way {
            four_way.proven();
        }
        let (link, _) = authenticating.into_link();
        self.pair(
            link,
            |link, key, context| link.reregister(&context.registry, key, Slot::RIGHT),
            context,
        );
    }

    /// The client that has waited longest gets the link. A link for which no client waits any more is reset.
    pub(super) fn pair(
        &mut self,
        mut link: End,
        register: impl FnOnce(&mut End, Key, &Context) -> io::Result<()>,
        context: &mut Context,
    ) {
        let Some(key) = self.waiting.pop_front() else {
            return;
        };
        // Before another dial can find the port open.
        self.fit_port(context);
        let registered = register(&mut link, key, context);
        if let Err(error) = registered {
            self.finish(key, &CloseReason::LinkLost(report::reason(&error)), context);
            return;
        }
        if let Some(Entry::Waiting(waiting)) = self.entries.take(key) {
            let Waiting { end, account, .. } = *waiting;
            context.report.debug(format_args!(
                "session {}: {} has a link",
                account.id, account.client
            ));
            self.entries.put_back(
                key,
                Entry::Session(Session::new(
                    end,
                    link,
                    Box::default(),
                    account,
                    context.now(),
                )),
            );
            self.entries.wake(key);
            self.hold_four_way(key);
        }
    }

    /// The link port is as open as clients wait.
    pub(super) fn fit_port(&mut self, context: &mut Context) {
        let waiting = self.waiting.len();
        if waiting == self.told {
            return;
        }
        for id in &self.link_listeners {
            if let Err(error) = context.listeners.reopen(*id, waiting, &context.registry) {
                let what = if waiting == 0 { "close" } else { "open" };
                let text =
                    format_args!("unable to {what} the link port: {}", report::reason(&error));
                self.unserved.warning(&context.report, context.now(), text);
                // Tried again in the next turn.
                return;
            }
        }
        self.told = waiting;
    }
}

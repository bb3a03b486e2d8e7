//! The clients of the raw outside node, from accept to the end of their sessions.

use super::node::{Entry, RawOutside};
use crate::event_loop::context::Context;
use crate::policy::access_list::SessionSlot;
use crate::report;
use crate::session::awaiting_header::AwaitingHeader;
use crate::session::close_reason::{CloseReason, Side};
use crate::session::plain::close_end;
use crate::sockets::accepted::Accepted;
use crate::token::{Key, Slot};

impl RawOutside {
    pub(super) fn client_accepted(
        &mut self,
        word: &str,
        mut accepted: Accepted,
        session_slot: SessionSlot,
        context: &mut Context,
    ) {
        let now = context.now();
        let key = self.entries.next_key();
        let client = accepted.client();
        let mut account = self.ids.account(client, word.into(), now);
        account.session_slot = session_slot;
        if let Err(error) = accepted.end.register(&context.registry, key, Slot::LEFT) {
            context.report.warning(format_args!(
                "unable to serve {client}: {}",
                report::reason(&error)
            ));
        } else if self.client_gate.expects_proxies() {
            context.report.debug(format_args!(
                "session {}: {client} came on {word}",
                account.id
            ));
            let awaiting = AwaitingHeader::new(accepted, account, (), now);
            self.entries.insert(Entry::AwaitingHeader(awaiting));
        } else {
            let waiting = self.waiting(accepted, account, now);
            self.entries.insert(waiting);
            self.waiting.push_back(key);
        }
    }

    /// The client is known, and waits for a link; unless it may not.
    pub(super) fn header_read(&mut self, key: Key, context: &Context) -> Option<CloseReason> {
        let Some(Entry::AwaitingHeader(mut awaiting)) = self.entries.take(key) else {
            return None;
        };
        let (client, word) = (awaiting.account.client, &awaiting.account.to);
        let Some(session_slot) = self.client_gate.session_slot(client, word, context) else {
            self.entries.put_back(key, Entry::AwaitingHeader(awaiting));
            return Some(CloseReason::Denied);
        };
        awaiting.account.session_slot = session_slot;
        let AwaitingHeader {
            accepted, account, ..
        } = *awaiting;
        let waiting = self.waiting(accepted, account, context.now());
        self.entries.put_back(key, waiting);
        self.waiting.push_back(key);
        None
    }

    pub(super) fn finish(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        if !matches!(entry, Entry::Authenticating(_) | Entry::Dialling(_)) {
            self.outcome = reason.exit();
        }
        match entry {
            Entry::Authenticating(authenticating) => {
                self.unauthenticated.gone(key, authenticating.origin());
            }
            Entry::Dialling(_) => {}
            Entry::AwaitingHeader(awaiting) => {
                awaiting.close(reason, &mut self.unserved, context);
            }
            Entry::Session(session) => {
                if let Some(four_way) = &mut self.four_way {
                    let broke = matches!(reason, CloseReason::Failed(Side::Right, _));
                    four_way.ended(broke);
                }
                session.close(
                    reason,
                    &context.report,
                    &context.registry,
                    &mut context.resources,
                );
            }
            Entry::Waiting(waiting) => {
                let now = context.now();
                self.waiting.retain(|known| *known != key);
                if matches!(reason, CloseReason::NoLink | CloseReason::LinkLost(_)) {
                    let text = format_args!(
                        "unable to serve {} on {}: {reason}",
                        waiting.account.client, waiting.account.to
                    );
                    if self.once {
                        context.report.fatal(text);
                    } else {
                        self.unserved.warning(&context.report, now, text);
                    }
                }
                waiting.account.log(reason, 0, 0, &context.report, now);
                close_end(waiting.end, reason, &context.registry);
            }
        }
    }
}

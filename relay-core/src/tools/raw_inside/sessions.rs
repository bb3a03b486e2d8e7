//! The sessions of the raw inside node.

use super::node::{Entry, RawInside};
use crate::event_loop::context::Context;
use crate::keyed::link_fault;
use crate::session::account::Account;
use crate::session::close_reason::{CloseReason, Side};
use crate::session::dialling::Progress as DialProgress;
use crate::session::plain::{Progress, close_end};
use crate::token::Key;

impl RawInside {
    pub(super) fn run_server(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Server(dialling)) = self.entries.take(key) else {
            return;
        };
        match dialling.run(key, context) {
            DialProgress::Waiting(dialling) => self.entries.put_back(key, Entry::Server(dialling)),
            DialProgress::Joined(session) => {
                self.entries.put_back(key, Entry::Session(session));
                self.run_session(key, context);
            }
            DialProgress::Over(reason, dialling) => {
                self.entries.remove(key);
                let (left, account) = dialling.into_left();
                self.log_unserved(&account, &reason, context);
                close_end(left, &reason, &context.registry);
                self.session_ended(&reason, false, context);
            }
        }
    }

    pub(super) fn log_unserved(
        &mut self,
        account: &Account,
        reason: &CloseReason,
        context: &Context,
    ) {
        if let CloseReason::Unreached(why) | CloseReason::Forbidden(why) = reason {
            if self.once {
                context.report.fatal(why);
            } else {
                self.warnings.warning(&context.report, context.now(), why);
            }
        }
        account.log(reason, 0, 0, &context.report, context.now());
    }

    pub(super) fn run_session(&mut self, key: Key, context: &mut Context) {
        let Some(Entry::Session(session)) = self.entries.get_mut(key) else {
            return;
        };
        match session.run(&self.timeouts, &mut context.resources) {
            Progress::Waiting => {}
            Progress::Again => self.entries.go_on(key),
            Progress::Over(reason) => self.finish(key, &reason, context),
        }
    }

    pub(super) fn finish(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        let Context {
            resources,
            report,
            registry,
            ..
        } = context;
        match entry {
            Entry::Link(_) | Entry::Authenticating(_) => self.dialling = None,
            Entry::Server(dialling) => {
                let (left, account) = dialling.into_left();
                account.log(reason, 0, 0, report, resources.now);
                close_end(left, reason, registry);
                self.session_ended(reason, false, context);
            }
            Entry::Session(session) => {
                let heard = session.has_received(Side::Left);
                session.close(reason, report, registry, resources);
                self.session_ended(reason, heard, context);
            }
        }
    }

    /// A link that ended without a byte was perhaps no client: the next dial waits, as if this one had failed. The outside node is the
    /// last to judge a proof: its refusal of this node's key arrives only now.
    pub(super) fn session_ended(&mut self, reason: &CloseReason, heard: bool, context: &Context) {
        self.outcome = reason.exit();
        self.link_dial_options.four_way.after_loss =
            matches!(reason, CloseReason::Failed(Side::Left, _));
        if let CloseReason::Failed(Side::Left, error) = reason
            && let Some(fault) = link_fault(error).filter(|fault| fault.is_lasting())
        {
            self.unauthenticated(&fault.to_string(), true, context);
        } else if heard {
            self.backoff.healthy();
        } else {
            let now = context.now();
            self.backoff.failed(self.interval, &mut self.rng, now);
        }
    }
}

//! How a link of the inside node ends, and what is logged of it.

use std::fmt::Display;
use std::time::Instant;

use super::link_entry::LinkEntry;
use super::node::{Entry, Inside};
use crate::event_loop::context::Context;
use crate::keyed::Fault as Unauthenticated;
use crate::protocol::frame::ErrorCode;
use crate::report::Exit;
use crate::session::close_reason::CloseReason;
use crate::session::link_close::LinkClose;
use crate::session::link_driver::Stage;
use crate::token::Key;

impl Inside {
    /// The outside node violated the protocol: sends ERROR and closes the link.
    pub(super) fn fail_link(
        &mut self,
        key: Key,
        code: ErrorCode,
        why: &str,
        context: &mut Context,
    ) {
        self.end_session(key, &CloseReason::LinkLost(why.to_owned()), context);
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        entry.driver.link.protocol.fail(code, why.to_owned());
        let text = format!("unable to use the link to {}: {why}", entry.address);
        self.part(key, code.lasts(), context.now());
        self.log_refusal(text, context);
    }

    /// The outside node has not proved that it holds the key.
    pub(super) fn reject_outside_node(
        &mut self,
        key: Key,
        fault: &Unauthenticated,
        context: &mut Context,
    ) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        entry.driver.link.give_up();
        let text = format!("unable to link to {}: {fault}", entry.address);
        self.part(key, fault.is_lasting(), context.now());
        self.log_refusal(text, context);
    }

    /// After ERROR, ours or theirs: the link is on its way out. What does not fit now may be `lasting`.
    pub(super) fn part(&mut self, key: Key, lasting: bool, now: Instant) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let stage = std::mem::replace(
            &mut entry.driver.stage,
            Stage::Leaving(LinkClose::error(now)),
        );
        match stage {
            Stage::Greeting if lasting => self.keeper.unwanted(&entry.address, now),
            Stage::Greeting => self.keeper.not_welcomed(&entry.address, now),
            _ => self.forget(key, now),
        }
    }

    /// The keeper no longer counts on the link.
    pub(super) fn forget(&mut self, key: Key, now: Instant) {
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key)
            && let Some(node) = entry.node.take()
        {
            let lived = now.saturating_duration_since(entry.connected);
            self.keeper.lost(key, &entry.address, node, lived, now);
        }
    }

    pub(super) fn lose_link(&mut self, key: Key, why: &str, context: &mut Context) {
        let now = context.now();
        self.end_session(key, &CloseReason::LinkLost(why.to_owned()), context);
        self.forget(key, now);
        let Some(Entry::Link(entry)) = self.entries.remove(key) else {
            return;
        };
        let LinkEntry {
            driver, address, ..
        } = *entry;
        match driver.stage {
            Stage::Leaving(_) => {}
            // It was only for a client that was perhaps on its way.
            Stage::Greeting if self.draining => {}
            Stage::Greeting => {
                self.keeper.not_welcomed(&address, now);
                self.log_outage(format_args!("unable to link to {address}: {why}"), context);
            }
            // The one session is over; how it ended is the outcome.
            _ if self.once && self.served && self.sessions == 0 => self.draining = true,
            _ if self.once || self.fixed_link => {
                self.give_up(
                    format_args!("the link to {address} is lost: {why}"),
                    context,
                );
            }
            _ if self.keeper.links() == 0 => self.log_outage(
                format_args!("the link to {address} is lost: {why}"),
                context,
            ),
            _ => context
                .report
                .debug(format_args!("link to {address} lost: {why}")),
        }
        driver.close(context);
    }

    /// An address of LINK cannot be reached, or does not answer. It is tried again, unless there is nothing more to try; and told,
    /// unless another address may do.
    pub(super) fn log_outage(&mut self, text: impl Display, context: &Context) {
        if self.fixed_link || self.keeper.is_spent() {
            self.give_up(text, context);
        } else if self.keeper.is_cut_off() {
            self.warnings
                .links
                .warning(&context.report, context.now(), text);
        } else {
            context.report.debug(text);
        }
    }

    /// The link is up, but the two nodes do not agree.
    pub(super) fn log_refusal(&mut self, text: impl Display, context: &Context) {
        if self.fixed_link || self.keeper.is_spent() {
            self.give_up(text, context);
        } else {
            self.warnings
                .refusals
                .warning(&context.report, context.now(), text);
        }
    }

    /// There is nothing more to try.
    pub(super) fn give_up(&mut self, text: impl Display, context: &Context) {
        context.report.fatal(text);
        self.outcome = Exit::Temporary;
        self.draining = true;
    }
}

//! How a link of the outside node ends, and what becomes of its session.

use super::link_entry::LinkEntry;
use super::node::{Entry, Outside};
use crate::event_loop::context::Context;
use crate::keyed::Fault as Unauthenticated;
use crate::limits::LINK_WARM;
use crate::protocol::frame::{ErrorCode, NodeId};
use crate::report::Exit;
use crate::session::close_reason::{CloseReason, Side};
use crate::session::link_close::LinkClose;
use crate::session::link_driver::{Ended, Stage};
use crate::token::Key;

impl Outside {
    /// The client failed before its server answered: sends ABORT to the inside node.
    pub(super) fn abort_client(&mut self, key: Key, error: std::io::Error, context: &mut Context) {
        let reason = CloseReason::Failed(Side::Left, error);
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key) {
            entry
                .driver
                .link
                .protocol
                .abort(reason.abort_code(), context.now());
        }
        self.end_session(key, &reason, context);
    }

    /// Ends the session here. The other node knows, or learns it from the link's own state.
    pub(super) fn end_session(&mut self, key: Key, reason: &CloseReason, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match entry.driver.end_session(reason, context) {
            Ended::None => {}
            Ended::Running => self.session_ended(reason),
            Ended::Pending(opening) => {
                let (client, _) = opening.into_client(&mut entry.driver.link);
                self.end_client(client, reason, context);
            }
        }
    }

    /// The peer violated the protocol, or does not fit: sends ERROR and closes the link.
    pub(super) fn fail_link(
        &mut self,
        key: Key,
        code: ErrorCode,
        text: &str,
        context: &mut Context,
    ) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let why = if text.is_empty() {
            code.to_string()
        } else {
            text.to_owned()
        };
        let warnings = &mut self.warnings;
        let throttle = if entry.node.is_none() {
            &mut warnings.unauthenticated
        } else {
            &mut warnings.links
        };
        throttle.warning(
            &context.report,
            context.now(),
            format_args!("link from {} refused: {why}", entry.peer),
        );
        self.leave_session(key, &why, context);
        if let Some(Entry::Link(entry)) = self.entries.get_mut(key) {
            if let Some(dialled) = &mut entry.dialled {
                dialled.unwanted |= code.lasts();
            }
            entry.driver.link.protocol.fail(code, text.to_owned());
        }
        self.part(key, &why, context);
    }

    /// The peer has not proved that it holds the key. TLS has its own word for that; no frame would be understood.
    pub(super) fn reject_unauthenticated(
        &mut self,
        key: Key,
        fault: &Unauthenticated,
        context: &mut Context,
    ) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        self.warnings.unauthenticated.warning(
            &context.report,
            context.now(),
            format_args!("link from {} refused: {fault}", entry.peer),
        );
        if let Some(dialled) = &mut entry.dialled {
            dialled.unwanted |= fault.is_lasting();
        }
        entry.driver.link.give_up();
        self.part(key, "no key", context);
    }

    /// After ERROR, ours or theirs: the link carries no more sessions.
    pub(super) fn part(&mut self, key: Key, why: &str, context: &mut Context) {
        self.leave_session(key, why, context);
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        entry.driver.stage = Stage::Leaving(LinkClose::error(context.now()));
        if let Some(node) = entry.node.take() {
            self.pairing.link_lost(key, node);
        }
    }

    /// The link is of no more use: a client that had sent nothing on it gets another, any other is reset.
    pub(super) fn leave_session(&mut self, key: Key, why: &str, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match &entry.driver.stage {
            Stage::Pending(opening) if opening.has_sent_nothing() => {
                let Some(opening) = entry.driver.take_pending() else {
                    return;
                };
                let (client, ticket) = opening.into_client(&mut entry.driver.link);
                self.wait_again(client, ticket, context);
            }
            _ => self.end_session(key, &CloseReason::LinkLost(why.to_owned()), context),
        }
    }

    pub(super) fn lose_link(&mut self, key: Key, why: &str, context: &mut Context) {
        self.leave_session(key, why, context);
        let Some(Entry::Link(entry)) = self.entries.remove(key) else {
            return;
        };
        let LinkEntry {
            driver,
            peer,
            origin,
            dialled,
            node,
        } = *entry;
        self.links -= 1;
        self.unauthenticated.gone(key, origin);
        if let (Some(four_ways), Some(dialled)) = (&mut self.four_ways, &dialled) {
            four_ways.gone(key, dialled, context.now());
        }
        match (&driver.stage, node) {
            (Stage::Greeting, _) if dialled.is_some() => {
                let text = format_args!(
                    "link to {peer} is not a link: {why}; at the other end must be connect-connect"
                );
                self.warnings
                    .unauthenticated
                    .warning(&context.report, context.now(), text);
            }
            (Stage::Greeting, _) => {
                let text = format_args!("link from {peer} is not a link: {why}");
                self.warnings
                    .unauthenticated
                    .warning(&context.report, context.now(), text);
            }
            (_, Some(node)) => {
                self.pairing.link_lost(key, node);
                context
                    .report
                    .debug(format_args!("link from {peer} lost: {why}"));
                if self.pairing.links_of(node) == 0 {
                    context
                        .report
                        .info(format_args!("inside node {node} has no link left: {why}"));
                }
                self.probe(node, context);
            }
            (_, None) => {}
        }
        let by_bye = matches!(driver.stage, Stage::Leaving(_));
        driver.close(context);
        if self.fixed_link {
            self.outcome = if by_bye {
                self.outcome
            } else {
                Exit::Temporary
            };
            self.give_up_all(&CloseReason::NoLink, context);
        }
    }

    /// One link of the node died: are the idle ones still up? Of many that die together, the first one asks for all.
    pub(super) fn probe(&mut self, node: NodeId, context: &Context) {
        if self
            .probed
            .is_some_and(|(asked, until)| asked == node && context.now() < until)
        {
            return;
        }
        self.probed = Some((node, context.now() + LINK_WARM));
        let mut asked = Vec::new();
        for (key, entry) in self.entries.iter_mut() {
            if let Entry::Link(entry) = entry
                && entry.node == Some(node)
                && matches!(entry.driver.stage, Stage::Idle)
            {
                entry.driver.link.protocol.probe(context.now());
                asked.push(key);
            }
        }
        asked.into_iter().for_each(|key| self.entries.wake(key));
    }
}

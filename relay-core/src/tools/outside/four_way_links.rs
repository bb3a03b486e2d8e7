//! When the outside node dials the links that both ends dial.

use super::four_ways::{Dialled, LinkDial};
use super::node::{Entry, Outside};
use crate::config::address::TargetAt;
use crate::event_loop::context::Context;
use crate::policy::keeper::Decision;
use crate::report::Exit;
use crate::session::close_reason::CloseReason;
use crate::sockets::dial::{Dial, DialError, Step};
use crate::token::{Key, Slot};

impl Outside {
    /// Dials what the keeper says.
    pub(super) fn dial_four_ways(&mut self, context: &mut Context) {
        let now = context.now();
        if self.is_closing() {
            return;
        }
        while let Some(four_ways) = &mut self.four_ways
            && let Some(decision) = four_ways.keeper.next(now)
        {
            match decision {
                Decision::Lookup => four_ways.keeper.resolved(&four_ways.targets, now),
                Decision::Dial(at) => {
                    context
                        .report
                        .debug(format_args!("dialling a link to {at}"));
                    let mut options = four_ways.options.clone();
                    options.four_way.after_loss = four_ways.keeper.has_just_broken(&at);
                    let key = self.entries.next_key();
                    let resolver = &mut context.resolver;
                    let dial = Dial::start(&at, options, Slot::LEFT, resolver, key, now);
                    self.entries
                        .insert(Entry::Dialling(Box::new(LinkDial { at, dial })));
                }
                // There is never a surplus.
                Decision::Return(_) => {}
            }
        }
    }

    pub(super) fn run_dial(&mut self, key: Key, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Dialling(link)) = self.entries.get_mut(key) else {
            return;
        };
        let Context {
            registry, resolver, ..
        } = &mut *context;
        match link.dial.run(registry, resolver, key, now) {
            Step::Pending => {
                let deadline = link.dial.deadline();
                self.entries.arm(key, Some(deadline));
            }
            Step::Connected(end, peer) => {
                end.deregister(&context.registry);
                if let Some(Entry::Dialling(link)) = self.entries.remove(key) {
                    let dialled = Dialled {
                        at: link.at,
                        connected: now,
                        node: None,
                        unwanted: false,
                    };
                    self.add_link(end, peer, Some(dialled), context);
                }
            }
            Step::Failed(error) => {
                if let Some(Entry::Dialling(link)) = self.entries.remove(key) {
                    self.dial_failed(&link.at, &error, context);
                }
            }
        }
    }

    pub(super) fn dial_failed(&mut self, at: &TargetAt, error: &DialError, context: &mut Context) {
        let now = context.now();
        let Some(four_ways) = &mut self.four_ways else {
            return;
        };
        four_ways.keeper.dial_failed(at, now);
        let text = format_args!("unable to connect to {at}: {error}");
        if self.once && self.links == 0 && four_ways.keeper.has_tried_all_in_vain() {
            context.report.fatal(text);
            self.draining = true;
            self.give_up_all(&CloseReason::NoLink, context);
            self.outcome = Exit::Temporary;
        } else {
            four_ways.warnings.warning(&context.report, now, text);
        }
    }
}

//! When the raw outside node dials LINK.

use super::node::{Entry, RawOutside};
use crate::config::settings::INTERVAL_DEFAULT;
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::session::close_reason::CloseReason;
use crate::sockets::dial::{Dial, DialError, Step};
use crate::token::{Key, Slot};

impl RawOutside {
    /// Dials as long as a client waits.
    pub(super) fn dial_four_way(&mut self, context: &mut Context) {
        let Some(four_way) = &mut self.four_way else {
            return;
        };
        let now = context.now();
        let wanted = !self.waiting.is_empty();
        let holder = four_way.holder.take();
        four_way.holder = holder.filter(|key| self.entries.get(*key).is_some());
        match four_way.holder {
            Some(key) if !wanted && is_dial(&self.entries, key) => {
                self.entries.remove(key);
            }
            None if wanted && four_way.paused_until(now).is_none() => {
                let key = self.entries.next_key();
                let dial = Dial::start(
                    four_way.at(),
                    four_way.options.clone(),
                    Slot::RIGHT,
                    &mut context.resolver,
                    key,
                    now,
                );
                four_way.holder = Some(key);
                self.entries.insert(Entry::Dialling(Box::new(dial)));
            }
            _ => {}
        }
    }

    /// Dials that run: one at most.
    pub(super) fn dials(&self) -> usize {
        let holder = self.four_way.iter().filter_map(|it| it.holder);
        holder.filter(|key| is_dial(&self.entries, *key)).count()
    }

    /// What has become of the link is in that entry; nothing else can be while LINK is 4way.
    pub(super) fn hold_four_way(&mut self, key: Key) {
        if let Some(four_way) = &mut self.four_way {
            four_way.holder = Some(key);
        }
    }

    pub(super) fn run_dial(&mut self, key: Key, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Dialling(dial)) = self.entries.get_mut(key) else {
            return;
        };
        match dial.run(&context.registry, &mut context.resolver, key, now) {
            Step::Pending => {}
            Step::Connected(end, peer) => {
                end.deregister(&context.registry);
                self.entries.remove(key);
                self.link_accepted(end, peer, context);
            }
            Step::Failed(error) => {
                self.entries.remove(key);
                self.dial_failed(&error, context);
            }
        }
    }

    pub(super) fn dial_failed(&mut self, error: &DialError, context: &mut Context) {
        let now = context.now();
        let Some(four_way) = &mut self.four_way else {
            return;
        };
        four_way
            .backoff
            .failed(INTERVAL_DEFAULT, &mut four_way.rng, now);
        let text = format_args!("unable to connect to {}: {error}", four_way.target);
        if self.once {
            context.report.fatal(text);
            let waiting: Vec<Key> = self.waiting.iter().copied().collect();
            for key in waiting {
                self.finish(key, &CloseReason::NoLink, context);
            }
        } else {
            self.refused.warning(&context.report, now, text);
        }
    }
}

pub(super) fn is_dial(entries: &Entries<Entry>, key: Key) -> bool {
    matches!(entries.get(key), Some(Entry::Dialling(_)))
}

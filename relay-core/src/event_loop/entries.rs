//! What lives in the loop: one entry per pair of ends, found by a [`Key`], with its place in the run queue and its timer.
//!
//! Timers are a lazy heap: activity changes only the entry's own idea of its deadline, and the heap is corrected when the entry
//! surfaces. Invariant: an entry with a deadline has an item in the heap at that time or before.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use slab::Slab;

use crate::token::{GENERATION_BITS, Key};

/// The entries of one loop.
#[derive(Debug)]
pub struct Entries<E> {
    places: Slab<Place<E>>,
    run_queue: VecDeque<Key>,
    /// Those that used up their share: behind all others in the next turn.
    unfinished: Vec<Key>,
    timers: BinaryHeap<Reverse<(Instant, Key)>>,
    generation: u32,
}

#[derive(Debug)]
struct Place<E> {
    generation: u32,
    queued: bool,
    /// The earliest item that the heap holds for this entry.
    armed: Option<Instant>,
    /// `None` while [`Entries::take`] has it.
    entry: Option<E>,
}

impl<E> Default for Entries<E> {
    fn default() -> Self {
        Self {
            places: Slab::new(),
            run_queue: VecDeque::new(),
            unfinished: Vec::new(),
            timers: BinaryHeap::new(),
            generation: 0,
        }
    }
}

impl<E> Entries<E> {
    /// The key that the next [`Entries::insert`] will give: sockets are registered under it before the entry is whole.
    pub fn next_key(&self) -> Key {
        Key {
            index: self.places.vacant_key() as u32,
            generation: self.generation,
        }
    }

    /// Puts an entry in, and queues it to run.
    pub fn insert(&mut self, entry: E) -> Key {
        let key = self.next_key();
        self.places.insert(Place {
            generation: key.generation,
            queued: false,
            armed: None,
            entry: Some(entry),
        });
        self.generation = (self.generation + 1) & ((1 << GENERATION_BITS) - 1);
        self.wake(key);
        key
    }

    /// The entry of that name, if it still lives.
    pub fn get(&self, key: Key) -> Option<&E> {
        let place = self.places.get(key.index as usize);
        place
            .filter(|place| place.generation == key.generation)?
            .entry
            .as_ref()
    }

    /// The entry of that name, to be changed.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut E> {
        self.place(key)?.entry.as_mut()
    }

    /// Lends the entry to a change of stage, which ends in [`Entries::put_back`] or [`Entries::remove`]. Its name stays.
    pub fn take(&mut self, key: Key) -> Option<E> {
        self.place(key)?.entry.take()
    }

    /// The entry that was taken, in its next stage.
    pub fn put_back(&mut self, key: Key, entry: E) {
        if let Some(place) = self.place(key) {
            place.entry = Some(entry);
        }
    }

    /// Takes the entry out, for good.
    pub fn remove(&mut self, key: Key) -> Option<E> {
        self.place(key)?;
        let entry = self.places.try_remove(key.index as usize)?.entry;
        self.prune_timers();
        entry
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut E)> {
        self.places.iter_mut().filter_map(|(index, place)| {
            Some((
                Key {
                    index: index as u32,
                    generation: place.generation,
                },
                place.entry.as_mut()?,
            ))
        })
    }

    /// Queues the entry to run in this turn or the next.
    pub fn wake(&mut self, key: Key) {
        if let Some(place) = self.place(key)
            && !std::mem::replace(&mut place.queued, true)
        {
            self.run_queue.push_back(key);
        }
    }

    /// Queues an entry that has used up its share of this turn. In the next one it runs behind those for which something has
    /// come meanwhile: a short message does not wait for bulk twice.
    pub fn go_on(&mut self, key: Key) {
        if let Some(place) = self.place(key)
            && !std::mem::replace(&mut place.queued, true)
        {
            self.unfinished.push(key);
        }
    }

    /// Whether one is queued.
    pub fn any_queued(&self) -> bool {
        !self.run_queue.is_empty() || !self.unfinished.is_empty()
    }

    /// A turn begins: how many run in it. Those that are queued while they run wait for the next turn.
    pub fn begin_turn(&mut self) -> usize {
        self.run_queue.extend(self.unfinished.drain(..));
        self.run_queue.len()
    }

    /// The next entry to run.
    pub fn next_queued(&mut self) -> Option<Key> {
        loop {
            let key = self.run_queue.pop_front()?;
            if let Some(place) = self.place(key) {
                place.queued = false;
                return Some(key);
            }
        }
    }

    /// The entry has this deadline now.
    pub fn arm(&mut self, key: Key, deadline: Option<Instant>) {
        let (Some(deadline), Some(place)) = (deadline, self.place(key)) else {
            return;
        };
        if place.armed.is_none_or(|armed| deadline < armed) {
            place.armed = Some(deadline);
            self.timers.push(Reverse((deadline, key)));
            self.prune_timers();
        }
    }

    /// When the first timer surfaces.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// The entries whose deadline has passed by `now` are queued to run; those whose deadline has moved are armed again.
    pub fn expire(&mut self, now: Instant, deadline: impl Fn(&E) -> Option<Instant>) {
        while let Some(&Reverse((surfaced, key))) = self.timers.peek()
            && surfaced <= now
        {
            self.timers.pop();
            let Some(place) = self.place(key) else {
                continue;
            };
            if place.armed != Some(surfaced) {
                continue;
            }
            place.armed = None;
            match place.entry.as_ref().and_then(&deadline) {
                Some(moved) if moved > now => self.arm(key, Some(moved)),
                Some(_) => self.wake(key),
                None => {}
            }
        }
    }

    /// Timers that nobody waits for surface only at their time: those of many short lives with long deadlines would pile up, and so
    /// would those of a long life whose deadline is now near and now far.
    fn prune_timers(&mut self) {
        if self.timers.len() > TIMERS_MIN.max(4 * self.places.len()) {
            let armed = self.places.iter().filter_map(|(index, place)| {
                let key = Key {
                    index: index as u32,
                    generation: place.generation,
                };
                Some(Reverse((place.armed?, key)))
            });
            self.timers = armed.collect();
        }
    }

    fn place(&mut self, key: Key) -> Option<&mut Place<E>> {
        self.places
            .get_mut(key.index as usize)
            .filter(|place| place.generation == key.generation)
    }
}

/// So few timers are never pruned.
const TIMERS_MIN: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stale_key_finds_nobody() {
        let mut entries = Entries::default();
        let first = entries.insert("first");
        entries.remove(first);
        let second = entries.insert("second");
        assert_eq!(first.index, second.index);
        assert_eq!(entries.get_mut(first), None);
        assert_eq!(entries.next_queued(), Some(second));
        assert_eq!(entries.next_queued(), None);
    }

    #[test]
    fn an_entry_that_goes_on_runs_behind_those_that_were_woken_after_it() {
        let mut entries = Entries::default();
        let (bulk, message) = (entries.insert("bulk"), entries.insert("message"));
        assert_eq!(entries.begin_turn(), 2);
        assert_eq!(entries.next_queued(), Some(bulk));
        entries.go_on(bulk);
        assert_eq!(entries.next_queued(), Some(message));
        assert!(entries.any_queued());
        entries.wake(bulk);
        entries.wake(message);
        assert_eq!(entries.begin_turn(), 2);
        assert_eq!(entries.next_queued(), Some(message));
        assert_eq!(entries.next_queued(), Some(bulk));
        assert!(!entries.any_queued());
    }

    #[test]
    fn a_deadline_that_moved_away_fires_at_its_new_time_only() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut entries = Entries::default();
        let key = entries.insert(at(1));
        entries.next_queued();
        entries.arm(key, Some(at(1)));
        *entries.get_mut(key).unwrap() = at(5);
        entries.expire(at(1), |deadline| Some(*deadline));
        assert_eq!(entries.next_queued(), None);
        assert_eq!(entries.next_timer(), Some(at(5)));
        entries.expire(at(5), |deadline| Some(*deadline));
        assert_eq!(entries.next_queued(), Some(key));
    }

    #[test]
    fn short_lives_with_long_deadlines_do_not_pile_up() {
        let later = Instant::now() + Duration::from_secs(3600);
        let mut entries = Entries::default();
        for _ in 0..10 * TIMERS_MIN {
            let key = entries.insert(later);
            entries.next_queued();
            entries.arm(key, Some(later));
            entries.remove(key);
        }
        assert!(entries.timers.len() <= TIMERS_MIN + 1);
    }

    #[test]
    fn near_deadlines_in_turn_with_far_ones_do_not_pile_up() {
        let start = Instant::now();
        let mut entries = Entries::default();
        let key = entries.insert(start);
        for turn in 0..10 * TIMERS_MIN as u64 {
            let now = start + Duration::from_millis(turn);
            let (near, far) = (
                now + Duration::from_millis(1),
                now + Duration::from_secs(3600),
            );
            entries.arm(key, Some(near));
            *entries.get_mut(key).unwrap() = far;
            entries.expire(near, |deadline| Some(*deadline));
            assert_eq!(entries.next_queued(), (turn == 0).then_some(key));
        }
        assert!(entries.timers.len() <= TIMERS_MIN + 1);
    }

    #[test]
    fn an_earlier_deadline_fires_first_and_once() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut entries = Entries::default();
        let key = entries.insert(at(2));
        entries.next_queued();
        entries.arm(key, Some(at(9)));
        entries.arm(key, Some(at(2)));
        entries.expire(at(2), |deadline| Some(*deadline));
        assert_eq!(entries.next_queued(), Some(key));
        *entries.get_mut(key).unwrap() = at(99);
        entries.arm(key, Some(at(99)));
        entries.expire(at(9), |deadline| Some(*deadline));
        assert_eq!(entries.next_queued(), None);
    }
}

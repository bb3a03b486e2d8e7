//! One dial at a time of each 4way address: others of the same ports would only be in its way.
//!
//! They wait in the order in which they came, without a socket. A dial that is dropped gives up its place; whose turn it is then is
//! woken by the loop.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::config::address::TargetAt;
use crate::token::Key;

/// Those of one loop.
#[derive(Clone, Debug, Default)]
pub struct DialQueue(Rc<RefCell<Queues>>);

#[derive(Debug, Default)]
struct Queues {
    /// The first one of each has its turn.
    queues: HashMap<TargetAt, VecDeque<(u64, Key)>>,
    /// So many came so far.
    came: u64,
    called: Vec<Key>,
}

/// A place in a queue, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    dial_queue: DialQueue,
    target: TargetAt,
    number: u64,
}

impl DialQueue {
    /// The entry `key` wants to dial.
    pub fn join(&self, target: &TargetAt, key: Key) -> Turn {
        let mut queues = self.0.borrow_mut();
        queues.came += 1;
        let number = queues.came;
        let queue = queues.queues.entry(target.clone()).or_default();
        queue.push_back((number, key));
        Turn {
            dial_queue: self.clone(),
            target: target.clone(),
            number,
        }
    }

    /// Returns the entries whose turn has come since the last call.
    pub fn called(&self) -> Vec<Key> {
        std::mem::take(&mut self.0.borrow_mut().called)
    }
}

impl Turn {
    /// Whether it dials now.
    pub fn has_come(&self) -> bool {
        let queues = self.dial_queue.0.borrow();
        let first = queues.queues.get(&self.target).and_then(VecDeque::front);
        first.is_some_and(|(number, _)| *number == self.number)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let had_come = self.has_come();
        let mut queues = self.dial_queue.0.borrow_mut();
        let Queues { queues, called, .. } = &mut *queues;
        let Some(queue) = queues.get_mut(&self.target) else {
            return;
        };
        queue.retain(|(number, _)| *number != self.number);
        match queue.front() {
            Some((_, key)) if had_come => called.push(*key),
            Some(_) => {}
            None => drop(queues.remove(&self.target)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::address::TargetHost;

    fn target(port: u16) -> TargetAt {
        TargetAt::FourWay {
            local_port: 1,
            host: TargetHost::Localhost,
            port,
        }
    }

    fn key(index: u32) -> Key {
        Key {
            index,
            generation: 0,
        }
    }

    #[test]
    fn each_has_its_turn_in_the_order_in_which_they_came() {
        let dial_queue = DialQueue::default();
        let [first, second, third, fourth] =
            [0, 1, 2, 3].map(|at| dial_queue.join(&target(5), key(at)));
        assert!(first.has_come() && !second.has_come() && !third.has_come());
        drop(third);
        assert_eq!(dial_queue.called(), []);
        drop(first);
        assert_eq!(dial_queue.called(), [key(1)]);
        assert!(second.has_come() && !fourth.has_come());
        drop(second);
        assert_eq!(dial_queue.called(), [key(3)]);
        assert_eq!(dial_queue.called(), []);
    }

    #[test]
    fn those_of_other_ports_do_not_wait() {
        let dial_queue = DialQueue::default();
        let [first, second] = [5, 6].map(|port| dial_queue.join(&target(port), key(0)));
        assert!(first.has_come() && second.has_come());
        drop((first, second));
        assert_eq!(dial_queue.called(), []);
        assert!(dial_queue.0.borrow().queues.is_empty());
    }
}

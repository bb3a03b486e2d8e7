//! Names to addresses, off the loop: `getaddrinfo` may take minutes, so helper threads call it.
//!
//! One lookup per name is in flight at a time, and its answer serves all who ask within [`LOOKUP_FRESH`]. Names come from the
//! command line only, so what is kept is bounded by it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use mio::Waker;

use crate::config::family::Family;
use crate::limits::{ADDRESSES_MAX, LOOKUP_FRESH, RESOLVERS_MAX};
use crate::token::Key;

/// What a lookup gave: addresses without ports (but with zones), or why there are none.
pub type Answer = Result<Arc<[SocketAddr]>, Arc<str>>;

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requester {
    /// A dial of an entry: an entry may dial again before an old answer comes.
    Dial(Key, LookupId),
    /// Whoever keeps the links.
    Keeper,
}

/// Tells one question of an entry from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupId(u64);

/// The lookups of one loop.
#[derive(Debug)]
pub struct Resolver {
    family: Family,
    names: HashMap<String, Name>,
    questions: Sender<String>,
    /// Shared by the helper threads; a thread takes one question at a time.
    queue: Arc<Mutex<Receiver<String>>>,
    answers: Receiver<(String, Answer)>,
    answer: Sender<(String, Answer)>,
    waker: Arc<Waker>,
    asked: u64,
}

#[derive(Debug)]
enum Name {
    InFlight(Vec<Requester>),
    Known { at: Instant, answer: Answer },
}

impl Resolver {
    /// No thread runs before [`Resolver::open`]; `waker` wakes the loop when there is an answer.
    pub fn new(family: Family, waker: Waker) -> Self {
        let (questions, queue) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        Self {
            family,
            names: HashMap::new(),
            questions,
            queue: Arc::new(Mutex::new(queue)),
            answers,
            answer,
            waker: Arc::new(waker),
            asked: 0,
        }
    }

    /// A name for the next question.
    pub fn question(&mut self) -> LookupId {
        self.asked += 1;
        LookupId(self.asked)
    }

    /// The answer, if one is fresh; else it comes by [`Resolver::collect`].
    pub fn lookup(&mut self, name: &str, requester: Requester, now: Instant) -> Option<Answer> {
        match self.names.get_mut(name) {
            Some(Name::InFlight(requesters)) => {
                requesters.push(requester);
                return None;
            }
            Some(Name::Known { at, answer }) if now < *at + LOOKUP_FRESH => {
                return Some(answer.clone());
            }
            _ => {}
        }
        self.names
            .insert(name.to_owned(), Name::InFlight(vec![requester]));
        if self.questions.send(name.to_owned()).is_err() {
            return Some(
                self.settle(name, Err("no thread to resolve names".into()), now)
                    .1,
            );
        }
        None
    }

    /// Takes in the answers that have come; each asker gets its own.
    pub fn collect(&mut self, now: Instant) -> Vec<(Requester, Answer)> {
        let mut told = Vec::new();
        while let Ok((name, answer)) = self.answers.try_recv() {
            let (requesters, answer) = self.settle(&name, answer, now);
            told.extend(
                requesters
                    .into_iter()
                    .map(|requester| (requester, answer.clone())),
            );
        }
        told
    }

    fn settle(&mut self, name: &str, answer: Answer, now: Instant) -> (Vec<Requester>, Answer) {
        let before = self.names.insert(
            name.to_owned(),
            Name::Known {
                at: now,
                answer: answer.clone(),
            },
        );
        match before {
            Some(Name::InFlight(requesters)) => (requesters, answer),
            _ => (Vec::new(), answer),
        }
    }

    /// Starts the threads, for the questions that came already and for those to come, of so many names; each calls `enter` first.
    ///
    /// # Errors
    /// What the system says if there is no thread at all.
    pub fn open(&self, names: usize, enter: &Arc<dyn Fn() + Send + Sync>) -> io::Result<()> {
        for n in 0..names.min(RESOLVERS_MAX) {
            match self.start_thread(enter.clone()) {
                Err(error) if n == 0 => return Err(error),
                Err(_) => break,
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn start_thread(&self, enter: Arc<dyn Fn() + Send + Sync>) -> io::Result<()> {
        let (queue, answer, waker, family) = (
            self.queue.clone(),
            self.answer.clone(),
            self.waker.clone(),
            self.family,
        );
        let work = move || {
            enter();
            // Ends when the loop does: then nobody asks, or nobody listens.
            while let Some(name) = queue.lock().ok().and_then(|queue| queue.recv().ok()) {
                let addresses = resolve(&name, family);
                if answer.send((name, addresses)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("resolver".to_owned())
            .stack_size(RESOLVER_STACK_BYTES)
            .spawn(work)?;
        Ok(())
    }
}

fn resolve(name: &str, family: Family) -> Answer {
    let found = (name, 0)
        .to_socket_addrs()
        .map_err(|error| Arc::from(lookup_reason(&error)))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.filter(|address| family.allows(address.ip())) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.truncate(ADDRESSES_MAX);
    if addresses.is_empty() {
        Err("no address of the wanted family".into())
    } else {
        Ok(addresses.into())
    }
}

/// What gai_strerror(3) says, without the standard library's preface.
pub(super) fn lookup_reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text);
    text.to_lowercase()
}

/// RFC 8305 §4: the families take turns, beginning with that of the first address, so that one broken family costs one attempt.
pub fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let (mut preferred, mut other): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv4() == first.is_ipv4());
    preferred.reverse();
    other.reverse();
    let mut order = Vec::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(preferred.pop());
        order.extend(other.pop());
    }
    order
}

/// `getaddrinfo` of glibc with its modules stays well under this.
const RESOLVER_STACK_BYTES: usize = 512 * 1024;

/// `::1` and `127.0.0.1`, as far as the family allows.
pub fn localhost(family: Family) -> Vec<SocketAddr> {
    let both = [
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]),
        IpAddr::from([127, 0, 0, 1]),
    ];
    both.into_iter()
        .filter(|ip| family.allows(*ip))
        .map(|ip| SocketAddr::new(ip, 0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_first_answer_leads() {
        let found = addresses(&[
            "[2001:db8::1]:0",
            "[2001:db8::2]:0",
            "[2001:db8::3]:0",
            "192.0.2.1:0",
        ]);
        let order = addresses(&[
            "[2001:db8::1]:0",
            "192.0.2.1:0",
            "[2001:db8::2]:0",
            "[2001:db8::3]:0",
        ]);
        assert_eq!(interleave(&found), order);
    }

    #[test]
    fn localhost_is_both_loopback_addresses() {
        assert_eq!(
            localhost(Family::Any),
            addresses(&["[::1]:0", "127.0.0.1:0"])
        );
        assert_eq!(localhost(Family::V4), addresses(&["127.0.0.1:0"]));
    }
}

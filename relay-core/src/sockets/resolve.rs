//! Names to addresses, off the loop: `getaddrinfo` may take minutes, so helper threads call it.
//!
//! There is a thread for each name of the command line, up to [`RESOLVERS_MAX`], so that a name server that does not answer for one
//! name holds up no other. What an answer is worth, and for how long, [`crate::policy::name_cache`] decides.

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use std::{io, thread};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use mio::Waker;

use crate::config::family::Family;
use crate::limits::{ADDRESSES_MAX, RESOLVERS_MAX};
pub use crate::policy::name_cache::Answer;
use crate::policy::name_cache::{Answered, Found, LookupError, NameCache, NameEvent};
use crate::report::Report;
use crate::token::Key;

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requester {
    /// A dial of an entry: an entry may dial again before an old answer comes.
    Dial(Key, LookupId),
    /// The links that a node keeps.
    Keeper,
}

/// Tells one lookup of an entry from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupId(u64);

/// The lookups of one loop.
#[derive(Debug)]
pub struct Resolver {
    family: Family,
    names: NameCache<Requester>,
    lookups: Sender<String>,
    /// Shared by the helper threads; a thread takes one name at a time.
    queue: Arc<Mutex<Receiver<String>>>,
    results: Receiver<(String, LookupResult)>,
    result: Sender<(String, LookupResult)>,
    waker: Arc<Waker>,
    ids: u64,
}

type LookupResult = Result<Arc<[SocketAddr]>, LookupError>;

impl Resolver {
    /// No thread runs before [`Resolver::open`]; `waker` wakes the loop when there is a result.
    pub fn new(family: Family, waker: Waker) -> Self {
        let (lookups, queue) = mpsc::channel();
        let (result, results) = mpsc::channel();
        Self {
            family,
            names: NameCache::default(),
            lookups,
            queue: Arc::new(Mutex::new(queue)),
            results,
            result,
            waker: Arc::new(waker),
            ids: 0,
        }
    }

    /// Returns an id for the next lookup of an entry.
    pub fn lookup_id(&mut self) -> LookupId {
        self.ids += 1;
        LookupId(self.ids)
    }

    /// Returns the last good answer. A name that has none is looked up, and the answer comes by [`Resolver::collect`].
    pub fn lookup(&mut self, name: &str, requester: Requester, now: Instant) -> Option<Answer> {
        let found = self.names.lookup(name, requester, now);
        self.start(name, found, now)
    }

    /// Returns an answer that is new. Otherwise the name is looked up, and the answer comes by [`Resolver::collect`]: the last good one
    /// if the lookup fails.
    pub fn lookup_anew(
        &mut self,
        name: &str,
        requester: Requester,
        now: Instant,
    ) -> Option<Answer> {
        let found = self.names.lookup_anew(name, requester, now);
        self.start(name, found, now)
    }

    /// Looks a name up in the background, because a dial to its addresses failed.
    pub fn refresh(&mut self, name: &str, now: Instant) {
        if self.names.refresh(name, now) {
            // Without a thread nothing changes.
            let _ = self.lookups.send(name.to_owned());
        }
    }

    fn start(&mut self, name: &str, found: Found, now: Instant) -> Option<Answer> {
        if found.start_lookup && self.lookups.send(name.to_owned()).is_err() {
            let no_thread = LookupError::Failed("no thread to resolve names".into());
            return Some(self.names.answered(name, Err(no_thread), now).answer);
        }
        found.answer
    }

    /// Returns the answers that have come, each with what waited for it, and logs what became of names.
    pub fn collect(&mut self, report: &Report, now: Instant) -> Vec<(Requester, Answer)> {
        let mut all = Vec::new();
        while let Ok((name, result)) = self.results.try_recv() {
            let Answered {
                requesters,
                answer,
                event,
            } = self.names.answered(&name, result, now);
            if let Some(event) = event {
                log(&name, &event, &answer, report);
            }
            all.extend(
                requesters
                    .into_iter()
                    .map(|requester| (requester, answer.clone())),
            );
        }
        all
    }

    /// Starts the threads, one for each of `names` names; each calls `enter` first.
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
        let (queue, result, waker, family) = (
            self.queue.clone(),
            self.result.clone(),
            self.waker.clone(),
            self.family,
        );
        let work = move || {
            enter();
            // Ends when the loop does.
            while let Some(name) = queue.lock().ok().and_then(|queue| queue.recv().ok()) {
                let found = resolve(&name, family);
                if result.send((name, found)).is_err() || waker.wake().is_err() {
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

fn log(name: &str, event: &NameEvent, answer: &Answer, report: &Report) {
    let list = |addresses: &[SocketAddr]| {
        let ips: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
        ips.join(", ")
    };
    match (event, answer) {
        (NameEvent::Changed(addresses), _) => {
            report.info(format_args!("{name} is now {}", list(addresses)));
        }
        (NameEvent::Kept(reason), Ok(good)) => report.info(format_args!(
            "unable to look up {name}: {reason}; its last addresses stay in use: {}",
            list(good)
        )),
        (NameEvent::Kept(reason) | NameEvent::Dropped(reason), _) => {
            report.info(format_args!("unable to look up {name}: {reason}"));
        }
    }
}

fn resolve(name: &str, family: Family) -> LookupResult {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    let found = getaddrinfo(Some(name), None, Some(hints)).map_err(|error| {
        let kind = error.kind();
        let reason = lookup_reason(&io::Error::from(error)).into();
        match kind {
            LookupErrorKind::NoName | LookupErrorKind::NoData => LookupError::Missing(reason),
            _ => LookupError::Failed(reason),
        }
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.filter_map(Result::ok).map(|info| info.sockaddr) {
        if family.allows(address.ip()) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.truncate(ADDRESSES_MAX);
    if addresses.is_empty() {
        Err(LookupError::Missing(
            "no address of the wanted family".into(),
        ))
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

    impl Resolver {
        /// Takes a good answer, as a helper thread would send it.
        pub(crate) fn learn(&mut self, name: &str, ip: &str, now: Instant) {
            let address = SocketAddr::new(ip.parse().unwrap(), 0);
            self.names.answered(name, Ok([address].into()), now);
        }
    }

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

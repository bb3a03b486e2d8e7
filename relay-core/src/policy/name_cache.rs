//! What is known of the names that are dialled: the last good answer serves until a newer one comes, and for as long as the name
//! server fails.
//!
//! Contract: [`NameCache::lookup`] and [`NameCache::lookup_anew`] return an answer at once, or keep the requester until
//! [`NameCache::answered`] returns it. Both say whether the caller has to start a lookup. One lookup per name is in flight at a time.
//! Names come from the command line only, so their number is bounded by it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::limits::{LOOKUP_FRESH, LOOKUP_REFRESH, NAME_MISSING_FOR, NAME_REQUESTERS_MAX};

/// Addresses without ports, or why there are none.
pub type Answer = Result<Arc<[SocketAddr]>, Arc<str>>;

/// Why a lookup gave no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// The name server says that the name does not exist, or has no address.
    Missing(Arc<str>),
    /// The name server failed or did not answer.
    Failed(Arc<str>),
}

/// The names of one process. `R` is what waits for an answer.
#[derive(Debug)]
pub struct NameCache<R> {
    names: HashMap<String, Name<R>>,
}

#[derive(Debug)]
struct Name<R> {
    /// The last good answer.
    good: Option<Arc<[SocketAddr]>>,
    /// The last lookup, if it failed.
    error: Option<LookupError>,
    /// When the name server first said that the name does not exist, if it has said nothing else since.
    missing_since: Option<Instant>,
    lookup: Lookup<R>,
}

#[derive(Debug)]
enum Lookup<R> {
    InFlight(Vec<R>),
    Ended(Instant),
}

/// What a requester gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The answer, unless the requester has to wait.
    pub answer: Option<Answer>,
    /// Whether the caller has to start a lookup of the name.
    pub start_lookup: bool,
}

/// What the end of a lookup means.
#[derive(Debug)]
pub struct Answered<R> {
    /// What waited.
    pub requesters: Vec<R>,
    /// The answer for each of them.
    pub answer: Answer,
    /// What is worth a line in the log.
    pub event: Option<NameEvent>,
}

/// What became of a name that has had addresses before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameEvent {
    /// It has other addresses now.
    Changed(Arc<[SocketAddr]>),
    /// The lookup failed, and the last good answer serves on.
    Kept(Arc<str>),
    /// The name does not exist any more.
    Dropped(Arc<str>),
}

impl<R> Default for NameCache<R> {
    fn default() -> Self {
        Self {
            names: HashMap::new(),
        }
    }
}

impl<R> NameCache<R> {
    /// Returns the last good answer at once, however old it is. If it is older than [`LOOKUP_REFRESH`], a lookup starts in the
    /// background. A requester waits only for a name that has no good answer yet.
    pub fn lookup(&mut self, name: &str, requester: R, now: Instant) -> Found {
        self.find(name, requester, now, true)
    }

    /// Returns an answer that is not older than [`LOOKUP_FRESH`], or lets the requester wait for one. For a dial that failed with the
    /// last good answer, and for nodes that have to follow a name.
    pub fn lookup_anew(&mut self, name: &str, requester: R, now: Instant) -> Found {
        self.find(name, requester, now, false)
    }

    /// Returns whether the caller has to start a lookup of a name whose good answer led to a dial that failed.
    pub fn refresh(&mut self, name: &str, now: Instant) -> bool {
        let Some(entry) = self.names.get_mut(name) else {
            return false;
        };
        let due = matches!(entry.lookup, Lookup::Ended(at) if now >= at + LOOKUP_FRESH);
        if due {
            entry.lookup = Lookup::InFlight(Vec::new());
        }
        due
    }

    fn find(&mut self, name: &str, requester: R, now: Instant, any_age: bool) -> Found {
        if !self.names.contains_key(name) {
            self.names.insert(name.to_owned(), Name::new(requester));
            return Found::waits(true);
        }
        let Some(entry) = self.names.get_mut(name) else {
            unreachable!("it was found or inserted");
        };
        let good = entry.good.clone().map(Ok);
        match &mut entry.lookup {
            Lookup::InFlight(_) if any_age && good.is_some() => Found {
                answer: good,
                start_lookup: false,
            },
            Lookup::InFlight(requesters) if requesters.len() < NAME_REQUESTERS_MAX => {
                requesters.push(requester);
                Found::waits(false)
            }
            Lookup::InFlight(_) => Found {
                answer: Some(good.unwrap_or_else(|| Err("too many sessions wait for it".into()))),
                start_lookup: false,
            },
            Lookup::Ended(at) if now < *at + LOOKUP_FRESH => Found {
                answer: Some(entry.answer()),
                start_lookup: false,
            },
            Lookup::Ended(at) if any_age && good.is_some() => {
                let start_lookup = now >= *at + LOOKUP_REFRESH;
                if start_lookup {
                    entry.lookup = Lookup::InFlight(Vec::new());
                }
                Found {
                    answer: good,
                    start_lookup,
                }
            }
            Lookup::Ended(_) => {
                entry.lookup = Lookup::InFlight(vec![requester]);
                Found::waits(true)
            }
        }
    }

    /// Takes the result of a lookup. A failure changes nothing for a name that has a good answer, until the name server has said for
    /// [`NAME_MISSING_FOR`] that the name does not exist.
    pub fn answered(
        &mut self,
        name: &str,
        result: Result<Arc<[SocketAddr]>, LookupError>,
        now: Instant,
    ) -> Answered<R> {
        let entry = self.names.entry(name.to_owned()).or_insert_with(|| Name {
            good: None,
            error: None,
            missing_since: None,
            lookup: Lookup::Ended(now),
        });
        let requesters = match std::mem::replace(&mut entry.lookup, Lookup::Ended(now)) {
            Lookup::InFlight(requesters) => requesters,
            Lookup::Ended(_) => Vec::new(),
        };
        let event = entry.settle(result, now);
        Answered {
            requesters,
            answer: entry.answer(),
            event,
        }
    }
}

impl<R> Name<R> {
    fn new(requester: R) -> Self {
        Self {
            good: None,
            error: None,
            missing_since: None,
            lookup: Lookup::InFlight(vec![requester]),
        }
    }

    fn settle(
        &mut self,
        result: Result<Arc<[SocketAddr]>, LookupError>,
        now: Instant,
    ) -> Option<NameEvent> {
        match result {
            Ok(addresses) => {
                self.error = None;
                self.missing_since = None;
                let before = self.good.replace(addresses.clone());
                before
                    .is_some_and(|before| !same_addresses(&before, &addresses))
                    .then_some(NameEvent::Changed(addresses))
            }
            Err(error) => {
                let missing = matches!(error, LookupError::Missing(_));
                self.missing_since = missing.then(|| self.missing_since.unwrap_or(now));
                let gone = self
                    .missing_since
                    .is_some_and(|since| now >= since + NAME_MISSING_FOR);
                let reason = error.reason().clone();
                self.error = Some(error);
                self.good.as_ref()?;
                if gone {
                    self.good = None;
                    Some(NameEvent::Dropped(reason))
                } else {
                    Some(NameEvent::Kept(reason))
                }
            }
        }
    }

    fn answer(&self) -> Answer {
        match (&self.good, &self.error) {
            (Some(good), _) => Ok(good.clone()),
            (None, Some(error)) => Err(error.reason().clone()),
            (None, None) => Err(NO_ANSWER.into()),
        }
    }
}

impl LookupError {
    fn reason(&self) -> &Arc<str> {
        match self {
            Self::Missing(reason) | Self::Failed(reason) => reason,
        }
    }
}

impl Found {
    fn waits(start_lookup: bool) -> Self {
        Self {
            answer: None,
            start_lookup,
        }
    }
}

/// A name server may give the addresses in another order each time.
fn same_addresses(before: &[SocketAddr], after: &[SocketAddr]) -> bool {
    before.len() == after.len() && before.iter().all(|address| after.contains(address))
}

/// Why a lookup that has not ended gave no address.
pub const NO_ANSWER: &str = "no answer from the name server";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn addresses(text: &str) -> Arc<[SocketAddr]> {
        text.split(' ')
            .map(|ip| SocketAddr::new(ip.parse().unwrap(), 0))
            .collect()
    }

    fn missing() -> Result<Arc<[SocketAddr]>, LookupError> {
        Err(LookupError::Missing("name or service not known".into()))
    }

    fn failed() -> Result<Arc<[SocketAddr]>, LookupError> {
        Err(LookupError::Failed(
            "temporary failure in name resolution".into(),
        ))
    }

    fn known(start: Instant) -> NameCache<u8> {
        let mut cache = NameCache::default();
        assert!(cache.lookup("srv", 1, start).start_lookup);
        let answered = cache.answered("srv", Ok(addresses("192.0.2.1")), start);
        assert_eq!(answered.requesters, [1]);
        cache
    }

    #[test]
    fn a_name_without_an_answer_is_looked_up_once_for_all() {
        let start = Instant::now();
        let mut cache = NameCache::default();
        assert_eq!(cache.lookup("srv", 1, start), Found::waits(true));
        assert_eq!(cache.lookup("srv", 2, start), Found::waits(false));
        assert_eq!(cache.lookup("other", 3, start), Found::waits(true));
        let answered = cache.answered("srv", Ok(addresses("192.0.2.1")), start);
        assert_eq!(answered.requesters, [1, 2]);
        assert_eq!(answered.answer, Ok(addresses("192.0.2.1")));
        assert_eq!(answered.event, None);
    }

    #[test]
    fn nobody_waits_for_a_name_that_has_ever_had_an_answer() {
        let start = Instant::now();
        let mut cache = known(start);
        let good = Some(Ok(addresses("192.0.2.1")));
        let later = start + LOOKUP_REFRESH;
        let found = cache.lookup("srv", 2, later - Duration::from_secs(1));
        assert_eq!((found.answer, found.start_lookup), (good.clone(), false));
        let found = cache.lookup("srv", 2, later);
        assert_eq!((found.answer, found.start_lookup), (good.clone(), true));
        // The lookup hangs.
        let much_later = later + Duration::from_secs(3600);
        let found = cache.lookup("srv", 3, much_later);
        assert_eq!((found.answer, found.start_lookup), (good, false));
    }

    #[test]
    fn a_name_server_that_fails_changes_nothing() {
        let start = Instant::now();
        let mut cache = known(start);
        let mut now = start;
        for _ in 0..1000 {
            now += LOOKUP_REFRESH;
            assert!(cache.lookup("srv", 2, now).start_lookup);
            let answered = cache.answered("srv", failed(), now);
            assert_eq!(answered.answer, Ok(addresses("192.0.2.1")));
            assert!(matches!(answered.event, Some(NameEvent::Kept(_))));
        }
    }

    #[test]
    fn a_name_is_dropped_when_it_was_missing_twice_a_minute_apart() {
        let start = Instant::now();
        let mut cache = known(start);
        let mut missing_at = |seconds| {
            let answered = cache.answered("srv", missing(), start + Duration::from_secs(seconds));
            (answered.answer.is_ok(), answered.event)
        };
        assert!(missing_at(30).0);
        assert!(missing_at(60).0);
        let (kept, event) = missing_at(90);
        assert!(!kept);
        assert!(matches!(event, Some(NameEvent::Dropped(_))));
    }

    #[test]
    fn a_failure_between_two_missing_answers_starts_the_minute_anew() {
        let start = Instant::now();
        let mut cache = known(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        cache.answered("srv", missing(), at(30));
        cache.answered("srv", failed(), at(60));
        assert!(cache.answered("srv", missing(), at(90)).answer.is_ok());
        assert!(cache.answered("srv", missing(), at(150)).answer.is_err());
    }

    #[test]
    fn another_order_is_no_change_and_other_addresses_are() {
        let start = Instant::now();
        let mut cache = known(start);
        let mut answer = |text| cache.answered("srv", Ok(addresses(text)), start).event;
        assert_eq!(answer("192.0.2.1"), None);
        let both = addresses("192.0.2.1 192.0.2.2");
        assert_eq!(
            answer("192.0.2.1 192.0.2.2"),
            Some(NameEvent::Changed(both))
        );
        assert_eq!(answer("192.0.2.2 192.0.2.1"), None);
    }

    #[test]
    fn a_dial_that_failed_waits_for_a_newer_answer() {
        let start = Instant::now();
        let mut cache = known(start);
        let fresh = cache.lookup_anew("srv", 2, start + LOOKUP_FRESH / 2);
        assert_eq!(fresh.answer, Some(Ok(addresses("192.0.2.1"))));
        let later = start + LOOKUP_FRESH;
        assert_eq!(cache.lookup_anew("srv", 2, later), Found::waits(true));
        let answered = cache.answered("srv", Ok(addresses("192.0.2.2")), later);
        assert_eq!(answered.requesters, [2]);
        assert_eq!(answered.answer, Ok(addresses("192.0.2.2")));
    }

    #[test]
    fn a_dial_that_failed_has_its_name_looked_up_in_the_background() {
        let start = Instant::now();
        let mut cache = known(start);
        assert!(!cache.refresh("srv", start));
        assert!(!cache.refresh("other", start + LOOKUP_FRESH));
        assert!(cache.refresh("srv", start + LOOKUP_FRESH));
        assert!(!cache.refresh("srv", start + LOOKUP_FRESH));
        assert!(
            cache
                .lookup("srv", 2, start + LOOKUP_FRESH)
                .answer
                .is_some()
        );
    }

    #[test]
    fn those_that_wait_for_one_name_are_bounded() {
        let start = Instant::now();
        let mut cache = NameCache::default();
        for requester in 0..NAME_REQUESTERS_MAX {
            assert_eq!(cache.lookup("srv", requester, start).answer, None);
        }
        let one_more = cache.lookup("srv", NAME_REQUESTERS_MAX, start);
        assert!(matches!(one_more.answer, Some(Err(_))));
    }

    #[test]
    fn a_failure_serves_for_a_moment_where_there_is_no_good_answer() {
        let start = Instant::now();
        let mut cache: NameCache<u8> = NameCache::default();
        cache.lookup("srv", 1, start);
        cache.answered("srv", failed(), start);
        assert!(matches!(cache.lookup("srv", 2, start).answer, Some(Err(_))));
        assert_eq!(
            cache.lookup("srv", 2, start + LOOKUP_FRESH),
            Found::waits(true)
        );
    }
}

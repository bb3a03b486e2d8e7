//! The listening sockets of one loop, and when they are accepted from.
//!
//! Accepting survives everything: a fault of one connection concerns that one, and when descriptors or memory run out all
//! listeners pause for a while, which a timer ends, since no new edge would.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Instant;

use mio::Registry;
use mio::event::Event;

use super::accept_pause::{AcceptPause, OF_THE_CONNECTION};
use crate::config::address::{ListenAt, ListenPoint, Proxy};
use crate::config::family::Family;
use crate::limits::BACKLOG;
use crate::linux::sandbox::Needs;
use crate::report::{self, Report};
use crate::sockets::accepted::Accepted;
use crate::sockets::listen::{Listener, Names, bind};
use crate::sockets::options::Purpose;
use crate::sockets::resolve::{Answer, LookupId, Resolver};
use crate::sockets::socks_bind::{Fault, Outcome, SocksBind};
use crate::token::{Key, Slot, Source, token};

/// Names a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerId(pub u32);

/// The listeners.
#[derive(Debug, Default)]
pub struct Listeners {
    all: Vec<Place>,
    /// Known until all listen.
    names: Names,
    /// Listeners that may have connections.
    ready: VecDeque<ListenerId>,
    pause: Option<AcceptPause>,
    /// Those that a proxy keeps.
    binds: Vec<ListenerId>,
    /// Those of them that have not listened yet, and are waited for.
    unopened: Vec<ListenerId>,
}

#[derive(Debug)]
struct Place {
    word: String,
    /// Until it is closed for good.
    way_in: Option<WayIn>,
    queued: bool,
}

#[derive(Debug)]
enum WayIn {
    Socket(Listener),
    /// A proxy listens.
    Proxy(Box<SocksBind>),
}

/// What an attempt to accept gave.
#[derive(Debug)]
pub enum Accept {
    /// A connection.
    One(Box<Accepted>),
    /// No more wait.
    Empty,
    /// A connection that was gone before it was accepted.
    Gone,
    /// Descriptors or memory ran out, or the listener itself fails.
    Failed(io::Error),
    /// A proxy listens anew: where.
    Listening(String),
    /// A proxy does not listen, or no longer. The request is repeated later.
    Unbound(Fault),
}

impl Listeners {
    /// Binds the point, which is neither stdio nor connected; it listens from [`Listeners::open_all`] on.
    pub fn bind(
        &mut self,
        point: &ListenPoint,
        family: Family,
        purpose: Purpose,
    ) -> Result<Vec<ListenerId>, String> {
        let unable = |error: io::Error| {
            format!("unable to bind to {}: {}", point.at, report::reason(&error))
        };
        let first = self.all.len() as u32;
        let ways_in = match &point.at {
            ListenAt::SocksBind(proxy) => {
                self.binds.push(ListenerId(first));
                let key = Key::of_bind(first);
                let bind = SocksBind::new(Proxy::clone(proxy), family, key);
                vec![WayIn::Proxy(Box::new(bind))]
            }
            at => {
                let listeners = bind(at, family, purpose, &mut self.names).map_err(unable)?;
                listeners.into_iter().map(WayIn::Socket).collect()
            }
        };
        let places = ways_in.into_iter().map(|way_in| Place {
            word: point.word.clone(),
            way_in: Some(way_in),
            queued: false,
        });
        self.all.extend(places);
        Ok((first..self.all.len() as u32).map(ListenerId).collect())
    }

    /// Binds a point whose listener will be stopped and started again, and keeps its port meanwhile.
    pub fn bind_to_reopen(
        &mut self,
        point: &ListenPoint,
        family: Family,
        purpose: Purpose,
    ) -> Result<Vec<ListenerId>, String> {
        let ids = self.bind(point, family, purpose)?;
        for id in &ids {
            let place = &mut self.all[id.0 as usize];
            place.way_in = match place.way_in.take() {
                Some(WayIn::Socket(listener)) => {
                    let pinned = listener.pinned(purpose);
                    let unable = |error: io::Error| {
                        format!("unable to bind to {}: {}", point.at, report::reason(&error))
                    };
                    Some(WayIn::Socket(pinned.map_err(unable)?))
                }
                way_in => way_in,
            };
        }
        Ok(ids)
    }

    /// Makes every listener but those of `later` accept connections.
    pub fn open_all(&mut self, registry: &Registry, later: &[ListenerId]) -> Result<(), String> {
        self.names = Names::default();
        for at in 0..self.all.len() as u32 {
            let id = ListenerId(at);
            let place = &mut self.all[at as usize];
            let listener = match &mut place.way_in {
                Some(WayIn::Socket(listener)) => listener,
                Some(WayIn::Proxy(bind)) => {
                    if !later.contains(&id) {
                        bind.want();
                        self.unopened.push(id);
                        self.wake(id);
                    }
                    continue;
                }
                None => continue,
            };
            let open = if later.contains(&id) {
                Ok(())
            } else {
                listener.listen(BACKLOG)
            };
            let result =
                open.and_then(|()| listener.register(registry, token(Source::Listener(at))));
            result.map_err(|error| {
                format!(
                    "unable to listen on {}: {}",
                    place.word,
                    report::reason(&error)
                )
            })?;
            // An inherited listener may have connections already.
            self.wake(id);
        }
        Ok(())
    }

    /// What they take while the process runs, beside what it needs anyway.
    pub fn add_needs(&self, mut needs: Needs) -> Needs {
        for way_in in self.all.iter().filter_map(|place| place.way_in.as_ref()) {
            match way_in {
                WayIn::Socket(listener) => {
                    needs.unix_sockets |= listener.is_named();
                    needs
                        .sockets
                        .extend(listener.socket_file().map(Path::to_owned));
                }
                WayIn::Proxy(bind) => {
                    needs = needs.dialling([], std::slice::from_ref(bind.proxy()));
                }
            }
        }
        needs
    }

    /// The words and addresses, as `--print-address` shows them.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, io::Result<String>)> {
        self.all.iter().filter_map(|place| {
            let address = match place.way_in.as_ref()? {
                WayIn::Socket(listener) => listener.address(),
                WayIn::Proxy(bind) => Ok(bind.address()?.to_string()),
            };
            Some((place.word.as_str(), address))
        })
    }

    /// Whether every listener accepts, or has, those aside that are opened later.
    pub fn are_open(&self) -> bool {
        self.unopened.is_empty()
    }

    /// Whether each client of some listener comes by an address of its own, so that there are always more to tell.
    pub fn have_binds(&self) -> bool {
        !self.binds.is_empty()
    }

    /// Whether not only this host can reach it.
    pub fn is_open_to_others(&self, id: ListenerId) -> bool {
        match self.all.get(id.0 as usize).map(|place| &place.way_in) {
            Some(Some(WayIn::Socket(listener))) => !listener.is_local(),
            Some(Some(WayIn::Proxy(_))) => true,
            Some(None) | None => false,
        }
    }

    /// The word that asked for it.
    pub fn word(&self, id: ListenerId) -> &str {
        self.all.get(id.0 as usize).map_or("", |place| &place.word)
    }

    /// Closes these for good.
    pub fn close(&mut self, ids: &[ListenerId], registry: &Registry) {
        for id in ids {
            self.unopened.retain(|known| known != id);
            self.binds.retain(|known| known != id);
            let place = self.all.get_mut(id.0 as usize);
            if let Some(WayIn::Socket(mut listener)) = place.and_then(|place| place.way_in.take()) {
                listener.deregister(registry);
            }
        }
    }

    /// Connections may wait there.
    pub fn wake(&mut self, id: ListenerId) {
        if let Some(place) = self.all.get_mut(id.0 as usize)
            && !std::mem::replace(&mut place.queued, true)
        {
            self.ready.push_back(id);
        }
    }

    /// Those that may have connections, unless accepting pauses. Each is to be put back or emptied.
    pub fn take_ready(&mut self, now: Instant) -> VecDeque<ListenerId> {
        for at in 0..self.binds.len() {
            let id = self.binds[at];
            let due = self.bind_of(id).and_then(|bind| bind.deadline());
            if due.is_some_and(|due| now >= due) {
                self.wake(id);
            }
        }
        if self.paused_until(now).is_some() {
            return VecDeque::new();
        }
        let ready = std::mem::take(&mut self.ready);
        for id in &ready {
            self.all[id.0 as usize].queued = false;
        }
        ready
    }

    /// Those that may have connections.
    pub fn ready(&self) -> impl Iterator<Item = ListenerId> {
        self.ready.iter().copied()
    }

    /// Returns when the next request to a proxy is due or times out.
    pub fn next_deadline(&self) -> Option<Instant> {
        let idle = self.binds.iter().filter_map(|id| {
            let place = &self.all[id.0 as usize];
            match &place.way_in {
                // What is queued is due already, or not admitted.
                Some(WayIn::Proxy(bind)) if !place.queued => bind.deadline(),
                _ => None,
            }
        });
        idle.min()
    }

    /// Takes in what epoll says of a socket to a proxy.
    pub fn note_bind(&mut self, at: u32, key: Key, event: &Event, slot: Slot) {
        if let Some(bind) = self.bind_of(ListenerId(at)) {
            bind.note(key, event, slot);
            self.wake(ListenerId(at));
        }
    }

    /// The answer to the lookup of a proxy.
    pub fn bind_resolved(
        &mut self,
        at: u32,
        key: Key,
        lookup_id: LookupId,
        answer: Answer,
        now: Instant,
    ) {
        if let Some(bind) = self.bind_of(ListenerId(at)) {
            bind.resolved(key, lookup_id, answer, now);
            self.wake(ListenerId(at));
        }
    }

    /// Sends the requests to proxies now that wait for a back-off.
    pub fn retry_now(&mut self) {
        for at in 0..self.binds.len() {
            let id = self.binds[at];
            if let Some(bind) = self.bind_of(id) {
                bind.retry_now();
            }
            self.wake(id);
        }
    }

    fn bind_of(&mut self, id: ListenerId) -> Option<&mut SocksBind> {
        match &mut self.all.get_mut(id.0 as usize)?.way_in {
            Some(WayIn::Proxy(bind)) => Some(bind),
            Some(WayIn::Socket(_)) | None => None,
        }
    }

    /// Accepts one connection.
    pub fn accept(
        &mut self,
        id: ListenerId,
        registry: &Registry,
        resolver: &mut Resolver,
        now: Instant,
    ) -> Accept {
        let place = self.all.get_mut(id.0 as usize);
        let listener = match place.and_then(|place| place.way_in.as_mut()) {
            Some(WayIn::Socket(listener)) => listener,
            Some(WayIn::Proxy(bind)) => {
                return match bind.run(registry, resolver, now) {
                    Outcome::Waiting => Accept::Empty,
                    Outcome::Listening => {
                        self.unopened.retain(|known| *known != id);
                        Accept::Listening(
                            bind.address().map(ToString::to_string).unwrap_or_default(),
                        )
                    }
                    Outcome::Client(accepted) => Accept::One(accepted),
                    Outcome::Failed(fault) => Accept::Unbound(fault),
                };
            }
            None => return Accept::Empty,
        };
        match listener.accept() {
            Ok(accepted) => Accept::One(Box::new(accepted)),
            Err(error) => match error.raw_os_error() {
                // EINVAL: it does not listen now.
                Some(libc::EAGAIN | libc::EINVAL) => Accept::Empty,
                Some(number) if OF_THE_CONNECTION.contains(&number) => Accept::Gone,
                _ => Accept::Failed(error),
            },
        }
    }

    /// Lets `waiting` connections come, or none.
    pub fn reopen(
        &mut self,
        id: ListenerId,
        waiting: usize,
        registry: &Registry,
    ) -> io::Result<()> {
        let place = self.all.get_mut(id.0 as usize);
        let listener = match place.and_then(|place| place.way_in.as_mut()) {
            Some(WayIn::Socket(listener)) => listener,
            Some(WayIn::Proxy(bind)) => {
                match waiting {
                    0 => bind.unwant(),
                    _ => bind.want(),
                }
                self.wake(id);
                return Ok(());
            }
            None => return Ok(()),
        };
        match i32::try_from(waiting).unwrap_or(i32::MAX) {
            0 => listener.stop(registry, token(Source::Listener(id.0))),
            waiting => listener.listen(waiting - 1),
        }
    }

    /// Stops accepting for a while.
    pub fn pause(&mut self, error: &io::Error, report: &Report, now: Instant) {
        self.pause = Some(AcceptPause::after(self.pause.take(), error, report, now));
    }

    /// When accepting goes on, if it pauses and there is something to accept.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.pause
            .as_ref()
            .map(AcceptPause::until)
            .filter(|until| *until > now && !self.ready.is_empty())
    }
}

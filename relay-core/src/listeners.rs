//! The listening sockets of one loop, and when they are accepted from.
//!
//! Accepting survives everything: a fault of one connection concerns that one, and when descriptors or memory run out all
//! listeners pause for a while, which a timer ends, since no new edge would.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::Registry;

use crate::address::{ListenAt, ListenPoint};
use crate::limits::{ACCEPT_PAUSE_MAX, ACCEPT_PAUSE_MIN, BACKLOG, SHORTAGE_OVER};
use crate::plan::Family;
use crate::report::{self, Report};
use crate::socket::listen::{Accepted, Listener, Names, bind};
use crate::socket::options::Purpose;
use crate::token::{Source, token};

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
    pause: Option<Pause>,
}

#[derive(Debug)]
struct Place {
    word: String,
    listener: Option<Listener>,
    queued: bool,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    length: Duration,
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
        let listeners = bind(&point.at, family, purpose, &mut self.names).map_err(unable)?;
        let first = self.all.len() as u32;
        let places = listeners.into_iter().map(|listener| Place {
            word: point.word.clone(),
            listener: Some(listener),
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
            if let Some(listener) = place.listener.take() {
                let pinned = listener.pinned(purpose);
                let unable = |error: io::Error| {
                    format!("unable to bind to {}: {}", point.at, report::reason(&error))
                };
                place.listener = Some(pinned.map_err(unable)?);
            }
        }
        Ok(ids)
    }

    /// Makes every listener but those of `later` accept connections.
    pub fn open_all(&mut self, registry: &Registry, later: &[ListenerId]) -> Result<(), String> {
        self.names = Names::default();
        for at in 0..self.all.len() as u32 {
            let id = ListenerId(at);
            let place = &mut self.all[at as usize];
            let Some(listener) = &mut place.listener else {
                continue;
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

    /// The words and addresses, as `--print-address` shows them.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, io::Result<String>)> {
        self.all
            .iter()
            .filter_map(|place| Some((place.word.as_str(), place.listener.as_ref()?.address())))
    }

    /// The word that asked for it.
    pub fn word(&self, id: ListenerId) -> &str {
        self.all.get(id.0 as usize).map_or("", |place| &place.word)
    }

    /// The listener, while it is open.
    pub fn get(&self, id: ListenerId) -> Option<&Listener> {
        self.all.get(id.0 as usize)?.listener.as_ref()
    }

    /// Closes these for good.
    pub fn close(&mut self, ids: &[ListenerId], registry: &Registry) {
        for id in ids {
            if let Some(mut listener) = self
                .all
                .get_mut(id.0 as usize)
                .and_then(|place| place.listener.take())
            {
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

    /// Accepts one connection.
    pub fn accept(&self, id: ListenerId) -> Accept {
        let Some(listener) = self.get(id) else {
            return Accept::Empty;
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
        let Some(listener) = self
            .all
            .get_mut(id.0 as usize)
            .and_then(|place| place.listener.as_mut())
        else {
            return Ok(());
        };
        match i32::try_from(waiting).unwrap_or(i32::MAX) {
            0 => listener.stop(registry, token(Source::Listener(id.0))),
            waiting => listener.listen(waiting - 1),
        }
    }

    /// Stops accepting for a while, each time twice as long, and says so the first time. That a connection could be accepted in
    /// between says little: what it was accepted with may be what was missing next.
    pub fn pause(&mut self, error: &io::Error, report: &Report, now: Instant) {
        let length = match &self.pause {
            Some(pause) if now < pause.until + SHORTAGE_OVER => {
                (pause.length * 2).min(ACCEPT_PAUSE_MAX)
            }
            _ => {
                report.warning(format_args!(
                    "unable to accept, trying again: {}",
                    report::reason(error)
                ));
                ACCEPT_PAUSE_MIN
            }
        };
        self.pause = Some(Pause {
            until: now + length,
            length,
        });
    }

    /// When accepting goes on, if it pauses and there is something to accept.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.pause
            .as_ref()
            .map(|pause| pause.until)
            .filter(|until| *until > now && !self.ready.is_empty())
    }
}

/// Whether the point is one connection that is already there.
pub fn is_connection(at: &ListenAt) -> bool {
    match at {
        ListenAt::Stdio => true,
        ListenAt::Fd { read, write } => {
            read != write || !crate::plan::is_listening(*read).unwrap_or(false)
        }
        ListenAt::Tcp { .. } | ListenAt::Unix(_) | ListenAt::SocksBind(_) => false,
    }
}

/// What accept(2) passes on from the connection itself: the next one may be fine.
const OF_THE_CONNECTION: [i32; 12] = [
    libc::ECONNABORTED,
    libc::ECONNRESET,
    libc::EHOSTDOWN,
    libc::EHOSTUNREACH,
    libc::ENETDOWN,
    libc::ENETUNREACH,
    libc::ENONET,
    libc::ENOPROTOOPT,
    libc::EOPNOTSUPP,
    libc::EPERM,
    libc::EPROTO,
    libc::ETIMEDOUT,
];

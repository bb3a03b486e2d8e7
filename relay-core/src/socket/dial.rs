//! Dialling: every address of a name, staggered, and the first to connect wins (RFC 8305 §5).
//!
//! A [`Dial`] is driven by its entry: [`Dial::resolved`] and [`Dial::note`] take in what came, [`Dial::run`] does what is due.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use super::end::End;
use super::listen::{Peer, unix_address, with_zone};
use super::options::{Purpose, prepare};
use super::resolve::{Answer, Asker, Resolver, interleave, localhost};
use crate::address::{BindAddress, TargetAt, TargetHost, UnixName};
use crate::limits::{ADDRESSES_MAX, ATTEMPT_DELAY};
use crate::plan::{Family, Settings};
use crate::proto::frame::RefusedCode;
use crate::report;
use crate::token::{Key, Slot};

/// How to dial.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// What the sockets are for.
    pub purpose: Purpose,
    /// Which addresses count.
    pub family: Family,
    /// The local address.
    pub bind: Option<BindAddress>,
    /// For all addresses together, the lookup included.
    pub timeout: Duration,
}

impl Manner {
    /// As asked for.
    pub fn of(settings: &Settings, purpose: Purpose) -> Self {
        Self {
            purpose,
            family: settings.family,
            bind: settings.bind,
            timeout: settings.connect_timeout,
        }
    }
}

/// One dial under way.
#[derive(Debug)]
pub struct Dial {
    manner: Manner,
    /// The slot of the end that is to be.
    slot: Slot,
    port: u16,
    stage: Stage,
    deadline: Instant,
}

#[derive(Debug)]
enum Stage {
    Resolving,
    Trying(Trying),
    Unix(UnixName),
}

#[derive(Debug)]
struct Trying {
    candidates: VecDeque<SocketAddr>,
    attempts: Vec<Attempt>,
    /// Attempts that were started.
    started: u8,
    /// When the next candidate is tried though none has failed.
    next_at: Instant,
    last_error: DialError,
}

#[derive(Debug)]
struct Attempt {
    end: End,
    slot: Slot,
    address: SocketAddr,
}

/// How far a dial is.
#[derive(Debug)]
pub enum Step {
    /// Not done: wait for an event, an answer, or [`Dial::deadline`].
    Pending,
    /// Done; the end is registered under the slot that was asked for.
    Connected(End, Peer),
    /// No address can be reached.
    Failed(DialError),
}

/// Why nothing was reached.
#[derive(Debug)]
pub enum DialError {
    /// The name has no address.
    NoName(Arc<str>),
    /// The last address that was tried gave this.
    Failed(io::Error),
    /// Nobody answered in time.
    TimedOut,
    /// The kernel joined the socket to itself: nobody listens on that local port.
    ToItself,
}

impl Dial {
    /// Begins to dial what is neither stdio nor an inherited descriptor.
    pub fn start(
        target: &TargetAt,
        manner: Manner,
        slot: Slot,
        resolver: &mut Resolver,
        asker: Asker,
        now: Instant,
    ) -> Self {
        let mut dial = Self {
            manner,
            slot,
            port: 0,
            stage: Stage::Resolving,
            deadline: now + manner.timeout,
        };
        match target {
            TargetAt::Tcp { host, port } => {
                dial.port = *port;
                match host {
                    TargetHost::Localhost => {
                        dial.resolved(Ok(localhost(manner.family).into()), now);
                    }
                    TargetHost::Ip(ip, zone) => {
                        dial.resolved(Ok([with_zone(*ip, 0, *zone)].into()), now);
                    }
                    TargetHost::Name(name) => {
                        if let Some(answer) = resolver.lookup(name, asker, now) {
                            dial.resolved(answer, now);
                        }
                    }
                }
            }
            TargetAt::Unix(name) => dial.stage = Stage::Unix(name.clone()),
            TargetAt::Stdio | TargetAt::Fd { .. } => {
                dial.resolved(Err("not an address".into()), now);
            }
        }
        dial
    }

    /// Begins to dial one known address.
    pub fn to(address: SocketAddr, manner: Manner, slot: Slot, now: Instant) -> Self {
        let mut dial = Self {
            manner,
            slot,
            port: address.port(),
            stage: Stage::Resolving,
            deadline: now + manner.timeout,
        };
        dial.resolved(Ok([address].into()), now);
        dial
    }

    /// The answer to the lookup.
    pub fn resolved(&mut self, answer: Answer, now: Instant) {
        let (found, last_error) = match answer {
            Ok(found) => (found, DialError::Failed(Errno::EADDRNOTAVAIL.into())),
            Err(reason) => (Arc::default(), DialError::NoName(reason)),
        };
        let usable: Vec<_> = found
            .iter()
            .copied()
            .filter(|address| self.may_leave_for(address))
            .take(ADDRESSES_MAX)
            .collect();
        let candidates = interleave(&usable).into_iter().map(|mut address| {
            address.set_port(self.port);
            address
        });
        let candidates = candidates.collect();
        self.stage = Stage::Trying(Trying {
            candidates,
            attempts: Vec::new(),
            started: 0,
            next_at: now,
            last_error,
        });
    }

    /// The family is wanted, and is that of the local address.
    fn may_leave_for(&self, address: &SocketAddr) -> bool {
        let bind = self.manner.bind.and_then(|bind| bind.ip);
        self.manner.family.allows(address.ip())
            && bind.is_none_or(|ip| ip.is_ipv4() == address.is_ipv4())
    }

    /// Takes in what epoll says of one of the attempts.
    pub fn note(&mut self, event: &Event, slot: Slot) {
        if let Stage::Trying(trying) = &mut self.stage
            && let Some(attempt) = trying
                .attempts
                .iter_mut()
                .find(|attempt| attempt.slot == slot)
        {
            attempt.end.note(event, self.slot);
        }
    }

    /// Does what is due.
    pub fn run(&mut self, registry: &Registry, key: Key, now: Instant) -> Step {
        let (manner, slot) = (self.manner, self.slot);
        let step = match &mut self.stage {
            Stage::Resolving => Step::Pending,
            Stage::Unix(name) => return dial_unix(name, registry, key, slot),
            Stage::Trying(trying) => trying.run(&manner, slot, registry, key, now),
        };
        match step {
            Step::Pending if now >= self.deadline => Step::Failed(DialError::TimedOut),
            step => step,
        }
    }

    /// When [`Dial::run`] has something to do though nothing came.
    pub fn deadline(&self) -> Instant {
        match &self.stage {
            Stage::Trying(trying) if !trying.candidates.is_empty() => {
                trying.next_at.min(self.deadline)
            }
            _ => self.deadline,
        }
    }
}

impl Trying {
    fn run(
        &mut self,
        manner: &Manner,
        slot: Slot,
        registry: &Registry,
        key: Key,
        now: Instant,
    ) -> Step {
        if let Some(winner) = self.collect(now) {
            let Attempt {
                mut end,
                slot: had,
                address,
            } = winner;
            if had != slot
                && let Err(error) = end.reregister(registry, key, slot)
            {
                return Step::Failed(DialError::Failed(error));
            }
            return Step::Connected(end, Peer::Tcp(address));
        }
        while now >= self.next_at && self.started <= Slot::ATTEMPTS {
            let Some(address) = self.candidates.pop_front() else {
                break;
            };
            let attempt_slot = if self.started == 0 {
                slot
            } else {
                Slot(Slot::ATTEMPT.0 + self.started - 1)
            };
            match start_attempt(address, manner, registry, key, attempt_slot) {
                Ok(end) => {
                    self.attempts.push(Attempt {
                        end,
                        slot: attempt_slot,
                        address,
                    });
                    self.started += 1;
                    self.next_at = now + ATTEMPT_DELAY;
                }
                Err(error) => self.last_error = DialError::Failed(error),
            }
        }
        let exhausted = self.candidates.is_empty() || self.started > Slot::ATTEMPTS;
        if self.attempts.is_empty() && exhausted {
            let last_error = std::mem::replace(&mut self.last_error, DialError::TimedOut);
            return Step::Failed(last_error);
        }
        Step::Pending
    }

    /// The attempt that connected, if one did. Those that failed are dropped, and the next candidate is due at once.
    fn collect(&mut self, now: Instant) -> Option<Attempt> {
        let mut at = 0;
        while at < self.attempts.len() {
            let attempt = &self.attempts[at];
            if !attempt.end.is_writable() {
                at += 1;
                continue;
            }
            let attempt = self.attempts.swap_remove(at);
            let error = if attempt.end.has_failed() {
                attempt.end.take_error()
            } else {
                None
            };
            self.last_error = match error {
                Some(error) => DialError::Failed(error),
                None if attempt.end.is_joined_to_itself(attempt.address) => DialError::ToItself,
                None => return Some(attempt),
            };
            self.next_at = now;
        }
        None
    }
}

fn start_attempt(
    address: SocketAddr,
    manner: &Manner,
    registry: &Registry,
    key: Key,
    slot: Slot,
) -> io::Result<End> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        None,
    )?;
    prepare(&socket, manner.purpose)?;
    if let Some(bind) = manner.bind {
        bind_local(&socket, bind, address)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let mut end = End::socket(socket.into());
    end.register(registry, key, slot)?;
    Ok(end)
}

fn bind_local(socket: &Socket, bind: BindAddress, remote: SocketAddr) -> io::Result<()> {
    let unspecified = if remote.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    match bind.port {
        Some(_) => socket.set_reuse_address(true)?,
        // The port is picked when the peer is known, so that one port can serve dials to several peers.
        None => setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?,
    }
    socket.bind(
        &with_zone(
            bind.ip.unwrap_or(unspecified),
            bind.port.unwrap_or(0),
            bind.zone,
        )
        .into(),
    )
}

/// A Unix socket connects at once or not at all.
fn dial_unix(name: &UnixName, registry: &Registry, key: Key, slot: Slot) -> Step {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.connect(&unix_address(name)?)?;
        let mut end = End::socket(socket.into());
        end.register(registry, key, slot)?;
        Ok(end)
    };
    match connect() {
        Ok(end) => Step::Connected(end, Peer::Unix),
        Err(error) => Step::Failed(DialError::Failed(error)),
    }
}

impl DialError {
    /// What the other node is told.
    pub fn code(&self) -> RefusedCode {
        match self {
            Self::NoName(_) => RefusedCode::NoName,
            Self::TimedOut => RefusedCode::Timeout,
            Self::ToItself => RefusedCode::Refused,
            Self::Failed(error) => match error.raw_os_error() {
                Some(libc::ECONNREFUSED | libc::ECONNRESET | libc::ENOENT) => RefusedCode::Refused,
                Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES | libc::EPERM) => {
                    RefusedCode::Unreachable
                }
                Some(libc::ETIMEDOUT) => RefusedCode::Timeout,
                _ => RefusedCode::Other,
            },
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName(reason) => f.write_str(reason),
            Self::TimedOut => f.write_str("connection timed out"),
            Self::ToItself => f.write_str("nobody listens there: the socket connected to itself"),
            Self::Failed(error) => f.write_str(&report::reason(error)),
        }
    }
}

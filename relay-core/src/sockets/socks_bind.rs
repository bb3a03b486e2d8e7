//! A listener that a proxy keeps for us (SOCKS BIND): it listens for one client, and a new request is sent for the next.
//!
//! It is driven like a listener: [`SocksBind::run`] does what is due and says what came of it. The connection on which the proxy
//! was asked becomes the client's.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use mio::Registry;
use mio::event::Event;

use super::accepted::{Accepted, Peer};
use super::dial::{Dial, DialOptions, FourWayDialOptions, Step};
use super::end::End;
use super::options::Purpose;
use super::proxy_handshake::{Failure, HandshakeStep, ProxyHandshake};
use super::resolve::{Answer, LookupId, Resolver};
use crate::config::address::{Proxy, TargetAt};
use crate::config::family::Family;
use crate::config::settings::CONNECT_TIMEOUT_DEFAULT;
use crate::ids::random;
use crate::limits::{BIND_PAUSE_MAX, LINK_HEALTHY};
use crate::policy::backoff::Backoff;
use crate::protocol::addresses::Addresses;
use crate::protocol::proxy::{Command, Host, Kind, Place};
use crate::token::{GENERATION_BITS, Key, Slot};

/// See the module.
#[derive(Debug)]
pub struct SocksBind {
    proxy: Proxy,
    options: DialOptions,
    /// What the present sockets are registered under. Each BIND has its own generation.
    key: Key,
    stage: Stage,
    /// Where the proxy listens, or last did.
    address: Option<Place>,
    backoff: Backoff,
    rng: fastrand::Rng,
}

#[derive(Debug)]
enum Stage {
    /// No client is wanted.
    Idle,
    /// The request is due now.
    Due,
    /// The request is due at that time.
    Pausing(Instant),
    Dialling(Box<Dial>),
    /// The first answer is due by then.
    Asking(Box<(End, ProxyHandshake)>, Instant),
    /// Since then the proxy listens. The second answer comes with the client.
    Listening(Box<(End, ProxyHandshake)>, Instant),
}

/// What came of a run.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing yet: it waits for an event, or for [`SocksBind::deadline`].
    Waiting,
    /// The proxy listens anew.
    Listening,
    /// A client came. The next request is due.
    Client(Box<Accepted>),
    /// The proxy does not listen, or no longer. The request is repeated later.
    Failed(Fault),
}

/// Why a proxy does not listen.
#[derive(Debug)]
pub struct Fault {
    /// The whole story.
    pub why: String,
    /// How bad it is.
    pub kind: FaultKind,
}

/// How bad it is that a proxy does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It has listened for a good while, and no client came.
    Usual,
    /// It may pass.
    Temporary,
    /// The proxy will not do this.
    Lasting,
}

impl SocksBind {
    /// Sends no request before [`SocksBind::want`]. `key` names it to epoll.
    pub fn new(proxy: Proxy, family: Family, key: Key) -> Self {
        Self {
            proxy,
            options: DialOptions {
                // Also for links: while the proxy listens, only keepalive can find that its machine has vanished.
                purpose: Purpose::Session,
                family,
                bind: None,
                via: Arc::default(),
                timeout: CONNECT_TIMEOUT_DEFAULT,
                four_way: FourWayDialOptions::default(),
            },
            key,
            stage: Stage::Idle,
            address: None,
            backoff: Backoff::default(),
            rng: fastrand::Rng::with_seed(u64::from_ne_bytes(random())),
        }
    }

    /// Returns the proxy.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The next client is wanted.
    pub fn want(&mut self) {
        if matches!(self.stage, Stage::Idle) {
            self.stage = Stage::Due;
        }
    }

    /// No client is wanted: the proxy no longer listens.
    pub fn unwant(&mut self) {
        self.stage = Stage::Idle;
    }

    /// Ends a back-off: the request is due now.
    pub fn retry_now(&mut self) {
        if matches!(self.stage, Stage::Pausing(_)) {
            self.stage = Stage::Due;
        }
    }

    /// Where the proxy listens, or last did.
    pub fn address(&self) -> Option<&Place> {
        self.address.as_ref()
    }

    /// Takes in what epoll says of a socket that is registered under the key.
    pub fn note(&mut self, key: Key, event: &Event, slot: Slot) {
        if key != self.key {
            return;
        }
        match &mut self.stage {
            Stage::Dialling(dial) => dial.note(event, slot),
            Stage::Asking(talk, _) | Stage::Listening(talk, _) => talk.0.note(event, slot),
            Stage::Idle | Stage::Due | Stage::Pausing(_) => {}
        }
    }

    /// The answer to a lookup.
    pub fn resolved(&mut self, key: Key, lookup_id: LookupId, answer: Answer, now: Instant) {
        if key == self.key
            && let Stage::Dialling(dial) = &mut self.stage
        {
            dial.resolved(lookup_id, answer, now);
        }
    }

    /// When there is something to do though nothing happened.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Pausing(until) | Stage::Asking(_, until) => Some(*until),
            Stage::Dialling(dial) => Some(dial.deadline()),
            Stage::Idle | Stage::Due | Stage::Listening(..) => None,
        }
    }

    /// Does what is due.
    pub fn run(&mut self, registry: &Registry, resolver: &mut Resolver, now: Instant) -> Outcome {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Idle) {
                Stage::Idle => return Outcome::Waiting,
                Stage::Pausing(until) if now < until => {
                    self.stage = Stage::Pausing(until);
                    return Outcome::Waiting;
                }
                Stage::Pausing(_) | Stage::Due => {
                    self.key.generation = (self.key.generation + 1) & ((1 << GENERATION_BITS) - 1);
                    let target = TargetAt::Tcp {
                        host: self.proxy.host.clone(),
                        port: self.proxy.port,
                    };
                    let options = self.options.clone();
                    let dial = Dial::start(&target, options, Slot::LEFT, resolver, self.key, now);
                    self.stage = Stage::Dialling(Box::new(dial));
                }
                Stage::Dialling(mut dial) => match dial.run(registry, resolver, self.key, now) {
                    Step::Pending => {
                        self.stage = Stage::Dialling(dial);
                        return Outcome::Waiting;
                    }
                    Step::Connected(end, _) => {
                        match ProxyHandshake::begin(&self.proxy, Command::Bind, &anybody()) {
                            Ok(asking) => {
                                let until = now + self.options.timeout;
                                self.stage = Stage::Asking(Box::new((end, asking)), until);
                            }
                            Err(refusal) => return self.failed(&Failure::Refused(refusal), now),
                        }
                    }
                    Step::Failed(error) => {
                        let why = error.sentence(&self.proxy);
                        return self.pause(why, FaultKind::Temporary, now);
                    }
                },
                Stage::Asking(talk, until) => {
                    let (mut end, handshake) = *talk;
                    match handshake.run(&mut end) {
                        Ok(HandshakeStep::Waiting(_)) if now >= until => {
                            return self.failed(&Failure::Silent, now);
                        }
                        Ok(HandshakeStep::Waiting(handshake)) => {
                            self.stage = Stage::Asking(Box::new((end, handshake)), until);
                            return Outcome::Waiting;
                        }
                        Ok(HandshakeStep::Listening(place, handshake)) => {
                            self.address = Some(as_seen_from_outside(place, &end));
                            self.stage = Stage::Listening(Box::new((end, handshake)), now);
                            return Outcome::Listening;
                        }
                        Ok(HandshakeStep::Done(_)) => return self.failed(&Failure::CutOff, now),
                        Err(failure) => return self.failed(&failure, now),
                    }
                }
                Stage::Listening(talk, since) => {
                    let (mut end, handshake) = *talk;
                    match handshake.run(&mut end) {
                        Ok(
                            HandshakeStep::Waiting(handshake)
                            | HandshakeStep::Listening(_, handshake),
                        ) => {
                            self.stage = Stage::Listening(Box::new((end, handshake)), since);
                            return Outcome::Waiting;
                        }
                        Ok(HandshakeStep::Done(client)) => {
                            self.backoff.healthy();
                            self.stage = Stage::Due;
                            // Whose it will be registers it anew.
                            end.deregister(registry);
                            return Outcome::Client(Box::new(self.accepted(end, client)));
                        }
                        Err(failure) if now >= since + LINK_HEALTHY => {
                            self.backoff.healthy();
                            self.stage = Stage::Due;
                            return Outcome::Failed(Fault {
                                why: failure.to_string(),
                                kind: FaultKind::Usual,
                            });
                        }
                        Err(failure) => return self.failed(&failure, now),
                    }
                }
            }
        }
    }

    fn accepted(&self, end: End, client: Option<Place>) -> Accepted {
        let client = client.as_ref().and_then(numeric);
        let local = self.address.as_ref().and_then(numeric);
        Accepted {
            end,
            peer: client.map_or(Peer::Unknown, Peer::Tcp),
            told: client
                .zip(local)
                .map(|(client, local)| Addresses::new(client, local)),
        }
    }

    fn failed(&mut self, failure: &Failure, now: Instant) -> Outcome {
        let lasts =
            matches!(failure, Failure::Refused(refusal) if refusal.kind() == Kind::Forbidden);
        let kind = match lasts {
            true => FaultKind::Lasting,
            false => FaultKind::Temporary,
        };
        self.pause(failure.to_string(), kind, now)
    }

    fn pause(&mut self, why: String, kind: FaultKind, now: Instant) -> Outcome {
        match kind {
            FaultKind::Lasting => self.backoff.unwanted(&mut self.rng, now),
            _ => self.backoff.failed(BIND_PAUSE_MAX, &mut self.rng, now),
        }
        self.stage = Stage::Pausing(self.backoff.paused_until(now).unwrap_or(now));
        Outcome::Failed(Fault { why, kind })
    }
}

/// Whom a BIND is for. Half of the proxies ask no more of it than that it is an address, and none can know the port.
fn anybody() -> Place {
    Place {
        host: Host::Ip(Ipv4Addr::UNSPECIFIED.into()),
        port: 0,
    }
}

/// An unspecified address is the proxy's own.
fn as_seen_from_outside(place: Place, end: &End) -> Place {
    match (&place.host, end.peer_address()) {
        (Host::Ip(ip), Some(proxy)) if ip.is_unspecified() => Place {
            host: Host::Ip(proxy.ip().to_canonical()),
            ..place
        },
        _ => place,
    }
}

fn numeric(place: &Place) -> Option<SocketAddr> {
    match place.host {
        Host::Ip(ip) => Some(SocketAddr::new(ip, place.port)),
        Host::Name(_) => None,
    }
}

//! A dial through a chain of proxies: dials the first, asks each for the next, and the last one for the target.
//!
//! Whose names are resolved here has all its addresses tried, one after the other: each try takes a connection of its own to the
//! first proxy, since a proxy that refused is done with that connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::Registry;
use mio::event::Event;

use super::attempts::Trying;
use super::dial_options::DialOptions;
use super::error::{DialError, Obstacle, What};
use super::step::Step;
use crate::config::address::{Proxy, ProxyProtocol, TargetHost};
use crate::limits::ADDRESSES_MAX;
use crate::policy::name_cache::NO_ANSWER;
use crate::protocol::proxy::{Command, Host, Place};
use crate::sockets::accepted::Peer;
use crate::sockets::end::End;
use crate::sockets::proxy_handshake::{Failure, HandshakeStep, ProxyHandshake};
use crate::sockets::resolve::{Answer, LookupId, Requester, Resolver, interleave, localhost};
use crate::sockets::socket_address::with_zone;
use crate::token::{Key, Slot};

/// See the module.
#[derive(Debug)]
pub(super) struct Through {
    /// The first proxy, what it is asked for, what that is asked for, and so on: one more than there are proxies.
    legs: Vec<Leg>,
    stage: Stage,
}

#[derive(Debug)]
struct Leg {
    host: LegHost,
    port: u16,
}

#[derive(Debug)]
enum LegHost {
    Asked(LookupId, String),
    Known(Vec<SocketAddr>),
    /// For the proxy before it to resolve.
    Name(String),
}

#[derive(Debug)]
enum Stage {
    /// Until the host of every leg is known.
    Resolving,
    /// The first proxy is dialled.
    Reaching(Trying),
    Asking(Asking),
    Failed(DialError),
    /// Its outcome was returned.
    Over,
}

/// The request to one proxy for the next leg.
#[derive(Debug)]
struct Asking {
    proxy: usize,
    end: End,
    /// The first proxy.
    peer: Peer,
    handshake: ProxyHandshake,
}

impl Through {
    pub(super) fn start(
        host: &TargetHost,
        port: u16,
        options: &DialOptions,
        resolver: &mut Resolver,
        key: Key,
        now: Instant,
    ) -> Self {
        let mut through = Self {
            legs: Vec::new(),
            stage: Stage::Resolving,
        };
        let proxies = options.via.iter().map(|proxy| (&proxy.host, proxy.port));
        for (leg, (host, port)) in proxies.chain([(host, port)]).enumerate() {
            let here = asked_by(leg, options).is_none_or(ProxyProtocol::resolves_here);
            let host = match host {
                TargetHost::Ip(ip, zone) => Ok(LegHost::Known(vec![with_zone(*ip, 0, *zone)])),
                TargetHost::Localhost if here => {
                    known(&localhost(options.family), "localhost", leg, options)
                }
                TargetHost::Localhost => Ok(LegHost::Name("localhost".to_owned())),
                TargetHost::Name(name) if here => {
                    let lookup_id = resolver.lookup_id();
                    match resolver.lookup(name, Requester::Dial(key, lookup_id), now) {
                        Some(answer) => answered(answer, name, leg, options),
                        None => Ok(LegHost::Asked(lookup_id, name.clone())),
                    }
                }
                TargetHost::Name(name) => Ok(LegHost::Name(name.clone())),
            };
            match host {
                Ok(host) => through.legs.push(Leg { host, port }),
                Err(error) => {
                    through.stage = Stage::Failed(error);
                    break;
                }
            }
        }
        through
    }

    /// The answer to a lookup, if it is one of this dial's.
    pub(super) fn resolved(&mut self, lookup_id: LookupId, answer: &Answer, options: &DialOptions) {
        for (at, leg) in self.legs.iter_mut().enumerate() {
            if let LegHost::Asked(asked, name) = &leg.host
                && *asked == lookup_id
            {
                match answered(answer.clone(), name, at, options) {
                    Ok(host) => leg.host = host,
                    Err(error) => self.stage = Stage::Failed(error),
                }
            }
        }
    }

    pub(super) fn note(&mut self, event: &Event, slot: Slot, own: Slot) {
        match &mut self.stage {
            Stage::Reaching(trying) => trying.note(event, slot, own),
            Stage::Asking(asking) if slot == own => asking.end.note(event, slot),
            Stage::Asking(_) | Stage::Resolving | Stage::Failed(_) | Stage::Over => {}
        }
    }

    pub(super) fn run(
        &mut self,
        options: &DialOptions,
        slot: Slot,
        registry: &Registry,
        key: Key,
        now: Instant,
    ) -> Step {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Resolving => match self.reach(options, now) {
                    Some(trying) => self.stage = Stage::Reaching(trying),
                    None => {
                        self.stage = Stage::Resolving;
                        return Step::Pending;
                    }
                },
                Stage::Reaching(mut trying) => {
                    match trying.run(options, slot, registry, key, now) {
                        Step::Pending => {
                            self.stage = Stage::Reaching(trying);
                            return Step::Pending;
                        }
                        Step::Connected(end, peer) => match self.ask(0, end, peer, options) {
                            Ok(asking) => self.stage = Stage::Asking(asking),
                            Err(error) => return Step::Failed(error),
                        },
                        Step::Failed(error) => {
                            let what = What::NotReached(Box::new(error));
                            return Step::Failed(self.obstacle(0, what, options));
                        }
                    }
                }
                Stage::Asking(asking) => {
                    let Asking {
                        proxy,
                        mut end,
                        peer,
                        handshake,
                    } = asking;
                    match handshake.run(&mut end) {
                        Ok(
                            HandshakeStep::Waiting(handshake)
                            | HandshakeStep::Listening(_, handshake),
                        ) => {
                            self.stage = Stage::Asking(Asking {
                                proxy,
                                end,
                                peer,
                                handshake,
                            });
                            return Step::Pending;
                        }
                        Ok(HandshakeStep::Done(_)) if proxy + 1 == options.via.len() => {
                            return Step::Connected(end, peer);
                        }
                        Ok(HandshakeStep::Done(_)) => match self.ask(proxy + 1, end, peer, options)
                        {
                            Ok(asking) => self.stage = Stage::Asking(asking),
                            Err(error) => return Step::Failed(error),
                        },
                        Err(failure) => {
                            if !self.has_another_address(proxy + 1, &failure) {
                                let what = What::Failure(failure);
                                return Step::Failed(self.obstacle(proxy, what, options));
                            }
                            self.stage = Stage::Resolving;
                        }
                    }
                }
                Stage::Failed(error) => return Step::Failed(error),
                Stage::Over => return Step::Pending,
            }
        }
    }

    /// When there is something to do though nothing came.
    pub(super) fn next_at(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Reaching(trying) if trying.can_start() => Some(trying.next_at),
            _ => None,
        }
    }

    /// Why there is no answer yet.
    pub(super) fn timed_out(&self, options: &DialOptions) -> DialError {
        let mut names = self.legs.iter().filter_map(|leg| match &leg.host {
            LegHost::Asked(_, name) => Some(name),
            LegHost::Known(_) | LegHost::Name(_) => None,
        });
        match (&self.stage, names.next()) {
            (Stage::Resolving, Some(name)) => no_name(name, NO_ANSWER.into(), options),
            (Stage::Asking(asking), _) => {
                self.obstacle(asking.proxy, What::Failure(Failure::Silent), options)
            }
            _ => {
                let what = What::NotReached(Box::new(DialError::TimedOut));
                self.obstacle(0, what, options)
            }
        }
    }

    /// The dial of the first proxy, once all names are known.
    fn reach(&self, options: &DialOptions, now: Instant) -> Option<Trying> {
        let unknown = |leg: &Leg| matches!(leg.host, LegHost::Asked(..));
        match self.legs.first() {
            Some(Leg {
                host: LegHost::Known(addresses),
                port,
            }) if !self.legs.iter().any(unknown) => {
                let answer = Ok(addresses.as_slice().into());
                Some(Trying::new(answer, options, *port, now))
            }
            _ => None,
        }
    }

    fn ask(
        &self,
        proxy: usize,
        end: End,
        peer: Peer,
        options: &DialOptions,
    ) -> Result<Asking, DialError> {
        let Some(place) = self.place(proxy + 1) else {
            let nothing = Failure::Failed(nix::errno::Errno::EADDRNOTAVAIL.into());
            return Err(self.obstacle(proxy, What::Failure(nothing), options));
        };
        match ProxyHandshake::begin(&options.via[proxy], Command::Connect, &place) {
            Ok(handshake) => Ok(Asking {
                proxy,
                end,
                peer,
                handshake,
            }),
            Err(refusal) => {
                let what = What::Failure(Failure::Refused(refusal));
                Err(self.obstacle(proxy, what, options))
            }
        }
    }

    /// Returns the place to request for that leg.
    fn place(&self, leg: usize) -> Option<Place> {
        let leg = self.legs.get(leg)?;
        let host = match &leg.host {
            LegHost::Known(addresses) => Host::Ip(addresses.first()?.ip()),
            LegHost::Name(name) => Host::Name(name.clone().into_bytes()),
            LegHost::Asked(..) => return None,
        };
        Some(Place {
            host,
            port: leg.port,
        })
    }

    /// Goes on to the next address of the leg, if the proxy's answer says that this may help and there is one.
    fn has_another_address(&mut self, leg: usize, failure: &Failure) -> bool {
        let concerned =
            matches!(failure, Failure::Refused(refusal) if refusal.concerns_the_address());
        match self.legs.get_mut(leg).map(|leg| &mut leg.host) {
            Some(LegHost::Known(addresses)) if concerned && addresses.len() > 1 => {
                addresses.remove(0);
                true
            }
            _ => false,
        }
    }

    fn obstacle(&self, proxy: usize, what: What, options: &DialOptions) -> DialError {
        let at_last = proxy + 1 == options.via.len();
        let asked = self.place(proxy + 1).map(|place| place.to_string());
        DialError::Through(Box::new(Obstacle {
            proxy: options
                .via
                .get(proxy)
                .map(Proxy::to_string)
                .unwrap_or_default(),
            asked,
            at_last,
            what,
        }))
    }
}

/// Returns the protocol in which a leg is requested; the first one is dialled.
fn asked_by(leg: usize, options: &DialOptions) -> Option<ProxyProtocol> {
    let proxy = options.via.get(leg.checked_sub(1)?)?;
    Some(proxy.protocol)
}

fn answered(
    answer: Answer,
    name: &str,
    leg: usize,
    options: &DialOptions,
) -> Result<LegHost, DialError> {
    match answer {
        Ok(found) => known(&found, name, leg, options),
        Err(reason) => Err(no_name(name, reason, options)),
    }
}

/// Returns the addresses of a name that the protocol can carry.
fn known(
    found: &[SocketAddr],
    name: &str,
    leg: usize,
    options: &DialOptions,
) -> Result<LegHost, DialError> {
    let speakable = |address: &SocketAddr| {
        address.is_ipv4() || asked_by(leg, options) != Some(ProxyProtocol::Socks4)
    };
    let usable: Vec<_> = found
        .iter()
        .copied()
        .filter(speakable)
        .take(ADDRESSES_MAX)
        .collect();
    match usable.is_empty() {
        false => Ok(LegHost::Known(interleave(&usable))),
        true => {
            let reason = "no ipv4 address, and socks4 has no others".into();
            Err(no_name(name, reason, options))
        }
    }
}

fn no_name(name: &str, reason: Arc<str>, options: &DialOptions) -> DialError {
    DialError::Through(Box::new(Obstacle {
        proxy: options
            .via
            .first()
            .map(Proxy::to_string)
            .unwrap_or_default(),
        asked: None,
        at_last: true,
        what: What::NoName(name.to_owned(), reason),
    }))
}

//! The attempts to connect to the addresses of one name, staggered: the first to connect wins (RFC 8305 §5).

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use mio::Registry;
use mio::event::Event;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use super::dial_options::DialOptions;
use super::error::DialError;
use super::step::Step;
use crate::config::address::BindAddress;
use crate::limits::{ADDRESSES_MAX, ATTEMPT_DELAY};
use crate::sockets::accepted::Peer;
use crate::sockets::end::End;
use crate::sockets::options::prepare;
use crate::sockets::resolve::interleave;
use crate::sockets::socket_address::with_zone;
use crate::token::{Key, Slot};

#[derive(Debug)]
pub(super) struct Trying {
    pub(super) candidates: VecDeque<SocketAddr>,
    attempts: Vec<Attempt>,
    /// When the next candidate is tried though none has failed.
    pub(super) next_at: Instant,
    last_error: DialError,
}

#[derive(Debug)]
pub(super) struct Attempt {
    end: End,
    slot: Slot,
    address: SocketAddr,
}

impl Trying {
    /// The answer's addresses, in the order in which they are tried.
    pub(super) fn new(
        found: Result<Arc<[SocketAddr]>, DialError>,
        options: &DialOptions,
        port: u16,
        now: Instant,
    ) -> Self {
        let (found, last_error) = match found {
            // This stays the error where none of them is usable, for which a local address is needed.
            Ok(found) => match options.bind.and_then(|bind| bind.ip) {
                Some(ip) => {
                    let why = format!("no address of the family of {ip}").into();
                    (found, DialError::NoAddress(why))
                }
                None => (found, DialError::Failed(Errno::EADDRNOTAVAIL.into())),
            },
            Err(error) => (Arc::default(), error),
        };
        let usable = found
            .iter()
            .copied()
            .filter(|address| options.may_leave_for(address));
        let mut candidates: VecDeque<_> =
            interleave(&usable.take(ADDRESSES_MAX).collect::<Vec<_>>()).into();
        candidates
            .iter_mut()
            .for_each(|address| address.set_port(port));
        Self {
            candidates,
            attempts: Vec::new(),
            next_at: now,
            last_error,
        }
    }

    /// Takes in what epoll says of one of the attempts, whose winner will have the slot `own`.
    pub(super) fn note(&mut self, event: &Event, slot: Slot, own: Slot) {
        let mut attempts = self.attempts.iter_mut();
        if let Some(attempt) = attempts.find(|attempt| attempt.slot == slot) {
            attempt.end.note(event, own);
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
        while now >= self.next_at
            && let Some(free) = self.free_slot(slot)
            && let Some(address) = self.candidates.pop_front()
        {
            match start_attempt(address, options, registry, key, free) {
                Ok(end) => {
                    self.attempts.push(Attempt {
                        end,
                        slot: free,
                        address,
                    });
                    self.next_at = now + ATTEMPT_DELAY;
                }
                Err(error) => self.last_error = error,
            }
        }
        if self.attempts.is_empty() && self.candidates.is_empty() {
            let last_error = std::mem::replace(&mut self.last_error, DialError::TimedOut);
            return Step::Failed(last_error);
        }
        Step::Pending
    }

    /// The end's own slot, or one of those for further attempts, that no attempt has now.
    fn free_slot(&self, own: Slot) -> Option<Slot> {
        let further = (0..Slot::ATTEMPTS).map(|at| Slot(Slot::ATTEMPT.0 + at));
        std::iter::once(own)
            .chain(further)
            .find(|slot| self.attempts.iter().all(|attempt| attempt.slot != *slot))
    }

    /// There is an address left to try, and room to try it.
    pub(super) fn can_start(&self) -> bool {
        !self.candidates.is_empty() && self.attempts.len() <= usize::from(Slot::ATTEMPTS)
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
    options: &DialOptions,
    registry: &Registry,
    key: Key,
    slot: Slot,
) -> Result<End, DialError> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        None,
    )?;
    prepare(&socket, options.purpose)?;
    if let Some(bind) = options.bind {
        bind_local(&socket, bind, address)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error.into()),
        _ => {}
    }
    let mut end = End::socket(socket.into());
    end.register(registry, key, slot)?;
    Ok(end)
}

fn bind_local(socket: &Socket, bind: BindAddress, remote: SocketAddr) -> Result<(), DialError> {
    let unspecified = if remote.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    match bind.port {
        Some(_) => socket.set_reuse_address(true)?,
        // The port is picked when the peer is known, so that one port can serve dials to several peers.
        None => setsockopt(socket, sockopt::IpBindAddressNoPort, &true).map_err(io::Error::from)?,
    }
    let local = with_zone(
        bind.ip.unwrap_or(unspecified),
        bind.port.unwrap_or(0),
        bind.zone,
    );
    socket
        .bind(&local.into())
        .map_err(|error| DialError::NotBound(local, error))
}

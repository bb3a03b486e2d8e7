//! An request carried to a proxy over a socket, and what became of it.
//!
//! Only the bytes of the answer are read. What is behind them stays in the socket for the session, which can splice it.

use std::{fmt, io};

use super::end::{End, is_blocked};
use crate::config::address::{Proxy, ProxyProtocol};
use crate::protocol::proxy::{Command, Place, Progress, ProxyRequest, Refusal, Secret};
use crate::report;

/// One request under way.
#[derive(Debug)]
pub struct ProxyHandshake {
    request: ProxyRequest,
    /// What is not sent yet.
    outgoing: Secret,
    heard: Heard,
}

/// Whether a byte of the answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    Something,
}

/// How far a conversation is.
#[derive(Debug)]
pub enum HandshakeStep {
    /// It waits for an event of the socket.
    Waiting(ProxyHandshake),
    /// The proxy listens there.
    Listening(Place, ProxyHandshake),
    /// The bytes that follow come from behind the proxy; the client's address, if a BIND asked for it.
    Done(Option<Place>),
}

/// Why a conversation came to nothing.
#[derive(Debug)]
pub enum Failure {
    /// The proxy said so.
    Refused(Refusal),
    /// It closed the connection without a byte.
    Closed,
    /// It closed the connection in the middle of its answer.
    CutOff,
    /// Its answer did not come, or did not end, in time.
    Silent,
    /// The connection to it failed.
    Failed(io::Error),
}

impl ProxyHandshake {
    /// Begins to ask `proxy`.
    ///
    /// # Errors
    /// The protocol has no way to ask for that.
    pub fn begin(proxy: &Proxy, command: Command, place: &Place) -> Result<Self, Refusal> {
        let (outgoing, request) = match proxy.protocol {
            ProxyProtocol::Socks4 | ProxyProtocol::Socks4a => {
                ProxyRequest::socks4(command, place, proxy.user.as_deref().unwrap_or_default())?
            }
            ProxyProtocol::Socks5 | ProxyProtocol::Socks5h => {
                ProxyRequest::socks5(command, place, proxy.login().as_ref())
            }
            ProxyProtocol::Http => ProxyRequest::http(place, proxy.login().as_ref()),
        };
        Ok(Self {
            request,
            outgoing,
            heard: Heard::Nothing,
        })
    }

    /// Sends and reads what can be.
    ///
    /// # Errors
    /// Why the connection is of no more use.
    pub fn run(mut self, end: &mut End) -> Result<HandshakeStep, Failure> {
        loop {
            while !self.outgoing.0.is_empty() {
                match end.send(&[], &self.outgoing.0, false) {
                    Ok(count) => {
                        self.outgoing.0.drain(..count);
                    }
                    Err(error) if is_blocked(&error) => return Ok(HandshakeStep::Waiting(self)),
                    Err(error) => return Err(Failure::Failed(error)),
                }
            }
            let mut buffer = [0; LOOK_BYTES];
            let seen = match end.peek(&mut buffer) {
                Ok(0) if self.heard == Heard::Nothing => return Err(Failure::Closed),
                Ok(0) => return Err(Failure::CutOff),
                Ok(count) => &buffer[..count],
                Err(error) if is_blocked(&error) => return Ok(HandshakeStep::Waiting(self)),
                Err(error) => return Err(Failure::Failed(error)),
            };
            let (taken, progress) = self.request.take(seen).map_err(Failure::Refused)?;
            end.recv(&mut buffer[..taken]).map_err(Failure::Failed)?;
            let next = |request, outgoing, heard| Self {
                request,
                outgoing,
                heard,
            };
            self = match progress {
                Progress::More(request) => next(request, Secret::default(), Heard::Something),
                Progress::Send(bytes, request) => next(request, bytes, Heard::Nothing),
                Progress::Listening(place, request) => {
                    let rest = next(request, Secret::default(), Heard::Nothing);
                    return Ok(HandshakeStep::Listening(place, rest));
                }
                Progress::Done(client) => return Ok(HandshakeStep::Done(client)),
            };
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Closed => f.write_str("it closed the connection without an answer"),
            Self::CutOff => f.write_str("it closed the connection in the middle of its answer"),
            Self::Silent => f.write_str("no answer in time"),
            Self::Failed(error) => f.write_str(&report::reason(error)),
        }
    }
}

/// Looked at once; a longer head is taken piece by piece.
const LOOK_BYTES: usize = 1024;

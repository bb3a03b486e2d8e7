//! A client that comes through a proxy (`--accept-proxy`), until its PROXY header has named the client.
//!
//! The header is read to the byte. What follows it stays in the socket for the session, and may be spliced. A socket is peeked at first;
//! a pipe is read byte by byte. A peer that sends anything else, ends, or takes too long is reset: a missing header is never accepted.

use std::io;
use std::time::Instant;

use mio::event::Event;

use crate::event_loop::context::Context;
use crate::event_loop::pump_resources::PumpResources;
use crate::limits::PROXY_HEADER_TIMEOUT;
use crate::protocol::addresses::Addresses;
use crate::protocol::proxy_header::{HEADER_LOOK_BYTES, Header, parse};
use crate::report::Throttle;
use crate::session::account::Account;
use crate::session::close_reason::{CloseReason, Fault, Side};
use crate::session::plain::close_end;
use crate::sockets::accepted::Accepted;
use crate::sockets::end::is_blocked;
use crate::token::Slot;

/// See the module.
#[derive(Debug)]
pub struct AwaitingHeader<P> {
    /// Who connected.
    pub accepted: Accepted,
    /// The session that is to be.
    pub account: Account,
    /// Where the client came in.
    pub place: P,
    deadline: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Its first bytes, as far as they have come.
    ExpectHeader(Vec<u8>),
    /// It has told these; so many of its bytes are still to be taken.
    Taking {
        addresses: Option<Addresses>,
        left: usize,
    },
}

/// How far it is.
#[derive(Debug)]
pub enum Progress {
    /// More of the header is to come.
    Waiting,
    /// The client is known: `accepted` and `account` have its address.
    Known,
    /// It is not to be served.
    Over(CloseReason),
}

impl<P> AwaitingHeader<P> {
    /// The connection was accepted just now, and is registered.
    pub fn new(mut accepted: Accepted, account: Account, place: P, now: Instant) -> Box<Self> {
        accepted.end.expect_readable();
        Box::new(Self {
            accepted,
            account,
            place,
            deadline: now + PROXY_HEADER_TIMEOUT,
            stage: Stage::ExpectHeader(Vec::new()),
        })
    }

    /// Takes in what epoll says.
    pub fn note(&mut self, event: &Event, slot: Slot) {
        self.accepted.end.note(event, slot);
    }

    /// When it is over though nothing happened.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes what is there of the header.
    pub fn run(&mut self, resources: &mut PumpResources) -> Progress {
        if self.accepted.end.has_failed() {
            let error = self.accepted.end.failure();
            return Progress::Over(CloseReason::Failed(Side::Left, error));
        }
        loop {
            let step = match self.step(&mut resources.buffers.copy) {
                Err(error) if is_blocked(&error) => Ok(Step::Blocked),
                step => step,
            };
            match step {
                Ok(Step::Further) => {}
                Ok(Step::Done(addresses)) => {
                    self.accepted.told = addresses.or(self.accepted.told);
                    self.account.client = self.accepted.client();
                    return Progress::Known;
                }
                Ok(Step::Fault(fault)) => return Progress::Over(CloseReason::NoHeader(fault)),
                Ok(Step::Blocked) if resources.now >= self.deadline => {
                    return Progress::Over(CloseReason::NoHeader(Fault::Late));
                }
                Ok(Step::Blocked) => return Progress::Waiting,
                Err(error) => return Progress::Over(CloseReason::Failed(Side::Left, error)),
            }
        }
    }

    /// The client is not served.
    pub fn close(self, reason: &CloseReason, warnings: &mut Throttle, context: &Context) {
        if let CloseReason::NoHeader(fault) = reason {
            let text = format_args!("unable to serve {}: {reason}", self.account.client);
            if context.settings.once {
                context.report.fatal(text);
            } else if *fault != Fault::Ended {
                // Who only connects and goes, as some health checks do, is nothing to warn of.
                warnings.warning(&context.report, context.now(), text);
            }
        }
        let now = context.now();
        self.account.log(reason, 0, 0, &context.report, now);
        close_end(self.accepted.end, reason, &context.registry);
    }

    fn step(&mut self, scratch: &mut [u8]) -> io::Result<Step> {
        let end = &mut self.accepted.end;
        match &mut self.stage {
            Stage::ExpectHeader(seen) => {
                let looks = end.is_socket();
                let count = if looks {
                    seen.clear();
                    end.peek(&mut scratch[..HEADER_LOOK_BYTES])?
                } else {
                    end.recv(&mut scratch[..1])?
                };
                seen.extend_from_slice(&scratch[..count]);
                Ok(match parse(seen) {
                    Ok(Some(Header { addresses, length })) => {
                        let taken = if looks { 0 } else { seen.len() };
                        let left = length.saturating_sub(taken);
                        self.stage = Stage::Taking { addresses, left };
                        Step::Further
                    }
                    Ok(None) if count == 0 => Step::Fault(Fault::Ended),
                    Ok(None) if !looks => Step::Further,
                    // Nothing follows the end of file. Otherwise an event comes with more bytes.
                    Ok(None) if end.end_follows() => Step::Fault(Fault::Ended),
                    Ok(None) => Step::Blocked,
                    Err(malformed) => Step::Fault(Fault::Malformed(malformed)),
                })
            }
            Stage::Taking { addresses, left: 0 } => Ok(Step::Done(*addresses)),
            Stage::Taking { left, .. } => {
                let most = scratch.len().min(*left);
                Ok(match end.recv(&mut scratch[..most])? {
                    0 => Step::Fault(Fault::Ended),
                    count => {
                        *left -= count;
                        Step::Further
                    }
                })
            }
        }
    }
}

#[derive(Debug)]
enum Step {
    Further,
    Blocked,
    Done(Option<Addresses>),
    Fault(Fault),
}

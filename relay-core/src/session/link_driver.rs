//! A link with whatever it carries: what both nodes do alike.
//!
//! The stages of a link are those of its session. How a session begins differs between the nodes, and is a [`Pending`] of
//! each; from the server's answer on it is a [`Relay`]. A node asks [`LinkDriver::next`] what there is to do, until there is nothing.

use std::time::Instant;

use mio::event::Event;

use crate::event_loop::context::Context;
use crate::event_loop::pump_resources::PumpResources;
use crate::keyed::{Fault as Unauthenticated, link_fault};
use crate::protocol::link::{Event as Frame, Fault};
use crate::report;
use crate::session::close_reason::CloseReason;
use crate::session::link_close::LinkClose;
use crate::session::link_end::{LinkEnd, LinkInput};
use crate::session::relay::{Progress, Relay};
use crate::session::timeouts::Timeouts;
use crate::token::{Key, Slot};

/// See the module.
#[derive(Debug)]
pub struct LinkDriver<P> {
    /// The link itself.
    pub link: LinkEnd,
    /// What it carries.
    pub stage: Stage<P>,
}

/// What a link carries.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the hot stage is not behind a pointer"
)]
pub enum Stage<P> {
    /// Nothing: the peer has not introduced itself.
    Greeting,
    /// Nothing.
    Idle,
    /// A session whose server has not answered.
    Pending(Box<P>),
    /// A session.
    Relaying(Relay),
    /// The last frames of a session that is over here.
    Settling,
    /// Nothing any more.
    Leaving(LinkClose),
}

/// A session between OPEN and the server's answer.
pub trait Pending {
    /// What it comes to.
    type Event;

    /// Takes in what epoll says of the session's own descriptors.
    fn note(&mut self, event: &Event, slot: Slot);

    /// Does what is due, and reads the link.
    fn run(&mut self, link: &mut LinkEnd, key: Key, context: &mut Context) -> Attempt<Self::Event>;

    /// When there is something to do though nothing happened.
    fn deadline(&self) -> Option<Instant>;
}

/// How far a pending session is.
#[derive(Debug)]
pub enum Attempt<N> {
    /// Nothing to do now.
    Waiting,
    /// The link says something.
    Link(LinkInput),
    /// The session does.
    Session(N),
}

/// What there is to do with a link.
#[derive(Debug)]
pub enum Next<N> {
    /// Nothing, until an event comes.
    Nothing,
    /// The link has used up its share of this turn.
    Again,
    /// Deal with this, and ask again.
    Event(LinkEvent<N>),
}

/// What happened on a link.
#[derive(Debug)]
pub enum LinkEvent<N> {
    /// A frame for the node.
    Frame(Frame),
    /// The pending session has come to something.
    Pending(N),
    /// The running session is over, and told.
    SessionOver(CloseReason),
    /// The link is idle again.
    Idle,
    /// The peer broke the protocol.
    Fault(Fault),
    /// The peer has not proved that it holds the key.
    Unauthenticated(Unauthenticated),
    /// The link is no more; after [`Stage::Leaving`] there is no reason to give.
    Lost(String),
}

impl<P: Pending> LinkDriver<P> {
    /// A link that has just connected.
    pub fn new(link: LinkEnd) -> Self {
        Self {
            link,
            stage: Stage::Greeting,
        }
    }

    /// Takes in what epoll says.
    pub fn note(&mut self, event: &Event, slot: Slot) {
        match (slot, &mut self.stage) {
            (Slot::LEFT | Slot::LEFT_WRITE, _) => self.link.end.note(event, slot),
            (_, Stage::Pending(pending)) => pending.note(event, slot),
            (_, Stage::Relaying(relay)) => relay.plain.note(event, slot),
            _ => {}
        }
    }

    /// Reads, relays, and sends what waits, until the link blocks or there is something to say.
    pub fn next(&mut self, key: Key, timeouts: &Timeouts, context: &mut Context) -> Next<P::Event> {
        // The frame behind a session's last one may be the next OPEN, which only an idle link takes.
        if let Some(event) = self.settle(&mut context.resources) {
            return Next::Event(event);
        }
        let Self { link, stage } = self;
        let news = match stage {
            Stage::Leaving(link_close) => {
                let gone = link_close.run(link, &mut context.resources);
                return if gone {
                    Next::Event(LinkEvent::Lost(String::new()))
                } else {
                    Next::Nothing
                };
            }
            Stage::Pending(pending) => match pending.run(link, key, context) {
                Attempt::Waiting => None,
                Attempt::Link(news) => Some(news),
                Attempt::Session(news) => return Next::Event(LinkEvent::Pending(news)),
            },
            Stage::Relaying(relay) => match relay.run(link, timeouts, &mut context.resources) {
                Progress::Waiting => None,
                Progress::Again => {
                    let resources = &mut context.resources;
                    return self.rest(resources).map_or(Next::Again, Next::Event);
                }
                Progress::Finished => return self.over(CloseReason::Eof, context),
                Progress::Over(reason) => {
                    link.protocol.abort(reason.abort_code(), context.now());
                    return self.over(reason, context);
                }
                Progress::Aborted(reason) => return self.over(reason, context),
                Progress::Frame(frame) => Some(LinkInput::Frame(frame)),
                Progress::LinkDown(news) => Some(news),
            },
            Stage::Greeting | Stage::Idle | Stage::Settling => link.read(&mut context.resources),
        };
        match news {
            None => self
                .rest(&mut context.resources)
                .map_or(Next::Nothing, Next::Event),
            Some(LinkInput::Frame(frame)) => Next::Event(LinkEvent::Frame(frame)),
            // A peer that behaves may have that much in flight: the link is reset, without a word of blame.
            Some(LinkInput::Fault(fault @ Fault::Overrun)) => {
                Next::Event(LinkEvent::Lost(fault.to_string()))
            }
            Some(LinkInput::Fault(fault)) => Next::Event(LinkEvent::Fault(fault)),
            Some(LinkInput::Eof) => {
                let why = match self.stage {
                    Stage::Greeting => "it was closed before a greeting",
                    _ => "end of file without BYE",
                };
                Next::Event(LinkEvent::Lost(why.to_owned()))
            }
            Some(LinkInput::Failed(error)) => Next::Event(match link_fault(&error) {
                Some(fault) if matches!(self.stage, Stage::Greeting) => {
                    LinkEvent::Unauthenticated(fault.clone())
                }
                _ => LinkEvent::Lost(report::reason(&error)),
            }),
        }
    }

    /// There is nothing more to read: sends what waits, and looks at the clock.
    fn rest(&mut self, resources: &mut PumpResources) -> Option<LinkEvent<P::Event>> {
        if let Some(expired) = self.link.expired(resources.now) {
            return Some(LinkEvent::Lost(expired.to_string()));
        }
        if let Err(error) = self.link.flush(resources) {
            return Some(LinkEvent::Lost(report::reason(&error)));
        }
        self.settle(resources)
    }

    /// A session that is over here may now be over on the link too. (One that still delivers its last bytes is not over here.)
    fn settle(&mut self, resources: &mut PumpResources) -> Option<LinkEvent<P::Event>> {
        if !matches!(self.stage, Stage::Settling) {
            return None;
        }
        if let Err(error) = self.link.flush(resources) {
            return Some(LinkEvent::Lost(report::reason(&error)));
        }
        if !self.link.protocol.settle() {
            return None;
        }
        self.stage = Stage::Idle;
        Some(LinkEvent::Idle)
    }

    fn over(&mut self, reason: CloseReason, context: &mut Context) -> Next<P::Event> {
        self.end_session(&reason, context);
        Next::Event(LinkEvent::SessionOver(reason))
    }

    /// Takes the session off the link. A running one is closed and told; a pending one is the caller's.
    pub fn end_session(&mut self, reason: &CloseReason, context: &mut Context) -> Ended<P> {
        // Without a consumer nothing stalls the reading.
        self.link.protocol.set_reading(true, context.now());
        match std::mem::replace(&mut self.stage, Stage::Settling) {
            Stage::Pending(pending) => Ended::Pending(pending),
            Stage::Relaying(relay) => {
                let left = relay.close(
                    reason,
                    &context.report,
                    &context.registry,
                    &mut context.resources,
                );
                self.link.leave_over(left, &mut context.resources);
                Ended::Running
            }
            stage => {
                self.stage = stage;
                Ended::None
            }
        }
    }

    /// Takes the pending session off the link, to go on with it.
    pub fn take_pending(&mut self) -> Option<Box<P>> {
        match std::mem::replace(&mut self.stage, Stage::Settling) {
            Stage::Pending(pending) => Some(pending),
            stage => {
                self.stage = stage;
                None
            }
        }
    }

    /// When [`LinkDriver::next`] has something to do though no event came.
    pub fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        let session = match &self.stage {
            Stage::Leaving(link_close) => return Some(link_close.deadline()),
            Stage::Relaying(relay) => relay.deadline(timeouts),
            Stage::Pending(pending) => pending.deadline(),
            Stage::Greeting | Stage::Idle | Stage::Settling => None,
        };
        session
            .into_iter()
            .chain(self.link.protocol.poll_timeout())
            .min()
    }

    /// Drops the link: see [`LinkEnd::close`].
    pub fn close(mut self, context: &mut Context) {
        self.link.release(&mut context.resources);
        self.link.close(&context.registry);
    }
}

/// What [`LinkDriver::end_session`] found.
#[derive(Debug)]
pub enum Ended<P> {
    /// No session.
    None,
    /// One that ran, and is closed.
    Running,
    /// One that had not begun.
    Pending(Box<P>),
}

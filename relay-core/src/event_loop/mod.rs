//! The loop: eight phases, in the order of `run`. The clock is read where it waits, and nowhere else; only [`Tool::run`] moves
//! bytes.

pub mod accept_pause;
pub mod admission;
pub mod announcements;
mod confine;
pub mod connected;
pub mod context;
pub mod descriptors;
pub mod entries;
pub mod listeners;
pub mod pump_resources;
pub mod tool;
pub mod window;

use std::io;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Waker};

use crate::config::settings::Settings;
use crate::event_loop::announcements::Announcements;
use crate::event_loop::context::Context;
use crate::event_loop::descriptors::{ExtraDescriptors, fit_descriptors};
use crate::event_loop::listeners::{Accept, ListenerId, Listeners};
use crate::event_loop::pump_resources::PumpResources;
use crate::event_loop::tool::{Status, Tool};
use crate::limits::{ACCEPTS_PER_TURN, BULK_TURN_BYTES_MIN};
use crate::linux::scheduling::Slices;
use crate::linux::signals::{Request, Signals};
use crate::report::{self, Exit, Report};
use crate::sockets::dial_queue::DialQueue;
use crate::sockets::resolve::{Requester, Resolver};
use crate::token::{Source, source, token};

/// The loop before it runs: what it waits with, and what its tool works with.
#[derive(Debug)]
struct Loop {
    waiter: Waiter,
    /// For the tool, which binds its listeners by it.
    context: Context,
}

#[derive(Debug)]
struct Waiter {
    poll: Poll,
    events: Events,
    signals: Signals,
}

/// Other sources that became ready in this poll.
#[derive(Debug, Default)]
struct Seen {
    signals: bool,
    answers: bool,
}

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving { until: Option<Instant> },
    Draining { until: Instant },
    Over(Exit),
}

impl Loop {
    /// Makes what every tool needs. A failure is logged.
    fn new(mut settings: Settings, report: Report, extra: ExtraDescriptors) -> Result<Self, Exit> {
        let fault = |what: &str, error: io::Error| {
            report.fatal(format_args!("unable to {what}: {}", report::reason(&error)));
            Exit::Temporary
        };
        let pipes_max = fit_descriptors(&mut settings, extra, &report);
        let signals = Signals::new().map_err(|error| fault("receive signals", error))?;
        let poll = Poll::new().map_err(|error| fault("make an event queue", error))?;
        let registry = poll
            .registry()
            .try_clone()
            .map_err(|error| fault("make an event queue", error))?;
        let waker = Waker::new(&registry, token(Source::Resolver))
            .map_err(|error| fault("make an event queue", error))?;
        registry
            .register(
                &mut SourceFd(&signals.as_raw_fd()),
                token(Source::Signals),
                Interest::READABLE,
            )
            .map_err(|error| fault("receive signals", error))?;
        let pipes_max = if settings.splice { pipes_max } else { 0 };
        let context = Context {
            registry,
            resources: PumpResources::new(pipes_max, Instant::now()),
            resolver: Resolver::new(settings.family, waker),
            dial_queue: DialQueue::default(),
            listeners: Listeners::default(),
            report,
            settings,
        };
        Ok(Self {
            waiter: Waiter {
                poll,
                events: Events::with_capacity(EVENTS_PER_TURN),
                signals,
            },
            context,
        })
    }
}

/// Makes the tool and runs it to its end. A fault at the start is logged.
pub fn start<T: Tool>(
    settings: Settings,
    report: Report,
    extra: ExtraDescriptors,
    make: impl FnOnce(&mut Context) -> Result<T, String>,
) -> Exit {
    let mut parts = match Loop::new(settings, report, extra) {
        Ok(parts) => parts,
        Err(exit) => return exit,
    };
    let tool = make(&mut parts.context).and_then(|tool| {
        confine::confine(&tool, &mut parts.context)?;
        Ok(tool)
    });
    match tool {
        Ok(mut tool) => run(&mut tool, parts),
        Err(fault) => {
            parts.context.report.fatal(fault);
            Exit::Temporary
        }
    }
}

/// Runs until there is nothing more to do.
fn run(
    tool: &mut impl Tool,
    Loop {
        mut waiter,
        mut context,
    }: Loop,
) -> Exit {
    let context = &mut context;
    let mut phase = Phase::Serving {
        until: context.settings.expire.map(|expire| context.now() + expire),
    };
    let mut announcements = Announcements::default();
    if let Err(exit) = announcements.announce_when_ready(context) {
        return exit;
    }
    tool.decide(context);
    let mut slices = Slices::new();
    loop {
        waiter.wait(timeout(tool, &phase, context), context);
        let seen = collect(tool, &waiter, context);
        if seen.signals {
            phase = handle_signals(tool, &mut waiter.signals, phase, context);
        }
        if seen.answers {
            handle_resolved(tool, context);
        }
        let accepting = accept_ready(tool, &mut announcements, context);
        if let Err(exit) = accepting.and_then(|()| announcements.announce_when_ready(context)) {
            return exit;
        }
        let moved_before = context.resources.counters.all();
        run_entries(tool, context);
        let moved = context.resources.counters.all() - moved_before;
        slices.adapt(moved >= BULK_TURN_BYTES_MIN, context.now());
        tool.expire(context.now());
        phase = advance(tool, phase, context);
        if let Phase::Over(exit) = phase {
            return exit;
        }
    }
}

impl Waiter {
    /// The only wait, and the only clock.
    fn wait(&mut self, timeout: Option<Duration>, context: &mut Context) {
        // Nothing but EINTR can come of it, after which the loop looks around and waits again.
        if self.poll.poll(&mut self.events, timeout).is_err() {
            self.events.clear();
        }
        context.resources.now = Instant::now();
    }
}

/// How long nothing will be due. Rounded up to epoll's milliseconds, else the last one would be spent spinning.
fn timeout<T: Tool>(tool: &mut T, phase: &Phase, context: &Context) -> Option<Duration> {
    for key in context.dial_queue.called() {
        tool.entries().wake(key);
    }
    let now = context.now();
    let pausing = context.listeners.paused_until(now);
    let accepts = pausing.is_none()
        && context
            .listeners
            .ready()
            .any(|listener| tool.admits(listener));
    if accepts || tool.entries().any_queued() {
        return Some(Duration::ZERO);
    }
    let phase = match phase {
        Phase::Serving { until } => *until,
        Phase::Draining { until } => Some(*until),
        Phase::Over(_) => None,
    };
    let due = [
        context.listeners.next_deadline(),
        tool.entries().next_timer(),
        tool.next_decision(now),
        pausing,
        phase,
    ]
    .into_iter()
    .flatten()
    .min()?;
    Some(due.saturating_duration_since(now) + Duration::from_millis(1))
}

/// Events become ready flags and places in the run queue; nothing is read or written.
fn collect<T: Tool>(tool: &mut T, waiter: &Waiter, context: &mut Context) -> Seen {
    let mut seen = Seen::default();
    for event in &waiter.events {
        match source(event.token()) {
            Source::Entry(key, slot) => {
                let entries = tool.entries();
                if let Some(entry) = entries.get_mut(key) {
                    T::note(entry, event, slot);
                    entries.wake(key);
                }
            }
            Source::Listener(at) => context.listeners.wake(ListenerId(at)),
            Source::Bind(at, key, slot) => context.listeners.note_bind(at, key, event, slot),
            Source::Signals => seen.signals = true,
            Source::Resolver => seen.answers = true,
        }
    }
    seen
}

fn handle_signals<T: Tool>(
    tool: &mut T,
    signals: &mut Signals,
    mut phase: Phase,
    context: &mut Context,
) -> Phase {
    while let Some(request) = signals.receive() {
        match (request, phase) {
            (Request::Terminate, Phase::Serving { .. }) => {
                phase = begin_to_drain(tool, context);
                log_draining(tool, "a second signal", context);
            }
            (Request::Terminate, _) => {
                return abandon(tool, context);
            }
            (Request::Reload, _) => {
                context.listeners.retry_now();
                tool.reload(context);
            }
            (Request::Status, _) => {
                let counters = context.resources.counters;
                let Status { sessions, more } = tool.status();
                context.report.status(format_args!(
                    "sessions={sessions}/{}{more} spliced={} copied={}",
                    context.settings.sessions_max, counters.spliced, counters.copied
                ));
            }
        }
    }
    phase
}

fn begin_to_drain<T: Tool>(tool: &mut T, context: &mut Context) -> Phase {
    tool.drain(context);
    tool.decide(context);
    Phase::Draining {
        until: context.now() + context.settings.drain_timeout,
    }
}

/// Logs how many sessions this process waits for, and what ends the wait.
fn log_draining<T: Tool>(tool: &T, what: &str, context: &Context) {
    let (sessions, them) = match tool.status().sessions {
        0 => return,
        1 => ("1 session".to_owned(), "it"),
        count => (format!("{count} sessions"), "them"),
    };
    let timeout = humantime::format_duration(context.settings.drain_timeout);
    context.report.warning(format_args!(
        "waiting up to {timeout} for {sessions} to end; {what} ends {them} now"
    ));
}

fn abandon<T: Tool>(tool: &mut T, context: &mut Context) -> Phase {
    tool.abandon(context);
    Phase::Over(tool.done().unwrap_or(Exit::Done))
}

fn handle_resolved<T: Tool>(tool: &mut T, context: &mut Context) {
    let now = context.now();
    for (requester, answer) in context.resolver.collect(&context.report, now) {
        if let Requester::Dial(key, lookup_id) = requester
            && let Some(at) = key.bind()
        {
            let listeners = &mut context.listeners;
            listeners.bind_resolved(at, key, lookup_id, answer, now);
        } else {
            tool.resolved(requester, answer, context);
        }
    }
}

/// A bounded batch per listener; what is left waits for the next turn.
fn accept_ready<T: Tool>(
    tool: &mut T,
    announcements: &mut Announcements,
    context: &mut Context,
) -> Result<(), Exit> {
    for listener in context.listeners.take_ready(context.now()) {
        for accepts in 0.. {
            let admits = tool.admits(listener);
            if !admits {
                announcements.log_waiting_clients(listener, tool, context);
            }
            if accepts == ACCEPTS_PER_TURN || !admits {
                context.listeners.wake(listener);
                break;
            }
            let now = context.now();
            let Context {
                listeners,
                registry,
                resolver,
                ..
            } = context;
            match listeners.accept(listener, registry, resolver, now) {
                Accept::One(accepted) => tool.accepted(listener, *accepted, context),
                Accept::Gone => {}
                Accept::Empty => break,
                Accept::Listening(address) => {
                    announcements.announce_address(listener, &address, context);
                }
                Accept::Unbound(fault) => announcements.log_fault(listener, &fault, context)?,
                Accept::Failed(error) => {
                    context.listeners.wake(listener);
                    context
                        .listeners
                        .pause(&error, &context.report, context.now());
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Each entry that was queued when the phase began runs once; then the deciders have their say.
fn run_entries<T: Tool>(tool: &mut T, context: &mut Context) {
    tool.decide(context);
    let entries = tool.entries().begin_turn();
    context.resources.share_out(entries);
    for _ in 0..entries {
        let Some(key) = tool.entries().next_queued() else {
            break;
        };
        tool.run(key, context);
    }
    tool.decide(context);
}

fn advance<T: Tool>(tool: &mut T, phase: Phase, context: &mut Context) -> Phase {
    if let Some(exit) = tool.done() {
        return Phase::Over(exit);
    }
    match phase {
        Phase::Serving { until: Some(until) } if context.now() >= until => {
            let draining = begin_to_drain(tool, context);
            log_draining(tool, "a signal", context);
            tool.done().map_or(draining, Phase::Over)
        }
        Phase::Draining { until } if context.now() >= until => abandon(tool, context),
        phase => phase,
    }
}

/// Events taken from the kernel at once; more wait for the next turn.
const EVENTS_PER_TURN: usize = 1024;

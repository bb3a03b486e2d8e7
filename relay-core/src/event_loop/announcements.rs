//! Reports on the listeners: all of them listen, a client has to wait, a proxy listens at an address, or a proxy does not listen.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};

use crate::event_loop::context::Context;
use crate::event_loop::listeners::ListenerId;
use crate::event_loop::tool::Tool;
use crate::limits::OUTAGE_PERIOD;
use crate::report::{self, Exit, Throttle};
use crate::sockets::inherited;
use crate::sockets::socks_bind::{Fault, FaultKind};

/// See the module.
#[derive(Debug)]
pub struct Announcements {
    told: Told,
    outages: Throttle,
    crowds: Throttle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// That everything listens.
    Ready,
}

impl Default for Announcements {
    fn default() -> Self {
        Self {
            told: Told::Nothing,
            outages: Throttle::per(OUTAGE_PERIOD),
            crowds: Throttle::per(OUTAGE_PERIOD),
        }
    }
}

impl Announcements {
    /// Tells once that everything listens.
    pub fn announce_when_ready(&mut self, context: &Context) -> Result<(), Exit> {
        if self.told == Told::Ready || !context.listeners.are_open() {
            return Ok(());
        }
        self.told = Told::Ready;
        announce_ready(context).map_err(|(object, error)| {
            context.report.fatal(format_args!(
                "unable to write to {object}: {}",
                report::reason(&error)
            ));
            Exit::Temporary
        })
    }

    /// Logs that a client waits because the limit of sessions is reached.
    /// This is called in each turn while clients wait, so it must cost nothing.
    pub fn log_waiting_clients(
        &mut self,
        listener: ListenerId,
        tool: &impl Tool,
        context: &Context,
    ) {
        if self.crowds.lets_through(context.now()) {
            let (word, sessions) = (context.listeners.word(listener), tool.status().sessions);
            let plural = if sessions == 1 { "" } else { "s" };
            let text = format_args!("{sessions} session{plural}: new clients of {word} wait");
            context.report.info(text);
        }
    }

    /// A proxy listens anew. Where it listens first belongs to being ready.
    pub fn announce_address(&self, listener: ListenerId, address: &str, context: &Context) {
        let word = context.listeners.word(listener);
        context
            .report
            .debug(format_args!("listening on {word}, at {address}"));
        if self.told == Told::Ready
            && context.settings.print_address
            && !report::print_further_address(word, address)
        {
            let text = format_args!("unable to print that {word} is at {address}: stdout is full");
            context.report.warning(text);
        }
    }

    /// A proxy does not listen. What lasts, or fails the only session there is to be, ends a process that was never ready.
    pub fn log_fault(
        &mut self,
        listener: ListenerId,
        fault: &Fault,
        context: &Context,
    ) -> Result<(), Exit> {
        let word = context.listeners.word(listener);
        let text = format!("unable to listen on {word}: {}", fault.why);
        let starts = self.told == Told::Nothing;
        match fault.kind {
            FaultKind::Lasting if starts => {
                context.report.fatal(text);
                return Err(Exit::Permanent);
            }
            FaultKind::Temporary if starts && context.settings.once => {
                context.report.fatal(text);
                return Err(Exit::Temporary);
            }
            FaultKind::Usual => context.report.debug(text),
            FaultKind::Lasting | FaultKind::Temporary => {
                self.outages.warning(&context.report, context.now(), text);
            }
        }
        Ok(())
    }
}

/// `--print-address` and `--ready-fd`: everything listens.
fn announce_ready(context: &Context) -> Result<(), (String, io::Error)> {
    let on_stdout = |error| ("stdout".to_owned(), error);
    if context.settings.print_address {
        for (word, address) in context.listeners.addresses() {
            address
                .and_then(|address| report::print_address(word, address))
                .map_err(on_stdout)?;
        }
    }
    if let Some(fd) = context.settings.ready_fd {
        notify_descriptor(fd).map_err(|error| (format!("--ready-fd {fd}"), error))?;
    }
    if context.settings.print_address && !context.listeners.have_binds() {
        inherited::vacate(io::stdout().as_fd().as_raw_fd()).map_err(on_stdout)?;
    }
    Ok(())
}

/// A line and the end of file, as s6 and tcpserver -1 do.
fn notify_descriptor(fd: RawFd) -> io::Result<()> {
    File::from(inherited::duplicate(fd)?).write_all(b"\n")?;
    inherited::vacate(fd)
}

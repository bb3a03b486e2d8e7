//! One trial, in a process and namespaces of its own.
//!
//! Otherwise a trial changes the figures of the next: by connections in TIME_WAIT, and by the scheduler's state of threads
//! that continue. When all trials of a round ran in one process, the relay that was measured after the bound, which has
//! many threads, lost a sixth of its sessions per second.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::args::TrialArgs;
use crate::contestant::Contestant;
use crate::line::{Figure, Line, Skipped};
use crate::load::Load;
use crate::quantity::Reading;
use crate::result::Result;
use crate::scratch::Scratch;
use crate::site::Site;
use crate::trial::Trial;
use crate::{clients, leash, namespace};

/// Runs the trial and prints a [`Line`] for each figure.
pub(crate) fn run(args: &TrialArgs) -> Result<()> {
    leash::end_with_stdin();
    let scratch = Scratch::create(&if args.isolated {
        namespace::prepare()?
    } else {
        std::env::temp_dir()
    })?;
    raise_descriptor_limit()?;
    let (contestant, load) = (args.contestant()?, args.load()?);
    let site = Site::new(args.number, &args.binaries, scratch.path());
    match measure(contestant, load, &site, args.seconds) {
        Ok(readings) => {
            for (quantity, value) in readings {
                Line::Figure(Figure {
                    contestant: contestant.name,
                    load,
                    quantity,
                    value,
                })
                .print()?;
            }
            Ok(())
        }
        Err(error) => Line::Skipped(Skipped {
            contestant: contestant.name,
            load,
            why: error.to_string(),
        })
        .print(),
    }
}

/// Starts the server and the contestant, runs the load, and ends both.
fn measure(
    contestant: &Contestant,
    load: Load,
    site: &Site<'_>,
    duration: Duration,
) -> Result<Vec<Reading>> {
    let mut trial = Trial::start(contestant, site, duration)?;
    let readings = clients::run(load, &trial);
    trial.relay.check()?; // its error is more precise than that of the clients
    readings
}

/// Raises the limit on descriptors to its maximum. An idle session needs two in this process, and there are thousands.
fn raise_descriptor_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

//! One trial, in a process and namespaces of its own.
//!
//! What a trial leaves behind would be in the figures of the next: connections in TIME_WAIT, and whatever the scheduler has
//! learned of threads that go on. When all trials of a round were in one process, the relay that was measured after the
//! bound, with its many threads, lost a sixth of its sessions.

use std::io::{self, Read};
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::args::TrialArgs;
use crate::figures::Line;
use crate::scratch::Scratch;
use crate::site::Site;
use crate::{Result, namespace, trial};

/// Runs the trial and prints a [`Line`] for each figure.
pub(crate) fn run(args: &TrialArgs) -> Result<()> {
    end_with_stdin();
    let scratch = Scratch::create(&if args.isolated {
        namespace::furnish()?
    } else {
        std::env::temp_dir()
    })?;
    raise_descriptor_limit()?;
    let (contestant, load) = (args.contestant()?, args.load()?);
    let site = Site::new(args.number, &args.binaries, scratch.path());
    match trial::run(contestant, load, &site, args.seconds) {
        Ok(readings) => {
            for (quantity, value) in readings {
                Line::Figure {
                    contestant: contestant.name,
                    load,
                    quantity,
                    value,
                }
                .print()?;
            }
            Ok(())
        }
        Err(error) => Line::Skipped {
            contestant: contestant.name,
            load,
            why: error.to_string(),
        }
        .print(),
    }
}

/// Stdin is a pipe from the process that runs the rounds. When that process ends, however it does, the pipe does,
/// and with this process its namespace and all relays.
pub(crate) fn end_with_stdin() {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

/// Thousands of idle sessions have two descriptors each in this process alone.
fn raise_descriptor_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

//! One round: every load through every contestant, once.
//!
//! The loads are the outer loop, so that the direct connection, the bound and what is compared with them are measured
//! within seconds of each other.

use std::io::{self, Read};
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::args::RoundArgs;
use crate::figures::Line;
use crate::scratch::Scratch;
use crate::site::Site;
use crate::{Result, namespace, trial};

/// Runs the round and prints a [`Line`] for each figure, as it is found.
pub(crate) fn run(args: &RoundArgs) -> Result<()> {
    end_with_stdin();
    let scratch = Scratch::create(&if args.isolated {
        namespace::furnish()?
    } else {
        std::env::temp_dir()
    })?;
    raise_descriptor_limit()?;
    let plan = args.plan()?;
    let mut number = 0;
    for &load in &plan.loads {
        for contestant in plan
            .contestants
            .iter()
            .filter(|contestant| contestant.takes(load))
        {
            let site = Site::new(number, &plan.binaries, scratch.path());
            number += 1;
            match trial::run(contestant, load, &site, plan.duration) {
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
                }
                Err(error) => Line::Skipped {
                    contestant: contestant.name,
                    load,
                    why: error.to_string(),
                }
                .print()?,
            }
        }
    }
    Ok(())
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

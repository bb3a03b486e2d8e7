//! The command line, and what it means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::contestant::{self, Contestant};
use crate::load::Load;
use crate::result::Result;

/// Measures TCP relays side by side
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// The subcommands. The program starts most of them itself.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Relay each connection from LISTEN to DIAL with one thread per direction and blocking splice(2)
    Bound {
        listen: SocketAddr,
        dial: SocketAddr,
    },
    /// Measure the cost of 10,000 listening ports in one process (127.0.0.1, ports 20000 to 29999)
    Ports {
        /// Directory of tcpfwd [default: the directory of this program]
        #[arg(long, value_name = "DIR")]
        binaries: Option<PathBuf>,
    },
    /// Run one trial in the network namespace of this process and print the figures
    #[command(hide = true)]
    Trial(TrialArgs),
    /// Punch holes through firewalls, TRIALS times in each setting, and print how long each trial took
    #[command(hide = true)]
    Punches { trials: u16 },
    /// Replace this process by COMMAND, which is killed when the parent process ends
    #[command(hide = true)]
    Leash {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Args)]
pub(crate) struct Options {
    /// Number of rounds; the report shows their medians [default: 3, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Measure each load for this many seconds [default: 2, with --quick 0.7]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Run one short round of our tools, the direct connection and the bound
    #[arg(long)]
    quick: bool,
    /// Measure only these contestants (an unknown name lists all); ratios need `direct` and the bounds
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Measure only these loads, by name or first word: bulk, pingpong, sessions, idle, bulk-8-both, ...;
    /// four-way is accepted too
    #[arg(long, value_name = "LOAD,...", value_delimiter = ',')]
    measure: Vec<String>,
    /// Number of trials in each setting of four-way [default: 50, with --quick 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    trials: Option<u16>,
    /// Directory of tcpfwd, listen-listen and connect-connect [default: the directory of this program]
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// Also write the report to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
}

/// The arguments of one trial. None has a default: the process that runs the rounds gives them all.
#[derive(Args)]
pub(crate) struct TrialArgs {
    contestant: String,
    load: String,
    /// Number of this trial in its round
    #[arg(long)]
    pub(crate) number: u16,
    #[arg(long, value_parser = seconds)]
    pub(crate) seconds: Duration,
    #[arg(long)]
    pub(crate) binaries: PathBuf,
    /// This process has new namespaces: prepare them
    #[arg(long)]
    pub(crate) isolated: bool,
}

/// What is measured, in this order.
pub(crate) struct Plan {
    pub(crate) contestants: Vec<&'static Contestant>,
    pub(crate) loads: Vec<Load>,
    pub(crate) duration: Duration,
    pub(crate) binaries: PathBuf,
    /// Number of 4way trials in each setting.
    pub(crate) punches: u16,
}

impl Options {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    pub(crate) fn plan(&self) -> Result<Plan> {
        let binaries = match &self.binaries {
            Some(directory) => directory
                .canonicalize()
                .map_err(|error| format!("{}: {error}", directory.display()))?,
            None => own_directory()?,
        };
        Ok(Plan {
            contestants: match (self.only.as_slice(), self.quick) {
                ([], false) => contestant::ALL.iter().collect(),
                ([], true) => contestants(QUICK)?,
                (names, _) => contestants(names)?,
            },
            loads: if self.measure.is_empty() {
                Load::ALL.to_vec()
            } else {
                let others = self.measure.iter().filter(|word| *word != FOUR_WAY);
                loads(&others.cloned().collect::<Vec<_>>())?
            },
            punches: if self.measure.is_empty() || self.measure.iter().any(|word| word == FOUR_WAY)
            {
                self.trials.unwrap_or(if self.quick { 5 } else { 50 })
            } else {
                0
            },
            duration: self.seconds.unwrap_or(Duration::from_millis(if self.quick {
                700
            } else {
                2000
            })),
            binaries,
        })
    }
}

impl TrialArgs {
    pub(crate) fn contestant(&self) -> Result<&'static Contestant> {
        Contestant::named(&self.contestant)
    }

    pub(crate) fn load(&self) -> Result<Load> {
        Load::named(&self.load).ok_or_else(|| format!("unknown load {:?}", self.load).into())
    }
}

impl Plan {
    /// Returns the arguments of one trial, as [`TrialArgs`] reads them.
    pub(crate) fn trial_args(
        &self,
        number: u16,
        contestant: &Contestant,
        load: Load,
    ) -> Vec<String> {
        vec![
            contestant.name.to_owned(),
            load.name().to_owned(),
            format!("--number={number}"),
            format!("--seconds={}", self.duration.as_secs_f64()),
            format!("--binaries={}", self.binaries.display()),
        ]
    }
}

/// Returns the directory of this program and of the programs that were built with it.
pub(crate) fn own_directory() -> Result<PathBuf> {
    let mut path = std::env::current_exe()?;
    path.pop();
    Ok(path)
}

fn contestants<S: AsRef<str>>(names: &[S]) -> Result<Vec<&'static Contestant>> {
    names
        .iter()
        .map(|name| Contestant::named(name.as_ref()))
        .collect()
}

fn loads(words: &[String]) -> Result<Vec<Load>> {
    if let Some(word) = words
        .iter()
        .find(|word| !Load::ALL.iter().any(|load| load.matches(word)))
    {
        let known: Vec<_> = Load::ALL.iter().map(|load| load.name()).collect();
        return Err(format!(
            "unknown load {word:?}; the loads are {}, {FOUR_WAY}",
            known.join(", ")
        )
        .into());
    }
    Ok(Load::ALL
        .into_iter()
        .filter(|load| words.iter().any(|word| load.matches(word)))
        .collect())
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("not a positive number of seconds".to_owned()),
    }
}

/// The contestants of `--quick`: enough to see whether a change made our tools faster or slower.
const QUICK: &[&str] = &["direct", "bound", "tcpfwd", "bound-pair", "nodes"];

/// The word for hole punching, which `--measure` accepts beside the loads.
const FOUR_WAY: &str = "four-way";

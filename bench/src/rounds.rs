//! Runs all rounds, each trial in a process and namespaces of its own, and writes the report.
//!
//! The outer loop of a round is over the loads. So the direct connection, the bound and the contestants that are compared
//! with them are measured within seconds of each other.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use relay_tests::network;

use crate::args::{Options, Plan};
use crate::figures::Figures;
use crate::line::Line;
use crate::namespace::Isolation;
use crate::report;
use crate::result::Result;

/// Measures what the command line names. Writes progress to stderr and the report to stdout.
pub(crate) fn run(options: &Options) -> Result<()> {
    let plan = options.plan()?;
    let isolation = Isolation::available();
    let mut figures = Figures::default();
    let rounds = if plan.loads.is_empty() {
        0
    } else {
        options.rounds()
    };
    for round in 1..=rounds {
        run_round(round, &plan, isolation, &mut figures)?;
    }
    if plan.punches > 0
        && let Err(why) = run_punches(&plan, isolation, &mut figures)
    {
        // The figures of the rounds are valid and took long, so the report is written without the 4way trials.
        writeln!(io::stderr(), "trial: skipped: {why}")?;
    }
    let report = report::write(&plan, rounds, isolation, &figures);
    io::stdout().write_all(report.as_bytes())?;
    if let Some(file) = &options.markdown {
        fs::write(file, report)
            .map_err(|error| format!("unable to write {}: {error}", file.display()))?;
    }
    Ok(())
}

fn run_round(round: u32, plan: &Plan, isolation: Isolation, figures: &mut Figures) -> Result<()> {
    let trials = plan.loads.iter().flat_map(|load| {
        let contestants = plan.contestants.iter();
        contestants
            .filter(|contestant| contestant.is_measured_under(*load))
            .map(|contestant| (*contestant, *load))
    });
    for (number, (contestant, load)) in (0..).zip(trials) {
        let mut words = vec!["trial".to_owned()];
        words.extend(plan.trial_args(number, contestant, load));
        if isolation.is_isolated() {
            words.push("--isolated".to_owned());
        }
        let process = Process::start(&words, isolation, plan)?;
        collect(process, &format!("round {round}"), round, figures)?;
    }
    Ok(())
}

fn run_punches(plan: &Plan, isolation: Isolation, figures: &mut Figures) -> Result<()> {
    if !isolation.is_isolated() {
        return Err("namespaces are not allowed here".into());
    }
    let words = ["punches".to_owned(), plan.punches.to_string()];
    let process = Process::start(&words, isolation, plan)?;
    collect(process, "trial", 1, figures)
}

/// Adds what a process measures to `figures` and reports it on stderr.
fn collect(mut process: Process, what: &str, round: u32, figures: &mut Figures) -> Result<()> {
    for line in process.lines() {
        let line = line?;
        let line = Line::parse(&line)
            .ok_or_else(|| format!("{what} printed an unknown line: {line:?}"))?;
        writeln!(io::stderr(), "{what}: {line}")?;
        figures.add(round, line);
    }
    process.finish()
}

/// A process that measures. When dropped, it is killed and its namespaces end.
struct Process(Child);

impl Process {
    /// Starts this program with the arguments `words`, in new namespaces.
    fn start(words: &[String], isolation: Isolation, plan: &Plan) -> Result<Process> {
        let program = std::env::current_exe()?;
        let mut command = isolation.command(
            program
                .to_str()
                .ok_or("the path of this program is not UTF-8")?,
        );
        // The laboratory is part of the test harness, which reads the environment.
        command.env("RELAY_BIN_DIR", &plan.binaries);
        if isolation.is_isolated() {
            command.env(network::INSIDE, "1");
        }
        // It exits at the end of its stdin, so it ends with this process in any case.
        Ok(Process(
            command
                .args(words)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?,
        ))
    }

    fn lines(&mut self) -> impl Iterator<Item = io::Result<String>> + use<> {
        self.0
            .stdout
            .take()
            .into_iter()
            .flat_map(|stdout| BufReader::new(stdout).lines())
    }

    fn finish(mut self) -> Result<()> {
        // Child::wait() closes stdin first, and the child would take that for the end of this process.
        let stdin = self.0.stdin.take();
        let status = self.0.wait()?;
        drop(stdin);
        if !status.success() {
            return Err(format!("a trial ended with {status}").into());
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

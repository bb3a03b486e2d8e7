//! All rounds, each in a process and namespaces of its own, and the report of them.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use crate::args::{Options, Plan};
use crate::figures::{Figures, Line};
use crate::namespace::Isolation;
use crate::{Result, report};

/// Runs what the command line asks for. Progress goes to stderr, the report to stdout.
pub(crate) fn run(options: &Options) -> Result<()> {
    let plan = options.plan()?;
    let isolation = Isolation::available();
    let mut figures = Figures::default();
    for round in 1..=options.rounds() {
        run_round(round, &plan, isolation, &mut figures)?;
    }
    let report = report::write(&plan, options.rounds(), isolation, &figures);
    io::stdout().write_all(report.as_bytes())?;
    if let Some(file) = &options.markdown {
        fs::write(file, report)
            .map_err(|error| format!("unable to write {}: {error}", file.display()))?;
    }
    Ok(())
}

fn run_round(round: u32, plan: &Plan, isolation: Isolation, figures: &mut Figures) -> Result<()> {
    let mut process = RoundProcess::start(plan, isolation)?;
    for line in process.lines() {
        let line = line?;
        let line = Line::parse(&line).ok_or_else(|| format!("the round said {line:?}"))?;
        writeln!(io::stderr(), "round {round}: {line}")?;
        figures.add(round, line);
    }
    process.finish()
}

/// A round under way. Dropped, it is killed, and its namespaces with it.
struct RoundProcess(Child);

impl RoundProcess {
    fn start(plan: &Plan, isolation: Isolation) -> Result<RoundProcess> {
        let program = std::env::current_exe()?;
        let mut command = isolation.command(
            program
                .to_str()
                .ok_or("the path of this program is not UTF-8")?,
        );
        command.arg("round").args(plan.to_args());
        if isolation.is_isolated() {
            command.arg("--isolated");
        }
        // The round ends when its stdin does, whatever becomes of this process.
        Ok(RoundProcess(
            command
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
        // Not wait(): that would close stdin first, and the round would take it for the end of this process.
        let stdin = self.0.stdin.take();
        let status = self.0.wait()?;
        drop(stdin);
        if !status.success() {
            return Err(format!("the round ended with {status}").into());
        }
        Ok(())
    }
}

impl Drop for RoundProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

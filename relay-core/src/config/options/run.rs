//! From the words of a process to its plan, and to its exit status.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;

use clap::Parser;
use clap::error::ErrorKind;

use super::explain::explain;
use super::lines::CommandLine;
use crate::report::{Exit, LogFormat, Report, Verbosity, print_text};

/// Reads the command line of this process, makes a plan of it and runs the plan.
pub fn run_tool<L: CommandLine, P, E: Display>(
    program: &'static str,
    plan: impl FnOnce(&L) -> Result<P, E>,
    run: impl FnOnce(P, Report) -> Exit,
) -> Exit {
    let line: L = match parse(program) {
        Ok(line) => line,
        Err(exit) => return exit,
    };
    let report = line.messages().report(program);
    match plan(&line) {
        Ok(plan) => run(plan, report),
        Err(fault) => refuse::<L>(&report, fault),
    }
}

/// Reads the command line of this process. Help and version are printed; what is wrong is reported, with the usage.
///
/// # Errors
/// How to exit, when there is nothing to run.
fn parse<T: Parser>(program: &'static str) -> Result<T, Exit> {
    T::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print_text(&error.render().to_string());
            Exit::Done
        }
        _ => {
            let report = Report::with(program, Verbosity::default(), format_typed(env::args_os()));
            refuse::<T>(&report, explain(&error, &T::command()))
        }
    })
}

/// Returns the log format of a command line that is wrong elsewhere: a reader of JSON can read nothing else.
fn format_typed(words: impl Iterator<Item = OsString>) -> LogFormat {
    let words: Vec<OsString> = words.take_while(|word| word != "--").collect();
    let apart = words
        .windows(2)
        .any(|pair| pair[0] == "--log-format" && pair[1] == "json");
    if apart || words.iter().any(|word| word == "--log-format=json") {
        LogFormat::Json
    } else {
        LogFormat::Text
    }
}

/// Reports a command line that cannot be run, and its usage.
fn refuse<T: Parser>(report: &Report, fault: impl Display) -> Exit {
    report.fatal(fault);
    let usage = T::command().render_usage().to_string();
    report.usage(usage.trim_start_matches("Usage: "));
    Exit::Permanent
}

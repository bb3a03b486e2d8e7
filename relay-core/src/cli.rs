//! The command line as typed: the options that the tools share, and how a wrong one is told.
//!
//! An option that was not given is `None` here; `plan` knows the defaults. The help texts repeat them, one line each,
//! and a test holds both against each other.
//!
//! Not here: what the words mean (`address`), and which of them go together (`plan`).
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the help texts show defaults in brackets"
)]

use std::fmt::Display;
use std::os::fd::RawFd;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, Parser};

use crate::address::{BindAddress, parse_bind};
use crate::limits::{BACKOFF_MIN, HEARTBEAT_MAX, HEARTBEAT_MIN, IDLE_LINKS_MAX};
use crate::plan::Family;
use crate::report::{Exit, LogFormat, Report, Verbosity, print_text};

/// Reads the command line of this process. Help and version are printed; what is wrong is reported, with the usage.
///
/// # Errors
/// How to exit, when there is nothing to run.
pub fn parse<T: Parser>(program: &'static str) -> Result<T, Exit> {
    T::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print_text(&error.render().to_string());
            Exit::Done
        }
        _ => refuse::<T>(&Report::new(program), explain(&error)),
    })
}

/// Reports a command line that cannot be run, and its usage.
pub fn refuse<T: Parser>(report: &Report, fault: impl Display) -> Exit {
    report.fatal(fault);
    let usage = T::command().render_usage().to_string();
    report.usage(usage.trim_start_matches("Usage: "));
    Exit::Permanent
}

/// What is told, and how.
#[derive(Args, Clone, Debug, Default)]
pub struct Messages {
    /// Tell of each session at its end; twice: of each step
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,

    /// Tell of fatal errors only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Form of messages, text or json [text]
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    pub log_format: Option<LogFormat>,
}

impl Messages {
    /// The report that was asked for.
    pub fn report(&self, program: &'static str) -> Report {
        let verbosity = match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Fatal,
            (false, 0) => Verbosity::Warning,
            (false, 1) => Verbosity::Info,
            (false, _) => Verbosity::Debug,
        };
        Report::with(program, verbosity, self.log_format.unwrap_or_default())
    }
}

/// How to dial; for the tools that do.
#[derive(Args, Clone, Debug, Default)]
pub struct Dialing {
    /// Dial from this local address
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = parse_bind)]
    pub bind: Option<BindAddress>,

    /// Give a dial up after this time [10s]
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    pub connect_timeout: Option<Duration>,
}

/// What all tools share.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// End a session that is silent for this time, or off [off]
    #[arg(long, value_name = "TIME", value_parser = parse_timeout_or_off)]
    pub idle_timeout: Option<OrOff>,

    /// End a one-way session that is silent for this time [1h]
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    pub half_close_timeout: Option<Duration>,

    /// Run at most this many sessions at once [10000]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub max_sessions: Option<usize>,

    /// Serve one session, then exit
    #[arg(long)]
    pub once: bool,

    /// Stop listening after this time, then drain and exit
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    pub expire: Option<Duration>,

    /// Leave sessions this time to end before exiting [30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub drain_timeout: Option<Duration>,

    /// Print each listening address on stdout
    #[arg(long)]
    pub print_address: bool,

    /// Write a newline to this descriptor once ready, and close it
    #[arg(long, value_name = "N", value_parser = parse_descriptor)]
    pub ready_fd: Option<RawFd>,

    /// Copy all bytes through memory
    #[arg(long)]
    pub no_splice: bool,

    /// Use IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6')]
    pub ipv6: bool,
}

impl Common {
    /// The family that was asked for.
    pub fn family(&self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

/// What the two nodes share.
#[derive(Args, Clone, Debug, Default)]
pub struct LinkOptions {
    /// Let no link be silent for longer, 1s to 1h [10s]
    #[arg(long, value_name = "TIME", value_parser = parse_heartbeat, conflicts_with = "raw")]
    pub heartbeat: Option<Duration>,

    /// Use links without framing, as socat does
    #[arg(long)]
    pub raw: bool,
}

/// What `listen-listen` adds.
#[derive(Args, Clone, Debug, Default)]
pub struct OutsideOptions {
    /// Let a client wait this time for a link [30s]
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    pub wait_timeout: Option<Duration>,

    /// Let at most this many clients wait [1024]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub queue: Option<usize>,
}

/// What `connect-connect` adds.
#[derive(Args, Clone, Debug, Default)]
pub struct InsideOptions {
    /// Pause at most this time between dials of a link [2s]
    #[arg(long, value_name = "TIME", value_parser = parse_interval)]
    pub interval: Option<Duration>,

    /// Keep at least this many idle links to each outside node [4]
    #[arg(long, value_name = "N", value_parser = parse_idle, conflicts_with = "raw")]
    pub idle: Option<usize>,

    /// Keep at most this many links [as --max-sessions]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub max_links: Option<usize>,

    /// Dial servers from this local address
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = parse_bind)]
    pub server_bind: Option<BindAddress>,
}

/// A time, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrOff(pub Option<Duration>);

/// A time of zero or more, with its unit: `500ms`, `30s`, `5m`, `2h`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "no unit: write {text}s, or {text}ms, {text}m, {text}h"
        ));
    }
    match humantime::parse_duration(text) {
        Ok(time) if time <= TIME_MAX => Ok(time),
        Ok(_) => Err("too long: expected at most 365d".to_owned()),
        Err(_) => Err("expected a time as in 500ms, 30s, 5m or 2h".to_owned()),
    }
}

/// A time that something may take. There is no `off` where waiting for ever helps nobody.
fn parse_timeout(text: &str) -> Result<Duration, String> {
    match text {
        "off" => Err("this cannot be off: expected a time as in 30s".to_owned()),
        _ => match parse_duration(text)? {
            Duration::ZERO => Err("expected a time above zero".to_owned()),
            time => Ok(time),
        },
    }
}

fn parse_timeout_or_off(text: &str) -> Result<OrOff, String> {
    match text {
        "off" => Ok(OrOff(None)),
        _ => match parse_duration(text)? {
            Duration::ZERO => Err("expected a time above zero, or off".to_owned()),
            time => Ok(OrOff(Some(time))),
        },
    }
}

fn parse_heartbeat(text: &str) -> Result<Duration, String> {
    match parse_timeout(text)? {
        time if (HEARTBEAT_MIN..=HEARTBEAT_MAX).contains(&time) => Ok(time),
        _ => Err("expected 1s to 1h".to_owned()),
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    match parse_timeout(text)? {
        time if time >= BACKOFF_MIN => Ok(time),
        _ => Err("expected at least 50ms".to_owned()),
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    parse_number(text, COUNT_MAX)
}

fn parse_idle(text: &str) -> Result<usize, String> {
    parse_number(text, IDLE_LINKS_MAX)
}

fn parse_number(text: &str, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from 1 to {max}")),
    }
}

fn parse_descriptor(text: &str) -> Result<RawFd, String> {
    match text.parse() {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => Err("expected the number of a descriptor".to_owned()),
    }
}

/// What clap found, in one sentence of ours.
fn explain(error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" and "),
        _ => String::new(),
    };
    let argument = text(ContextKind::InvalidArg);
    let option = option_alone(&argument);
    let value = text(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument if !option.starts_with('-') => {
            format!("unable to use {option}: one word too many")
        }
        ErrorKind::UnknownArgument => match error.get(ContextKind::SuggestedArg) {
            Some(suggestion) => {
                format!("unable to use {option}: no such option: expected {suggestion}")
            }
            None => format!("unable to use {option}: no such option"),
        },
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("unable to use {option}: it has a value")
        }
        ErrorKind::InvalidValue => {
            format!(
                "unable to use {option} {value}: expected {}",
                text(ContextKind::ValidValue).replace(" and ", " or ")
            )
        }
        ErrorKind::ValueValidation => {
            let source = std::error::Error::source(error)
                .map(ToString::to_string)
                .unwrap_or_default();
            format!("unable to use {option} {value}: {source}")
        }
        ErrorKind::TooManyValues => format!("unable to use {option} {value}: it has no value"),
        ErrorKind::ArgumentConflict if text(ContextKind::PriorArg) == argument => {
            format!("unable to use {option} twice")
        }
        ErrorKind::ArgumentConflict => {
            format!(
                "unable to use {option} with {}",
                option_alone(&text(ContextKind::PriorArg))
            )
        }
        ErrorKind::MissingRequiredArgument => {
            format!(
                "too few words: {} missing",
                argument.replace(['<', '>'], "").replace("...", "")
            )
        }
        ErrorKind::InvalidUtf8 => "unable to use a word that is not utf-8".to_owned(),
        _ => error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    }
}

/// clap shows an option with the placeholder of its value, or with dots where it may be repeated.
fn option_alone(argument: &str) -> &str {
    argument
        .split(" <")
        .next()
        .unwrap_or(argument)
        .trim_end_matches("...")
}

/// No deadline is farther away, so that adding one to the clock cannot overflow.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Of sessions, links or clients that wait: more than one process can have descriptors for.
const COUNT_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::plan;

    #[derive(Debug, Parser)]
    #[command(version)]
    struct CommandLine {
        #[arg(required = true, value_name = "CLIENTS")]
        clients: Vec<String>,
        #[arg(value_name = "LINK")]
        link: String,
        #[command(flatten)]
        messages: Messages,
        #[command(flatten)]
        dialing: Dialing,
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        links: LinkOptions,
        #[command(flatten)]
        outside: OutsideOptions,
        #[command(flatten)]
        inside: InsideOptions,
    }

    fn typed(words: &[&str]) -> CommandLine {
        CommandLine::try_parse_from([&["tool", "8000", "8001"], words].concat()).unwrap()
    }

    fn refused(words: &[&str]) -> String {
        explain(&CommandLine::try_parse_from([&["tool"], words].concat()).unwrap_err())
    }

    #[test]
    fn the_help_text_of_each_option_is_one_line_and_tells_the_default() {
        let command = CommandLine::command();
        let help = |option: &str| {
            let arg = command
                .get_arguments()
                .find(|arg| arg.get_id() == option)
                .unwrap();
            arg.get_help().unwrap().to_string()
        };
        let default = |option: &str| {
            let help = help(option);
            help[help.rfind('[').unwrap()..].to_owned()
        };
        let time = |time: Duration| format!("[{}]", humantime::format_duration(time));
        assert_eq!(
            default("connect_timeout"),
            time(plan::CONNECT_TIMEOUT_DEFAULT)
        );
        assert_eq!(
            default("half_close_timeout"),
            time(plan::HALF_CLOSE_TIMEOUT_DEFAULT)
        );
        assert_eq!(default("drain_timeout"), time(plan::DRAIN_TIMEOUT_DEFAULT));
        assert_eq!(default("heartbeat"), time(plan::HEARTBEAT_DEFAULT));
        assert_eq!(default("wait_timeout"), time(plan::WAIT_TIMEOUT_DEFAULT));
        assert_eq!(default("interval"), time(plan::INTERVAL_DEFAULT));
        assert_eq!(
            default("max_sessions"),
            format!("[{}]", plan::SESSIONS_MAX_DEFAULT)
        );
        assert_eq!(default("queue"), format!("[{}]", plan::QUEUE_MAX_DEFAULT));
        assert_eq!(default("idle"), format!("[{}]", plan::IDLE_LINKS_DEFAULT));
        for arg in command.get_opts() {
            assert!(!arg.get_help().unwrap().to_string().contains('\n'), "{arg}");
            assert!(arg.get_long_help().is_none(), "{arg}");
        }
    }

    #[test]
    fn clap_finds_nothing_wrong_with_the_options_as_declared() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        for (text, why) in [
            ("30", "no unit: write 30s, or 30ms, 30m, 30h"),
            ("", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("-1s", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("soon", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("366d", "too long: expected at most 365d"),
        ] {
            assert_eq!(parse_duration(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn only_the_idle_timeout_can_be_off() {
        assert_eq!(
            typed(&["--idle-timeout", "off"]).common.idle_timeout,
            Some(OrOff(None))
        );
        assert_eq!(
            parse_timeout_or_off("0s"),
            Err("expected a time above zero, or off".to_owned())
        );
        assert_eq!(
            parse_timeout("off"),
            Err("this cannot be off: expected a time as in 30s".to_owned())
        );
        assert_eq!(
            parse_timeout("0s"),
            Err("expected a time above zero".to_owned())
        );
    }

    #[test]
    fn quiet_and_verbose_choose_what_is_shown() {
        let shows =
            |words: &[&str], verbosity| typed(words).messages.report("tool").shows(verbosity);
        assert!(!shows(&["-q"], Verbosity::Warning));
        assert!(shows(&[], Verbosity::Warning) && !shows(&[], Verbosity::Info));
        assert!(shows(&["-v"], Verbosity::Info) && !shows(&["-v"], Verbosity::Debug));
        assert!(shows(&["-vv"], Verbosity::Debug) && shows(&["-vvv"], Verbosity::Debug));
    }

    #[test]
    fn each_usage_error_is_one_sentence_of_ours() {
        for (words, why) in [
            (&[][..], "too few words: CLIENTS and LINK missing"),
            (&["1"], "too few words: CLIENTS missing"),
            (&["1", "2", "--foo"], "unable to use --foo: no such option"),
            (&["1", "2", "-z"], "unable to use -z: no such option"),
            (
                &["1", "2", "--quit"],
                "unable to use --quit: no such option: expected --quiet",
            ),
            (
                &["1", "2", "--log-format"],
                "unable to use --log-format: it has a value",
            ),
            (
                &["1", "2", "--log-format="],
                "unable to use --log-format: it has a value",
            ),
            (
                &["1", "2", "--log-format", "xml"],
                "unable to use --log-format xml: expected text or json",
            ),
            (
                &["1", "2", "--once=yes"],
                "unable to use --once yes: it has no value",
            ),
            (
                &["1", "2", "--once", "--once"],
                "unable to use --once twice",
            ),
            (
                &["1", "2", "--expire", "1h", "--expire", "2h"],
                "unable to use --expire twice",
            ),
            (
                &["1", "2", "-v", "-q"],
                "unable to use --verbose with --quiet",
            ),
            (&["1", "2", "-4", "-6"], "unable to use -4 with -6"),
            (
                &["1", "2", "--raw", "--heartbeat", "5s"],
                "unable to use --raw with --heartbeat",
            ),
            (
                &["1", "2", "--raw", "--idle", "5"],
                "unable to use --raw with --idle",
            ),
            (
                &["1", "2", "--expire", "10"],
                "unable to use --expire 10: no unit: write 10s, or 10ms, 10m, 10h",
            ),
            (
                &["1", "2", "--heartbeat", "500ms"],
                "unable to use --heartbeat 500ms: expected 1s to 1h",
            ),
            (
                &["1", "2", "--heartbeat", "2h"],
                "unable to use --heartbeat 2h: expected 1s to 1h",
            ),
            (
                &["1", "2", "--interval", "1ms"],
                "unable to use --interval 1ms: expected at least 50ms",
            ),
            (
                &["1", "2", "--max-sessions", "0"],
                "unable to use --max-sessions 0: expected a number from 1 to 1000000",
            ),
            (
                &["1", "2", "--idle", "257"],
                "unable to use --idle 257: expected a number from 1 to 256",
            ),
            (
                &["1", "2", "--ready-fd=-1"],
                "unable to use --ready-fd -1: expected the number of a descriptor",
            ),
            (
                &["1", "2", "--bind", "srv"],
                "unable to use --bind srv: expected ADDR, ADDR:PORT or :PORT, with ADDR an ip address",
            ),
        ] {
            assert_eq!(refused(words), why);
        }
    }
}

//! The command line as typed: the options that the tools share, and how a wrong one is told.
//!
//! An option that was not given is `None` here; `plan` knows the defaults. The help texts repeat them, one line each,
//! and a test holds both against each other. Where a number or a time is expected, a word with a hyphen is taken for
//! it, so that `--max-sessions -5` is told as a wrong number and not as an unknown option.
//!
//! Not here: what the words mean (`address`), and which of them go together (`plan`).
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the help texts show defaults in brackets"
)]

mod access;
mod via;

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, Command, Parser};

use ipnet::IpNet;

use crate::config::address::{BindAddress, parse_bind, without_password};
use crate::config::settings::Family;
use crate::limits::{BACKOFF_MIN, HEARTBEAT_MAX, HEARTBEAT_MIN, IDLE_LINKS_MAX};
use crate::linux::privileges::{User, parse_user};
use crate::policy::access_list::parse_network;
use crate::protocol::proxy_header::Version;
use crate::report::{Exit, LogFormat, Report, Verbosity, print_text};

pub use access::{ClientAccess, ClientOptions};
pub use via::TypedUrl;

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
        _ => {
            let report = Report::with(program, Verbosity::default(), format_typed(env::args_os()));
            refuse::<T>(&report, explain(&error, &T::command()))
        }
    })
}

/// The form that a command line asks for which is wrong elsewhere: whoever reads JSON can read nothing else.
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
    #[arg(long, value_name = "ADDR[:PORT]", allow_hyphen_values = true, value_parser = parse_bind)]
    pub bind: Option<BindAddress>,

    /// Dial through this proxy; repeats, as a chain
    #[arg(long, value_name = "URL", allow_hyphen_values = true, value_parser = via::parse_url)]
    pub via: Vec<TypedUrl>,

    /// Give a dial up after this time [10s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout)]
    pub connect_timeout: Option<Duration>,

    /// Tell the server who the client is, by a PROXY header, v1 or v2
    #[arg(long, value_name = "VERSION", value_enum, hide_possible_values = true)]
    pub send_proxy: Option<Version>,
}

/// How `listen-listen` dials a LINK that both ends dial.
#[derive(Args, Clone, Debug, Default)]
pub struct FourWayOptions {
    /// Dial a 4way LINK from this local address
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true, value_parser = parse_bind)]
    pub bind: Option<BindAddress>,

    /// Give a 4way LINK up after this time [off]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout)]
    pub connect_timeout: Option<Duration>,
}

/// What all tools share.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// End a session that is silent for this time, or off [off]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout_or_off)]
    pub idle_timeout: Option<OrOff>,

    /// End a one-way session that is silent for this time [1h]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout)]
    pub half_close_timeout: Option<Duration>,

    /// Run at most this many sessions at once [10000]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count)]
    pub max_sessions: Option<usize>,

    /// Serve one session, then exit
    #[arg(long)]
    pub once: bool,

    /// Read the password of proxies from this file
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub via_password_file: Option<PathBuf>,

    /// Stop listening after this time, then drain and exit
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout)]
    pub expire: Option<Duration>,

    /// Leave sessions this time to end before exiting [30s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration)]
    pub drain_timeout: Option<Duration>,

    /// Print each listening address on stdout
    #[arg(long)]
    pub print_address: bool,

    /// Write a newline to this descriptor once ready, and close it
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_descriptor)]
    pub ready_fd: Option<RawFd>,

    /// Copy all bytes through memory
    #[arg(long)]
    pub no_splice: bool,

    /// Become this user, and of this group, once everything is bound
    #[arg(long, value_name = "USER[:GROUP]", allow_hyphen_values = true, value_parser = parse_user)]
    pub user: Option<User>,

    /// Run in a sandbox where the kernel has one, on or off [on]
    #[arg(
        long,
        value_name = "SWITCH",
        value_enum,
        hide_possible_values = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on"
    )]
    pub sandbox: Option<Switch>,

    /// Read the clock that 4way addresses are dialled by as if it were later; for tests
    #[arg(long, hide = true, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration)]
    pub four_way_clock_offset: Option<Duration>,

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
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_heartbeat, conflicts_with = "raw")]
    pub heartbeat: Option<Duration>,

    /// Use links without framing, as socat does
    #[arg(long)]
    pub raw: bool,

    /// Take for the other node only who holds the key in this file
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// What `listen-listen` adds.
#[derive(Args, Clone, Debug, Default)]
pub struct OutsideOptions {
    /// Let a client wait this time for a link [30s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout)]
    pub wait_timeout: Option<Duration>,

    /// Let at most this many clients wait [1024]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count)]
    pub queue: Option<usize>,

    /// Let links of this network in, and no others
    #[arg(long, value_name = "CIDR", allow_hyphen_values = true, value_parser = parse_network)]
    pub allow_link: Vec<IpNet>,
}

/// What `connect-connect` adds.
#[derive(Args, Clone, Debug, Default)]
pub struct InsideOptions {
    /// Pause at most this time between dials of a link [2s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_interval)]
    pub interval: Option<Duration>,

    /// Keep at least this many idle links to each outside node [4]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_idle, conflicts_with = "raw")]
    pub idle: Option<usize>,

    /// Keep at most this many links [as --max-sessions]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count)]
    pub max_links: Option<usize>,

    /// Dial servers from this local address
    #[arg(long, value_name = "ADDR[:PORT]", allow_hyphen_values = true, value_parser = parse_bind)]
    pub server_bind: Option<BindAddress>,

    /// Dial servers through this proxy; repeats, as a chain
    #[arg(long, value_name = "URL", allow_hyphen_values = true, value_parser = via::parse_url)]
    pub server_via: Vec<TypedUrl>,
}

/// What can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// With it.
    On,
    /// Without it.
    Off,
}

/// A time, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrOff(pub Option<Duration>);

/// A time of zero or more in whole numbers, each with its unit: `500ms`, `30s`, `5m`, `2h`, `1m 30s`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "no unit: write {text}s, or {text}ms, {text}m, {text}h"
        ));
    }
    match milliseconds(text).map(Duration::from_millis) {
        Some(time) if time <= TIME_MAX => Ok(time),
        Some(_) => Err("too long: expected at most 8760h".to_owned()),
        None => Err("expected a time as in 500ms, 30s, 5m or 2h".to_owned()),
    }
}

/// The sum of the parts; what is too large for the type is too long in any case.
fn milliseconds(text: &str) -> Option<u64> {
    let mut sum = 0u64;
    let mut rest = text;
    loop {
        let (digits, behind) = rest.split_at(rest.find(|byte: char| !byte.is_ascii_digit())?);
        if digits.is_empty() {
            return None;
        }
        let letters = behind
            .find(|byte: char| !byte.is_ascii_alphabetic())
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            _ => return None,
        };
        let number = digits.parse().unwrap_or(u64::MAX);
        sum = sum.saturating_add(number.saturating_mul(unit_ms));
        if behind.is_empty() {
            return Some(sum);
        }
        rest = behind.trim_start_matches(' ');
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
fn explain(error: &clap::Error, tool: &Command) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" and "),
        _ => String::new(),
    };
    let argument = without_password(&text(ContextKind::InvalidArg));
    let option = option_alone(&argument);
    let value = without_password(&text(ContextKind::InvalidValue));
    match error.kind() {
        ErrorKind::UnknownArgument if !option.starts_with('-') => {
            format!("unable to use {option}: one word too many")
        }
        // Of `-v=1`; no short option takes a value.
        ErrorKind::UnknownArgument if option == "-=" => {
            "unable to use = behind a short option: it takes no value".to_owned()
        }
        ErrorKind::UnknownArgument => {
            let why = explain_option(option, &text(ContextKind::SuggestedArg), tool);
            format!("unable to use {option}: {why}")
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("unable to use {option}: it needs a value: write {argument}")
                .replace(['<', '>'], "")
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
        ErrorKind::TooManyValues => format!("unable to use {option}={value}: it takes no value"),
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
            let missing = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(places)) => places.len(),
                _ => 1,
            };
            format!("too few words: {} missing", last_places(tool, missing))
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

/// Words fill the places from the left, so that the last ones are missing; clap gives `LINK` its word before `CLIENTS`.
fn last_places(tool: &Command, missing: usize) -> String {
    let places: Vec<String> = tool
        .get_positionals()
        .flat_map(|place| place.get_value_names().unwrap_or_default())
        .map(ToString::to_string)
        .collect();
    places[places.len().saturating_sub(missing)..].join(" and ")
}

/// Why there is no such option, and what was expected: the habits of netcat's users first, then what clap suggests.
fn explain_option(option: &str, suggested: &str, tool: &Command) -> String {
    let has = |name: &str| tool.get_opts().any(|arg| arg.get_long() == Some(name));
    let first = last_places(tool, usize::MAX);
    let listens = first.starts_with("LISTEN") || first.starts_with("CLIENTS");
    let hint = match option {
        "-l" if listens => "the first word is where to listen",
        "-l" => "this tool dials, listen-listen listens",
        "-p" => "the port is part of the word, as in 8080 or srv:80",
        "-k" => "clients are served until the end, unless --once is given",
        "-e" | "-c" => "no program is run: expected an address",
        "-u" => "udp is not relayed: expected tcp or a unix stream socket",
        "-w" if has("connect-timeout") => "expected --connect-timeout or --idle-timeout",
        "-w" => "expected --idle-timeout",
        _ => {
            let name = option.trim_start_matches('-');
            return match (owners_of_option(name), owners_of_word(name)) {
                (owners, _) if !owners.is_empty() => {
                    format!("this is an option of {}", owners.join(" and "))
                }
                (_, owners) if !owners.is_empty() => format!(
                    "no such option: {} is a word of {}",
                    name.to_ascii_uppercase(),
                    owners.join(" and ")
                ),
                _ if is_close(option, suggested) => {
                    format!("no such option: did you mean {suggested}")
                }
                _ => "no such option".to_owned(),
            };
        }
    };
    format!("no such option: {hint}")
}

/// The tools that have an option which not all of them have.
fn owners_of_option(name: &str) -> Vec<&'static str> {
    let empty = || Command::new("");
    let route = ClientOptions::augment_args(Dialing::augment_args(empty()));
    let outside = ClientOptions::augment_args(OutsideOptions::augment_args(
        FourWayOptions::augment_args(LinkOptions::augment_args(empty())),
    ));
    let inside =
        InsideOptions::augment_args(LinkOptions::augment_args(Dialing::augment_args(empty())));
    [
        ("tcpfwd", route),
        ("listen-listen", outside),
        ("connect-connect", inside),
    ]
    .into_iter()
    .filter(|(_, options)| options.get_opts().any(|arg| arg.get_long() == Some(name)))
    .map(|(tool, _)| tool)
    .collect()
}

/// The tools that have a word in the place of this name.
fn owners_of_word(name: &str) -> &'static [&'static str] {
    match name {
        "listen" | "target" => &["tcpfwd"],
        "clients" => &["listen-listen"],
        "link" => &["listen-listen", "connect-connect"],
        "server" => &["connect-connect"],
        _ => &[],
    }
}

/// Whether one is the beginning of the other, or two slips of the finger make the other of it.
fn is_close(typed: &str, meant: &str) -> bool {
    if meant.is_empty() {
        return false;
    }
    let begun = typed.len() > "--xx".len() && meant.starts_with(typed);
    begun || slips(typed.as_bytes(), meant.as_bytes()) <= 2
}

/// How many characters are to be put in, taken out or replaced (the distance of Levenshtein).
fn slips(typed: &[u8], meant: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=meant.len()).collect();
    for (at, byte) in typed.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, other) in meant.iter().enumerate() {
            let replaced = diagonal + usize::from(byte != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[meant.len()]
}

/// clap shows an option with the placeholder of its value, or with dots where it may be repeated.
fn option_alone(argument: &str) -> &str {
    let end = argument.find(" <").or_else(|| argument.find("[="));
    argument[..end.unwrap_or(argument.len())].trim_end_matches("...")
}

/// No deadline is farther away, so that adding one to the clock cannot overflow. 365 days.
const TIME_MAX: Duration = Duration::from_secs(8760 * 60 * 60);

/// Of sessions, links or clients that wait: more than one process can have descriptors for.
const COUNT_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::settings;

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
        refused_by::<CommandLine>(words)
    }

    fn refused_by<T: Parser>(words: &[&str]) -> String {
        match T::try_parse_from([&["tool"], words].concat()) {
            Ok(_) => panic!("{words:?}: not refused"),
            Err(error) => explain(&error, &T::command()),
        }
    }

    /// As in `tcpfwd`.
    #[derive(Parser)]
    #[allow(dead_code)]
    struct Route {
        #[arg(required = true, value_name = "LISTEN TARGET")]
        words: Vec<String>,
        #[command(flatten)]
        messages: Messages,
        #[command(flatten)]
        dialing: Dialing,
        #[command(flatten)]
        common: Common,
    }

    /// As in `listen-listen`.
    #[derive(Parser)]
    #[allow(dead_code)]
    struct Outside {
        #[command(flatten)]
        four_way_options: FourWayOptions,
        #[arg(required = true, value_name = "CLIENTS")]
        clients: Vec<String>,
        #[arg(value_name = "LINK")]
        link: String,
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        links: LinkOptions,
        #[command(flatten)]
        outside: OutsideOptions,
    }

    /// As in `connect-connect`.
    #[derive(Parser)]
    #[allow(dead_code)]
    struct Inside {
        #[arg(value_name = "LINK")]
        link: String,
        #[arg(required = true, value_name = "SERVER")]
        servers: Vec<String>,
        #[command(flatten)]
        dialing: Dialing,
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        links: LinkOptions,
        #[command(flatten)]
        inside: InsideOptions,
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
            time(settings::CONNECT_TIMEOUT_DEFAULT)
        );
        assert_eq!(
            default("half_close_timeout"),
            time(settings::HALF_CLOSE_TIMEOUT_DEFAULT)
        );
        assert_eq!(
            default("drain_timeout"),
            time(settings::DRAIN_TIMEOUT_DEFAULT)
        );
        assert_eq!(default("heartbeat"), time(settings::HEARTBEAT_DEFAULT));
        assert_eq!(
            default("wait_timeout"),
            time(settings::WAIT_TIMEOUT_DEFAULT)
        );
        assert_eq!(default("interval"), time(settings::INTERVAL_DEFAULT));
        assert_eq!(
            default("max_sessions"),
            format!("[{}]", settings::SESSIONS_MAX_DEFAULT)
        );
        assert_eq!(
            default("queue"),
            format!("[{}]", settings::QUEUE_MAX_DEFAULT)
        );
        assert_eq!(
            default("idle"),
            format!("[{}]", settings::IDLE_LINKS_DEFAULT)
        );
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
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("8760h"), Ok(TIME_MAX));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        for (text, why) in [
            ("30", "no unit: write 30s, or 30ms, 30m, 30h"),
            ("", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("-1s", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("soon", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("1d", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("1.5s", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("1m 30", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("1m ", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("30 s", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("30\u{b5}s", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("8760h 1ms", "too long: expected at most 8760h"),
            ("99999999999999999999h", "too long: expected at most 8760h"),
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
    fn the_words_that_are_missing_are_the_last_ones() {
        let none: [&str; 0] = [];
        assert_eq!(
            refused_by::<Route>(&none),
            "too few words: LISTEN TARGET missing"
        );
        assert_eq!(
            refused_by::<Outside>(&none),
            "too few words: CLIENTS and LINK missing"
        );
        assert_eq!(
            refused_by::<Outside>(&["8000"]),
            "too few words: LINK missing"
        );
        assert_eq!(
            refused_by::<Inside>(&none),
            "too few words: LINK and SERVER missing"
        );
        assert_eq!(
            refused_by::<Inside>(&["ll:8001"]),
            "too few words: SERVER missing"
        );
    }

    #[test]
    fn an_option_of_another_tool_is_told_as_one() {
        let both = "listen-listen and connect-connect";
        for (why, expected) in [
            (
                refused_by::<Outside>(&["1", "2", "--send-proxy", "v1"]),
                "unable to use --send-proxy: this is an option of tcpfwd and connect-connect"
                    .to_owned(),
            ),
            (
                refused_by::<Inside>(&["1", "2", "--wait-timeout=5s"]),
                "unable to use --wait-timeout: this is an option of listen-listen".to_owned(),
            ),
            (
                refused_by::<Route>(&["1", "2", "--heartbeat", "5s"]),
                format!("unable to use --heartbeat: this is an option of {both}"),
            ),
            (
                refused_by::<Route>(&["1", "2", "--raw"]),
                format!("unable to use --raw: this is an option of {both}"),
            ),
            (
                refused_by::<Route>(&["1", "2", "--idle", "5"]),
                "unable to use --idle: this is an option of connect-connect".to_owned(),
            ),
            (
                refused_by::<Route>(&["1", "2", "--link", "5"]),
                format!("unable to use --link: no such option: LINK is a word of {both}"),
            ),
        ] {
            assert_eq!(why, expected);
        }
    }

    #[test]
    fn the_habits_of_netcat_get_a_hint() {
        for (words, why) in [
            (
                &["-l", "8080"][..],
                "-l: no such option: the first word is where to listen",
            ),
            (
                &["-lp", "8080"],
                "-l: no such option: the first word is where to listen",
            ),
            (
                &["-p", "8080"],
                "-p: no such option: the port is part of the word, as in 8080 or srv:80",
            ),
            (
                &["-k"],
                "-k: no such option: clients are served until the end, unless --once is given",
            ),
            (
                &["-e", "/bin/sh"],
                "-e: no such option: no program is run: expected an address",
            ),
            (
                &["-u", "1", "2"],
                "-u: no such option: udp is not relayed: expected tcp or a unix stream socket",
            ),
            (
                &["-w", "5"],
                "-w: no such option: expected --connect-timeout or --idle-timeout",
            ),
        ] {
            assert_eq!(refused_by::<Route>(words), format!("unable to use {why}"));
        }
        assert_eq!(
            refused_by::<Outside>(&["-w", "5"]),
            "unable to use -w: no such option: expected --connect-timeout or --idle-timeout"
        );
        assert_eq!(
            refused_by::<Inside>(&["-l", "5"]),
            "unable to use -l: no such option: this tool dials, listen-listen listens"
        );
    }

    #[test]
    fn each_usage_error_is_one_sentence_of_ours() {
        for (words, why) in [
            (&[][..], "too few words: CLIENTS and LINK missing"),
            (&["1"], "too few words: LINK missing"),
            (&["1", "2", "--foo"], "unable to use --foo: no such option"),
            (&["1", "2", "-z"], "unable to use -z: no such option"),
            (
                &["1", "2", "--quit"],
                "unable to use --quit: no such option: did you mean --quiet",
            ),
            (
                &["1", "2", "--log-format"],
                "unable to use --log-format: it needs a value: write --log-format FORMAT",
            ),
            (
                &["1", "2", "--log-format="],
                "unable to use --log-format: it needs a value: write --log-format FORMAT",
            ),
            (
                &["1", "2", "--log-format", "xml"],
                "unable to use --log-format xml: expected text or json",
            ),
            (
                &["1", "2", "--once=yes"],
                "unable to use --once=yes: it takes no value",
            ),
            (
                &["1", "2", "--verbose=1"],
                "unable to use --verbose=1: it takes no value",
            ),
            (
                &["1", "2", "-v=1"],
                "unable to use = behind a short option: it takes no value",
            ),
            (
                &["1", "2", "--expire"],
                "unable to use --expire: it needs a value: write --expire TIME",
            ),
            (
                &["1", "2", "--max-sessions", "-5"],
                "unable to use --max-sessions -5: expected a number from 1 to 1000000",
            ),
            (
                &["1", "2", "--expire", "-5s"],
                "unable to use --expire -5s: expected a time as in 500ms, 30s, 5m or 2h",
            ),
            (
                &["1", "2", "--connect-time", "5s"],
                "unable to use --connect-time: no such option: did you mean --connect-timeout",
            ),
            (
                &["1", "2", "--timeout", "5s"],
                "unable to use --timeout: no such option",
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

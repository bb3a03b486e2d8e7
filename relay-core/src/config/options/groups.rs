//! The options, in the groups that the tools share. Each is declared here once, with its help text.
//!
//! An option that was not given is `None`; the settings and plans know the defaults. The help texts repeat them, and a test compares
//! both. Where a number or a time is expected, a word with a hyphen is taken for it, so `--max-sessions -5` is reported as a wrong
//! number and not as an unknown option.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::values::{
    OrOff, Switch, parse_count, parse_descriptor, parse_duration, parse_heartbeat, parse_idle,
    parse_interval, parse_timeout, parse_timeout_or_off,
};
use super::via::{self, TypedUrl};
use crate::config::address::{BindAddress, parse_bind};
use crate::config::family::Family;
use crate::linux::privileges::{User, parse_user};
use crate::policy::access_list::parse_network;
use crate::protocol::proxy_header::Version;
use crate::report::{LogFormat, Report, Verbosity};

/// What is logged, and in which format.
#[derive(Args, Clone, Debug, Default)]
pub struct Messages {
    /// Log each session at its end; twice: each step
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,

    /// Log fatal errors only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Format of messages, text or json [text]
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    pub log_format: Option<LogFormat>,
}

impl Messages {
    /// Returns the report of these options.
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

    /// Dial through this proxy; several form a chain
    #[arg(long, value_name = "URL", allow_hyphen_values = true, value_parser = via::parse_url)]
    pub via: Vec<TypedUrl>,

    /// End a dial that takes longer than this [10s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout)]
    pub connect_timeout: Option<Duration>,

    /// Send the client's address to the server in a PROXY header, v1 or v2
    #[arg(long, value_name = "VERSION", value_enum, hide_possible_values = true)]
    pub send_proxy: Option<Version>,
}

/// How `listen-listen` dials a LINK that both ends dial.
#[derive(Args, Clone, Debug, Default)]
pub struct FourWayOptions {
    /// Dial a 4way LINK from this local address
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true, value_parser = parse_bind)]
    pub bind: Option<BindAddress>,

    /// End a dial of a 4way LINK that takes longer than this [off]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout)]
    pub connect_timeout: Option<Duration>,
}

/// What all tools share.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Reset a session that is silent for this time, or off [off]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout_or_off)]
    pub idle_timeout: Option<OrOff>,

    /// Reset a half-closed session that is silent for this time [1h]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout)]
    pub half_close_timeout: Option<Duration>,

    /// Serve at most this many sessions at once [10000]
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

    /// Wait this long for sessions to end before exiting [30s]
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

    /// Change to this user and group after everything is bound
    #[arg(long, value_name = "USER[:GROUP]", allow_hyphen_values = true, value_parser = parse_user)]
    pub user: Option<User>,

    /// Enter a sandbox if the kernel has one, on or off [on]
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

    /// Add this to the clock that 4way addresses are dialled by; for tests
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
    /// Returns the address family of these options.
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
    /// Send at least this often on a link, 1s to 1h [10s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_heartbeat, conflicts_with = "raw")]
    pub heartbeat: Option<Duration>,

    /// Use links without framing, as socat does
    #[arg(long)]
    pub raw: bool,

    /// Encrypt links, and accept only a node that holds the key in this file
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// What `listen-listen` adds.
#[derive(Args, Clone, Debug, Default)]
pub struct OutsideOptions {
    /// Let a client wait this long for a link [30s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_timeout)]
    pub wait_timeout: Option<Duration>,

    /// Let at most this many clients wait [1024]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count)]
    pub queue: Option<usize>,

    /// Accept links from this network only; repeats
    #[arg(long, value_name = "CIDR", allow_hyphen_values = true, value_parser = parse_network)]
    pub allow_link: Vec<IpNet>,
}

/// What `connect-connect` adds.
#[derive(Args, Clone, Debug, Default)]
pub struct InsideOptions {
    /// Pause at most this long between dials of a link [2s]
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

    /// Dial servers through this proxy; several form a chain
    #[arg(long, value_name = "URL", allow_hyphen_values = true, value_parser = via::parse_url)]
    pub server_via: Vec<TypedUrl>,
}

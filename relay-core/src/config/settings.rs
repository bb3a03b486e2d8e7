//! The settings that all sessions of a process share, and the defaults of the options.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use crate::config::address::{BindAddress, Proxy};
use crate::config::family::Family;
use crate::config::options::{ClientOptions, Common, Dialing, Switch};
use crate::linux::privileges::User;
use crate::policy::access_list::AccessList;
use crate::protocol::proxy_header::Version;

/// What holds for every session, in all three tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which family names and wildcards may stand for.
    pub family: Family,
    /// The local address that dials leave from.
    pub bind: Option<BindAddress>,
    /// The proxies that dials go through, the first one first. With `connect-connect`, those of the links.
    pub via: Arc<[Proxy]>,
    /// How long a dial may take, over all addresses of a name.
    pub connect_timeout: Duration,
    /// The version of the PROXY header that servers get.
    pub send_proxy: Option<Version>,
    /// How long a 4way address is dialled: without end unless the time was given.
    pub four_way_timeout: Option<Duration>,
    /// Added to the clock that 4way addresses are dialled by, for tests.
    pub four_way_clock_offset: Duration,
    /// How long a session may be silent in both directions.
    pub idle_timeout: Option<Duration>,
    /// How long a session with one finished direction may be silent in the other.
    pub half_close_timeout: Duration,
    /// How many sessions may run at once.
    pub sessions_max: usize,
    /// One session, then the end.
    pub once: bool,
    /// When to stop listening, counted from the start.
    pub expire: Option<Duration>,
    /// How long running sessions are left after listening stopped. May be zero.
    pub drain_timeout: Duration,
    /// Whether the address of each listening socket is printed on stdout.
    pub print_address: bool,
    /// The descriptor to write a newline to once every socket listens.
    pub ready_fd: Option<RawFd>,
    /// Whether bytes may be spliced; else they are copied.
    pub splice: bool,
    /// The user to change to after everything is bound.
    pub user: Option<User>,
    /// Whether to enter a sandbox then, as far as the kernel has one. If it was not given, a fault of the sandbox is a warning.
    pub sandbox: Option<Switch>,
}

impl Settings {
    /// Returns the settings of these options; `once` if the words imply it too.
    pub fn new(common: &Common, dialing: &Dialing, once: bool) -> Self {
        Self {
            family: common.family(),
            bind: dialing.bind,
            via: Arc::default(),
            connect_timeout: dialing.connect_timeout.unwrap_or(CONNECT_TIMEOUT_DEFAULT),
            send_proxy: dialing.send_proxy,
            four_way_timeout: dialing.connect_timeout,
            four_way_clock_offset: common.four_way_clock_offset.unwrap_or_default(),
            idle_timeout: common.idle_timeout.and_then(|timeout| timeout.0),
            half_close_timeout: common
                .half_close_timeout
                .unwrap_or(HALF_CLOSE_TIMEOUT_DEFAULT),
            sessions_max: common.max_sessions.unwrap_or(SESSIONS_MAX_DEFAULT),
            once,
            expire: common.expire,
            drain_timeout: common.drain_timeout.unwrap_or(DRAIN_TIMEOUT_DEFAULT),
            print_address: common.print_address,
            ready_fd: common.ready_fd,
            splice: !common.no_splice,
            user: common.user.clone(),
            sandbox: common.sandbox,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(&Common::default(), &Dialing::default(), false)
    }
}

/// Which clients may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// By their address.
    pub list: AccessList,
    /// How many sessions one client may have at once.
    pub sessions_per_client_max: Option<usize>,
    /// They come through a proxy, which tells who they are.
    pub by_proxy: bool,
}

impl Admission {
    /// Returns what these options say about clients.
    pub fn of(clients: &ClientOptions) -> Self {
        Self {
            list: clients.access.0.clone(),
            sessions_per_client_max: clients.max_sessions_per_client,
            by_proxy: clients.accept_proxy,
        }
    }
}

/// `--connect-timeout`.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// `--half-close-timeout`.
pub const HALF_CLOSE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3600);

/// `--drain-timeout`.
pub const DRAIN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// `--max-sessions`, before it is cut to what descriptors allow.
pub const SESSIONS_MAX_DEFAULT: usize = 10_000;

/// `--heartbeat`.
pub const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(10);

/// `--wait-timeout`.
pub const WAIT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// `--queue`, in clients.
pub const QUEUE_MAX_DEFAULT: usize = 1024;

/// `--interval`.
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(2);

/// `--idle`, in links to each outside node.
pub const IDLE_LINKS_DEFAULT: usize = 4;

// By default a dead link is noticed before the clients that wait for a link give up.
const _: () = assert!(WAIT_TIMEOUT_DEFAULT.as_millis() * 2 > HEARTBEAT_DEFAULT.as_millis() * 5);

//! Why a command line makes no plan.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use crate::config::address::{AddressError, BindAddress, ProxyFault, ServiceName};
use crate::config::family::Family;
use crate::keyed::KeyError;
use crate::limits::{PROXIES_MAX, SERVICE_PORTS_MAX, SERVICES_MAX};
use crate::report::reason;

/// Why a command line makes no plan. Each is for the user to mend: exit status 100.
#[derive(Debug)]
pub enum PlanError {
    /// A word that is no address.
    Address(AddressError),
    /// A key file that is none.
    Key(KeyError),
    /// `tcpfwd` with an odd number of words; the last one.
    TargetMissing(String),
    /// A range beside one of another width.
    ListsDiffer {
        /// The word to listen on.
        listen: String,
        /// Its ports.
        points: usize,
        /// The word to dial.
        target: String,
        /// Its ports.
        targets: usize,
    },
    /// A route whose target is where it listens.
    DialsItself {
        /// The word to listen on.
        listen: String,
        /// The word to dial.
        target: String,
    },
    /// A word with `NAME=` in `tcpfwd`.
    NameWithoutNodes(String),
    /// LINK with `NAME=`.
    NameOfLink(String),
    /// More services than a HELLO can tell.
    ServicesTooMany,
    /// The first port of a name that an OPEN can no longer tell.
    PortsTooMany(String),
    /// `-` twice.
    StdioTwice,
    /// Two words, or a word and `--ready-fd`, that use one descriptor.
    DescriptorShared {
        /// The descriptor.
        fd: RawFd,
        /// One user.
        first: String,
        /// The other.
        second: String,
    },
    /// A descriptor that is not open.
    DescriptorUnusable {
        /// The word.
        word: String,
        /// What the system says.
        error: io::Error,
    },
    /// `-` where stdin is a listening socket.
    StdioListens,
    /// Another word for a connection, where there is a listening socket.
    DescriptorListens(String),
    /// A port to listen on that is given twice.
    PointTwice(String),
    /// A client that is already connected, with other clients beside it.
    ConnectedAmongClients(String),
    /// `--print-address`, and a word that uses stdout.
    PrintAddressOnStdout(String),
    /// An address of the family that `-4` or `-6` excludes.
    FamilyExcluded {
        /// The address.
        word: String,
        /// The option.
        family: Family,
    },
    /// `--bind` with a port, and more than one link.
    BindPortWithLinks(BindAddress),
    /// An option or a word that names no proxy.
    Proxy {
        /// They, less a password.
        words: String,
        /// What is wrong.
        fault: ProxyFault,
    },
    /// So many proxies that no chain is meant; the option.
    ProxiesTooMany(&'static str),
    /// A proxy with a user, and nothing tells the password; as [`PlanError::Proxy`].
    PasswordMissing(String),
    /// The file with the password cannot be used.
    PasswordFile {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No proxy lacks the password of the file.
    PasswordFileUnused(PathBuf),
    /// A word that cannot be reached through a proxy.
    NotThroughProxy {
        /// The word.
        word: String,
        /// The option that names the proxy.
        option: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A client would give up before a dead link is noticed.
    WaitTooShort {
        /// The value.
        wait_timeout: Duration,
        /// The heartbeat it is measured by.
        heartbeat: Duration,
    },
    /// `--once` with this number of ports as LINK.
    OnceWithLinks(usize),
    /// `--raw` with a name.
    RawName(ServiceName),
    /// `--raw` with this number of servers.
    RawServers(usize),
    /// `--raw` with this number of ports for links.
    RawLinks(usize),
    /// An option for dials, where nothing is dialled.
    NothingDialled(&'static str),
    /// `--bind` with a port, and an address that has its own.
    FourWayBindPort {
        /// The value.
        bind: BindAddress,
        /// The address.
        word: String,
    },
    /// `--raw` with this number of ports of a 4way address.
    RawFourWays(usize),
    /// `--raw` with a link port that cannot be closed.
    RawInherited(String),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::TargetMissing(listen) => {
                write!(f, "unable to route {listen}: no TARGET behind it")
            }
            Self::ListsDiffer {
                listen,
                points,
                target,
                targets,
            } => {
                write!(
                    f,
                    "unable to route {listen} to {target}: {points} to listen on, {targets} to dial"
                )
            }
            Self::DialsItself { listen, target } => {
                write!(
                    f,
                    "unable to route {listen} to {target}: it would dial itself"
                )
            }
            Self::NameWithoutNodes(word) => {
                write!(
                    f,
                    "unable to use {word}: a name is for listen-listen and connect-connect"
                )
            }
            Self::NameOfLink(word) => write!(f, "unable to use {word}: LINK has no name"),
            Self::ServicesTooMany => write!(
                f,
                "unable to use so many names: expected at most {SERVICES_MAX}"
            ),
            Self::PortsTooMany(word) => {
                write!(
                    f,
                    "unable to use {word}: expected at most {SERVICE_PORTS_MAX} ports of one name"
                )
            }
            Self::StdioTwice => write!(
                f,
                "unable to use - twice: stdin and stdout are one connection"
            ),
            Self::DescriptorShared { fd, first, second } => {
                write!(
                    f,
                    "unable to use {second} beside {first}: descriptor {fd} is in both"
                )
            }
            Self::DescriptorUnusable { word, error } => {
                write!(f, "unable to use {word}: {}", reason(error))
            }
            Self::StdioListens => {
                write!(
                    f,
                    "unable to use -: stdin is a listening socket: write fd:0 to listen on it"
                )
            }
            Self::DescriptorListens(word) => {
                write!(
                    f,
                    "unable to use {word}: this is a listening socket: expected a connection"
                )
            }
            Self::PointTwice(word) => write!(f, "unable to listen on {word}: given twice"),
            Self::ConnectedAmongClients(word) => {
                write!(
                    f,
                    "unable to use {word} beside other clients: it is connected, and the one session there is"
                )
            }
            Self::PrintAddressOnStdout(word) => {
                write!(
                    f,
                    "unable to use --print-address with {word}: stdout carries the session"
                )
            }
            Self::FamilyExcluded {
                word,
                family: Family::V4,
            } => {
                write!(f, "unable to use {word} with -4: this is an ipv6 address")
            }
            Self::FamilyExcluded { word, .. } => {
                write!(f, "unable to use {word} with -6: this is an ipv4 address")
            }
            Self::BindPortWithLinks(bind) => write!(
                f,
                "unable to use --bind {bind}: one local port is one link: expected --max-links 1 or --once, and one LINK"
            ),
            Self::Proxy { words, fault } => write!(f, "unable to use {words}: {fault}"),
            Self::ProxiesTooMany(option) => {
                write!(
                    f,
                    "unable to use {option} so often: expected at most {PROXIES_MAX} proxies"
                )
            }
            Self::PasswordMissing(words) => write!(
                f,
                "unable to use {words}: no password: expected one in the url, in the file of --via-password-file, or in {PASSWORD_VARIABLE}"
            ),
            Self::PasswordFile { file, error } => {
                let file = file.display();
                write!(
                    f,
                    "unable to use the password file {file}: {}",
                    reason(error)
                )
            }
            Self::PasswordFileUnused(file) => write!(
                f,
                "unable to use --via-password-file {}: no proxy has a user and lacks a password",
                file.display()
            ),
            Self::NotThroughProxy { word, option, why } => {
                write!(f, "unable to use {word} with {option}: {why}")
            }
            Self::WaitTooShort {
                wait_timeout,
                heartbeat,
            } => write!(
                f,
                "unable to use a --wait-timeout of {}: expected more than 2.5 heartbeats of {}",
                humantime::format_duration(*wait_timeout),
                humantime::format_duration(*heartbeat)
            ),
            Self::OnceWithLinks(links) => {
                write!(
                    f,
                    "unable to use {links} ports as LINK: one session is one link"
                )
            }
            Self::RawName(name) => write!(
                f,
                "unable to use {name}= with --raw: a raw link carries no name"
            ),
            Self::RawServers(servers) => {
                write!(
                    f,
                    "unable to use {servers} ports as SERVER with --raw: a raw link tells no port"
                )
            }
            Self::RawLinks(links) => {
                write!(
                    f,
                    "unable to use {links} ports as LINK with --raw: one open port is one signal"
                )
            }
            Self::NothingDialled(option) => write!(
                f,
                "unable to use {option}: nothing is dialled but a 4way LINK"
            ),
            Self::FourWayBindPort { bind, word } => write!(
                f,
                "unable to use {bind} with {word}: the local port stands in the address: write 4way:LOCALPORT:PEER:PORT"
            ),
            Self::RawFourWays(links) => write!(
                f,
                "unable to use {links} ports of a 4way address as LINK with --raw: expected one"
            ),
            Self::RawInherited(word) => write!(
                f,
                "unable to use {word} as LINK with --raw: an inherited listening socket cannot be closed between clients"
            ),
        }
    }
}

impl std::error::Error for PlanError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => Some(error),
            Self::Key(error) => Some(error),
            Self::DescriptorUnusable { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<KeyError> for PlanError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl From<AddressError> for PlanError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

/// Where a password comes from if neither a URL nor a file has it.
pub(super) const PASSWORD_VARIABLE: &str = "RELAY_VIA_PASSWORD";

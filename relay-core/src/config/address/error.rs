//! Why a word is no address, told so that the next try succeeds.

use std::fmt;

use super::names::SERVICE_NAME_BYTES_MAX;
use super::text::{UNIX_NAME_BYTES_MAX, without_password};

/// Why a word is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    /// The word as typed, less a password.
    pub word: String,
    /// What is wrong with it.
    pub fault: AddressFault,
}

impl AddressError {
    pub(super) fn new(word: &str, fault: AddressFault) -> Self {
        Self {
            word: without_password(word),
            fault,
        }
    }
}

/// What can be wrong with a word. Each says what was expected instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressFault {
    /// Nothing was typed.
    Empty,
    /// None of the forms there are.
    UnknownForm,
    /// A host, or something like it, alone.
    NoPort,
    /// A host and a colon, and nothing behind it. The word.
    PortMissing(String),
    /// Host and port are two words, as netcat has them. What to write instead.
    PortApart(String),
    /// `NAME=` with something that is no name, or where none may be.
    NameMalformed,
    /// A form of socat's. What to write instead.
    Socat(String),
    /// socat's options behind a comma. What to write instead.
    SocatOptions(String),
    /// Something of socat's that is not relayed. Why not.
    NotRelayed(&'static str),
    /// One of stdin, stdout and stderr by its name.
    StdioHalf,
    /// A URL. What to write instead.
    Url(String),
    /// The URL of a proxy, alone.
    ProxyAlone,
    /// `bind+` with a URL that names no proxy.
    Proxy(Box<ProxyFault>),
    /// `bind+` to dial.
    BindDialled,
    /// Ports with commas between them.
    PortsJoined,
    /// A port that is no number.
    PortNotNumber(String),
    /// A port above 65535.
    PortTooHigh(String),
    /// Port 0 to dial.
    PortZero,
    /// Port 0 to leave from.
    BindPortZero,
    /// A range that starts at port 0.
    RangeFromZero,
    /// A range that lacks its first or its last port.
    RangeHalf,
    /// A range whose last port is below its first. What to write instead.
    RangeDescends(String),
    /// A host that ends in a number and is no IPv4 address.
    HostNumeric(String),
    /// A host that is neither a name nor an address.
    HostMalformed(String),
    /// `*` to dial.
    StarDialled,
    /// Not an address to leave from.
    BindHost,
    /// An IPv6 address outside brackets. What to write instead.
    BracketsMissing(String),
    /// Brackets without their other half, or without a port behind them.
    BracketsBroken,
    /// Brackets around something that is no IPv6 address.
    BracketsNotIpv6(String),
    /// A zone that no network interface bears.
    NoInterface(String),
    /// A link-local IPv6 address without the interface it is on. What to write instead.
    ZoneMissing(String),
    /// The name of a Unix socket without `unix:`. What to write instead.
    UnixPrefixMissing(String),
    /// `unix:` alone.
    UnixEmpty,
    /// A Unix socket's name that does not fit into its address.
    UnixTooLong,
    /// `fd:` with something that is not one or two descriptors.
    Descriptor,
    /// `4way:` with something that is no peer and port.
    FourWayForm,
    /// `4way:` with ports alone. What to write instead.
    FourWayPeerMissing(String),
    /// `4way:` with two ranges of different widths.
    FourWayWidths,
    /// `4way:` to listen on.
    FourWayListened,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            AddressFault::Empty => write!(f, "unable to use an empty address: {}", self.fault),
            _ => write!(f, "unable to use address {}: {}", self.word, self.fault),
        }
    }
}

impl std::error::Error for AddressError {}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "expected {FORMS}"),
            Self::UnknownForm => write!(f, "unknown form: expected {FORMS}"),
            Self::NoPort => write!(f, "no port: expected {FORMS}"),
            Self::PortMissing(word) => {
                write!(f, "the port is missing: write {word}PORT, as in {word}8080")
            }
            Self::PortApart(write) => {
                write!(f, "no port: host and port are one word: write {write}")
            }
            Self::NameMalformed => write!(
                f,
                "NAME= is 1 to {SERVICE_NAME_BYTES_MAX} of a-z, 0-9 and -, and there is one at most"
            ),
            Self::Socat(write) => write!(f, "this is socat's spelling: write {write}"),
            Self::SocatOptions(write) => {
                write!(f, "socat's options are not used here: write {write}")
            }
            Self::NotRelayed(why) => {
                write!(f, "{why}: expected a tcp or unix stream socket")
            }
            Self::StdioHalf => write!(f, "half a connection: write - for stdin and stdout"),
            Self::Url(write) => write!(f, "a url is no address: write {write}"),
            Self::ProxyAlone => f.write_str(
                "a proxy is no address: it is named by --via, and listens for us as bind+socks5://HOST:PORT",
            ),
            Self::Proxy(fault) => fault.fmt(f),
            Self::BindDialled => f.write_str(
                "bind+ is to listen: what is dialled goes through a proxy by --via",
            ),
            Self::PortsJoined => write!(
                f,
                "several ports in one word: expected one, or a range as in 2000-2007"
            ),
            Self::PortNotNumber(port) => write!(
                f,
                "port {port} is not a number: expected 1 to 65535, or a range"
            ),
            Self::PortTooHigh(port) => write!(f, "port {port} is too high: expected at most 65535"),
            Self::PortZero => write!(f, "port 0 cannot be dialled: expected 1 to 65535"),
            Self::BindPortZero => write!(f, "port 0 is no port: expected 1 to 65535"),
            Self::RangeFromZero => write!(f, "a range cannot start at port 0: expected 1 to 65535"),
            Self::RangeHalf => write!(f, "half a range: expected both ports, as in 2000-2007"),
            Self::RangeDescends(write) => write!(f, "the range descends: write {write}"),
            Self::HostNumeric(host) => write!(
                f,
                "host {host} ends in a number and is no ipv4 address: expected a name, or an address as in 192.0.2.7"
            ),
            Self::HostMalformed(host) => write!(f, "host {host} is neither a name nor an address"),
            Self::StarDialled => write!(
                f,
                "* is every address to listen on: expected a host to dial"
            ),
            Self::BindHost => write!(
                f,
                "expected ADDR, ADDR:PORT or :PORT, with ADDR an ip address"
            ),
            Self::BracketsMissing(write) => {
                write!(f, "an ipv6 address stands in brackets: write {write}")
            }
            Self::BracketsBroken => write!(f, "expected [IPV6]:PORT"),
            Self::BracketsNotIpv6(host) => {
                write!(f, "{host} is no ipv6 address: brackets are for those")
            }
            Self::NoInterface(zone) => write!(f, "no network interface {zone}"),
            Self::ZoneMissing(write) => write!(f, "a zone is missing: write {write}"),
            Self::UnixPrefixMissing(write) => {
                write!(f, "a unix socket is unix:PATH: write {write}")
            }
            Self::UnixEmpty => write!(f, "no name: expected unix:PATH or unix:@NAME"),
            Self::UnixTooLong => write!(
                f,
                "the name is too long: expected at most {UNIX_NAME_BYTES_MAX} bytes"
            ),
            Self::Descriptor => write!(f, "expected fd:N or fd:R,W"),
            Self::FourWayForm => {
                write!(f, "expected 4way:PEER:PORT or 4way:LOCALPORT:PEER:PORT")
            }
            Self::FourWayPeerMissing(write) => {
                write!(f, "the peer is missing: write {write}")
            }
            Self::FourWayWidths => write!(
                f,
                "a link has a port at each end: expected as many local ports as the peer's"
            ),
            Self::FourWayListened => write!(
                f,
                "both ends dial: expected as LINK, or where something is dialled"
            ),
        }
    }
}

impl std::error::Error for AddressFault {}

const FORMS: &str = "PORT, HOST:PORT, [IPV6]:PORT, unix:PATH, fd:N or -";

/// What can be wrong with the URL of a proxy. Each says what was expected instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// No `SCHEME://`.
    NoScheme,
    /// A scheme that is not spoken.
    Scheme(String),
    /// TLS to the proxy.
    Https,
    /// A scheme whose proxies cannot listen.
    NoBind(String),
    /// No port. What to write instead.
    PortMissing(String),
    /// What is wrong with the host or its port.
    Address(Box<AddressFault>),
    /// Neither a host nor one port.
    NoHost,
    /// A path, or a character of the login that ends it.
    Path,
    /// `%` without two hexadecimal digits behind it, or a user that is not UTF-8.
    Percent,
    /// A password for SOCKS 4.
    PasswordUnknown,
    /// A password without a user.
    UserMissing,
    /// A character that the protocol cannot carry in a user.
    UserCharacter,
    /// A user or a password that the protocol has no room for.
    LoginLength,
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme => write!(f, "no scheme: expected {SCHEMES}"),
            Self::Scheme(scheme) => {
                write!(f, "{scheme} is not supported: expected {SCHEMES}")
            }
            Self::Https => f.write_str(
                "tls to a proxy is not supported: expected http, which asks the proxy in plain text",
            ),
            Self::NoBind(scheme) => {
                write!(f, "a proxy is not asked to listen by {scheme}: expected socks5 or socks4")
            }
            Self::PortMissing(write) => write!(f, "no port: write {write}"),
            Self::Address(fault) => fault.fmt(f),
            Self::NoHost => f.write_str("expected one HOST:PORT"),
            Self::Path => f.write_str(
                "nothing follows the port; write / as %2F, ? as %3F and # as %23 in a password",
            ),
            Self::Percent => {
                f.write_str("% stands before two hexadecimal digits, and a user is utf-8")
            }
            Self::PasswordUnknown => f.write_str("socks4 knows a user and no password"),
            Self::UserMissing => f.write_str("a password without a user"),
            Self::UserCharacter => {
                f.write_str("the user has a character that the protocol cannot carry")
            }
            Self::LoginLength => f.write_str(
                "expected a user and a password of 1 to 255 bytes each, for http of at most 4096",
            ),
        }
    }
}

const SCHEMES: &str = "socks5://HOST:PORT, or socks5h, socks4, socks4a or http";

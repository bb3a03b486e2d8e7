//! What is asked of a proxy, and what it answers, in whichever of its protocols.
//!
//! An [`Inquiry`] is one request to one proxy. Its owner sends the bytes it is given and hands over what the socket holds; the
//! inquiry says how many of those bytes were its own. The others belong to whoever speaks behind the proxy, and stay in the
//! socket: so the owner looks (MSG_PEEK) before it reads.

use std::fmt;
use std::net::IpAddr;

use super::http_connect::HttpConnect;
use super::socks::{Socks4, Socks5};
use crate::report::sanitise;

/// A host and a port, as a proxy is told or tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// A host, as a proxy is told or tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name for the proxy to resolve: 1 to 255 bytes. One that a proxy tells may hold anything.
    Name(Vec<u8>),
}

/// What the proxy is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Connect to the place.
    Connect,
    /// Listen for one connection; SOCKS only.
    Bind,
}

/// Bytes that no message and no log may show.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(pub Vec<u8>);

/// Who asks, where the proxy wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// One request, from its first byte to the last byte of the answer.
///
/// After [`Inquiry::take`] returned [`Progress::Done`] or an error it is used up.
#[derive(Debug)]
pub enum Inquiry {
    /// To a proxy that speaks SOCKS 4 or 4a.
    Socks4(Socks4),
    /// To a proxy that speaks SOCKS 5.
    Socks5(Socks5),
    /// To a proxy that speaks HTTP.
    Http(HttpConnect),
}

/// How far an inquiry is.
#[derive(Debug)]
pub enum Progress {
    /// More bytes have to come.
    More(Inquiry),
    /// These bytes are to be sent; then more have to come.
    Say(Secret, Inquiry),
    /// To [`Command::Bind`]: the proxy listens there. Later it will tell who came.
    Listening(Place, Inquiry),
    /// What comes from now on is from behind the proxy. To [`Command::Bind`]: who came.
    Done(Option<Place>),
}

/// Why a proxy does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The code of a SOCKS 4 answer.
    Socks4(u8),
    /// The reply field of a SOCKS 5 answer (RFC 1928 §6).
    Socks5(u8),
    /// It was not asked: SOCKS 4 has no words for an IPv6 address.
    NoIpv6,
    /// The status of an HTTP answer, and what the proxy says of it.
    Http(u16, Vec<u8>),
    /// It wants to know who asks.
    LoginWanted,
    /// It wants to know who asks in ways that are not spoken here; how it calls them.
    LoginForeign(Vec<u8>),
    /// It does not take the user and the password.
    LoginRefused,
    /// What came is not an answer in that protocol. How it begins.
    NoAnswer(&'static str, Vec<u8>),
    /// The head of an HTTP answer that does not end.
    HeadTooLong,
}

/// What became of a refusal: whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The place refused the connection.
    Refused,
    /// The place cannot be reached from the proxy.
    Unreachable,
    /// The proxy waited for the place in vain.
    Timeout,
    /// The proxy will not do this for us, today or tomorrow.
    Forbidden,
    /// Anything else, which may pass.
    Fault,
}

impl Inquiry {
    /// Takes what is there to read, at least one byte of it; returns how many bytes were its own. The others were not
    /// looked at.
    ///
    /// # Errors
    /// Why the proxy does not do it. The connection is of no more use.
    pub fn take(self, seen: &[u8]) -> Result<(usize, Progress), Refusal> {
        let result = match self {
            Self::Socks4(inquiry) => inquiry.take(seen),
            Self::Socks5(inquiry) => inquiry.take(seen),
            Self::Http(inquiry) => inquiry.take(seen),
        };
        result.map_err(|refusal| match refusal {
            // What was not looked at tells more of what that peer is.
            Refusal::NoAnswer(protocol, begin) if seen.starts_with(&begin) => {
                Refusal::NoAnswer(protocol, first_line(seen).to_vec())
            }
            refusal => refusal,
        })
    }
}

impl Refusal {
    /// What kind of refusal it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Socks5(5) => Kind::Refused,
            Self::Socks5(3 | 4) => Kind::Unreachable,
            Self::Socks5(6) => Kind::Timeout,
            Self::Socks5(2 | 7) | Self::Socks4(92 | 93) => Kind::Forbidden,
            Self::LoginWanted | Self::LoginForeign(_) | Self::LoginRefused | Self::NoAnswer(..) => {
                Kind::Forbidden
            }
            // All that SOCKS 4 has for a server that is down, and for rules that forbid it.
            Self::Socks4(_) => Kind::Refused,
            // RFC 9110 §15.6: proxies say 502 and 503 for a server that refused or could not be reached.
            Self::Http(502 | 503, _) => Kind::Refused,
            Self::Http(504, _) => Kind::Timeout,
            Self::Http(408 | 429, _) => Kind::Fault,
            Self::Http(300..=499, _) => Kind::Forbidden,
            Self::Socks5(_) | Self::NoIpv6 | Self::Http(..) | Self::HeadTooLong => Kind::Fault,
        }
    }

    /// Whether another address of the same place may fare better.
    pub fn concerns_the_address(&self) -> bool {
        matches!(
            self,
            Self::Socks5(1 | 3..=6 | 8) | Self::Socks4(91) | Self::NoIpv6
        )
    }
}

/// Of a peer's text, what fits into a message.
pub(super) fn first_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let end = end.unwrap_or(text.len()).min(SHOWN_BYTES_MAX);
    &text[..end]
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socks4(91) => f.write_str("request rejected or failed"),
            Self::Socks4(92) => f.write_str("the proxy asked an identd here in vain"),
            Self::Socks4(93) => f.write_str("an identd here names another user"),
            Self::Socks4(code) => write!(f, "request failed with code {code}"),
            Self::Socks5(1) => f.write_str("general failure of the proxy"),
            Self::Socks5(2) => f.write_str("connection not allowed by ruleset"),
            Self::Socks5(3) => f.write_str("network unreachable"),
            Self::Socks5(4) => f.write_str("host unreachable"),
            Self::Socks5(5) => f.write_str("connection refused"),
            Self::Socks5(6) => f.write_str("ttl expired"),
            Self::Socks5(7) => f.write_str("the proxy does not support this command"),
            Self::Socks5(8) => f.write_str("the proxy does not support this type of address"),
            Self::Socks5(reply) => write!(f, "request failed with reply {reply}"),
            Self::NoIpv6 => f.write_str("socks4 knows no ipv6 addresses"),
            Self::Http(status, words) => {
                write!(f, "{status}")?;
                match words.is_empty() {
                    true => Ok(()),
                    false => write!(f, " {}", sanitise(words)),
                }
            }
            Self::LoginWanted => f.write_str("the proxy wants a user and a password"),
            Self::LoginForeign(ways) => {
                f.write_str("the proxy wants a login that is not spoken here")?;
                match ways.is_empty() {
                    true => Ok(()),
                    false => write!(f, ": {}", sanitise(ways)),
                }
            }
            Self::LoginRefused => {
                f.write_str("the proxy does not accept this user and this password")
            }
            Self::NoAnswer(protocol, begin) => write!(
                f,
                "this is no {protocol} proxy: it answers {}",
                begin.escape_ascii()
            ),
            Self::HeadTooLong => f.write_str("the head of the answer is too long"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Name(name) => write!(f, "{}:{}", name.escape_ascii(), self.port),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Of a peer's text, in a message.
const SHOWN_BYTES_MAX: usize = 80;

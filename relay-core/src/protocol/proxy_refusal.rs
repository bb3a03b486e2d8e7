//! Why a proxy refuses a request, and whether another try may help.

use std::fmt;

use crate::report::sanitise;

/// Why a proxy refuses a request.
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
    /// It wants to know who asks in ways that are not supported; how it calls them.
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
            Self::NoIpv6 => f.write_str("socks4 has no ipv6 addresses"),
            Self::Http(status, words) => {
                write!(f, "{status}")?;
                match words.is_empty() {
                    true => Ok(()),
                    false => write!(f, " {}", sanitise(words)),
                }
            }
            Self::LoginWanted => f.write_str("the proxy wants a user and a password"),
            Self::LoginForeign(ways) => {
                f.write_str("the proxy wants a login that is not supported")?;
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

/// Of a peer's text, what fits into a message.
pub(super) fn first_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let end = end.unwrap_or(text.len()).min(SHOWN_BYTES_MAX);
    &text[..end]
}

/// Of a peer's text, in a message.
const SHOWN_BYTES_MAX: usize = 80;

//! Requests to proxies and their answers, in each of the proxy protocols.
//!
//! An [`ProxyRequest`] is one request to one proxy. Its owner sends the bytes it is given and hands over what the socket holds; the
//! inquiry says how many of those bytes were its own. The others belong to whoever speaks behind the proxy, and stay in the
//! socket: so the owner looks (MSG_PEEK) before it reads.

use super::http_connect::HttpConnect;
use super::proxy_refusal::first_line;
pub use super::proxy_refusal::{Kind, Refusal};
pub use super::proxy_request::{Command, Host, Login, Place, Progress, Secret};
use super::socks::{Socks4, Socks5};

/// One request, from its first byte to the last byte of the answer.
///
/// After [`ProxyRequest::take`] returned [`Progress::Done`] or an error it is used up.
#[derive(Debug)]
pub enum ProxyRequest {
    /// To a proxy that speaks SOCKS 4 or 4a.
    Socks4(Socks4),
    /// To a proxy that speaks SOCKS 5.
    Socks5(Socks5),
    /// To a proxy that speaks HTTP.
    Http(HttpConnect),
}

impl ProxyRequest {
    /// Returns the first bytes to send to a proxy that speaks SOCKS 4 or 4a, and the request.
    ///
    /// # Errors
    /// SOCKS 4 has no IPv6 addresses.
    pub fn socks4(command: Command, place: &Place, user: &str) -> Result<(Secret, Self), Refusal> {
        let (bytes, request) = Socks4::ask(command, place, user)?;
        Ok((bytes, Self::Socks4(request)))
    }

    /// Returns the first bytes to send to a proxy that speaks SOCKS 5, and the request.
    pub fn socks5(command: Command, place: &Place, login: Option<&Login>) -> (Secret, Self) {
        let (bytes, request) = Socks5::ask(command, place, login);
        (bytes, Self::Socks5(request))
    }

    /// Returns the first bytes to send to a proxy that speaks HTTP, and the request.
    pub fn http(place: &Place, login: Option<&Login>) -> (Secret, Self) {
        let (bytes, request) = HttpConnect::ask(place, login);
        (bytes, Self::Http(request))
    }

    /// Takes what is there to read, at least one byte of it; returns how many bytes were its own. The others were not
    /// looked at.
    ///
    /// # Errors
    /// Why the proxy does not do it. The connection is of no more use.
    pub fn take(self, seen: &[u8]) -> Result<(usize, Progress<Self>), Refusal> {
        let result = match self {
            Self::Socks4(inquiry) => wrapped(inquiry.take(seen), Self::Socks4),
            Self::Socks5(inquiry) => wrapped(inquiry.take(seen), Self::Socks5),
            Self::Http(inquiry) => wrapped(inquiry.take(seen), Self::Http),
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

fn wrapped<I, J>(
    result: Result<(usize, Progress<I>), Refusal>,
    wrap: impl FnOnce(I) -> J,
) -> Result<(usize, Progress<J>), Refusal> {
    result.map(|(count, progress)| (count, progress.map(wrap)))
}

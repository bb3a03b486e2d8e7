//! HTTP's CONNECT as its clients speak it (RFC 9110 §9.3.6), with a user and a password if need be (Basic, RFC 7617).
//!
//! The head of the answer ends with an empty line, and what is behind it is from behind the proxy. As long as that line has
//! not come, every byte belongs to the head, and can be taken.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::proxy_refusal::{Refusal, first_line};
use super::proxy_request::{Host, Login, Place, Progress, Secret};
use crate::limits::{HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX};

/// A request that waits for the head of the answer.
#[derive(Debug)]
pub struct HttpConnect {
    head: Vec<u8>,
    /// Bytes of interim answers (1xx) before this one.
    skipped: usize,
    login_sent: LoginSent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoginSent {
    No,
    Yes,
}

impl HttpConnect {
    /// Asks the proxy to connect to a place. The user and the password are sent at once: a proxy that asks for them would close
    /// the connection.
    pub(super) fn ask(place: &Place, login: Option<&Login>) -> (Secret, Self) {
        let authority = match &place.host {
            Host::Name(name) => format!("{}:{}", String::from_utf8_lossy(name), place.port),
            Host::Ip(_) => place.to_string(),
        };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(Login { user, password }) = login {
            let pair = [user.as_bytes(), b":", &password.0].concat();
            let _ = write!(
                request,
                "Proxy-Authorization: Basic {}\r\n",
                BASE64.encode(pair)
            );
        }
        request.push_str("\r\n");
        let inquiry = Self {
            head: Vec::new(),
            skipped: 0,
            login_sent: match login {
                Some(_) => LoginSent::Yes,
                None => LoginSent::No,
            },
        };
        (Secret(request.into_bytes()), inquiry)
    }

    pub(super) fn take(mut self, seen: &[u8]) -> Result<(usize, Progress<Self>), Refusal> {
        let mut taken = 0;
        for byte in seen {
            if self.skipped + self.head.len() == HTTP_HEAD_BYTES_MAX {
                return Err(Refusal::HeadTooLong);
            }
            self.head.push(*byte);
            taken += 1;
            let begin = &self.head[..self.head.len().min(BEGIN.len())];
            if *begin != BEGIN[..begin.len()] {
                return Err(no_answer(&self.head));
            }
            if self.head.ends_with(b"\n\n") || self.head.ends_with(b"\n\r\n") {
                match read_head(&self.head, self.login_sent)? {
                    Answer::Interim => {
                        self.skipped += self.head.len();
                        self.head.clear();
                    }
                    Answer::Connected => return Ok((taken, Progress::Done(None))),
                }
            }
        }
        Ok((taken, Progress::More(self)))
    }
}

enum Answer {
    Interim,
    Connected,
}

/// A 2xx has no body, whatever its fields say (RFC 9110 §9.3.6).
fn read_head(head: &[u8], login_sent: LoginSent) -> Result<Answer, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; HTTP_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let whole = response
        .parse(head)
        .is_ok_and(|status| status.is_complete());
    match response.code {
        Some(100 | 102..=199) if whole => Ok(Answer::Interim),
        Some(200..=299) if whole => Ok(Answer::Connected),
        // Some proxies mistake themselves for a server, and say 401.
        Some(401 | 407) if whole && login_sent == LoginSent::Yes => Err(Refusal::LoginRefused),
        Some(407) if whole => {
            let ways = ways_to_log_in(response.headers);
            let basic =
                ways.is_empty() || ways.iter().any(|way| way.eq_ignore_ascii_case(b"basic"));
            Err(match basic {
                true => Refusal::LoginWanted,
                false => Refusal::LoginForeign(first_line(&ways.join(&b", "[..])).to_vec()),
            })
        }
        Some(status) if whole => {
            let words = response.reason.unwrap_or_default().as_bytes();
            Err(Refusal::Http(status, first_line(words).to_vec()))
        }
        _ => Err(no_answer(head)),
    }
}

/// The schemes of Proxy-Authenticate, as in `Negotiate, Basic realm="a, b", charset="UTF-8"` (RFC 9110 §11.6.1).
fn ways_to_log_in<'h>(fields: &[httparse::Header<'h>]) -> Vec<&'h [u8]> {
    let schemes = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("Proxy-Authenticate"))
        .flat_map(|field| {
            let mut quoted = false;
            field.value.split(move |byte| {
                quoted ^= *byte == b'"';
                *byte == b',' && !quoted
            })
        })
        .filter_map(|element| element.trim_ascii().split(|byte| *byte == b' ').next())
        // Further parameters of the scheme before.
        .filter(|word| !word.is_empty() && !word.contains(&b'='));
    schemes.collect()
}

fn no_answer(head: &[u8]) -> Refusal {
    Refusal::NoAnswer("http", first_line(head).to_vec())
}

const BEGIN: &[u8] = b"HTTP/1.";

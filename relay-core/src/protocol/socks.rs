//! SOCKS as its clients speak it: version 4 with its extension 4a (openssh.com/txt/socks4.protocol, socks4a.protocol), and
//! version 5 (RFC 1928) with a user and a password (RFC 1929).
//!
//! Each state is named for what it waits for, and knows how long the answer is as far as it was read, so that no byte behind
//! it is taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::proxy_refusal::Refusal;
use super::proxy_request::{Command, Host, Login, Place, Progress, Secret};

/// A request by SOCKS 4 or 4a.
#[derive(Debug)]
pub struct Socks4 {
    answer: Vec<u8>,
    expected: Expected,
}

/// A request by SOCKS 5.
#[derive(Debug)]
pub enum Socks5 {
    /// Which way to log in the proxy chose.
    ExpectMethod(ExpectMethod),
    /// Whether it takes the password.
    ExpectStatus(ExpectStatus),
    /// Whether the proxy grants the request.
    ExpectReply(ExpectReply),
}

/// See [`Socks5`].
#[derive(Debug)]
pub struct ExpectMethod {
    answer: Vec<u8>,
    login: Option<Secret>,
    request: Vec<u8>,
    command: Command,
}

/// See [`Socks5`].
#[derive(Debug)]
pub struct ExpectStatus {
    answer: Vec<u8>,
    request: Vec<u8>,
    command: Command,
}

/// See [`Socks5`].
#[derive(Debug)]
pub struct ExpectReply {
    answer: Vec<u8>,
    expected: Expected,
}

/// Which answer comes next.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The only one there is.
    Connected,
    /// That the proxy listens.
    Listening,
    /// That a client connected to it.
    Client,
}

impl Socks4 {
    /// Asks the proxy for a place: a name is for the proxy to resolve (4a). An IPv6 address it cannot be asked for.
    pub(super) fn ask(
        command: Command,
        place: &Place,
        user: &str,
    ) -> Result<(Secret, Self), Refusal> {
        let (ip, name) = match &place.host {
            Host::Ip(IpAddr::V4(ip)) => (*ip, None),
            Host::Ip(IpAddr::V6(_)) => return Err(Refusal::NoIpv6),
            Host::Name(name) => (NAME_FOLLOWS, Some(name)),
        };
        let mut request = vec![4, command.code()];
        request.extend(place.port.to_be_bytes());
        request.extend(ip.octets());
        request.extend(user.bytes());
        request.push(0);
        if let Some(name) = name {
            request.extend(name);
            request.push(0);
        }
        let inquiry = Self {
            answer: Vec::with_capacity(SOCKS4_ANSWER_BYTES),
            expected: Expected::first(command),
        };
        Ok((Secret(request), inquiry))
    }

    pub(super) fn take(mut self, seen: &[u8]) -> Result<(usize, Progress<Self>), Refusal> {
        let taken = fill(&mut self.answer, SOCKS4_ANSWER_BYTES, seen);
        // The document has 0 for the version of the answer; some proxies say 4.
        if !matches!(self.answer.first(), Some(0 | 4)) {
            return Err(Refusal::NoAnswer("socks4", self.answer));
        }
        match self.answer[..] {
            [_, code, ..] if code != SOCKS4_GRANTED => Err(Refusal::Socks4(code)),
            [_, _, high, low, a, b, c, d] => {
                let place = Place {
                    host: Host::Ip(Ipv4Addr::new(a, b, c, d).into()),
                    port: u16::from_be_bytes([high, low]),
                };
                let next = |expected| Self {
                    answer: Vec::with_capacity(SOCKS4_ANSWER_BYTES),
                    expected,
                };
                Ok((taken, self.expected.fulfilled(place, next)))
            }
            _ => Ok((taken, Progress::More(self))),
        }
    }
}

impl Socks5 {
    /// Asks the proxy for a place. The user and the password are told only if the proxy wants them, in at most 255 bytes each.
    pub(super) fn ask(command: Command, place: &Place, login: Option<&Login>) -> (Secret, Self) {
        let methods: &[u8] = match login {
            None => &[5, 1, NO_LOGIN],
            Some(_) => &[5, 2, NO_LOGIN, PASSWORD],
        };
        let inquiry = ExpectMethod {
            answer: Vec::with_capacity(2),
            login: login.map(encode_login),
            request: encode_request(command, place),
            command,
        };
        (Secret(methods.to_vec()), (Self::ExpectMethod(inquiry)))
    }

    pub(super) fn take(self, seen: &[u8]) -> Result<(usize, Progress<Socks5>), Refusal> {
        match self {
            Self::ExpectMethod(state) => state.take(seen),
            Self::ExpectStatus(state) => state.take(seen),
            Self::ExpectReply(state) => state.take(seen),
        }
    }
}

impl ExpectMethod {
    fn take(mut self, seen: &[u8]) -> Result<(usize, Progress<Socks5>), Refusal> {
        let taken = fill(&mut self.answer, 2, seen);
        check_version(&self.answer, 5)?;
        let [_, method] = self.answer[..] else {
            let inquiry = Socks5::ExpectMethod(self);
            return Ok((taken, Progress::More(inquiry)));
        };
        let progress = match (method, self.login) {
            (NO_LOGIN, _) => Progress::Send(
                Secret(self.request),
                Socks5::ExpectReply(ExpectReply::new(Expected::first(self.command))),
            ),
            (PASSWORD, Some(login)) => Progress::Send(
                login,
                Socks5::ExpectStatus(ExpectStatus {
                    answer: Vec::with_capacity(2),
                    request: self.request,
                    command: self.command,
                }),
            ),
            (NONE_OF_THESE, None) => return Err(Refusal::LoginWanted),
            (NONE_OF_THESE, Some(_)) => return Err(Refusal::LoginForeign(Vec::new())),
            _ => return Err(Refusal::NoAnswer("socks5", self.answer)),
        };
        Ok((taken, progress))
    }
}

impl ExpectStatus {
    fn take(mut self, seen: &[u8]) -> Result<(usize, Progress<Socks5>), Refusal> {
        let taken = fill(&mut self.answer, 2, seen);
        match self.answer[..] {
            // RFC 1929 §2 has 1 for the version. Some proxies repeat 5.
            [1 | 5, 0] => {
                let inquiry = ExpectReply::new(Expected::first(self.command));
                Ok((
                    taken,
                    Progress::Send(Secret(self.request), Socks5::ExpectReply(inquiry)),
                ))
            }
            [1 | 5, _] => Err(Refusal::LoginRefused),
            [1 | 5] => Ok((taken, Progress::More(Socks5::ExpectStatus(self)))),
            _ => Err(Refusal::NoAnswer("socks5", self.answer)),
        }
    }
}

impl ExpectReply {
    fn new(expected: Expected) -> Self {
        Self {
            answer: Vec::new(),
            expected,
        }
    }

    fn take(mut self, seen: &[u8]) -> Result<(usize, Progress<Socks5>), Refusal> {
        let mut taken = 0;
        loop {
            let length = self.length()?;
            if self.answer.len() == length {
                break;
            }
            let count = fill(&mut self.answer, length, &seen[taken..]);
            if count == 0 {
                let inquiry = Socks5::ExpectReply(self);
                return Ok((taken, Progress::More(inquiry)));
            }
            taken += count;
        }
        let next = |expected| Socks5::ExpectReply(Self::new(expected));
        let Some(place) = place(&self.answer[3..]) else {
            return Err(Refusal::NoAnswer("socks5", self.answer));
        };
        Ok((taken, self.expected.fulfilled(place, next)))
    }

    /// How long the answer is, as far as it can be told; it is whole when it is as long. That it is a refusal is known
    /// from two bytes, and some proxies send no more.
    fn length(&self) -> Result<usize, Refusal> {
        check_version(&self.answer, 5)?;
        match self.answer[..] {
            [] | [_] => Ok(2),
            [_, reply, ..] if reply != 0 => Err(Refusal::Socks5(reply)),
            [_, _, _, TYPE_V4, _, ..] => Ok(4 + 4 + 2),
            [_, _, _, TYPE_V6, _, ..] => Ok(4 + 16 + 2),
            [_, _, _, TYPE_NAME, length, ..] => Ok(4 + 1 + usize::from(length) + 2),
            [_, _, _, _, _, ..] => Err(Refusal::NoAnswer("socks5", self.answer.clone())),
            _ => Ok(5),
        }
    }
}

impl Expected {
    fn first(command: Command) -> Self {
        match command {
            Command::Connect => Self::Connected,
            Command::Bind => Self::Listening,
        }
    }

    fn fulfilled<I>(self, place: Place, next: impl FnOnce(Self) -> I) -> Progress<I> {
        match self {
            // Where the proxy dialled from says nothing; half of them make it up.
            Self::Connected => Progress::Done(None),
            Self::Listening => Progress::Listening(place, next(Self::Client)),
            Self::Client => Progress::Done(Some(place)),
        }
    }
}

impl Command {
    fn code(self) -> u8 {
        match self {
            Self::Connect => 1,
            Self::Bind => 2,
        }
    }
}

/// Takes as many bytes as the answer lacks to be `length` long.
fn fill(answer: &mut Vec<u8>, length: usize, seen: &[u8]) -> usize {
    let count = seen.len().min(length - answer.len());
    answer.extend(&seen[..count]);
    count
}

fn check_version(answer: &[u8], version: u8) -> Result<(), Refusal> {
    match answer.first() {
        Some(first) if *first != version => Err(Refusal::NoAnswer("socks5", answer.to_vec())),
        _ => Ok(()),
    }
}

/// RFC 1929 §2.
fn encode_login(login: &Login) -> Secret {
    let mut bytes = vec![1];
    for text in [login.user.as_bytes(), &login.password.0] {
        let text = &text[..text.len().min(TEXT_BYTES_MAX)];
        bytes.push(text.len() as u8);
        bytes.extend(text);
    }
    Secret(bytes)
}

/// RFC 1928 §4.
fn encode_request(command: Command, place: &Place) -> Vec<u8> {
    let mut request = vec![5, command.code(), 0];
    match &place.host {
        Host::Ip(IpAddr::V4(ip)) => {
            request.push(TYPE_V4);
            request.extend(ip.octets());
        }
        Host::Ip(IpAddr::V6(ip)) => {
            request.push(TYPE_V6);
            request.extend(ip.octets());
        }
        Host::Name(name) => {
            let name = &name[..name.len().min(TEXT_BYTES_MAX)];
            request.extend([TYPE_NAME, name.len() as u8]);
            request.extend(name);
        }
    }
    request.extend(place.port.to_be_bytes());
    request
}

/// The place behind the type of its address, which has exactly the bytes it needs. A v4-mapped address is IPv4.
fn place(bytes: &[u8]) -> Option<Place> {
    let (kind, rest) = bytes.split_first()?;
    let (host, port) = rest.split_last_chunk::<2>()?;
    let host = match *kind {
        TYPE_V4 => Host::Ip(Ipv4Addr::from(<[u8; 4]>::try_from(host).ok()?).into()),
        TYPE_V6 => {
            Host::Ip(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(host).ok()?)).to_canonical())
        }
        _ => Host::Name(host.get(1..)?.to_vec()),
    };
    Some(Place {
        host,
        port: u16::from_be_bytes(*port),
    })
}

const SOCKS4_ANSWER_BYTES: usize = 8;
const SOCKS4_GRANTED: u8 = 90;
/// 0.0.0.x with an x that is not 0 says that the name stands behind the user.
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_OF_THESE: u8 = 0xff;
const TYPE_V4: u8 = 1;
const TYPE_NAME: u8 = 3;
const TYPE_V6: u8 = 4;
/// A length of one byte stands before each text.
const TEXT_BYTES_MAX: usize = 255;

//! The URL of a proxy, in `--via` and behind `bind+`.
//!
//! A URL may hold a password. It is shown without, here and wherever the typed text is repeated ([`without_password`]).

use std::fmt;

use super::parse::{is_digits, parse_target};
use super::{AddressFault, TargetAt, TargetHost};
use crate::protocol::proxy::{Login, Secret};

/// A proxy, and who asks it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// How it is spoken to.
    pub protocol: ProxyProtocol,
    /// Its host.
    pub host: TargetHost,
    /// Its port.
    pub port: u16,
    /// Who asks.
    pub user: Option<String>,
    /// The password; there is none without a user.
    pub password: Option<Secret>,
}

/// How a proxy is spoken to, and who resolves the names that it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// SOCKS 4: names are resolved here.
    Socks4,
    /// SOCKS 4a: names are resolved there.
    Socks4a,
    /// SOCKS 5: names are resolved here.
    Socks5,
    /// SOCKS 5: names are resolved there.
    Socks5h,
    /// HTTP's CONNECT: names are resolved there.
    Http,
}

/// What can be wrong with the URL of a proxy. Each says what was expected instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// No `SCHEME://`.
    NoScheme,
    /// A scheme that is not spoken.
    Scheme(String),
    /// TLS to the proxy.
    Https,
    /// A scheme that cannot be asked to listen.
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

/// Reads a URL: `SCHEME://[USER[:PASSWORD]@]HOST:PORT`.
pub fn parse_proxy(url: &str) -> Result<Proxy, ProxyFault> {
    let (scheme, rest) = url.split_once("://").ok_or(ProxyFault::NoScheme)?;
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "socks4" => ProxyProtocol::Socks4,
        "socks4a" => ProxyProtocol::Socks4a,
        "socks5" => ProxyProtocol::Socks5,
        "socks5h" => ProxyProtocol::Socks5h,
        "http" => ProxyProtocol::Http,
        "https" => return Err(ProxyFault::Https),
        _ => return Err(ProxyFault::Scheme(scheme.to_owned())),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err(ProxyFault::Path);
    }
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, rest),
    };
    let (host, port) = parse_place(place, protocol)?;
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        None => (None, None),
        Some((user, _)) if !login.is_some_and(|login| login.contains(':')) => {
            (Some(decode(user)?), None)
        }
        Some((user, password)) => (Some(decode(user)?), Some(decode(password)?)),
    };
    let user = user
        .map(|user| String::from_utf8(user).map_err(|_| ProxyFault::Percent))
        .transpose()?;
    let proxy = Proxy {
        protocol,
        host,
        port,
        user,
        password: password.map(Secret),
    };
    proxy.check_login()?;
    Ok(proxy)
}

/// Reads the URL behind `bind+`.
pub(super) fn parse_bind_proxy(url: &str) -> Result<Proxy, ProxyFault> {
    let proxy = parse_proxy(url)?;
    match proxy.protocol {
        ProxyProtocol::Socks4 | ProxyProtocol::Socks5 => Ok(proxy),
        other => Err(ProxyFault::NoBind(other.scheme().to_owned())),
    }
}

/// A typed text as it may be repeated: where it looks like a URL with a password, without that.
pub fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((login, place)) => {
            let user = login.split(':').next().unwrap_or(login);
            format!("{scheme}://{user}@{place}")
        }
        None => text.to_owned(),
    }
}

impl Proxy {
    /// Who asks, once the password is known.
    pub fn login(&self) -> Option<Login> {
        Some(Login {
            user: self.user.clone()?,
            password: self.password.clone()?,
        })
    }

    /// There is a user, and no password yet.
    pub fn lacks_password(&self) -> bool {
        let has_passwords = !matches!(
            self.protocol,
            ProxyProtocol::Socks4 | ProxyProtocol::Socks4a
        );
        has_passwords && self.user.is_some() && self.password.is_none()
    }

    /// Whether the protocol has room for the user and the password.
    ///
    /// # Errors
    /// What was expected.
    pub fn check_login(&self) -> Result<(), ProxyFault> {
        let Some(user) = &self.user else {
            return Ok(());
        };
        let password = self.password.as_ref().map(|password| password.0.len());
        match self.protocol {
            ProxyProtocol::Socks4 | ProxyProtocol::Socks4a => {
                if password.is_some() {
                    Err(ProxyFault::PasswordUnknown)
                } else if user.contains('\0') {
                    Err(ProxyFault::UserCharacter)
                } else if user.len() > LOGIN_BYTES_MAX {
                    Err(ProxyFault::LoginLength)
                } else {
                    Ok(())
                }
            }
            ProxyProtocol::Socks5 | ProxyProtocol::Socks5h => {
                let fits = |length| (1..=LOGIN_BYTES_MAX).contains(&length);
                match fits(user.len()) && password.is_none_or(fits) {
                    true => Ok(()),
                    false => Err(ProxyFault::LoginLength),
                }
            }
            ProxyProtocol::Http if user.is_empty() => Err(ProxyFault::UserMissing),
            ProxyProtocol::Http if user.contains(':') => Err(ProxyFault::UserCharacter),
            // The whole request has to fit into what any proxy takes for its head.
            ProxyProtocol::Http => match user.len().max(password.unwrap_or(0)) {
                0..=HTTP_LOGIN_BYTES_MAX => Ok(()),
                _ => Err(ProxyFault::LoginLength),
            },
        }
    }
}

impl ProxyProtocol {
    /// Its scheme in a URL.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
            Self::Http => "http",
        }
    }

    /// Whether names are resolved here, and the proxy is asked for addresses.
    pub fn resolves_here(self) -> bool {
        matches!(self, Self::Socks4 | Self::Socks5)
    }
}

fn parse_place(place: &str, protocol: ProxyProtocol) -> Result<(TargetHost, u16), ProxyFault> {
    let targets = match parse_target(place) {
        _ if is_digits(place) => return Err(ProxyFault::NoHost),
        Ok(targets) => targets,
        Err(error) => {
            return Err(match error.fault {
                AddressFault::NoPort
                | AddressFault::PortMissing(_)
                | AddressFault::BracketsBroken => {
                    let scheme = protocol.scheme();
                    let host = place.strip_suffix(':').unwrap_or(place);
                    ProxyFault::PortMissing(format!("{scheme}://{host}:{}", protocol.usual_port()))
                }
                AddressFault::Empty => ProxyFault::NoHost,
                fault => ProxyFault::Address(Box::new(fault)),
            });
        }
    };
    match targets.as_slice() {
        [target] => match &target.at {
            TargetAt::Tcp { host, port } => Ok((host.clone(), *port)),
            _ => Err(ProxyFault::NoHost),
        },
        _ => Err(ProxyFault::NoHost),
    }
}

impl ProxyProtocol {
    /// For an example in a message.
    fn usual_port(self) -> u16 {
        match self {
            Self::Http => 3128,
            _ => 1080,
        }
    }
}

/// Takes the percent-encoding off (RFC 3986 §2.1).
fn decode(text: &str) -> Result<Vec<u8>, ProxyFault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, behind) = rest.split_first_chunk::<2>().ok_or(ProxyFault::Percent)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(ProxyFault::Percent);
        bytes.push((digit(digits[0])? << 4 | digit(digits[1])?) as u8);
        rest = behind;
    }
    Ok(bytes)
}

/// The proxy as messages name it.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.protocol.scheme();
        write!(f, "{scheme} proxy {}:{}", self.host, self.port)
    }
}

/// The URL, without the password.
pub(super) fn write_url(f: &mut fmt::Formatter<'_>, proxy: &Proxy) -> fmt::Result {
    write!(f, "{}://", proxy.protocol.scheme())?;
    if let Some(user) = &proxy.user {
        for byte in user.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    write!(f, "{}", char::from(byte))?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        f.write_str("@")?;
    }
    write!(f, "{}:{}", proxy.host, proxy.port)
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme => write!(f, "no scheme: expected {SCHEMES}"),
            Self::Scheme(scheme) => {
                write!(f, "{scheme} is not spoken here: expected {SCHEMES}")
            }
            Self::Https => f.write_str(
                "tls to a proxy is not spoken here: expected http, which asks the proxy in plain text",
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

/// RFC 1929 §2.
const LOGIN_BYTES_MAX: usize = 255;

const HTTP_LOGIN_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(url: &str) -> Proxy {
        parse_proxy(url).unwrap_or_else(|fault| panic!("{url}: {fault}"))
    }

    fn name(name: &str) -> TargetHost {
        TargetHost::Name(name.to_owned())
    }

    #[test]
    fn each_scheme_says_who_resolves_names() {
        for (url, protocol, here) in [
            ("socks4://fw:1080", ProxyProtocol::Socks4, true),
            ("socks4a://fw:1080", ProxyProtocol::Socks4a, false),
            ("socks5://fw:1080", ProxyProtocol::Socks5, true),
            ("SOCKS5h://fw:1080/", ProxyProtocol::Socks5h, false),
            ("http://fw:3128", ProxyProtocol::Http, false),
        ] {
            let proxy = parsed(url);
            assert_eq!((proxy.protocol, &proxy.host), (protocol, &name("fw")));
            assert_eq!(proxy.protocol.resolves_here(), here);
        }
    }

    #[test]
    fn a_login_may_hold_any_byte() {
        let proxy = parsed("socks5://jo%40corp:p%3aw%2Fd%ff@[::1]:1080");
        assert_eq!(proxy.user.as_deref(), Some("jo@corp"));
        assert_eq!(proxy.password, Some(Secret(b"p:w/d\xff".to_vec())));
        assert_eq!(proxy.host, TargetHost::Ip("::1".parse().unwrap(), 0));
        let careless = parsed("http://jo:p@ss:w@fw:1");
        assert_eq!(careless.password, Some(Secret(b"p@ss:w".to_vec())));
        let user = parsed("http://jo@fw:1");
        assert!(user.password.is_none() && user.lacks_password());
        assert!(!parsed("http://jo:@fw:1").lacks_password());
        assert!(!parsed("socks4://jo@fw:1").lacks_password());
    }

    #[test]
    fn no_text_shows_a_password() {
        let proxy = parsed("socks5://jo:secret@fw:1080");
        assert_eq!(proxy.to_string(), "socks5 proxy fw:1080");
        assert!(!format!("{proxy:?}").contains("secret"));
        assert!(!format!("{:?}", proxy.login()).contains("secret"));
        for (typed, shown) in [
            ("socks5://jo:secret@fw:1080", "socks5://jo@fw:1080"),
            ("socks5://jo:se@cr:et@fw:1080", "socks5://jo@fw:1080"),
            ("bind+socks5://jo:secret/@fw", "bind+socks5://jo@fw"),
            ("socks5://fw:1080", "socks5://fw:1080"),
            ("unix:/run/a:b@c", "unix:/run/a:b@c"),
        ] {
            assert_eq!(without_password(typed), shown);
        }
    }

    #[test]
    fn each_url_that_cannot_be_used_is_refused_with_its_reason() {
        for (url, why) in [
            (
                "fw:1080",
                "no scheme: expected socks5://HOST:PORT, or socks5h, socks4, socks4a or http",
            ),
            (
                "ssh://fw:22",
                "ssh is not spoken here: expected socks5://HOST:PORT, or socks5h, socks4, socks4a or http",
            ),
            (
                "https://fw:443",
                "tls to a proxy is not spoken here: expected http, which asks the proxy in plain text",
            ),
            ("socks5://fw", "no port: write socks5://fw:1080"),
            ("http://[::1]:", "no port: write http://[::1]:3128"),
            ("http://[::1]", "no port: write http://[::1]:3128"),
            ("socks5://", "expected one HOST:PORT"),
            ("socks5://1080", "expected one HOST:PORT"),
            ("socks5://-", "expected one HOST:PORT"),
            ("socks5://fw:1-2", "expected one HOST:PORT"),
            (
                "socks5://unix:/run/x",
                "nothing follows the port; write / as %2F, ? as %3F and # as %23 in a password",
            ),
            (
                "socks5://jo:a/b@fw:1",
                "nothing follows the port; write / as %2F, ? as %3F and # as %23 in a password",
            ),
            (
                "socks5://fw:0",
                "port 0 cannot be dialled: expected 1 to 65535",
            ),
            (
                "socks5://::1:1080",
                "an ipv6 address stands in brackets: write [::1]:1080",
            ),
            (
                "socks5://jo:%4@fw:1",
                "% stands before two hexadecimal digits, and a user is utf-8",
            ),
            (
                "socks5://jo:%zz@fw:1",
                "% stands before two hexadecimal digits, and a user is utf-8",
            ),
            (
                "socks5://%ff:x@fw:1",
                "% stands before two hexadecimal digits, and a user is utf-8",
            ),
            ("socks4://jo:x@fw:1", "socks4 knows a user and no password"),
            (
                "socks4://a%00@fw:1",
                "the user has a character that the protocol cannot carry",
            ),
            (
                "http://a%3a:x@fw:1",
                "the user has a character that the protocol cannot carry",
            ),
            ("http://:x@fw:1", "a password without a user"),
            (
                "socks5://:x@fw:1",
                "expected a user and a password of 1 to 255 bytes each, for http of at most 4096",
            ),
            (
                "socks5://jo:@fw:1",
                "expected a user and a password of 1 to 255 bytes each, for http of at most 4096",
            ),
        ] {
            assert_eq!(parse_proxy(url).unwrap_err().to_string(), why, "{url}");
        }
        assert_eq!(
            parse_bind_proxy("http://fw:3128").unwrap_err().to_string(),
            "a proxy is not asked to listen by http: expected socks5 or socks4"
        );
        let long = format!("socks5://jo:{}@fw:1", "x".repeat(256));
        assert_eq!(parse_proxy(&long), Err(ProxyFault::LoginLength));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(url in ".*", grammar in r"(socks[45][ah]?|http)://[0-9a-f:\[\]%@./-]{0,24}") {
            for url in [&url, &grammar] {
                let _ = (parse_proxy(url), without_password(url));
            }
        }

        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 1..256)) {
            let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(parsed(&format!("socks5://jo:{encoded}@fw:1")).password, Some(Secret(bytes)));
        }
    }
}

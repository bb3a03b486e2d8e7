//! The URL of a proxy, in `--via` and behind `bind+`.
//!
//! A URL may hold a password. It is shown without, here and wherever the typed text is repeated ([`without_password`]).

use std::fmt;

use super::error::ProxyFault;
use super::host::TargetHost;
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

/// The protocol of a proxy, and which side resolves names.
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

    /// Returns whether names are resolved here, so that the proxy gets addresses.
    pub fn resolves_here(self) -> bool {
        matches!(self, Self::Socks4 | Self::Socks5)
    }
}

impl ProxyProtocol {
    /// For an example in a message.
    pub(super) fn usual_port(self) -> u16 {
        match self {
            Self::Http => 3128,
            _ => 1080,
        }
    }
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

/// RFC 1929 §2.
const LOGIN_BYTES_MAX: usize = 255;

const HTTP_LOGIN_BYTES_MAX: usize = 4096;

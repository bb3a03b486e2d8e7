//! Words that other programs would understand: socat's addresses, URLs, bare paths. None of them is an address here,
//! and each is answered with what to write instead, or with why there is nothing to write.
//!
//! netcat's `HOST PORT` takes two words to recognise: [`AddressError::followed_by`].

use super::error::{AddressError, AddressFault};
use super::host::is_host;
use super::text::{is_digits, is_ports};
use super::word::{parse_tcp, parse_unix};

/// What is wrong with a word of another program's, if it is one.
pub(super) fn explain_foreign(word: &str) -> Option<AddressFault> {
    explain_path(word)
        .or_else(|| explain_url(word))
        .or_else(|| explain_socat(word))
}

/// A path may hold a comma, so that behind `unix:` only what socat knows as an option is taken for one.
pub(super) fn explain_unix_options(name: &str) -> Option<AddressFault> {
    let (path, options) = name.split_once(',')?;
    let keyword = |option: &str| option.split('=').next().unwrap_or(option).to_owned();
    options
        .split(',')
        .all(|option| SOCAT_UNIX_OPTIONS.contains(&keyword(option).as_str()))
        .then(|| AddressFault::SocatOptions(format!("unix:{path}")))
}

impl AddressError {
    /// The same error in the light of the word that follows: in `srv 80` the host is not wrong, it stands apart.
    #[must_use]
    pub fn followed_by(self, next: Option<&str>) -> Self {
        let lacks_port = matches!(
            self.fault,
            AddressFault::NoPort | AddressFault::PortMissing(_) | AddressFault::BracketsBroken
        );
        let host = self.word.strip_suffix(':').unwrap_or(&self.word);
        match next {
            Some(port) if lacks_port && is_digits(port) && is_host(host) => Self {
                fault: AddressFault::PortApart(format!("{host}:{port}")),
                word: self.word,
            },
            _ => self,
        }
    }
}

fn explain_path(word: &str) -> Option<AddressFault> {
    let is_path = ["/", "./", "../", "@"]
        .iter()
        .any(|start| word.starts_with(start));
    is_path.then(|| match parse_unix(word) {
        Ok(_) => AddressFault::UnixPrefixMissing(format!("unix:{word}")),
        Err(fault) => fault,
    })
}

/// The host and the port of a URL are an address; the scheme tells the port where the URL does not.
fn explain_url(word: &str) -> Option<AddressFault> {
    let (scheme, rest) = word.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme.contains("socks") {
        return Some(AddressFault::ProxyAlone);
    }
    if scheme.starts_with("udp") {
        return Some(AddressFault::NotRelayed("udp is not relayed"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let port = match scheme.as_str() {
        "http" | "ws" => "80",
        "https" | "wss" => "443",
        _ => "PORT",
    };
    Some(match parse_tcp(host) {
        Ok(_) => AddressFault::Url(host.to_owned()),
        Err(AddressFault::BracketsMissing(write)) => AddressFault::Url(write),
        Err(_) => match host.trim_end_matches(':') {
            host if is_host(host) => AddressFault::Url(format!("{host}:{port}")),
            _ => AddressFault::Url("HOST:PORT".to_owned()),
        },
    })
}

/// A host may well be called `tcp` or `exec`, so that `tcp:80` is its port 80; but hardly `tcp-l`.
fn explain_socat(word: &str) -> Option<AddressFault> {
    match word.to_ascii_lowercase().as_str() {
        "stdio" => return Some(AddressFault::Socat("-".to_owned())),
        "stdin" | "stdout" | "stderr" => return Some(AddressFault::StdioHalf),
        _ => {}
    }
    let (keyword, rest) = word.split_once(':')?;
    let keyword = keyword.to_ascii_lowercase();
    let (family, role) = keyword.split_once('-').unwrap_or((&keyword, ""));
    if role.is_empty() && is_ports(rest) {
        return None;
    }
    let address = rest.split(',').next().unwrap_or(rest);
    match (family, role) {
        ("tcp" | "tcp4" | "tcp6", "") if !rest.contains(':') => None,
        ("tcp" | "tcp4" | "tcp6", "" | "connect" | "l" | "listen") => {
            Some(match parse_tcp(address) {
                Ok(_) => AddressFault::Socat(address.to_owned()),
                Err(AddressFault::BracketsMissing(write)) => AddressFault::Socat(write),
                Err(fault) => fault,
            })
        }
        ("unix", "" | "l" | "listen" | "connect" | "client") => Some(explain_unix(address)),
        ("abstract", "l" | "listen" | "connect" | "client") => {
            Some(explain_unix(&format!("@{address}")))
        }
        ("fd", "") => Some(AddressFault::Socat(format!("fd:{address}"))),
        _ if !role.is_empty() && !SOCAT_ROLES.contains(&role) => None,
        ("udp" | "udp4" | "udp6" | "udplite" | "udplite4" | "udplite6", _) => {
            Some(AddressFault::NotRelayed("udp is not relayed"))
        }
        ("sctp" | "sctp4" | "sctp6" | "dccp" | "vsock" | "ip" | "ip4" | "ip6", _) => {
            Some(AddressFault::NotRelayed("this protocol is not relayed"))
        }
        ("exec" | "system" | "shell", "") => {
            Some(AddressFault::NotRelayed("a program is no address"))
        }
        ("openssl" | "ssl", _) => Some(AddressFault::NotRelayed("tls is not supported")),
        ("open" | "gopen" | "create" | "creat" | "file" | "pipe" | "fifo" | "pty", "") => {
            Some(AddressFault::NotRelayed("a file is no address"))
        }
        ("unix" | "abstract", _) => Some(AddressFault::NotRelayed("datagrams are not relayed")),
        _ => None,
    }
}

fn explain_unix(name: &str) -> AddressFault {
    match parse_unix(name) {
        Ok(_) => AddressFault::Socat(format!("unix:{name}")),
        Err(fault) => fault,
    }
}

/// What follows the hyphen of socat's keywords. Anything else there makes a host's name, such as `ssl-server`.
const SOCAT_ROLES: [&str; 8] = [
    "l", "listen", "connect", "recv", "recvfrom", "send", "sendto", "datagram",
];

/// The options that stand behind socat's Unix sockets.
const SOCAT_UNIX_OPTIONS: [&str; 11] = [
    "fork",
    "reuseaddr",
    "unlink",
    "unlink-early",
    "unlink-close",
    "mode",
    "perm",
    "umask",
    "user",
    "group",
    "backlog",
];

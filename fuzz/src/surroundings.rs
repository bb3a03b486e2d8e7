//! What comes from whoever starts a process: variables and options. `relay-core/tests/corpus.rs` replays the seeds.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;

use relay_core::policy::access_list::{AccessList, parse_network};
use relay_core::protocol::ucspi::{self, Told};

/// Lines of `NAME=VALUE`. Who is understood can be told again; what is not is named in a line that can be printed.
pub fn ucspi(input: &[u8]) {
    let variables: HashMap<&[u8], &[u8]> = input
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b'=')?;
            Some((&line[..at], &line[at + 1..]))
        })
        .collect();
    let variable = |name: &str| {
        let value = variables.get(name.as_bytes())?;
        Some(OsStr::from_bytes(value).to_owned())
    };
    match ucspi::read(variable) {
        Ok(Some(told)) => assert_eq!(ucspi::read(|name| tell(&told, name)), Ok(Some(told))),
        Ok(None) => {}
        Err(nonsense) => {
            let text = nonsense.to_string();
            assert!(
                text.len() < 300 && !text.contains(char::is_control),
                "{text:?}"
            );
        }
    }
}

/// A network that is understood shows itself as one, and holds its own addresses.
pub fn network(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    match parse_network(text) {
        Ok(network) => {
            assert_eq!(parse_network(&network.to_string()), Ok(network));
            let list = AccessList::of_allowed(&[network]);
            for ip in [network.network(), network.broadcast()] {
                // An address of IPv6 that maps one of IPv4 is the latter.
                let is_other = ip.to_canonical() != ip;
                assert!(list.check(ip).is_ok() || is_other, "{text:?}: {ip}");
            }
        }
        Err(fault) => assert!(!fault.is_empty()),
    }
}

fn tell(told: &Told, name: &str) -> Option<OsString> {
    let ip = |address: &SocketAddr| address.ip().to_string();
    let port = |address: &SocketAddr| address.port().to_string();
    let text = match name {
        "PROTO" => "TCP".to_owned(),
        "TCPREMOTEIP" => ip(&told.client),
        "TCPREMOTEPORT" => port(&told.client),
        "TCPLOCALIP" => ip(told.local.as_ref()?),
        "TCPLOCALPORT" => port(told.local.as_ref()?),
        _ => return None,
    };
    Some(text.into())
}

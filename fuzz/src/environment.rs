//! Input from the process that starts a tool: environment variables and options.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;

use relay_core::policy::access_list::{AccessList, parse_network};
use relay_core::protocol::ucspi::{self, UcspiAddresses};

/// The input is lines of `NAME=VALUE`. If the variables are valid, writing the connection they describe and reading it again
/// gives the same connection. If they are invalid, the error is one short printable line.
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
        Ok(Some(told)) => assert_eq!(ucspi::read(|name| variable_of(&told, name)), Ok(Some(told))),
        Ok(None) => {}
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.len() < 300 && !text.contains(char::is_control),
                "{text:?}"
            );
        }
    }
}

/// If a network is valid, its `Display` text is the same network, and the network contains its first and its last address.
pub fn network(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    match parse_network(text) {
        Ok(network) => {
            assert_eq!(parse_network(&network.to_string()), Ok(network));
            let list = AccessList::of_allowed(&[network]);
            for ip in [network.network(), network.broadcast()] {
                // The access list takes an IPv4-mapped IPv6 address for its IPv4 address.
                let is_mapped = ip.to_canonical() != ip;
                assert!(list.check(ip).is_ok() || is_mapped, "{text:?}: {ip}");
            }
        }
        Err(fault) => assert!(!fault.is_empty()),
    }
}

/// Returns the value of the variable `name` for the connection `told`.
fn variable_of(told: &UcspiAddresses, name: &str) -> Option<OsString> {
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

//! The environment in which a UCSPI server (tcpserver, s6-tcpserver, sslserver) runs the program that serves a connection on stdin and
//! stdout: <https://cr.yp.to/proto/ucspi-tcp.txt>.
//!
//! Behind a server that ends TLS, stdin is a pipe, and only the environment names the client. `PROTO` names the protocol, and the
//! variables begin with its name. The variables of TCP are read if a server has set no others.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::report::sanitise;

/// The client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UcspiAddresses {
    /// The client.
    pub client: SocketAddr,
    /// The address that it connected to, which not every server tells.
    pub local: Option<SocketAddr>,
}

/// A variable that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidEnvironment {
    name: String,
    /// `None` where it is missing.
    value: Option<OsString>,
}

/// Reads the environment. `None` where it does not tell of a client.
pub fn read(
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<UcspiAddresses>, InvalidEnvironment> {
    let Some(protocol) = variable("PROTO").and_then(known) else {
        return Ok(None);
    };
    let find = |name: &str| {
        [protocol, "TCP"].into_iter().find_map(|prefix| {
            let name = format!("{prefix}{name}");
            variable(&name).map(|value| (name, value))
        })
    };
    let address = |ip: (String, OsString), port: &str| {
        let ip: IpAddr = parse(ip, |_| true)?;
        let port = find(port).ok_or_else(|| InvalidEnvironment {
            name: format!("{protocol}{port}"),
            value: None,
        })?;
        // Without a sign, and without zeros before it.
        let plain =
            |text: &str| text == "0" || text.starts_with(|first| ('1'..='9').contains(&first));
        Ok(SocketAddr::new(ip.to_canonical(), parse(port, plain)?))
    };
    let Some(ip) = find("REMOTEIP") else {
        return Ok(None);
    };
    let client = address(ip, "REMOTEPORT")?;
    let local = find("LOCALIP")
        .map(|ip| address(ip, "LOCALPORT"))
        .transpose()?;
    Ok(Some(UcspiAddresses { client, local }))
}

/// The protocols whose addresses are those of TCP.
fn known(protocol: OsString) -> Option<&'static str> {
    ["TCP", "TCP6", "SSL"]
        .into_iter()
        .find(|known| OsStr::new(known) == protocol)
}

fn parse<T: std::str::FromStr>(
    (name, value): (String, OsString),
    is_plain: impl Fn(&str) -> bool,
) -> Result<T, InvalidEnvironment> {
    value
        .to_str()
        .filter(|text| is_plain(text))
        .and_then(|text| text.parse().ok())
        .ok_or(InvalidEnvironment {
            name,
            value: Some(value),
        })
}

impl fmt::Display for InvalidEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => {
                let value = sanitise(value.as_encoded_bytes());
                write!(f, "{} is \"{value}\"", self.name)
            }
            None => write!(f, "{} is missing", self.name),
        }
    }
}

impl std::error::Error for InvalidEnvironment {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn told(variables: &[(&str, &str)]) -> Result<Option<UcspiAddresses>, String> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        read(|name| variables.get(name).map(OsString::from)).map_err(|invalid| invalid.to_string())
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn tcpserver_tells_both_addresses() {
        let environment = [
            ("PROTO", "TCP"),
            ("TCPREMOTEIP", "192.0.2.1"),
            ("TCPREMOTEPORT", "1234"),
            ("TCPLOCALIP", "192.0.2.2"),
            ("TCPLOCALPORT", "80"),
        ];
        let expected = UcspiAddresses {
            client: address("192.0.2.1:1234"),
            local: Some(address("192.0.2.2:80")),
        };
        assert_eq!(told(&environment), Ok(Some(expected)));
    }

    #[test]
    fn s6_tcpserver_tells_the_client_alone() {
        let environment = [
            ("PROTO", "TCP"),
            ("TCPREMOTEIP", "2001:db8::1"),
            ("TCPREMOTEPORT", "1234"),
            ("TCPCONNNUM", "1"),
        ];
        let expected = UcspiAddresses {
            client: address("[2001:db8::1]:1234"),
            local: None,
        };
        assert_eq!(told(&environment), Ok(Some(expected)));
    }

    #[test]
    fn the_variables_are_those_of_the_protocol() {
        let expected = UcspiAddresses {
            client: address("[2001:db8::1]:1"),
            local: None,
        };
        for protocol in ["TCP6", "SSL"] {
            let (ip, port) = (
                format!("{protocol}REMOTEIP"),
                format!("{protocol}REMOTEPORT"),
            );
            let environment = [
                ("PROTO", protocol),
                (&ip, "2001:db8::1"),
                (&port, "1"),
                ("TCPREMOTEIP", "192.0.2.1"),
            ];
            assert_eq!(told(&environment), Ok(Some(expected)));
        }
        let environment = [
            ("PROTO", "TCP6"),
            ("TCPREMOTEIP", "2001:db8::1"),
            ("TCPREMOTEPORT", "1"),
        ];
        assert_eq!(told(&environment), Ok(Some(expected)));
    }

    #[test]
    fn a_mapped_address_is_an_ipv4_one() {
        let environment = [
            ("PROTO", "TCP6"),
            ("TCP6REMOTEIP", "::ffff:192.0.2.1"),
            ("TCP6REMOTEPORT", "1"),
        ];
        let expected = UcspiAddresses {
            client: address("192.0.2.1:1"),
            local: None,
        };
        assert_eq!(told(&environment), Ok(Some(expected)));
    }

    #[test]
    fn other_environments_tell_nothing() {
        let address = [("TCPREMOTEIP", "192.0.2.1"), ("TCPREMOTEPORT", "1234")];
        assert_eq!(told(&address), Ok(None));
        assert_eq!(
            told(&[&[("PROTO", "UNIX")], &address[..]].concat()),
            Ok(None)
        );
        assert_eq!(told(&[("PROTO", "TCP")]), Ok(None));
    }

    #[test]
    fn nonsense_is_named() {
        let with = |name, value: Option<&'static str>| {
            let mut environment = vec![
                ("PROTO", "TCP"),
                ("TCPREMOTEIP", "192.0.2.1"),
                ("TCPREMOTEPORT", "1234"),
                ("TCPLOCALIP", "192.0.2.2"),
                ("TCPLOCALPORT", "80"),
            ];
            environment.retain(|(known, _)| *known != name);
            environment.extend(value.map(|value| (name, value)));
            told(&environment).unwrap_err()
        };
        assert_eq!(with("TCPREMOTEPORT", None), "TCPREMOTEPORT is missing");
        assert_eq!(with("TCPLOCALPORT", Some("")), "TCPLOCALPORT is \"\"");
        for port in ["+1", "01", " 1", "65536", "http", "-1"] {
            assert_eq!(
                with("TCPREMOTEPORT", Some(port)),
                format!("TCPREMOTEPORT is {port:?}")
            );
        }
        for ip in [
            "unknown",
            "192.0.2",
            "192.0.2.01",
            "[::1]",
            "fe80::1%eth0",
            "192.0.2.1 ",
        ] {
            assert_eq!(
                with("TCPREMOTEIP", Some(ip)),
                format!("TCPREMOTEIP is {ip:?}")
            );
        }
    }

    proptest! {
        #[test]
        fn any_value_is_an_address_or_named(ip: String, port in "\\PC{0,8}", protocol in "TCP6?|SSL|.*") {
            match told(&[("PROTO", &protocol), ("TCPREMOTEIP", &ip), ("TCPREMOTEPORT", &port)]) {
                Ok(Some(told)) => {
                    prop_assert_eq!(port.parse(), Ok(told.client.port()));
                    prop_assert_eq!(ip.parse::<IpAddr>().map(|ip| ip.to_canonical()), Ok(told.client.ip()));
                }
                Ok(None) => prop_assert!(known(protocol.into()).is_none()),
                Err(invalid) => prop_assert!(invalid.starts_with("TCPREMOTE")),
            }
        }

        #[test]
        fn an_address_that_was_written_is_read(client: SocketAddr, local: SocketAddr) {
            let texts = [client.ip().to_string(), client.port().to_string(), local.ip().to_string(), local.port().to_string()];
            let read = told(&[("PROTO", "TCP"), ("TCPREMOTEIP", &texts[0]), ("TCPREMOTEPORT", &texts[1]), ("TCPLOCALIP", &texts[2]), ("TCPLOCALPORT", &texts[3])]);
            let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            prop_assert_eq!(read, Ok(Some(UcspiAddresses { client: canonical(client), local: Some(canonical(local)) })));
        }
    }
}

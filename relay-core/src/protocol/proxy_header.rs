//! The header of the PROXY protocol, versions 1 and 2 (haproxy's `doc/proxy-protocol.txt`): who the client of a relayed
//! connection is, told before its first byte.
//!
//! [`parse`] looks at the first bytes of a connection. What it says of some bytes it also says of more: neither a header nor a
//! fault depends on how the bytes were cut. It never asks for more than [`HEADER_LOOK_BYTES`] of them, and takes none.
//!
//! Of version 2 only the addresses count. What follows them (TLVs, a checksum, paths of Unix sockets) belongs to the header's
//! length and is not looked at.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::addresses::{Addresses, Hosts, UNSPECIFIED, block_bytes};
use super::frame::SessionId;

/// The versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary, with the id of the session.
    V2,
}

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The addresses of the client; `None` where those of the connection itself hold.
    pub addresses: Option<Addresses>,
    /// Bytes before the client's first; they need not all have come yet.
    pub length: usize,
}

/// Why bytes are no header, and never will be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They begin as neither version does.
    NoHeader,
    /// A line of version 1 that does not end.
    LineTooLong,
    /// A line of version 1 that does not say what it must.
    Line,
    /// The binary signature, and another version behind it.
    Version(u8),
    /// A command that version 2 does not have.
    Command(u8),
    /// A header of version 2 that ends before its addresses do.
    Addresses,
}

/// Bytes that decide what a header says. A line of version 1 is the longest of them.
pub const HEADER_LOOK_BYTES: usize = LINE_BYTES_MAX;

/// Reads the header that `bytes` begin with; `None` asks for more of them.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if agree(bytes, LINE_START) {
        parse_line(bytes)
    } else if agree(bytes, SIGNATURE) {
        parse_binary(bytes)
    } else {
        Err(Malformed::NoHeader)
    }
}

/// Returns the first bytes for a server: the PROXY header, if a version is given; see [`encode`].
pub fn preface(
    version: Option<Version>,
    addresses: impl FnOnce() -> Option<Addresses>,
    session: SessionId,
) -> Box<[u8]> {
    version.map_or_else(Box::default, |version| {
        encode(version, addresses().as_ref(), session).into()
    })
}

/// The header of a client with these addresses; `None` says that they are not known. Version 2 carries the session's id, as
/// the log writes it.
pub fn encode(version: Version, addresses: Option<&Addresses>, session: SessionId) -> Vec<u8> {
    match version {
        Version::V1 => encode_line(addresses).into_bytes(),
        Version::V2 => encode_binary(addresses, session.to_string().as_bytes()),
    }
}

/// One is the beginning of the other.
fn agree(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(byte, other)| byte == other)
}

/// §2.1.
fn parse_line(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let line = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if line.len() < LINE_BYTES_MAX {
            Ok(None)
        } else {
            Err(Malformed::LineTooLong)
        };
    };
    let words: Vec<&[u8]> = line[..end].split(|byte| *byte == b' ').collect();
    let addresses = match words[..] {
        // What else is on such a line is to be ignored.
        [_, b"UNKNOWN", ..] => None,
        [_, b"TCP4", client, local, from, to] => {
            Some(line_addresses::<Ipv4Addr>([client, local], [from, to])?)
        }
        [_, b"TCP6", client, local, from, to] => {
            Some(line_addresses::<Ipv6Addr>([client, local], [from, to])?)
        }
        _ => return Err(Malformed::Line),
    };
    Ok(Some(Header {
        addresses,
        length: end + 2,
    }))
}

fn line_addresses<T: FromStr + Into<IpAddr>>(
    hosts: [&[u8]; 2],
    ports: [&[u8]; 2],
) -> Result<Addresses, Malformed> {
    let address = |host: &[u8], port: &[u8]| {
        let host: T = str::from_utf8(host).ok()?.parse().ok()?;
        Some(SocketAddr::new(host.into(), decimal(port)?))
    };
    match (address(hosts[0], ports[0]), address(hosts[1], ports[1])) {
        (Some(client), Some(local)) => Ok(Addresses::new(client, local)),
        _ => Err(Malformed::Line),
    }
}

/// A port as the protocol writes it: digits, of which the first is no idle zero.
fn decimal(digits: &[u8]) -> Option<u16> {
    let plain =
        digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || !digits.starts_with(b"0"));
    plain.then(|| str::from_utf8(digits).ok()?.parse().ok())?
}

/// §2.2.
fn parse_binary(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(&version_and_command) = bytes.get(SIGNATURE.len()) else {
        return Ok(None);
    };
    let command = match (version_and_command >> 4, version_and_command & 0xf) {
        (2, command @ (LOCAL | PROXY)) => command,
        (2, command) => return Err(Malformed::Command(command)),
        (version, _) => return Err(Malformed::Version(version)),
    };
    let Some(([.., family, high, low], behind)) = bytes.split_first_chunk::<BINARY_BYTES_MIN>()
    else {
        return Ok(None);
    };
    let announced = usize::from(u16::from_be_bytes([*high, *low]));
    let needed = if command == PROXY {
        block_bytes(*family)
    } else {
        0
    };
    if announced < needed {
        return Err(Malformed::Addresses);
    }
    if behind.len() < needed {
        return Ok(None);
    }
    let addresses = match command {
        PROXY => Addresses::parse(*family, behind).map_err(|_| Malformed::Addresses)?,
        _ => None,
    };
    Ok(Some(Header {
        addresses,
        length: BINARY_BYTES_MIN + announced,
    }))
}

fn encode_line(addresses: Option<&Addresses>) -> String {
    let Some(addresses) = addresses else {
        return "PROXY UNKNOWN\r\n".to_owned();
    };
    let (family, hosts) = match addresses.hosts() {
        Hosts::V4(client, local) => ("TCP4", format!("{client} {local}")),
        Hosts::V6(client, local) => ("TCP6", format!("{client} {local}")),
    };
    let (from, to) = (addresses.client().port(), addresses.local().port());
    format!("PROXY {family} {hosts} {from} {to}\r\n")
}

fn encode_binary(addresses: Option<&Addresses>, unique_id: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    let (command, family) = match addresses {
        Some(addresses) => {
            addresses.encode(&mut block);
            (PROXY, addresses.family())
        }
        // The one command that every receiver must take for a connection whose addresses are its own.
        None => (LOCAL, UNSPECIFIED),
    };
    debug_assert!(unique_id.len() <= UNIQUE_ID_BYTES_MAX);
    block.push(UNIQUE_ID);
    block.extend_from_slice(&(unique_id.len() as u16).to_be_bytes());
    block.extend_from_slice(unique_id);
    let mut header = SIGNATURE.to_vec();
    header.extend_from_slice(&[2 << 4 | command, family]);
    header.extend_from_slice(&(block.len() as u16).to_be_bytes());
    header.extend_from_slice(&block);
    header
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("its first bytes are no proxy header"),
            Self::LineTooLong => f.write_str("its proxy header has no end"),
            Self::Line => f.write_str("malformed proxy header"),
            Self::Version(version) => write!(f, "version {version} of the proxy header"),
            Self::Command(command) => write!(f, "command {command} in its proxy header"),
            Self::Addresses => f.write_str("addresses missing in its proxy header"),
        }
    }
}

impl std::error::Error for Malformed {}

const LINE_START: &[u8] = b"PROXY ";
/// With its end, and the longest addresses there are.
const LINE_BYTES_MAX: usize = 107;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const BINARY_BYTES_MIN: usize = SIGNATURE.len() + 4;
/// The connection is the proxy's own, or its client is not known.
const LOCAL: u8 = 0;
/// The connection is a client's.
const PROXY: u8 = 1;
/// The TLV of a name for the connection.
const UNIQUE_ID: u8 = 5;
const UNIQUE_ID_BYTES_MAX: usize = 128;

const _: () = assert!(
    BINARY_BYTES_MIN + 36 <= HEADER_LOOK_BYTES,
    "both versions fit in one look"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session() -> SessionId {
        SessionId::new([0xab; 8], 7)
    }

    fn addresses(client: &str, local: &str) -> Addresses {
        Addresses::new(client.parse().unwrap(), local.parse().unwrap())
    }

    fn known(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
        let header = parse(bytes).unwrap().unwrap();
        header
            .addresses
            .map(|known| (known.client(), known.local()))
    }

    fn binary(version_and_command: u8, family: u8, announced: u16, behind: &[u8]) -> Vec<u8> {
        let [high, low] = announced.to_be_bytes();
        [SIGNATURE, &[version_and_command, family, high, low], behind].concat()
    }

    #[test]
    fn lines_are_written_as_the_protocol_has_them() {
        let line = |client, local| {
            String::from_utf8(encode(
                Version::V1,
                Some(&addresses(client, local)),
                session(),
            ))
            .unwrap()
        };
        assert_eq!(
            line("192.0.2.1:56324", "192.0.2.2:443"),
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
        );
        assert_eq!(
            line("[2001:db8::1]:1", "[::1]:65535"),
            "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"
        );
        assert_eq!(encode(Version::V1, None, session()), b"PROXY UNKNOWN\r\n");
    }

    #[test]
    fn the_longest_line_fits() {
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
        assert!(
            encode(Version::V1, Some(&addresses(longest, longest)), session()).len()
                <= LINE_BYTES_MAX
        );
    }

    #[test]
    fn a_mapped_address_is_an_ipv4_one() {
        let mapped = addresses("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2");
        assert_eq!(
            encode(Version::V1, Some(&mapped), session()),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
        );
        assert_eq!(encode(Version::V2, Some(&mapped), session())[13], 0x11);
        let line = b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2\r\n";
        assert_eq!(
            known(line),
            Some((
                "192.0.2.1:1".parse().unwrap(),
                "192.0.2.2:2".parse().unwrap()
            ))
        );
    }

    #[test]
    fn a_mixed_pair_travels_as_ipv6_and_arrives_as_it_was() {
        let mixed = addresses("192.0.2.1:1", "[2001:db8::2]:2");
        for version in [Version::V1, Version::V2] {
            let header = encode(version, Some(&mixed), session());
            assert_eq!(parse(&header).unwrap().unwrap().addresses, Some(mixed));
        }
    }

    #[test]
    fn the_binary_header_carries_the_id_of_the_session() {
        let header = encode(
            Version::V2,
            Some(&addresses("192.0.2.1:1", "192.0.2.2:258")),
            session(),
        );
        let id = session().to_string();
        let block = [
            192,
            0,
            2,
            1,
            192,
            0,
            2,
            2,
            0,
            1,
            1,
            2,
            UNIQUE_ID,
            0,
            id.len() as u8,
        ];
        assert_eq!(
            header,
            [
                &binary(0x21, 0x11, (block.len() + id.len()) as u16, &block),
                id.as_bytes()
            ]
            .concat()
        );
        let header = encode(Version::V2, None, session());
        assert_eq!(header[12..14], [0x20, 0x00]);
        assert!(header.ends_with(id.as_bytes()));
        assert_eq!(
            parse(&header),
            Ok(Some(Header {
                addresses: None,
                length: header.len()
            }))
        );
    }

    #[test]
    fn the_longest_id_fits() {
        let id = SessionId::new([0xff; 8], u64::MAX);
        assert!(id.to_string().len() <= UNIQUE_ID_BYTES_MAX);
    }

    #[test]
    fn unknown_clients_leave_the_addresses_of_the_connection() {
        assert_eq!(known(b"PROXY UNKNOWN\r\nGET"), None);
        assert_eq!(known(b"PROXY UNKNOWN ffff::1 what ever \r\n"), None);
        // LOCAL, whatever it says besides; no family; Unix sockets; datagrams.
        for (command, family, announced) in [
            (0x20, 0x11, 2),
            (0x21, 0x00, 0),
            (0x21, 0x31, 216),
            (0x21, 0x12, 12),
            (0x21, 0x99, 7),
        ] {
            let header = binary(command, family, announced, b"");
            assert_eq!(
                parse(&header),
                Ok(Some(Header {
                    addresses: None,
                    length: 16 + usize::from(announced)
                })),
                "{command:x} {family:x}"
            );
        }
    }

    #[test]
    fn tlvs_belong_to_the_length_and_are_not_looked_at() {
        let block = [192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];
        let header = binary(0x21, 0x11, 12 + 60_000, &block);
        let parsed = parse(&header).unwrap().unwrap();
        assert_eq!(parsed.length, 16 + 12 + 60_000);
        assert_eq!(
            parsed.addresses,
            Some(addresses("192.0.2.1:1", "192.0.2.2:2"))
        );
    }

    #[test]
    fn what_is_no_header_is_told_at_its_first_wrong_byte() {
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"P"), Ok(None));
        assert_eq!(parse(b"PO"), Err(Malformed::NoHeader));
        assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Err(Malformed::NoHeader));
        assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT"), Ok(None));
        assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT\r"), Err(Malformed::NoHeader));
        assert_eq!(parse(&binary(0x11, 0, 0, b"")), Err(Malformed::Version(1)));
        assert_eq!(parse(&binary(0x22, 0, 0, b"")), Err(Malformed::Command(2)));
        assert_eq!(
            parse(&binary(0x21, 0x11, 11, &[0; 11])),
            Err(Malformed::Addresses)
        );
        assert_eq!(
            parse(&binary(0x21, 0x21, 35, &[0; 35])),
            Err(Malformed::Addresses)
        );
    }

    #[test]
    fn a_line_is_read_to_the_letter() {
        let wrong: [&[u8]; 16] = [
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2  2\r\n",
            b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            b"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY UNKNOWNS\r\n",
            b"PROXY \r\n",
        ];
        for line in wrong {
            assert_eq!(parse(line), Err(Malformed::Line), "{}", line.escape_ascii());
        }
        assert_eq!(parse(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), Ok(None));
    }

    #[test]
    fn a_line_ends_within_107_bytes() {
        let line = |length: usize| {
            let padding = length - b"PROXY UNKNOWN \r\n".len();
            [b"PROXY UNKNOWN ", "x".repeat(padding).as_bytes(), b"\r\n"].concat()
        };
        assert_eq!(
            parse(&line(107)),
            Ok(Some(Header {
                addresses: None,
                length: 107
            }))
        );
        assert_eq!(parse(&line(108)), Err(Malformed::LineTooLong));
        assert_eq!(parse(&line(107)[..106]), Ok(None));
    }

    /// Bytes that are nearly a header.
    fn nearly() -> impl Strategy<Value = Vec<u8>> {
        let text =
            "PROXY (TCP4|TCP6|UNKNOWN|TCP5)( [0-9a-f.:]{1,40}){0,4}( [0-9]{1,6}){0,3}\r?\n?.{0,40}";
        let binary = (
            0x1f..0x23_u8,
            prop::sample::select(vec![0x00_u8, 0x11, 0x12, 0x21, 0x31]),
            0..300_u16,
            prop::collection::vec(any::<u8>(), 0..300),
        )
            .prop_map(|(command, family, announced, behind)| {
                binary(command, family, announced, &behind)
            });
        prop_oneof![
            text.prop_map(String::into_bytes),
            binary,
            prop::collection::vec(any::<u8>(), 0..200)
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(client: SocketAddr, local: SocketAddr, behind: Vec<u8>, second: bool) {
            let told = Addresses::new(client, local);
            let version = if second { Version::V2 } else { Version::V1 };
            let header = encode(version, Some(&told), session());
            let length = header.len();
            let bytes = [header, behind].concat();
            prop_assert_eq!(parse(&bytes), Ok(Some(Header { addresses: Some(told), length })));
        }

        #[test]
        fn the_verdict_does_not_depend_on_how_the_bytes_were_cut(bytes in nearly()) {
            let whole = parse(&bytes);
            for cut in 0..bytes.len() {
                let verdict = parse(&bytes[..cut]);
                prop_assert!(verdict == Ok(None) || verdict == whole, "{}: {:?}, not {:?}", cut, verdict, whole);
            }
            if bytes.len() >= HEADER_LOOK_BYTES {
                prop_assert_ne!(whole, Ok(None));
            }
        }
    }
}

//! The frames of the link protocol, version 1, as bytes: `man/relay-link.7` shows the same layout.
//!
//! A frame is `type: u8, length: u24` (big-endian) and `length` bytes. All numbers are big-endian. What may follow what is
//! not decided here but in [`super::link`].
//!
//! Everything that is parsed comes from a peer that nobody vouches for: no function here panics or allocates more than the
//! frame's own length, which [`Header::parse`] bounds.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::addresses::{Addresses, UNSPECIFIED, block_bytes};
use crate::limits::{
    CONTROL_BYTES_MAX, DATA_BYTES_MAX, FRAME_HEADER_BYTES, REASON_TEXT_BYTES_MAX, SERVICES_MAX,
};

/// What HELLO starts with, so that a stranger's bytes are not taken for a node.
pub const MAGIC: [u8; 8] = *b"\xf0relay1\n";
/// The protocol version that this code speaks.
pub const VERSION: u8 = 1;

/// Who a node is: random, drawn anew by each process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 16]);

/// Which session this is, the same on both nodes: 8 random bytes of the outside process, and a counter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// The `count`-th session of the process that drew `process`.
    pub fn new(process: [u8; 8], count: u64) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&process);
        id[8..].copy_from_slice(&count.to_be_bytes());
        Self(id)
    }
}

/// The type of a frame. 0x80 and up, so that one comparison tells a link from TLS, SOCKS and HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is described at the Frame it heads")]
pub enum Kind {
    Hello = 0x80,
    Welcome = 0x81,
    Open = 0x82,
    Opened = 0x83,
    Refused = 0x84,
    Data = 0x85,
    End = 0x86,
    Abort = 0x87,
    Want = 0x88,
    Ping = 0x89,
    Pong = 0x8a,
    Bye = 0x8b,
    Error = 0x8c,
}

/// The four bytes before each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// Bytes of payload.
    pub length: u32,
}

impl Header {
    /// Reads a header, refusing types that do not exist and lengths that no frame of the type can have.
    pub fn parse(bytes: [u8; FRAME_HEADER_BYTES]) -> Result<Self, Malformed> {
        let [kind, high, middle, low] = bytes;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let kind = Kind::from_byte(kind)?;
        let length_max = match kind {
            Kind::Data => DATA_BYTES_MAX,
            _ => CONTROL_BYTES_MAX,
        };
        if length as usize > length_max || (kind == Kind::Data && length == 0) {
            return Err(Malformed::Length(kind));
        }
        Ok(Self { kind, length })
    }

    /// The header as bytes.
    pub fn bytes(self) -> [u8; FRAME_HEADER_BYTES] {
        let [_, high, middle, low] = self.length.to_be_bytes();
        [self.kind as u8, high, middle, low]
    }
}

impl Kind {
    fn from_byte(byte: u8) -> Result<Self, Malformed> {
        Ok(match byte {
            0x80 => Self::Hello,
            0x81 => Self::Welcome,
            0x82 => Self::Open,
            0x83 => Self::Opened,
            0x84 => Self::Refused,
            0x85 => Self::Data,
            0x86 => Self::End,
            0x87 => Self::Abort,
            0x88 => Self::Want,
            0x89 => Self::Ping,
            0x8a => Self::Pong,
            0x8b => Self::Bye,
            0x8c => Self::Error,
            0x15 | 0x16 => return Err(Malformed::Tls),
            0x00..0x80 => return Err(Malformed::NotALink),
            _ => return Err(Malformed::Kind(byte)),
        })
    }
}

/// A control frame. DATA is not among them: its payload never passes through here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The inside node introduces itself.
    Hello(Hello),
    /// The outside node answers HELLO; the link is idle.
    Welcome(Welcome),
    /// A client is here.
    Open(Open),
    /// The server accepted.
    Opened,
    /// The server did not accept.
    Refused(RefusedCode, String),
    /// End of file of this direction.
    End,
    /// Reset of the session whose OPEN had this number.
    Abort(u32, AbortCode),
    /// So many clients wait for this node's services now.
    Want(u32),
    /// Are you there; also sent when nothing else was for a heartbeat.
    Ping([u8; 8]),
    /// The answer to PING, with its bytes.
    Pong([u8; 8]),
    /// From the outside node: no OPEN follows. From the inside node: please.
    Bye,
    /// The sender gives the link up.
    Error(ErrorCode, String),
}

/// HELLO, whose layout stays as it is in all versions to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The lowest and the highest version that the node speaks.
    pub versions: (u8, u8),
    /// Who it is.
    pub node: NodeId,
    /// The heartbeat it wants, in whole milliseconds.
    pub heartbeat: Duration,
    /// What it serves.
    pub services: Vec<ServiceWidth>,
}

/// A service and how many ports its list has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceWidth {
    /// The name, empty for the one without a name.
    pub name: String,
    /// Ports in its list, at least 1.
    pub width: u16,
}

/// WELCOME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version that both will speak.
    pub version: u8,
    /// Who the outside node is.
    pub node: NodeId,
    /// The heartbeat that holds for both, in whole milliseconds.
    pub heartbeat: Duration,
}

/// OPEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Counts the OPENs of this link, from 1.
    pub number: u32,
    /// The service, empty for the one without a name.
    pub service: String,
    /// Which port of the service's list, from 0.
    pub index: u16,
    /// The session's id.
    pub session: SessionId,
    /// The client's address, where it has one.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to.
    pub local: Option<SocketAddr>,
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $byte:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A code of a later version.
            Unknown(u8),
        }

        impl $name {
            fn from_byte(byte: u8) -> Self {
                match byte { $($byte => Self::$variant,)* other => Self::Unknown(other) }
            }

            fn byte(self) -> u8 {
                match self { $(Self::$variant => $byte,)* Self::Unknown(byte) => byte }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$variant => f.write_str($text),)* Self::Unknown(byte) => write!(f, "reason {byte}") }
            }
        }
    };
}

codes! {
    /// Why the server did not accept.
    RefusedCode {
        /// ECONNREFUSED and its kin.
        Refused = 1, "connection refused";
        /// No route.
        Unreachable = 2, "host unreachable";
        /// Nothing answered in time.
        Timeout = 3, "connection timed out";
        /// The server's name has no address.
        NoName = 4, "name not found";
        /// The node does not serve that service or port.
        NoService = 5, "no such service";
        /// The node serves as many sessions as it may.
        Full = 6, "too many sessions";
        /// Any other fault, said in the text.
        Other = 7, "system fault";
    }
}

codes! {
    /// Why a session was reset.
    AbortCode {
        /// The client or the server was reset.
        Reset = 1, "reset by peer";
        /// The session was silent for too long.
        IdleTimeout = 2, "idle timeout";
        /// The open direction was silent for too long after the other had ended.
        HalfCloseTimeout = 3, "half-close timeout";
        /// The node is going away.
        Shutdown = 4, "shutting down";
        /// A system call failed.
        Fault = 5, "system fault";
        /// The answer to an ABORT or REFUSED.
        Answer = 6, "aborted by peer";
    }
}

codes! {
    /// Why a link is given up.
    ErrorCode {
        /// A frame that may not come here, or that is malformed.
        Violation = 1, "protocol violation";
        /// No version in common.
        Version = 2, "no protocol version in common";
        /// A service has lists of unequal length on the two nodes.
        Width = 3, "lists of ports of unequal length";
        /// No service in common.
        NoService = 4, "no service in common";
        /// Both nodes are of the same kind.
        SameRole = 5, "the peer is the same tool";
        /// The node has as many links here as it may.
        TooMany = 6, "too many links";
        /// The peer speaks TLS, and this node does not.
        Key = 7, "a key on one side only";
    }
}

impl ErrorCode {
    /// Somebody has to change something before the two nodes can have a link.
    pub fn lasts(self) -> bool {
        matches!(
            self,
            Self::Version | Self::Width | Self::NoService | Self::SameRole | Self::Key
        )
    }
}

impl Frame {
    /// Reads the payload of a control frame.
    pub fn parse(kind: Kind, payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader {
            kind,
            rest: payload,
        };
        let frame = match kind {
            Kind::Hello => Self::Hello(Hello::parse(&mut reader)?),
            Kind::Welcome => Self::Welcome(Welcome::parse(&mut reader)?),
            Kind::Open => Self::Open(Open::parse(&mut reader)?),
            Kind::Opened => Self::Opened,
            Kind::Refused => Self::Refused(RefusedCode::from_byte(reader.u8()?), reader.text()),
            Kind::Data => return Err(Malformed::Kind(Kind::Data as u8)),
            Kind::End => Self::End,
            Kind::Abort => Self::Abort(reader.u32()?, AbortCode::from_byte(reader.u8()?)),
            Kind::Want => Self::Want(reader.u32()?),
            Kind::Ping => Self::Ping(reader.array()?),
            Kind::Pong => Self::Pong(reader.array()?),
            Kind::Bye => {
                reader.skip_tlvs()?;
                Self::Bye
            }
            Kind::Error => Self::Error(ErrorCode::from_byte(reader.u8()?), reader.text()),
        };
        if reader.rest.is_empty() {
            Ok(frame)
        } else {
            Err(Malformed::Length(kind))
        }
    }

    /// Appends the whole frame, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(
            &Header {
                kind: self.kind(),
                length: 0,
            }
            .bytes(),
        );
        match self {
            Self::Hello(hello) => hello.encode(out),
            Self::Welcome(welcome) => welcome.encode(out),
            Self::Open(open) => open.encode(out),
            Self::Opened | Self::End | Self::Bye => {}
            Self::Refused(code, text) => encode_reason(code.byte(), text, out),
            Self::Abort(number, code) => {
                out.extend_from_slice(&number.to_be_bytes());
                out.push(code.byte());
            }
            Self::Want(count) => out.extend_from_slice(&count.to_be_bytes()),
            Self::Ping(bytes) | Self::Pong(bytes) => out.extend_from_slice(bytes),
            Self::Error(code, text) => encode_reason(code.byte(), text, out),
        }
        let length = (out.len() - start - FRAME_HEADER_BYTES) as u32;
        debug_assert!(length as usize <= CONTROL_BYTES_MAX);
        out[start..start + FRAME_HEADER_BYTES].copy_from_slice(
            &Header {
                kind: self.kind(),
                length,
            }
            .bytes(),
        );
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Welcome(_) => Kind::Welcome,
            Self::Open(_) => Kind::Open,
            Self::Opened => Kind::Opened,
            Self::Refused(..) => Kind::Refused,
            Self::End => Kind::End,
            Self::Abort(..) => Kind::Abort,
            Self::Want(_) => Kind::Want,
            Self::Ping(_) => Kind::Ping,
            Self::Pong(_) => Kind::Pong,
            Self::Bye => Kind::Bye,
            Self::Error(..) => Kind::Error,
        }
    }
}

impl Hello {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.array()? != MAGIC {
            return Err(Malformed::Magic);
        }
        let versions = (reader.u8()?, reader.u8()?);
        let node = NodeId(reader.array()?);
        let heartbeat = Duration::from_millis(reader.u32()?.into());
        let count = usize::from(reader.u8()?);
        if count > SERVICES_MAX {
            return Err(Malformed::Length(Kind::Hello));
        }
        let mut services = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.service()?;
            let width = reader.u16()?;
            if width == 0
                || services
                    .iter()
                    .any(|known: &ServiceWidth| known.name == name)
            {
                return Err(Malformed::Service);
            }
            services.push(ServiceWidth { name, width });
        }
        reader.skip_tlvs()?;
        Ok(Self {
            versions,
            node,
            heartbeat,
            services,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.versions.0, self.versions.1]);
        out.extend_from_slice(&self.node.0);
        out.extend_from_slice(&millis(self.heartbeat).to_be_bytes());
        debug_assert!(self.services.len() <= SERVICES_MAX);
        out.push(self.services.len() as u8);
        for service in &self.services {
            encode_service(&service.name, out);
            out.extend_from_slice(&service.width.to_be_bytes());
        }
    }
}

impl Welcome {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = reader.u8()?;
        let node = NodeId(reader.array()?);
        let heartbeat = Duration::from_millis(reader.u32()?.into());
        reader.skip_tlvs()?;
        Ok(Self {
            version,
            node,
            heartbeat,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.version);
        out.extend_from_slice(&self.node.0);
        out.extend_from_slice(&millis(self.heartbeat).to_be_bytes());
    }
}

impl Open {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let number = reader.u32()?;
        let service = reader.service()?;
        let index = reader.u16()?;
        let session = SessionId(reader.array()?);
        let family = reader.u8()?;
        let length = usize::from(reader.u16()?);
        let addresses = Addresses::parse(family, reader.take(length)?)
            .map_err(|_| Malformed::Length(Kind::Open))?;
        reader.skip_tlvs()?;
        Ok(Self {
            number,
            service,
            index,
            session,
            client: addresses.map(|addresses| addresses.client()),
            local: addresses.map(|addresses| addresses.local()),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.number.to_be_bytes());
        encode_service(&self.service, out);
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.session.0);
        encode_addresses(self.client, self.local, out);
    }
}

/// Family, length and the two addresses.
fn encode_addresses(client: Option<SocketAddr>, local: Option<SocketAddr>, out: &mut Vec<u8>) {
    let (Some(client), Some(local)) = (client, local) else {
        out.extend_from_slice(&[UNSPECIFIED, 0, 0]);
        return;
    };
    let addresses = Addresses::new(client, local);
    out.extend_from_slice(&[addresses.family(), 0, block_bytes(addresses.family()) as u8]);
    addresses.encode(out);
}

fn encode_service(name: &str, out: &mut Vec<u8>) {
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
}

fn encode_reason(code: u8, text: &str, out: &mut Vec<u8>) {
    out.push(code);
    out.extend_from_slice(whole_characters(text, REASON_TEXT_BYTES_MAX).as_bytes());
}

/// The longest start of `text`, of at most `max` bytes, that ends between two characters.
fn whole_characters(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    &text[..end]
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// What is left of a payload. Each step either takes whole what it asks for, or says that the frame is too short.
struct Reader<'a> {
    kind: Kind,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed::Length(self.kind))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Malformed::Length(self.kind))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn service(&mut self) -> Result<String, Malformed> {
        let length = usize::from(self.u8()?);
        let name = self.take(length)?;
        let fits = length <= 32
            && name
                .iter()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !fits {
            return Err(Malformed::Service);
        }
        String::from_utf8(name.to_vec()).map_err(|_| Malformed::Service)
    }

    /// The rest as a text: at most what a sender may send, and whatever it holds, so that it can be shown.
    fn text(&mut self) -> String {
        let text = String::from_utf8_lossy(std::mem::take(&mut self.rest));
        whole_characters(&text, REASON_TEXT_BYTES_MAX).to_owned()
    }

    /// `type: u8, length: u16, value` until the end; what a later version adds is passed over.
    fn skip_tlvs(&mut self) -> Result<(), Malformed> {
        while !self.rest.is_empty() {
            self.u8()?;
            let length = usize::from(self.u16()?);
            self.take(length)?;
        }
        Ok(())
    }
}

/// What is wrong with the bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The first byte of a TLS alert or handshake: a key on one side only, or a stranger.
    Tls,
    /// Below 0x80: another protocol.
    NotALink,
    /// A type that this version does not have.
    Kind(u8),
    /// A length that the type cannot have.
    Length(Kind),
    /// HELLO without the magic.
    Magic,
    /// A service's name or width is none.
    Service,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls => f.write_str("TLS on a plain link: --key-file on one side only?"),
            Self::NotALink => {
                f.write_str("not a link: another protocol, or --raw on one side only")
            }
            Self::Kind(byte) => write!(f, "frame of unknown type {byte:#04x}"),
            Self::Length(kind) => write!(f, "{} frame of wrong length", kind_name(*kind)),
            Self::Magic => f.write_str("HELLO without the magic bytes"),
            Self::Service => f.write_str("service name or width out of bounds"),
        }
    }
}

impl std::error::Error for Malformed {}

/// The name of a type as the documents write it.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Hello => "HELLO",
        Kind::Welcome => "WELCOME",
        Kind::Open => "OPEN",
        Kind::Opened => "OPENED",
        Kind::Refused => "REFUSED",
        Kind::Data => "DATA",
        Kind::End => "END",
        Kind::Abort => "ABORT",
        Kind::Want => "WANT",
        Kind::Ping => "PING",
        Kind::Pong => "PONG",
        Kind::Bye => "BYE",
        Kind::Error => "ERROR",
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// The process in hex, and the counter in decimal: `5f3a09c2b1d4e677-12`.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (process, count) = self.0.split_at(8);
        process
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        let count = count
            .iter()
            .fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        write!(f, "-{count}")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

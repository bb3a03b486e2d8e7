//! The header of a frame, and what can be wrong with the bytes of a frame.

use std::fmt;

use crate::limits::{CONTROL_BYTES_MAX, DATA_BYTES_MAX, FRAME_HEADER_BYTES};

/// What HELLO starts with, so that other bytes are not mistaken for a node's.
pub const MAGIC: [u8; 8] = *b"\xf0relay1\n";

/// The protocol version that this code speaks.
pub const VERSION: u8 = 1;

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

/// What is wrong with the bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The first byte of a TLS alert or handshake: a key on one side only, or no node.
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

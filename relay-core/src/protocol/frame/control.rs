//! Control frames as values, read from and written as bytes.

use super::codes::{AbortCode, ErrorCode, RefusedCode};
use super::fields::{Reader, encode_reason};
use super::header::{Header, Kind, Malformed};
use super::payloads::{Hello, Open, Welcome};
use crate::limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES};

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
    /// The number of clients that wait for this node's services.
    Want(u32),
    /// Asks for PONG; also sent if nothing else was sent for a heartbeat.
    Ping([u8; 8]),
    /// The answer to PING, with its bytes.
    Pong([u8; 8]),
    /// From the outside node: no OPEN follows. From the inside node: please.
    Bye,
    /// The sender closes the link.
    Error(ErrorCode, String),
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

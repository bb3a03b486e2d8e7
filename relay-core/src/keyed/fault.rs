//! Why there is no keyed channel with a peer.

use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error};

/// Why there is no channel with this peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer has proved another key.
    WrongKey,
    /// The peer says so of this side.
    Refused,
    /// The peer sends the frames of a link without a key.
    NoKey,
    /// The peer sends something else.
    NotTls,
    /// One of the two has `--raw`.
    OtherInner,
    /// The peer is the same tool.
    SameRole,
    /// The peer sends without saying anything.
    Endless,
    /// As rustls puts it.
    Tls(String),
}

impl Fault {
    /// Returns whether the fault lasts until a configuration is changed.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::WrongKey | Self::Refused | Self::NoKey | Self::OtherInner | Self::SameRole => {
                true
            }
            Self::NotTls | Self::Endless | Self::Tls(_) => false,
        }
    }
}

/// The fault behind a failed call, if it is one of the channel.
pub fn link_fault(error: &io::Error) -> Option<&Fault> {
    error.get_ref()?.downcast_ref()
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongKey => f.write_str("the other node has another key"),
            Self::Refused => f.write_str("the other node does not accept this one's key"),
            Self::NoKey => f.write_str("the other node has no key: --key-file on one side only?"),
            Self::NotTls => f.write_str("not a link"),
            Self::OtherInner => f.write_str("--raw on one side only"),
            Self::SameRole => f.write_str("the peer is the same tool"),
            Self::Endless => f.write_str("records without end"),
            Self::Tls(why) => write!(f, "tls: {why}"),
        }
    }
}

impl std::error::Error for Fault {}

pub(super) fn fault(error: Error) -> Fault {
    use AlertDescription as Alert;
    match error {
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            Fault::WrongKey
        }
        Error::AlertReceived(
            Alert::AccessDenied | Alert::BadCertificate | Alert::CertificateUnknown,
        ) => Fault::Refused,
        Error::AlertReceived(Alert::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            Fault::OtherInner
        }
        Error::InappropriateHandshakeMessage { .. } => Fault::SameRole,
        error => Fault::Tls(error.to_string()),
    }
}

/// The first byte tells who cannot be meant.
pub(super) fn stranger(first: u8) -> Option<Fault> {
    match first {
        0x80.. => Some(Fault::NoKey),
        ALERT | HANDSHAKE => None,
        _ => Some(Fault::NotTls),
    }
}

/// Content types (RFC 8446 §5.1).
pub(super) const ALERT: u8 = 21;

pub(super) const HANDSHAKE: u8 = 22;

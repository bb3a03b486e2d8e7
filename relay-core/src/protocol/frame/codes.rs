//! The reason codes of REFUSED, ABORT and ERROR.

use std::fmt;

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
            pub(super) fn from_byte(byte: u8) -> Self {
                match byte { $($byte => Self::$variant,)* other => Self::Unknown(other) }
            }

            pub(super) fn byte(self) -> u8 {
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
    /// Why a link is closed.
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
    /// Returns whether the fault lasts until the configuration of a node is changed.
    pub fn lasts(self) -> bool {
        matches!(
            self,
            Self::Version | Self::Width | Self::NoService | Self::SameRole | Self::Key
        )
    }
}

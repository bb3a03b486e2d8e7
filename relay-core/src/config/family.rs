//! IPv4, IPv6 or both.

use std::net::IpAddr;

/// Which addresses names and wildcards may stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Any,
    /// IPv4 alone (`-4`).
    V4,
    /// IPv6 alone (`-6`).
    V6,
}

impl Family {
    /// Whether an address is of this family.
    pub fn allows(self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

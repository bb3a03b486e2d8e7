//! The two addresses of a client's connection, as OPEN and version 2 of the PROXY protocol carry them: a byte tells the family,
//! and a block has both hosts and then both ports (`proxy-protocol.txt` §2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Who connected, and to where. A v4-mapped address is an IPv4 one; an IPv6 one has no zone, which means nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    client: SocketAddr,
    local: SocketAddr,
}

/// The block ends before the addresses of its family do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooShort;

/// TCP over IPv4.
pub(super) const TCP4: u8 = 0x11;
/// TCP over IPv6.
pub(super) const TCP6: u8 = 0x21;
/// Anything else.
pub(super) const UNSPECIFIED: u8 = 0x00;

impl Addresses {
    /// The client's address, and the one that it connected to.
    pub fn new(client: SocketAddr, local: SocketAddr) -> Self {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            client: canonical(client),
            local: canonical(local),
        }
    }

    /// Who connected.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// To where.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Both as IPv4 if both are, else both as IPv6.
    pub(super) fn hosts(&self) -> Hosts {
        match (self.client.ip(), self.local.ip()) {
            (IpAddr::V4(client), IpAddr::V4(local)) => Hosts::V4(client, local),
            (client, local) => Hosts::V6(wide(client), wide(local)),
        }
    }

    /// Reads the block of a family; `None` where that is neither TCP over IPv4 nor over IPv6. What follows it is not looked at.
    pub(super) fn parse(family: u8, block: &[u8]) -> Result<Option<Self>, TooShort> {
        let mut rest = block;
        let (client, local): (IpAddr, IpAddr) = match family {
            TCP4 => (take::<4>(&mut rest)?.into(), take::<4>(&mut rest)?.into()),
            TCP6 => (take::<16>(&mut rest)?.into(), take::<16>(&mut rest)?.into()),
            _ => return Ok(None),
        };
        let client = SocketAddr::new(client, u16::from_be_bytes(take(&mut rest)?));
        let local = SocketAddr::new(local, u16::from_be_bytes(take(&mut rest)?));
        Ok(Some(Self::new(client, local)))
    }

    /// Appends the block.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self.hosts() {
            Hosts::V4(client, local) => {
                out.extend_from_slice(&client.octets());
                out.extend_from_slice(&local.octets());
            }
            Hosts::V6(client, local) => {
                out.extend_from_slice(&client.octets());
                out.extend_from_slice(&local.octets());
            }
        }
        out.extend_from_slice(&self.client.port().to_be_bytes());
        out.extend_from_slice(&self.local.port().to_be_bytes());
    }

    /// The family of [`Addresses::encode`]'s block.
    pub(super) fn family(&self) -> u8 {
        match self.hosts() {
            Hosts::V4(..) => TCP4,
            Hosts::V6(..) => TCP6,
        }
    }
}

/// The hosts of a pair, in the one family that can express both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

/// Bytes of a family's block.
pub(super) fn block_bytes(family: u8) -> usize {
    match family {
        TCP4 => 12,
        TCP6 => 36,
        _ => 0,
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], TooShort> {
    let (taken, behind) = rest.split_first_chunk().ok_or(TooShort)?;
    *rest = behind;
    Ok(*taken)
}

fn wide(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

//! The payloads of HELLO, WELCOME and OPEN.

use std::net::SocketAddr;
use std::time::Duration;

use super::fields::{Reader, encode_service, millis};
use super::header::{Kind, MAGIC, Malformed};
use super::node_ids::{NodeId, SessionId};
use crate::limits::SERVICES_MAX;
use crate::protocol::addresses::{Addresses, UNSPECIFIED, block_bytes};

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

impl Hello {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
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

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
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

impl Welcome {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
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

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.version);
        out.extend_from_slice(&self.node.0);
        out.extend_from_slice(&millis(self.heartbeat).to_be_bytes());
    }
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

impl Open {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
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

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
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

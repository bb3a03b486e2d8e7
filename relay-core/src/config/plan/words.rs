//! What the plans of the three tools have in common: words, services and keys.

use std::fmt;

use super::error::PlanError;
use crate::config::address::{
    AddressError, ListenPoint, ServiceName, Target, parse_listen, parse_target, split_service,
    without_password,
};
use crate::config::options::LinkOptions;
use crate::keyed::{Inner, KeyError, KeyFile, Keys, Role};
use crate::limits::{SERVICE_PORTS_MAX, SERVICES_MAX};

/// The ports of one name, or of none, in the order in which they were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service<T> {
    /// The name.
    pub name: Option<ServiceName>,
    /// The list; never empty.
    pub ports: Vec<T>,
}

pub(super) fn listen_points(
    word: &str,
    next: Option<&str>,
) -> Result<Vec<ListenPoint>, AddressError> {
    parse_listen(word).map_err(|error| error.followed_by(next))
}

pub(super) fn dial_targets(word: &str, next: Option<&str>) -> Result<Vec<Target>, AddressError> {
    parse_target(word).map_err(|error| error.followed_by(next))
}

pub(super) fn nameless(link: &str) -> Result<&str, PlanError> {
    match split_service(link) {
        (None, word) => Ok(word),
        (Some(_), _) => Err(PlanError::NameOfLink(without_password(link))),
    }
}

pub(super) fn read_keys(role: Role, links: &LinkOptions) -> Result<Option<Keys>, KeyError> {
    let inner = if links.raw { Inner::Raw } else { Inner::Frames };
    let keys = links
        .key_file
        .as_ref()
        .map(|path| Keys::new(role, inner, KeyFile::read(path)?));
    keys.transpose()
}

/// Puts ports at the end of their name's list.
pub(super) fn add_ports<T: fmt::Display>(
    services: &mut Vec<Service<T>>,
    name: Option<ServiceName>,
    ports: Vec<T>,
) -> Result<(), PlanError> {
    let at = match services.iter().position(|service| service.name == name) {
        Some(at) => at,
        None if services.len() == SERVICES_MAX => return Err(PlanError::ServicesTooMany),
        None => {
            services.push(Service {
                name,
                ports: Vec::new(),
            });
            services.len() - 1
        }
    };
    let list = &mut services[at].ports;
    list.extend(ports);
    match list.get(SERVICE_PORTS_MAX) {
        Some(port) => Err(PlanError::PortsTooMany(port.to_string())),
        None => Ok(()),
    }
}

//! The checks that span a whole command line: which descriptors, ports and families its words use together.
//!
//! Nothing is opened here. Only the kind of a descriptor is read.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;
use std::{fmt, io};

use super::error::PlanError;
use super::words::Service;
use crate::config::address::{
    BindAddress, ListenAt, ListenHost, ListenPoint, Target, TargetAt, TargetHost,
};
use crate::config::family::Family;
use crate::config::options::Common;

/// What the checks that span a whole command line remember of its words.
#[derive(Default)]
pub(super) struct WordsSeen {
    points: HashSet<ListenAt>,
    clients: usize,
    client_connected: Option<String>,
    descriptors: Vec<(RawFd, String)>,
}

impl WordsSeen {
    /// Notes the points of a word for clients; says whether it is a connection.
    pub(super) fn add_clients(&mut self, points: &[ListenPoint]) -> Result<bool, PlanError> {
        let connected = self.add_links_in(points)?;
        self.clients += points.len();
        if connected {
            self.client_connected = points.first().map(|point| point.word.clone());
        }
        match &self.client_connected {
            Some(word) if self.clients > 1 => Err(PlanError::ConnectedAmongClients(word.clone())),
            _ => Ok(connected),
        }
    }

    /// Notes the points of a word for links; says whether it is a connection.
    pub(super) fn add_links_in(&mut self, points: &[ListenPoint]) -> Result<bool, PlanError> {
        points.iter().try_fold(false, |connected, point| {
            Ok(connected | self.add_point(point)?)
        })
    }

    /// Notes the targets of a word; says whether it is a connection.
    pub(super) fn add_targets(&mut self, targets: &[Target]) -> Result<bool, PlanError> {
        let mut connected = false;
        for target in targets {
            let (read, write) = match target.at {
                TargetAt::Tcp { .. } | TargetAt::FourWay { .. } | TargetAt::Unix(_) => continue,
                TargetAt::Stdio => (STDIN, STDOUT),
                TargetAt::Fd { read, write } => (read, write),
            };
            self.add_connection(&target.word, read, write)?;
            connected = true;
        }
        Ok(connected)
    }

    fn add_point(&mut self, point: &ListenPoint) -> Result<bool, PlanError> {
        match point.at {
            // Each port 0 is another port.
            ListenAt::Tcp { port: 0, .. } => Ok(false),
            // So is each that a proxy picks.
            ListenAt::SocksBind(_) => Ok(false),
            ListenAt::Tcp { .. } | ListenAt::Unix(_) => {
                match self.points.insert(point.at.clone()) {
                    true => Ok(false),
                    false => Err(PlanError::PointTwice(point.word.clone())),
                }
            }
            ListenAt::Stdio => {
                self.add_connection(&point.word, STDIN, STDOUT)?;
                Ok(true)
            }
            ListenAt::Fd { read, write } => {
                let listens = read == write && examine(&point.word, read)?;
                if listens {
                    self.add_descriptor(&point.word, read)?;
                } else {
                    self.add_connection(&point.word, read, write)?;
                }
                Ok(!listens)
            }
        }
    }

    fn add_connection(&mut self, word: &str, read: RawFd, write: RawFd) -> Result<(), PlanError> {
        if word == "-" && self.descriptors.iter().any(|(_, first)| first == "-") {
            return Err(PlanError::StdioTwice);
        }
        self.add_descriptor(word, read)?;
        if write != read {
            self.add_descriptor(word, write)?;
        }
        match examine(word, read)? || examine(word, write)? {
            false => Ok(()),
            true if word == "-" => Err(PlanError::StdioListens),
            true => Err(PlanError::DescriptorListens(word.to_owned())),
        }
    }

    fn add_descriptor(&mut self, word: &str, fd: RawFd) -> Result<(), PlanError> {
        match self.descriptors.iter().find(|(seen, _)| *seen == fd) {
            Some((_, first)) => Err(PlanError::DescriptorShared {
                fd,
                first: first.clone(),
                second: word.to_owned(),
            }),
            None => {
                self.descriptors.push((fd, word.to_owned()));
                Ok(())
            }
        }
    }

    /// Holds the words against the options that use a descriptor of their own.
    pub(super) fn check_options(&mut self, common: &Common) -> Result<(), PlanError> {
        if common.print_address
            && let Some((_, word)) = self.descriptors.iter().find(|(fd, _)| *fd == STDOUT)
        {
            return Err(PlanError::PrintAddressOnStdout(word.clone()));
        }
        match common.ready_fd {
            Some(fd) => {
                let option = format!("--ready-fd {fd}");
                examine(&option, fd)?;
                self.add_descriptor(&option, fd)
            }
            None => Ok(()),
        }
    }
}

fn examine(word: &str, fd: RawFd) -> Result<bool, PlanError> {
    is_listening(fd).map_err(|error| PlanError::DescriptorUnusable {
        word: word.to_owned(),
        error,
    })
}

/// No address may be of the family that was excluded.
pub(super) fn check_families<'a>(
    family: Family,
    points: impl IntoIterator<Item = &'a ListenPoint>,
    targets: impl IntoIterator<Item = &'a Target>,
    bind: Option<BindAddress>,
) -> Result<(), PlanError> {
    let check = |ip: IpAddr, word: &dyn fmt::Display| {
        if family.allows(ip) {
            Ok(())
        } else {
            Err(PlanError::FamilyExcluded {
                word: word.to_string(),
                family,
            })
        }
    };
    for point in points {
        match &point.at {
            ListenAt::Tcp {
                host: ListenHost::Ip(ip, _),
                ..
            } => check(*ip, &point.word)?,
            ListenAt::SocksBind(proxy) => {
                if let TargetHost::Ip(ip, _) = proxy.host {
                    check(ip, &point.word)?;
                }
            }
            _ => {}
        }
    }
    for target in targets {
        if let TargetAt::Tcp {
            host: TargetHost::Ip(ip, _),
            ..
        }
        | TargetAt::FourWay {
            host: TargetHost::Ip(ip, _),
            ..
        } = target.at
        {
            check(ip, &target.word)?;
        }
    }
    match bind {
        Some(bind) => bind.ip.map_or(Ok(()), |ip| check(ip, &bind)),
        None => Ok(()),
    }
}

/// A 4way address has its local port in its own word.
pub(super) fn check_four_way_bind<'a>(
    targets: impl IntoIterator<Item = &'a Target>,
    bind: Option<BindAddress>,
) -> Result<(), PlanError> {
    let Some(bind) = bind.filter(|bind| bind.port.is_some()) else {
        return Ok(());
    };
    match targets.into_iter().find(|target| target.at.is_four_way()) {
        Some(target) => Err(PlanError::FourWayBindPort {
            bind,
            word: target.word.clone(),
        }),
        None => Ok(()),
    }
}

/// The sessions of a raw link come one after the other, and nothing would tell which link they come by.
pub(super) fn check_raw_four_way(link: &[Target]) -> Result<(), PlanError> {
    match link {
        [target, _, ..] if target.at.is_four_way() => Err(PlanError::RawFourWays(link.len())),
        _ => Ok(()),
    }
}

/// A raw link carries bytes and nothing else, so neither node can tell a name.
pub(super) fn check_raw_names<T>(services: &[Service<T>]) -> Result<(), PlanError> {
    match services.iter().find_map(|service| service.name.clone()) {
        Some(name) => Err(PlanError::RawName(name)),
        None => Ok(()),
    }
}

/// Nor can it tell the place in a list: behind raw links stands one server. `listen-listen` may still have several
/// ports for clients; all of them lead there, as with any list of one server.
pub(super) fn check_raw_servers(services: &[Service<Target>]) -> Result<(), PlanError> {
    match services.iter().map(|service| service.ports.len()).sum() {
        1 => Ok(()),
        servers => Err(PlanError::RawServers(servers)),
    }
}

/// That the port opens is the signal. Two open ports would call two links for one client, and a listening socket
/// that others hold open too would call at any time.
pub(super) fn check_raw_link_in(link: &[ListenPoint], connected: bool) -> Result<(), PlanError> {
    match link {
        [point] => match point.at {
            ListenAt::Fd { .. } if !connected => Err(PlanError::RawInherited(point.word.clone())),
            _ => Ok(()),
        },
        _ => Err(PlanError::RawLinks(link.len())),
    }
}

/// Whether what is dialled is known to be what is listened on, without a lookup: its one client would be a session for ever.
pub(super) fn dials_itself(listen: &ListenAt, target: &TargetAt) -> bool {
    match (listen, target) {
        (
            ListenAt::Tcp { host, port },
            TargetAt::Tcp {
                host: target,
                port: dialled,
            },
        ) => {
            let same_host = match (host, target) {
                (ListenHost::Any, TargetHost::Localhost) => true,
                (ListenHost::Any, TargetHost::Ip(ip, _)) => ip.is_loopback(),
                (ListenHost::Ip(own, _), TargetHost::Localhost) => [
                    Ipv4Addr::LOCALHOST.into(),
                    IpAddr::from(Ipv6Addr::LOCALHOST),
                ]
                .contains(own),
                (ListenHost::Ip(own, zone), TargetHost::Ip(ip, its)) => (own, zone) == (ip, its),
                (ListenHost::Name(own), TargetHost::Name(name)) => own == name,
                _ => false,
            };
            port == dialled && same_host
        }
        (ListenAt::Unix(own), TargetAt::Unix(name)) => own == name,
        _ => false,
    }
}

/// Whether a descriptor is a listening socket (SO_ACCEPTCONN, socket(7)). What is no socket at all does not listen.
///
/// # Errors
/// What the system says of a descriptor that is not open.
pub fn is_listening(fd: RawFd) -> io::Result<bool> {
    let mut listening: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // A descriptor that was named on the command line may not be open, so that no `BorrowedFd` of it can be made.
    // SAFETY: both pointers are to live values of the given sizes; the kernel checks the descriptor.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut listening).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        return Ok(listening != 0);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOTSOCK) {
        Ok(false)
    } else {
        Err(error)
    }
}

const STDIN: RawFd = libc::STDIN_FILENO;
const STDOUT: RawFd = libc::STDOUT_FILENO;

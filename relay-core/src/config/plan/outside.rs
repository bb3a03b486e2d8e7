//! The plan of `listen-listen`.

use std::time::Duration;

use super::checks::{
    WordsSeen, check_families, check_four_way_bind, check_raw_four_way, check_raw_link_in,
    check_raw_names,
};
use super::error::PlanError;
use super::proxies::Proxies;
use super::words::{Service, add_ports, dial_targets, listen_points, nameless, read_keys};
use crate::config::address::{ListenPoint, Target, is_four_way, split_service};
use crate::config::options::{Dialing, FourWayOptions, OutsideLine};
use crate::config::settings::{
    Admission, HEARTBEAT_DEFAULT, QUEUE_MAX_DEFAULT, Settings, WAIT_TIMEOUT_DEFAULT,
};
use crate::keyed::{Keys, Role};
use crate::policy::access_list::AccessList;

/// What `listen-listen` does: clients are given to links.
#[derive(Debug)]
pub struct OutsidePlan {
    /// What holds for every session.
    pub settings: Settings,
    /// Where clients come in, a list for each service, in order of first mention.
    pub clients: Vec<Service<ListenPoint>>,
    /// Which clients may come in.
    pub admission: Admission,
    /// Where links come in. With `raw`, one point, which is not an inherited listening socket.
    pub link: Vec<ListenPoint>,
    /// Links that both ends dial; then there is no point for links to come in.
    pub four_way: Vec<Target>,
    /// Which links may come in.
    pub link_access: AccessList,
    /// The longest silence this side leaves on a link.
    pub heartbeat: Duration,
    /// Links without framing: one connection, one session. Then `clients` is one list without a name.
    pub raw: bool,
    /// What the inside node has to prove, if anything.
    pub keys: Option<Keys>,
    /// How long a client waits for a link.
    pub wait_timeout: Duration,
    /// How many clients may wait.
    pub queue_max: usize,
}

impl OutsidePlan {
    /// Reads `[NAME=]CLIENTS... LINK`.
    pub fn new(line: &OutsideLine) -> Result<Self, PlanError> {
        let OutsideLine {
            clients,
            link,
            common,
            links,
            outside,
            client_options,
            four_way_options,
            ..
        } = line;
        let heartbeat = links.heartbeat.unwrap_or(HEARTBEAT_DEFAULT);
        let wait_timeout = outside.wait_timeout.unwrap_or(WAIT_TIMEOUT_DEFAULT);
        if !links.raw && wait_timeout <= heartbeat * 5 / 2 {
            return Err(PlanError::WaitTooShort {
                wait_timeout,
                heartbeat,
            });
        }
        let mut proxies = Proxies::new(common);
        let mut words_seen = WordsSeen::default();
        let mut once = common.once;
        let nexts = clients
            .iter()
            .skip(1)
            .map(String::as_str)
            .chain([link.as_str()]);
        let mut services = Vec::new();
        for (word, next) in clients.iter().zip(nexts) {
            let (name, address) = split_service(word);
            let mut points = listen_points(address, Some(next))?;
            proxies.complete_points(&mut points)?;
            once |= words_seen.add_clients(&points)?;
            add_ports(&mut services, name, points)?;
        }
        let link = nameless(link)?;
        let (mut link, four_way) = if is_four_way(link) {
            (Vec::new(), dial_targets(link, None)?)
        } else {
            (listen_points(link, None)?, Vec::new())
        };
        let dialing = four_way_options.dialing(&four_way)?;
        proxies.complete_points(&mut link)?;
        proxies.finish()?;
        let link_connected = words_seen.add_links_in(&link)?;
        words_seen.check_options(common)?;
        if links.raw {
            check_raw_names(&services)?;
            check_raw_four_way(&four_way)?;
            if four_way.is_empty() {
                check_raw_link_in(&link, link_connected)?;
            }
            once |= link_connected;
        }
        let points = services
            .iter()
            .flat_map(|service| &service.ports)
            .chain(&link);
        check_families(common.family(), points, &four_way, dialing.bind)?;
        Ok(Self {
            settings: Settings::new(common, &dialing, once),
            clients: services,
            admission: Admission::of(client_options),
            link,
            four_way,
            link_access: AccessList::of_allowed(&outside.allow_link),
            heartbeat,
            raw: links.raw,
            keys: read_keys(Role::Outside, links)?,
            wait_timeout,
            queue_max: outside.queue.unwrap_or(QUEUE_MAX_DEFAULT),
        })
    }
}

impl OutsidePlan {
    /// Words to listen on, ranges counted out.
    pub fn points(&self) -> usize {
        let clients = self.clients.iter().map(|service| service.ports.len());
        clients.sum::<usize>() + self.link.len()
    }
}

impl FourWayOptions {
    /// What holds for these targets; without any, the options have no use.
    fn dialing(&self, targets: &[Target]) -> Result<Dialing, PlanError> {
        let unused = match (self.bind, self.connect_timeout) {
            _ if !targets.is_empty() => None,
            (Some(_), _) => Some("--bind"),
            (_, Some(_)) => Some("--connect-timeout"),
            (None, None) => None,
        };
        if let Some(option) = unused {
            return Err(PlanError::NothingDialled(option));
        }
        check_four_way_bind(targets, self.bind)?;
        Ok(Dialing {
            bind: self.bind,
            connect_timeout: self.connect_timeout,
            ..Dialing::default()
        })
    }
}

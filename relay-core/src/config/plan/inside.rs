//! The plan of `connect-connect`.

use std::sync::Arc;
use std::time::Duration;

use super::checks::{
    WordsSeen, check_families, check_four_way_bind, check_raw_four_way, check_raw_names,
    check_raw_servers,
};
use super::error::PlanError;
use super::proxies::{Proxies, check_ways};
use super::words::{Service, add_ports, dial_targets, nameless, read_keys};
use crate::config::address::{BindAddress, Proxy, Target, split_service};
use crate::config::options::InsideLine;
use crate::config::settings::{HEARTBEAT_DEFAULT, IDLE_LINKS_DEFAULT, INTERVAL_DEFAULT, Settings};
use crate::keyed::{Keys, Role};

/// What `connect-connect` does: links are kept, and each signal on one is answered by dialling a server.
#[derive(Debug)]
pub struct InsidePlan {
    /// What holds for every session. `bind` belongs to the links.
    pub settings: Settings,
    /// Where links lead.
    pub link: Vec<Target>,
    /// Where sessions go, a list for each service, in order of first mention. With `raw`, one target without a name.
    pub servers: Vec<Service<Target>>,
    /// The longest silence this side leaves on a link.
    pub heartbeat: Duration,
    /// Links without framing: one connection, one session.
    pub raw: bool,
    /// What the outside node has to prove, if anything.
    pub keys: Option<Keys>,
    /// The longest pause between dials of a link.
    pub interval: Duration,
    /// The least number of idle links to each outside node; 1 if `raw`, at most `links_max`.
    pub idle_min: usize,
    /// The largest number of links; 1 if `once`, or if the link is an inherited connection.
    pub links_max: usize,
    /// The local address that dials of servers leave from.
    pub server_bind: Option<BindAddress>,
    /// The proxies that dials of servers go through.
    pub server_via: Arc<[Proxy]>,
}

impl InsidePlan {
    /// Reads `LINK [NAME=]SERVER...`.
    pub fn new(line: &InsideLine) -> Result<Self, PlanError> {
        let InsideLine {
            link,
            servers,
            dialing,
            common,
            links,
            inside,
            ..
        } = line;
        let mut words_seen = WordsSeen::default();
        let link = dial_targets(nameless(link)?, servers.first().map(String::as_str))?;
        let link_connected = words_seen.add_targets(&link)?;
        let mut once = common.once;
        let nexts = servers
            .iter()
            .skip(1)
            .map(|word| Some(word.as_str()))
            .chain([None]);
        let mut services = Vec::new();
        for (word, next) in servers.iter().zip(nexts) {
            let (name, address) = split_service(word);
            let targets = dial_targets(address, next)?;
            once |= words_seen.add_targets(&targets)?;
            add_ports(&mut services, name, targets)?;
        }
        words_seen.check_options(common)?;
        if links.raw {
            check_raw_names(&services)?;
            check_raw_servers(&services)?;
            check_raw_four_way(&link)?;
            once |= link_connected;
        }
        if once && link.len() > 1 {
            return Err(PlanError::OnceWithLinks(link.len()));
        }
        let mut proxies = Proxies::new(common);
        let via = proxies.chain("--via", &dialing.via)?;
        let server_via = proxies.chain("--server-via", &inside.server_via)?;
        proxies.finish()?;
        let settings = Settings {
            via,
            ..Settings::new(common, dialing, once)
        };
        let four_way = link.iter().any(|target| target.at.is_four_way());
        let links_max = match inside.max_links {
            _ if once || link_connected => 1,
            _ if four_way => link.len(),
            Some(links_max) => links_max,
            None => settings.sessions_max,
        };
        check_four_way_bind(&link, dialing.bind)?;
        if let Some(bind) = dialing.bind
            && bind.port.is_some()
            && (links_max > 1 || link.len() > 1)
        {
            return Err(PlanError::BindPortWithLinks(bind));
        }
        // A raw link that connects is a client's already: none can be kept idle, and one dial waits for the next.
        let idle_wanted = if links.raw {
            1
        } else {
            inside.idle.unwrap_or(IDLE_LINKS_DEFAULT)
        };
        let targets = services.iter().flat_map(|service| &service.ports);
        check_four_way_bind(targets.clone(), inside.server_bind)?;
        check_families(settings.family, [], &link, dialing.bind)?;
        check_families(settings.family, [], targets.clone(), inside.server_bind)?;
        check_ways("--via", settings.family, &settings.via, &link)?;
        check_ways("--server-via", settings.family, &server_via, targets)?;
        Ok(Self {
            settings,
            link,
            servers: services,
            heartbeat: links.heartbeat.unwrap_or(HEARTBEAT_DEFAULT),
            raw: links.raw,
            keys: read_keys(Role::Inside, links)?,
            interval: inside.interval.unwrap_or(INTERVAL_DEFAULT),
            idle_min: idle_wanted.min(links_max),
            links_max,
            server_bind: inside.server_bind,
            server_via,
        })
    }
}

//! What was typed means: a command line becomes the plan that is run.
//!
//! Every check that can be made before the first socket is opened is made here, so that whoever runs a plan meets
//! faults of the system only. Invariants of a plan that was made: each list of ports to dial is as long as the list
//! it serves, or one (between the nodes that is settled when they meet); no descriptor is used by two words; a client
//! or server that is already connected makes `once` true; options that contradict each other are refused, not ranked.
//!
//! Not here: the text of an address (`address`), the text of an option (`cli`), and anything that may change by
//! itself, such as a name that cannot be resolved yet.

mod checks;
mod error;
mod proxies;

use crate::config::settings::Admission;
use crate::config::settings::HEARTBEAT_DEFAULT;
use crate::config::settings::IDLE_LINKS_DEFAULT;
use crate::config::settings::INTERVAL_DEFAULT;
use crate::config::settings::QUEUE_MAX_DEFAULT;
use crate::config::settings::Settings;
use crate::config::settings::WAIT_TIMEOUT_DEFAULT;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::address::{
    AddressError, BindAddress, ListenPoint, Proxy, ServiceName, Target, is_four_way, parse_listen,
    parse_target, split_service, without_password,
};
use crate::config::options::{
    ClientOptions, Common, Dialing, FourWayOptions, InsideOptions, LinkOptions, OutsideOptions,
};
use crate::keyed::{Inner, KeyError, KeyFile, Keys, Role};
use crate::limits::SERVICES_MAX;
use crate::policy::access_list::AccessList;
use checks::{
    WordsSeen, check_families, check_four_way_bind, check_raw_four_way, check_raw_link_in,
    check_raw_names, check_raw_servers, dials_itself,
};

use proxies::{Proxies, check_ways};

pub use checks::is_listening;
pub use error::PlanError;

/// What `tcpfwd` does: each point's clients go to the target beside it.
#[derive(Debug)]
pub struct RoutePlan {
    /// What holds for every session.
    pub settings: Settings,
    /// Where clients come in, and where they are taken.
    pub routes: Vec<(ListenPoint, Target)>,
    /// Which clients may come in.
    pub admission: Admission,
}

impl RoutePlan {
    /// Reads `LISTEN TARGET [LISTEN TARGET]...`.
    pub fn new(
        words: &[String],
        dialing: &Dialing,
        common: &Common,
        clients: &ClientOptions,
    ) -> Result<Self, PlanError> {
        if let Some(word) = words.iter().find(|word| split_service(word).0.is_some()) {
            return Err(PlanError::NameWithoutNodes(without_password(word)));
        }
        let mut routes = Vec::new();
        let mut proxies = Proxies::new(common);
        let mut words_seen = WordsSeen::default();
        let mut once = common.once;
        for (at, pair) in words.chunks(2).enumerate() {
            let next = |extra: usize| words.get(2 * at + extra).map(String::as_str);
            let mut points = listen_points(&pair[0], next(1))?;
            proxies.complete_points(&mut points)?;
            let [listen, target] = pair else {
                return Err(PlanError::TargetMissing(without_password(&pair[0])));
            };
            let targets = dial_targets(target, next(2))?;
            once |= words_seen.add_clients(&points)? | words_seen.add_targets(&targets)?;
            if targets.len() != 1 && targets.len() != points.len() {
                return Err(PlanError::ListsDiffer {
                    listen: without_password(listen),
                    points: points.len(),
                    target: target.clone(),
                    targets: targets.len(),
                });
            }
            for (point, target) in points.into_iter().zip(targets.into_iter().cycle()) {
                if dialing.via.is_empty() && dials_itself(&point.at, &target.at) {
                    return Err(PlanError::DialsItself {
                        listen: point.word,
                        target: target.word,
                    });
                }
                routes.push((point, target));
            }
        }
        words_seen.check_options(common)?;
        check_four_way_bind(routes.iter().map(|(_, target)| target), dialing.bind)?;
        let points = routes.iter().map(|(point, _)| point);
        let targets = routes.iter().map(|(_, target)| target);
        check_families(common.family(), points, targets.clone(), dialing.bind)?;
        let via = proxies.chain("--via", &dialing.via)?;
        proxies.finish()?;
        check_ways("--via", common.family(), &via, targets)?;
        Ok(Self {
            settings: Settings {
                via,
                ..Settings::new(common, dialing, once)
            },
            routes,
            admission: Admission::of(clients),
        })
    }
}

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
    pub fn new(
        clients: &[String],
        link: &str,
        common: &Common,
        links: &LinkOptions,
        outside: &OutsideOptions,
        client_options: &ClientOptions,
        four_way_options: &FourWayOptions,
    ) -> Result<Self, PlanError> {
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
        let nexts = clients.iter().skip(1).map(String::as_str).chain([link]);
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
    pub fn new(
        link: &str,
        servers: &[String],
        dialing: &Dialing,
        common: &Common,
        links: &LinkOptions,
        inside: &InsideOptions,
    ) -> Result<Self, PlanError> {
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

/// The ports of one name, or of none, in the order in which they were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service<T> {
    /// The name.
    pub name: Option<ServiceName>,
    /// The list; never empty.
    pub ports: Vec<T>,
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

fn listen_points(word: &str, next: Option<&str>) -> Result<Vec<ListenPoint>, AddressError> {
    parse_listen(word).map_err(|error| error.followed_by(next))
}

fn dial_targets(word: &str, next: Option<&str>) -> Result<Vec<Target>, AddressError> {
    parse_target(word).map_err(|error| error.followed_by(next))
}

fn nameless(link: &str) -> Result<&str, PlanError> {
    match split_service(link) {
        (None, word) => Ok(word),
        (Some(_), _) => Err(PlanError::NameOfLink(without_password(link))),
    }
}

fn read_keys(role: Role, links: &LinkOptions) -> Result<Option<Keys>, KeyError> {
    let inner = if links.raw { Inner::Raw } else { Inner::Frames };
    let keys = links
        .key_file
        .as_ref()
        .map(|path| Keys::new(role, inner, KeyFile::read(path)?));
    keys.transpose()
}

/// Puts ports at the end of their name's list.
fn add_ports<T: fmt::Display>(
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

/// Ports in the list of one name: the place in the list is told in 16 bits.
pub const SERVICE_PORTS_MAX: usize = 65_535;

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use std::os::fd::RawFd;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Route {
        words: Vec<String>,
        #[command(flatten)]
        dialing: Dialing,
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        clients: ClientOptions,
    }

    #[derive(Parser)]
    struct Outside {
        #[arg(required = true)]
        clients: Vec<String>,
        link: String,
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        links: LinkOptions,
        #[command(flatten)]
        outside: OutsideOptions,
        #[command(flatten)]
        client_options: ClientOptions,
        #[command(flatten)]
        four_way_options: FourWayOptions,
    }

    #[derive(Parser)]
    struct Inside {
        link: String,
        servers: Vec<String>,
        #[command(flatten)]
        dialing: Dialing,
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        links: LinkOptions,
        #[command(flatten)]
        inside: InsideOptions,
    }

    fn typed<T: Parser>(line: &str) -> T {
        T::try_parse_from(["tool"].into_iter().chain(line.split(' '))).unwrap()
    }

    fn route(line: &str) -> Result<RoutePlan, String> {
        let typed: Route = typed(line);
        RoutePlan::new(&typed.words, &typed.dialing, &typed.common, &typed.clients)
            .map_err(|error| error.to_string())
    }

    fn outside(line: &str) -> Result<OutsidePlan, String> {
        let Outside {
            clients,
            link,
            common,
            links,
            outside,
            client_options,
            four_way_options,
        } = typed(line);
        OutsidePlan::new(
            &clients,
            &link,
            &common,
            &links,
            &outside,
            &client_options,
            &four_way_options,
        )
        .map_err(|error| error.to_string())
    }

    fn inside(line: &str) -> Result<InsidePlan, String> {
        let Inside {
            link,
            servers,
            dialing,
            common,
            links,
            inside,
        } = typed(line);
        InsidePlan::new(&link, &servers, &dialing, &common, &links, &inside)
            .map_err(|error| error.to_string())
    }

    fn pairs(plan: RoutePlan) -> Vec<String> {
        plan.routes
            .iter()
            .map(|(point, target)| format!("{point} {target}"))
            .collect()
    }

    fn lists<T: fmt::Display>(services: &[Service<T>]) -> Vec<String> {
        let list = |service: &Service<T>| {
            let name = service.name.as_ref().map_or("", ServiceName::as_str);
            let ports: Vec<String> = service.ports.iter().map(T::to_string).collect();
            format!("{name}={}", ports.join(" "))
        };
        services.iter().map(list).collect()
    }

    /// The limit of open files is below it.
    const CLOSED: RawFd = RawFd::MAX;

    #[test]
    fn a_route_to_where_it_listens_is_refused() {
        for line in [
            "8080 8080",
            "8080 localhost:8080",
            "*:8080 [::1]:8080",
            "127.0.0.1:8080 localhost:8080",
            "192.0.2.7:80 192.0.2.7:80",
            "here:80 here:80",
            "unix:@here unix:@here",
            "2000-2003 2000-2003",
        ] {
            let refused = route(line).unwrap_err();
            assert!(
                refused.ends_with("it would dial itself"),
                "{line}: {refused}"
            );
        }
        for line in [
            "8080 8081",
            "127.0.0.2:8080 localhost:8080",
            "8080 srv:8080",
            "--via socks5://fw:1080 8080 localhost:8080",
        ] {
            assert!(route(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn allow_and_deny_are_one_list_in_the_order_in_which_they_were_typed() {
        let plan =
            route("8000 srv:80 --deny 10.0.0.1 --allow 10.0.0.0/8 --deny 192.0.2.1 --allow ::1")
                .unwrap();
        let list = plan.admission.list;
        let permits = |ip: &str| list.check(ip.parse().unwrap()).is_ok();
        assert!(!permits("10.0.0.1"));
        assert!(permits("10.0.0.2"));
        assert!(!permits("192.0.2.1"));
        assert!(permits("::1"));
        assert!(!permits("192.0.2.2"));
        let plan =
            outside("8000 8001 --allow 10.0.0.0/8 --deny 10.0.0.1 --allow-link ::1").unwrap();
        assert!(
            plan.admission
                .list
                .check("10.0.0.1".parse().unwrap())
                .is_ok()
        );
        assert!(plan.link_access.check("10.0.0.1".parse().unwrap()).is_err());
    }

    #[test]
    fn the_nth_port_leads_to_the_nth_target_and_one_target_serves_all() {
        assert_eq!(pairs(route("8080 srv:80").unwrap()), ["*:8080 srv:80"]);
        assert_eq!(
            pairs(route("1-2 srv:8-9 [::1]:3 4").unwrap()),
            ["*:1 srv:8", "*:2 srv:9", "[::1]:3 localhost:4"]
        );
        assert_eq!(
            pairs(route("1-3 srv:80").unwrap()),
            ["*:1 srv:80", "*:2 srv:80", "*:3 srv:80"]
        );
    }

    #[test]
    fn words_of_one_name_form_one_list_in_order() {
        let plan = outside("web=8000 9000 web=8002-8003 9001 8001").unwrap();
        assert_eq!(
            lists(&plan.clients),
            ["web=*:8000 *:8002 *:8003", "=*:9000 *:9001"]
        );
        assert_eq!(plan.link[0].to_string(), "*:8001");
        let plan = inside("ll:8001 srv:1 web=a:1-2 srv:2").unwrap();
        assert_eq!(lists(&plan.servers), ["=srv:1 srv:2", "web=a:1 a:2"]);
    }

    #[test]
    fn what_was_not_typed_has_its_default() {
        let plan = inside("ll:8001 srv:1").unwrap();
        assert_eq!(plan.settings, Settings::default());
        assert_eq!(
            (plan.idle_min, plan.links_max, plan.heartbeat),
            (4, 10_000, Duration::from_secs(10))
        );
        assert_eq!(
            inside("ll:8001 srv:1 --max-sessions 50").unwrap().links_max,
            50
        );
        assert_eq!(inside("ll:8001 srv:1 --max-links 2").unwrap().idle_min, 2);
        assert_eq!(inside("ll:8001 srv:1 --raw").unwrap().idle_min, 1);
    }

    #[test]
    fn a_connected_client_or_server_is_one_session() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (listening, connected) = (listener.as_raw_fd(), connection.as_raw_fd());
        assert!(!route("8080 srv:80").unwrap().settings.once);
        assert!(route("8080 srv:80 --once").unwrap().settings.once);
        assert!(route("- srv:80").unwrap().settings.once);
        assert!(route("8080 -").unwrap().settings.once);
        assert!(
            !route(&format!("fd:{listening} srv:80"))
                .unwrap()
                .settings
                .once
        );
        assert!(
            route(&format!("fd:{connected} srv:80"))
                .unwrap()
                .settings
                .once
        );
        assert!(
            route(&format!("8080 fd:{connected}"))
                .unwrap()
                .settings
                .once
        );
        assert!(outside("- 8001").unwrap().settings.once);
        assert!(inside("ll:8001 -").unwrap().settings.once);
    }

    #[test]
    fn a_connected_link_serves_sessions_in_turn() {
        let plan = inside("- srv:80").unwrap();
        assert_eq!(
            (plan.settings.once, plan.links_max, plan.idle_min),
            (false, 1, 1)
        );
        assert!(!outside("8000 -").unwrap().settings.once);
    }

    #[test]
    fn a_connected_raw_link_is_one_session() {
        assert!(inside("- srv:80 --raw").unwrap().settings.once);
        assert!(outside("8000 - --raw").unwrap().settings.once);
    }

    #[test]
    fn once_is_one_link() {
        assert_eq!(inside("ll:8001 srv:80 --once").unwrap().links_max, 1);
        assert_eq!(
            inside("ll:8001-8002 srv:80 --once").unwrap_err(),
            "unable to use 2 ports as LINK: one session is one link"
        );
    }

    #[test]
    fn raw_mode_has_one_server_and_any_number_of_ports_for_clients() {
        assert_eq!(
            lists(&outside("8000-8001 8003 9000 --raw").unwrap().clients),
            ["=*:8000 *:8001 *:8003"]
        );
        assert_eq!(
            lists(&inside("ll:8001-8002 srv:80 --raw").unwrap().servers),
            ["=srv:80"]
        );
    }

    #[test]
    fn listening_is_told_from_everything_else_a_descriptor_can_be() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (pipe, _writer) = io::pipe().unwrap();
        assert!(is_listening(listener.as_raw_fd()).unwrap());
        assert!(!is_listening(connection.as_raw_fd()).unwrap());
        assert!(!is_listening(pipe.as_raw_fd()).unwrap());
        assert_eq!(
            is_listening(CLOSED).unwrap_err().raw_os_error(),
            Some(libc::EBADF)
        );
    }

    #[test]
    fn each_route_that_cannot_be_is_refused_with_its_reason() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = listener.as_raw_fd();
        for (line, why) in [
            ("8080", "unable to route 8080: no TARGET behind it"),
            (
                "8080 srv:80 9090",
                "unable to route 9090: no TARGET behind it",
            ),
            (
                "8080 srv 80",
                "unable to use address srv: no port: host and port are one word: write srv:80",
            ),
            (
                "0.0.0.0 80 srv:80",
                "unable to use address 0.0.0.0: no port: host and port are one word: write 0.0.0.0:80",
            ),
            (
                "1-8 srv:1-3",
                "unable to route 1-8 to srv:1-3: 8 to listen on, 3 to dial",
            ),
            (
                "80 srv:1-3",
                "unable to route 80 to srv:1-3: 1 to listen on, 3 to dial",
            ),
            (
                "web=80 srv:80",
                "unable to use web=80: a name is for listen-listen and connect-connect",
            ),
            (
                "- -",
                "unable to use - twice: stdin and stdout are one connection",
            ),
            (
                "fd:0 -",
                "unable to use - beside fd:0: descriptor 0 is in both",
            ),
            (
                "80 - --ready-fd 1",
                "unable to use --ready-fd 1 beside -: descriptor 1 is in both",
            ),
            (
                "fd:2147483647 srv:80",
                "unable to use fd:2147483647: bad file descriptor",
            ),
            (
                "80 srv:80 --ready-fd 2147483647",
                "unable to use --ready-fd 2147483647: bad file descriptor",
            ),
            (
                &format!("80 fd:{fd}"),
                &format!(
                    "unable to use fd:{fd}: this is a listening socket: expected a connection"
                ),
            ),
            (
                &format!("fd:0,{fd} srv:80"),
                &format!(
                    "unable to use fd:0,{fd}: this is a listening socket: expected a connection"
                ),
            ),
            ("80 a:80 :80 b:80", "unable to listen on :80: given twice"),
            (
                "- a:80 80 b:80",
                "unable to use - beside other clients: it is connected, and the one session there is",
            ),
            (
                "80 b:80 - a:80",
                "unable to use - beside other clients: it is connected, and the one session there is",
            ),
            (
                "80 - --print-address",
                "unable to use --print-address with -: stdout carries the session",
            ),
            (
                "[::1]:80 srv:80 -4",
                "unable to use [::1]:80 with -4: this is an ipv6 address",
            ),
            (
                "80 192.0.2.7:80 -6",
                "unable to use 192.0.2.7:80 with -6: this is an ipv4 address",
            ),
            (
                "80 srv:80 -6 --bind 192.0.2.7",
                "unable to use 192.0.2.7 with -6: this is an ipv4 address",
            ),
        ] {
            assert_eq!(route(line).unwrap_err(), why, "{line}");
        }
    }

    #[test]
    fn a_chain_of_proxies_is_as_long_as_it_was_typed() {
        let plan = route("80 srv:80 --via http://a:1 --via socks5h://b:2").unwrap();
        let names: Vec<String> = plan.settings.via.iter().map(Proxy::to_string).collect();
        assert_eq!(names, ["http proxy a:1", "socks5h proxy b:2"]);
        let plan = inside("ll:8001 srv:80 --via http://a:1 --server-via socks4://b:2").unwrap();
        assert_eq!(plan.settings.via[0].to_string(), "http proxy a:1");
        assert_eq!(plan.server_via[0].to_string(), "socks4 proxy b:2");
        assert_eq!((plan.settings.via.len(), plan.server_via.len()), (1, 1));
    }

    #[test]
    fn each_way_through_proxies_that_cannot_be_is_refused_with_its_reason() {
        let many = "--via http://a:1 ".repeat(9);
        for (line, why) in [
            (
                "80 srv:80 --via fw:1080",
                "unable to use --via fw:1080: no scheme: expected socks5://HOST:PORT, or socks5h, socks4, socks4a or http",
            ),
            (
                "80 srv:80 -4 --via http://jo:x@[::1]:1",
                "unable to use --via [::1]:1 with -4: this is an ipv6 address",
            ),
            (
                "bind+socks5://127.0.0.1:1 srv:80 -6",
                "unable to use bind+socks5://127.0.0.1:1 with -6: this is an ipv4 address",
            ),
            (
                "80 unix:/x --via http://a:1",
                "unable to use unix:/x with --via: a proxy connects to tcp ports only",
            ),
            (
                "80 - --via http://a:1",
                "unable to use - with --via: a proxy connects to tcp ports only",
            ),
            (
                "80 [::1]:80 --via socks4://a:1",
                "unable to use [::1]:80 with --via: socks4 knows ipv4 addresses only",
            ),
            (
                "80 [fe80::1%lo]:80 --via socks5://a:1",
                "unable to use [fe80::1%lo]:80 with --via: a zone means nothing to a proxy",
            ),
            (
                "80 srv:80 --via socks4a://a:1 --via http://[::1]:1",
                "unable to use http proxy [::1]:1 with --via: socks4 knows ipv4 addresses only",
            ),
            (
                "80 srv:80 --via http://a:1 --via-password-file /x",
                "unable to use --via-password-file /x: no proxy has a user and lacks a password",
            ),
            (
                "80 srv:80 --via http://jo@a:1 --via-password-file /nonexistent/x",
                "unable to use the password file /nonexistent/x: no such file or directory",
            ),
            (
                &format!("80 srv:80 {}", many.trim_end()),
                "unable to use --via so often: expected at most 8 proxies",
            ),
        ] {
            assert_eq!(route(line).unwrap_err(), why, "{line}");
        }
        assert_eq!(
            inside("ll:8001 unix:/x --server-via http://a:1").unwrap_err(),
            "unable to use unix:/x with --server-via: a proxy connects to tcp ports only"
        );
        assert_eq!(
            inside("4way:192.0.2.1:5555 srv:80 --via http://a:1").unwrap_err(),
            "unable to use 4way:192.0.2.1:5555 with --via: a proxy connects to tcp ports only"
        );
        assert!(inside("ll:8001 unix:/x --via http://a:1").is_ok());
    }

    #[test]
    fn each_outside_node_that_cannot_be_is_refused_with_its_reason() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = listener.as_raw_fd();
        for (line, why) in [
            ("8000 web=8001", "unable to use web=8001: LINK has no name"),
            ("8000 8000", "unable to listen on 8000: given twice"),
            (
                "8000 8001 --wait-timeout 25s",
                "unable to use a --wait-timeout of 25s: expected more than 2.5 heartbeats of 10s",
            ),
            (
                "web=8000 8001 --raw",
                "unable to use web= with --raw: a raw link carries no name",
            ),
            (
                "8000 8001-8002 --raw",
                "unable to use 2 ports as LINK with --raw: one open port is one signal",
            ),
            (
                &format!("8000 fd:{fd} --raw"),
                &format!(
                    "unable to use fd:{fd} as LINK with --raw: an inherited listening socket cannot be closed between clients"
                ),
            ),
            (
                "web=1-65534 web=[::1]:7-9 8001",
                "unable to use [::1]:8: expected at most 65535 ports of one name",
            ),
        ] {
            assert_eq!(outside(line).unwrap_err(), why, "{line}");
        }
        assert!(outside("8000 8001 --raw --wait-timeout 1s").is_ok());
    }

    #[test]
    fn a_hello_can_tell_each_name_there_is() {
        let line = |names: usize| {
            (0..names)
                .map(|n| format!("n{n}={} ", 1 + n))
                .collect::<String>()
                + "8001"
        };
        assert!(outside(&line(SERVICES_MAX)).is_ok());
        assert_eq!(
            outside(&line(SERVICES_MAX + 1)).unwrap_err(),
            "unable to use so many names: expected at most 64"
        );
    }

    #[test]
    fn each_inside_node_that_cannot_be_is_refused_with_its_reason() {
        for (line, why) in [
            (
                "web=ll:8001 srv:80",
                "unable to use web=ll:8001: LINK has no name",
            ),
            (
                "ll 8001 srv:80",
                "unable to use address ll: no port: host and port are one word: write ll:8001",
            ),
            (
                "ll:8001 web=srv 80",
                "unable to use address srv: no port: host and port are one word: write srv:80",
            ),
            (
                "4way:b:8001 srv:80 --bind :20",
                "unable to use :20 with 4way:b:8001: the local port stands in the address: write 4way:LOCALPORT:PEER:PORT",
            ),
            (
                "4way:b:8001-8002 srv:80 --raw",
                "unable to use 2 ports of a 4way address as LINK with --raw: expected one",
            ),
            (
                "ll:8001 srv:80 --bind :20",
                "unable to use --bind :20: one local port is one link: expected --max-links 1 or --once, and one LINK",
            ),
            (
                "ll:8001-8002 srv:80 --max-links 1 --bind :20",
                "unable to use --bind :20: one local port is one link: expected --max-links 1 or --once, and one LINK",
            ),
            (
                "ll:8001 web=srv:80 --raw",
                "unable to use web= with --raw: a raw link carries no name",
            ),
            (
                "ll:8001 srv:80-81 --raw",
                "unable to use 2 ports as SERVER with --raw: a raw link tells no port",
            ),
            (
                "ll:8001 [::1]:80 -4",
                "unable to use [::1]:80 with -4: this is an ipv6 address",
            ),
            (
                "- -",
                "unable to use - twice: stdin and stdout are one connection",
            ),
        ] {
            assert_eq!(inside(line).unwrap_err(), why, "{line}");
        }
        assert_eq!(inside("4way:b:6000-6003 srv:80").unwrap().links_max, 4);
        assert!(inside("ll:8001 srv:80 --max-links 1 --bind :20").is_ok());
        assert!(inside("ll:8001 srv:80 --server-bind :20").is_ok());
    }
}

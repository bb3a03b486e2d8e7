//! Plans: what a command line means, checked.
//!
//! Every check that needs no socket is made here, so a plan that runs meets only faults of the system. Invariants of a plan: each list
//! of ports to dial has the length of the list that it serves, or one port (the nodes check this when a link starts); no descriptor is
//! used by two words; a client or server that is already connected makes `once` true; contradicting options are refused.
//!
//! Not here: the text of an address (`address`), the text of an option (`options`), and anything that may change by itself, such as a
//! name that has no address yet.

mod checks;
mod error;
mod inside;
mod outside;
mod proxies;
mod route;
mod words;

pub use checks::is_listening;
pub use error::PlanError;
pub use inside::InsidePlan;
pub use outside::OutsidePlan;
pub use route::RoutePlan;
pub use words::Service;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsRawFd, RawFd};
    use std::time::Duration;
    use std::{fmt, io};

    use clap::Parser;

    use super::*;
    use crate::config::address::{Proxy, ServiceName};
    use crate::config::settings::Settings;
    use crate::limits::SERVICES_MAX;

    fn typed<T: Parser>(line: &str) -> T {
        T::try_parse_from(["tool"].into_iter().chain(line.split(' '))).unwrap()
    }

    fn route(line: &str) -> Result<RoutePlan, String> {
        RoutePlan::new(&typed(line)).map_err(|error| error.to_string())
    }

    fn outside(line: &str) -> Result<OutsidePlan, String> {
        OutsidePlan::new(&typed(line)).map_err(|error| error.to_string())
    }

    fn inside(line: &str) -> Result<InsidePlan, String> {
        InsidePlan::new(&typed(line)).map_err(|error| error.to_string())
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

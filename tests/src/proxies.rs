//! Proxies of others, in the foreground, in a network of the test's own, where their usual ports are free.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;

use crate::End;
use crate::launch::Launch;
use crate::network::{put_in_place, temporary_file};
use crate::running::Running;
use crate::scratch::Scratch;
use crate::sshd::Sshd;
use crate::timeouts::eventually;

/// A proxy, until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    running: Running,
    _sshd: Option<Sshd>,
    _scratch: Scratch,
}

impl Proxy {
    /// dante's sockd with these rules, `socks pass { … }` and the like, and with these ways to log in (`none`, `username`).
    pub fn dante(methods: &str, rules: &str) -> Proxy {
        let scratch = Scratch::new();
        let configuration = format!(
            "logoutput: stderr\ninternal: 127.0.0.1 port = 1080\nexternal: 127.0.0.1\n\
             clientmethod: none\nsocksmethod: {methods}\nuser.privileged: root\nuser.unprivileged: nobody\n\
             client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n{rules}\n"
        );
        let file = scratch.write("danted.conf", configuration.as_bytes());
        let pid = scratch.file("pid");
        let launch = Launch::new("danted -f").word(file).word("-p").word(pid);
        Proxy::start(launch, 1080, scratch)
    }

    /// microsocks, with further words of its command line.
    pub fn microsocks(options: &str) -> Proxy {
        let launch = Launch::new(&format!("microsocks -i 127.0.0.1 -p 1081 {options}"));
        Proxy::start(launch, 1081, Scratch::new())
    }

    /// `ssh -D`, by an sshd with keys of its own.
    pub fn ssh() -> Proxy {
        let sshd = Sshd::start("127.0.0.1:2222");
        let client = sshd.client("-N -D 127.0.0.1:1082 -p 2222 127.0.0.1");
        Proxy {
            _sshd: Some(sshd),
            ..Proxy::start(client, 1082, Scratch::new())
        }
    }

    /// tinyproxy, with further lines of its configuration.
    pub fn tinyproxy(lines: &str) -> Proxy {
        let scratch = Scratch::new();
        let configuration = format!("Port 8888\nListen 127.0.0.1\nTimeout 60\n{lines}\n");
        let file = scratch.write("tinyproxy.conf", configuration.as_bytes());
        Proxy::start(Launch::new("tinyproxy -d -c").word(file), 8888, scratch)
    }

    /// squid, with the access rules of its configuration. In them, `{}` stands for a file with the user `jo`
    /// and the password `secret`.
    pub fn squid(lines: &str) -> Proxy {
        let scratch = Scratch::new();
        // It is no longer root when it reads the file.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))
            .expect("the directory is ours");
        let users = scratch.write("users", format!("jo:{APACHE_HASH_OF_SECRET}\n").as_bytes());
        let lines = lines.replace("{}", &users.display().to_string());
        let configuration = format!(
            "http_port 127.0.0.1:3128\nvisible_hostname squid\ncache deny all\npid_filename none\n\
             access_log none\ncache_log /dev/null\ncache_store_log none\nshutdown_lifetime 0 seconds\n\
             netdb_filename none\nmax_filedescriptors 1024\n{lines}\n"
        );
        let file = scratch.write("squid.conf", configuration.as_bytes());
        let service = format!("-n relaytests{}", std::process::id());
        let launch = Launch::new(&format!("squid -N {service} -f")).word(file);
        Proxy::start(launch, 3128, scratch)
    }

    /// ncat as a proxy by HTTP, with further words of its command line.
    pub fn ncat(options: &str) -> Proxy {
        let launch = Launch::new(&format!(
            "ncat -l -k --proxy-type http {options} 127.0.0.1 3129"
        ));
        Proxy::start(launch, 3129, Scratch::new())
    }

    /// What it has logged.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(launch: Launch, port: u16, scratch: Scratch) -> Proxy {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let running = launch.spawn();
        eventually(&format!("{running} listens"), || {
            End::try_dial(&address.to_string()).is_ok()
        });
        Proxy {
            address,
            running,
            _sshd: None,
            _scratch: scratch,
        }
    }
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

/// Adds the user `jo` with the password `secret` to those of this network's mounts, until they are forgotten with it.
pub fn add_user() -> impl Sized {
    let places = [
        (
            "/etc/passwd",
            "jo:x:4242:4242::/nonexistent:/bin/false\n".to_owned(),
        ),
        (
            "/etc/shadow",
            format!("jo:{CRYPT_HASH_OF_SECRET}:20000:0:99999:7:::\n"),
        ),
    ];
    places.map(|(place, line)| {
        let file = temporary_file();
        let before = fs::read_to_string(place).expect("the system has users");
        fs::write(file.path(), before + &line).expect("a temporary file can be written");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))
            .expect("the file is ours");
        put_in_place(&file, place.as_ref());
        file
    })
}

const CRYPT_HASH_OF_SECRET: &str = "$6$relaytests$J/OEw4YSSWrFhCDtc5T42OoNUjR6aZqSJ.l1F5udxdzD98Ba4qhdjqdbHis8bF2utVSVWpVxy5n8klAjX5Nzc.";
const APACHE_HASH_OF_SECRET: &str = "$apr1$relaytes$/pqmPB0pYLuvNQxsRxxkP1";

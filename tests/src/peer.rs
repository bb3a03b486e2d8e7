//! Programs of others that need more than a command line to start.

use std::path::Path;

use nix::unistd::{User, geteuid};

use crate::launch::Launch;
use crate::running::Running;
use crate::scratch::Scratch;

/// Python's `http.server`, which serves the files of a directory.
pub struct HttpServer {
    address: String,
    _running: Running,
}

impl HttpServer {
    /// Serves `directory` on a port that the system picks.
    pub fn start(directory: &Path) -> HttpServer {
        let running = Launch::new("python3 -u -m http.server --bind 127.0.0.1 0")
            .directory(directory)
            .spawn();
        // "Serving HTTP on 127.0.0.1 port 34567 (http://127.0.0.1:34567/) ..."
        let line = running.stdout.wait_for("Serving HTTP");
        let port = line
            .split(' ')
            .skip_while(|word| *word != "port")
            .nth(1)
            .expect("the line names the port");
        HttpServer {
            address: format!("127.0.0.1:{port}"),
            _running: running,
        }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// The super-server, with the services of an inetd.conf(5).
pub struct Inetd {
    _running: Running,
    _directory: Scratch,
}

impl Inetd {
    /// Starts it. It listens some time later, so wait for the port.
    pub fn start(configuration: &str) -> Inetd {
        let directory = Scratch::new();
        let file = directory.write("inetd.conf", configuration.as_bytes());
        Inetd {
            _running: Launch::new("inetd -i").word(file).spawn(),
            _directory: directory,
        }
    }
}

/// The name of the user that runs the tests, as inetd.conf(5) wants one for each service.
pub fn user() -> String {
    User::from_uid(geteuid())
        .ok()
        .flatten()
        .expect("the user has a name")
        .name
}

/// `tcpserver`, on a port that the system picks, running `program` for each client. Returns it and its address.
pub fn tcpserver(program: &str) -> (Running, String) {
    let running = Launch::new(&format!("tcpserver -1 -RHl0 127.0.0.1 0 {program}")).spawn();
    let port = running.stdout.wait_for("");
    (running, format!("127.0.0.1:{port}"))
}

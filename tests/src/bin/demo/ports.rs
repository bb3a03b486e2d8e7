//! The ports of the demo, and the message if one of them is in use.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

/// Where the demo listens, on 127.0.0.1.
pub(crate) struct Ports {
    pub(crate) clients: u16,
    pub(crate) links: u16,
    server: u16,
}

impl Ports {
    /// The three ports of the command line, or those of the README. None if a word is no port.
    pub(crate) fn from_words(words: impl Iterator<Item = String>) -> Option<Ports> {
        let ports: Vec<u16> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        match *ports {
            [] => Some(Ports {
                clients: 8000,
                links: 8001,
                server: 7200,
            }),
            [clients, links, server] => Some(Ports {
                clients,
                links,
                server,
            }),
            _ => None,
        }
    }

    /// Listens on the server's port.
    pub(crate) fn take_server(&self) -> Result<TcpListener, String> {
        listen(self.server)
    }

    /// Checks for a port that is in use before anything is started.
    pub(crate) fn find_free(&self) -> Result<(), String> {
        let mut ports = [self.clients, self.links, self.server].into_iter();
        ports.try_for_each(|port| listen(port).map(drop))
    }
}

fn listen(port: u16) -> Result<TcpListener, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => format!("port {port} is taken: another program listens on it"),
        _ => format!("unable to bind to 127.0.0.1:{port}: {error}"),
    })
}

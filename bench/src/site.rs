//! Where a trial takes place: its ports, its files, and the programs it finds.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::result::Result;

/// The surroundings of one trial.
pub(crate) struct Site<'a> {
    /// Where clients connect, if there is a relay.
    pub(crate) clients: SocketAddr,
    /// Between two nodes.
    pub(crate) link: SocketAddr,
    /// Where the server listens.
    pub(crate) server: SocketAddr,
    /// Between a node and what tunnels its link: outside and inside.
    pub(crate) tunnel: (SocketAddr, SocketAddr),
    binaries: &'a Path,
    scratch: &'a Path,
}

impl<'a> Site<'a> {
    /// The site of the trial of this number. No two numbers share a port: where there are no namespaces, connections of
    /// one trial that wait in TIME_WAIT take no place from the next.
    pub(crate) fn new(number: u16, binaries: &'a Path, scratch: &'a Path) -> Site<'a> {
        let port = FIRST_PORT + 5 * number;
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Site {
            clients: address(port),
            link: address(port + 1),
            server: address(port + 2),
            tunnel: (address(port + 3), address(port + 4)),
            binaries,
            scratch,
        }
    }

    /// One of the tools of this workspace.
    pub(crate) fn tool(&self, name: &str) -> Result<Command> {
        let path = self.binaries.join(name);
        if !path.exists() {
            return Err(format!("there is no {name} beside this program or in --binaries").into());
        }
        Ok(Command::new(path))
    }

    /// A program of the system. Some of these are in directories that only root has in PATH.
    pub(crate) fn peer(&self, name: &str) -> Result<Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
            .map(|directory| directory.join(name))
            .find(|path| path.is_file())
            .map(Command::new)
            .ok_or_else(|| format!("{name} is not installed").into())
    }

    /// A path for a file of this trial.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// A configuration file.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// Below the range that the namespace gives to dialled connections, see [`crate::namespace`].
const FIRST_PORT: u16 = 2000;

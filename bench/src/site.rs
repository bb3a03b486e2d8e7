//! The site of a trial: its ports, its files and its programs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::result::Result;

/// The ports, files and programs of one trial.
pub(crate) struct Site<'a> {
    /// Where a relay listens for clients.
    pub(crate) clients: SocketAddr,
    /// Where the link between two nodes is accepted.
    pub(crate) link: SocketAddr,
    /// Where the server listens.
    pub(crate) server: SocketAddr,
    /// Where the two ends of a tunnelled link are accepted: by the outside node, and by the tunnel beside the inside node.
    pub(crate) tunnel: (SocketAddr, SocketAddr),
    binaries: &'a Path,
    scratch: &'a Path,
}

impl<'a> Site<'a> {
    /// Returns the site of trial `number`. Each number has ports of its own: without namespaces, connections of one trial in
    /// TIME_WAIT would otherwise block the ports of the next trial.
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

    /// Returns the command of a tool of this workspace.
    pub(crate) fn tool(&self, name: &str) -> Result<Command> {
        let path = self.binaries.join(name);
        if !path.exists() {
            return Err(format!("{} does not exist", path.display()).into());
        }
        Ok(Command::new(path))
    }

    /// Returns the command of an installed program. Some are in directories that only root has in PATH.
    pub(crate) fn peer(&self, name: &str) -> Result<Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
            .map(|directory| directory.join(name))
            .find(|path| path.is_file())
            .map(Command::new)
            .ok_or_else(|| format!("{name} is not installed").into())
    }

    /// Returns the path for a file of this trial.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Writes a configuration file and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// Below the port range of dialled connections, see [`crate::namespace`].
const FIRST_PORT: u16 = 2000;

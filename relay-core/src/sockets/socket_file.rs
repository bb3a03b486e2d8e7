//! The file of a Unix socket.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::address::UnixName;

/// A socket file that was made here, told from one that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketFile {
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Returns the socket file of this name, if there is one.
    pub fn of(name: &UnixName) -> Option<Self> {
        let UnixName::Path(path) = name else {
            return None;
        };
        let file = std::fs::symlink_metadata(path).ok()?;
        file.file_type().is_socket().then(|| Self {
            device: file.dev(),
            inode: file.ino(),
        })
    }
}

/// Returns whether no process listens on the socket file: its owner was killed.
pub fn is_stale(address: &SockAddr) -> bool {
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)
        .and_then(|socket| socket.connect(address));
    probe.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

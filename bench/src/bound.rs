//! The bound: a relay that does about the least possible work for bulk data.
//!
//! It has one thread per direction and calls blocking splice(2) through a pipe of 1 MiB. It has no limits, no timeouts
//! and no log. It is not a tool for users: other relays are compared with it. Throughput over loopback differs much
//! between machines; the ratio to the bound differs little.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;

use crate::result::Result;

/// Accepts connections on `listen`, dials `dial` for each and relays between the two. Returns only on an error.
pub(crate) fn serve(listen: SocketAddr, dial: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    loop {
        let (client, _) = listener.accept()?;
        // A session that fails closes its two sockets. Nothing else needs to be done.
        thread::spawn(move || relay(client, dial));
    }
}

fn relay(client: TcpStream, dial: SocketAddr) -> io::Result<()> {
    let server = Arc::new(TcpStream::connect(dial)?);
    let client = Arc::new(client);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (back_from, back_to) = (Arc::clone(&server), Arc::clone(&client));
    thread::spawn(move || pump(&back_from, &back_to));
    pump(&client, &server)
}

fn pump(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let (pipe_out, pipe_in) = pipe()?;
    let flags = SpliceFFlags::SPLICE_F_MOVE;
    loop {
        let mut pending = splice(from, None, &pipe_in, None, PIPE_BYTES, flags)?;
        if pending == 0 {
            return to.shutdown(Shutdown::Write);
        }
        while pending > 0 {
            pending -= splice(&pipe_out, None, to, None, pending, flags)?;
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (pipe_out, pipe_in) = pipe2(OFlag::O_CLOEXEC)?;
    // The kernel limits the pipes of an unprivileged user. The session then runs with a smaller pipe.
    let _ = fcntl(&pipe_in, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES as i32));
    Ok((pipe_out, pipe_in))
}

/// The largest pipe of an unprivileged process (the default of `fs.pipe-max-size`).
const PIPE_BYTES: usize = 1024 * 1024;

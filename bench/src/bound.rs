//! The bound: about the least that a relay can do for bulk.
//!
//! One thread for each direction, blocking splice(2) through a pipe of 1 MiB, and nothing else: no limits, no
//! timeouts, no log. It is not a tool. Other relays are measured against it, because what a loopback can carry
//! through any relay differs between machines far more than the ratio to this does.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;

use crate::result::Result;

/// Relays every connection to `listen` to a connection of its own to `dial`, for ever.
pub(crate) fn serve(listen: SocketAddr, dial: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    loop {
        let (client, _) = listener.accept()?;
        // A session that fails ends with its two sockets; there is nothing else to do about it.
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
    // Without privilege the pipes of one user are limited; the session then runs with what it was given.
    let _ = fcntl(&pipe_in, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES as i32));
    Ok((pipe_out, pipe_in))
}

/// The largest pipe that an unprivileged process is allowed (`fs.pipe-max-size`, its default).
const PIPE_BYTES: usize = 1024 * 1024;

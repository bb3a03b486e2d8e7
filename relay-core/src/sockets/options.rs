//! The options that sockets are born with.
//!
//! SO_LINGER 0 is among them: a node that is killed then resets its sessions instead of faking an end of file. Clients' and
//! servers' sockets lose it just before an orderly close ([`super::end::End::close`]). A listener passes all of this on to
//! what it accepts, so accepting costs no call for it.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::limits::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES};

/// What a TCP socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A client or a server is at the other end.
    Session,
    /// The other node is at the other end, which has its own heartbeat.
    Link,
}

/// Sets the options of a TCP socket or listener.
pub fn prepare(socket: impl AsFd, purpose: Purpose) -> io::Result<()> {
    let socket = SockRef::from(&socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    if purpose == Purpose::Session {
        // Urgent data stays in the stream; else its byte would be lost (RFC 6093 §3).
        socket.set_out_of_band_inline(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

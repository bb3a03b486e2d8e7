//! What the kernel knows of a connection that no byte tells.
#![allow(unsafe_code, reason = "TCP_INFO and two ioctls have no safe wrapper")]

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;
use std::{io, mem};

/// Bytes that were received and not yet read (FIONREAD).
pub fn unread_bytes(socket: impl AsFd) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, and `count` is one that outlives the call.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::FIONREAD, &mut count) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

/// The part of TCP_INFO (tcp(7)) that tells whether the peer's host is there.
#[derive(Clone, Copy, Debug)]
pub struct TcpInfo {
    /// How far the connection is.
    pub state: State,
    /// The round trip, as far as it is known.
    pub round_trip: Duration,
    /// Since the last segment with data came.
    pub since_data: Duration,
    /// Since the last acknowledgement came.
    pub since_ack: Duration,
    /// Segments sent and not acknowledged.
    pub unacknowledged: u32,
    /// Window or keepalive probes that were not answered.
    pub probes: u8,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A SYN was sent, and perhaps one received.
    Opening,
    /// Both SYNs are acknowledged.
    Open,
    /// It is over, or has failed.
    Closed,
}

/// Asks the kernel. An error where the socket is no TCP one.
pub fn tcp_info(socket: impl AsFd) -> io::Result<TcpInfo> {
    // SAFETY: tcp_info is plain integers, for which zeroes are a value.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which is that large and outlives the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(TcpInfo {
        state: match info.tcpi_state {
            TCP_SYN_SENT | TCP_SYN_RECV => State::Opening,
            TCP_CLOSE => State::Closed,
            _ => State::Open,
        },
        round_trip: Duration::from_micros(info.tcpi_rtt.into()),
        since_data: Duration::from_millis(info.tcpi_last_data_recv.into()),
        since_ack: Duration::from_millis(info.tcpi_last_ack_recv.into()),
        unacknowledged: info.tcpi_unacked,
        probes: info.tcpi_probes,
    })
}

// include/net/tcp_states.h, which the libc crate does not have.
const TCP_SYN_SENT: u8 = 2;
const TCP_SYN_RECV: u8 = 3;
const TCP_CLOSE: u8 = 7;

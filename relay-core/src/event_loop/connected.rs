//! Which words to listen on are one connection that is already there.

use crate::config::address::ListenAt;
use crate::config::plan::is_listening;

/// Whether the point is one connection that is already there.
pub fn is_connection(at: &ListenAt) -> bool {
    match at {
        ListenAt::Stdio => true,
        ListenAt::Fd { read, write } => read != write || !is_listening(*read).unwrap_or(false),
        ListenAt::Tcp { .. } | ListenAt::Unix(_) | ListenAt::SocksBind(_) => false,
    }
}

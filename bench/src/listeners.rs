//! Finds out whether a port is listened on, without a connection to it.
//!
//! A connection would disturb the trial: several contestants take it for a client and use up what was prepared for one.

use std::fs;

/// Reports whether a TCP socket of this network namespace listens on `port`, on any address.
pub(crate) fn is_listening(port: u16) -> bool {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .any(|table| {
            let table = fs::read_to_string(table).unwrap_or_default();
            table.lines().any(|line| is_listener_on(line, port))
        })
}

/// Reports whether `line` is a listener on `port`.
///
/// A line is `sl local_address rem_address st …`, addresses as `0100007F:1F40`; state 0A is LISTEN (proc(5)).
fn is_listener_on(line: &str, port: u16) -> bool {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, state) = (words.next(), words.nth(1));
    state == Some("0A") && local.is_some_and(|local| local.ends_with(&format!(":{port:04X}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_not_taken_for_a_listener() {
        let listener =
            "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1";
        let connection =
            "   1: 0100007F:1F41 0100007F:1F40 01 00000000:00000000 00:00000000 00000000 0 0 1 1";
        assert!(is_listener_on(listener, 8000));
        assert!(!is_listener_on(listener, 8001));
        assert!(!is_listener_on(connection, 8001));
    }
}

//! The line of a session in the log.

use std::fmt::{self, Display};
use std::time::Duration;

/// What is logged of a session at its end.
pub struct SessionLine<'a> {
    /// The same in both nodes.
    pub id: &'a dyn Display,
    /// Who came.
    pub client: &'a dyn Display,
    /// Where the client was taken.
    pub to: &'a dyn Display,
    /// Payload from the client to the server.
    pub bytes_to_server: u64,
    /// Payload from the server to the client.
    pub bytes_to_client: u64,
    /// From accept to the end.
    pub duration: Duration,
    /// The side that closed first: `client`, `server` or `nobody`.
    pub closed_first: &'a dyn Display,
    /// Why it ended.
    pub why: &'a dyn Display,
}

impl SessionLine<'_> {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.id.to_string(),
            "client": self.client.to_string(),
            "to": self.to.to_string(),
            "bytes_to_server": self.bytes_to_server,
            "bytes_to_client": self.bytes_to_client,
            "duration_ms": u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            "closed_first": self.closed_first.to_string(),
            "why": self.why.to_string(),
        })
    }
}

impl Display for SessionLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "session {} from {} to {}: {} bytes to server, {} bytes to client, {}.{:03} s, {} closed first: {}",
            self.id,
            self.client,
            self.to,
            self.bytes_to_server,
            self.bytes_to_client,
            self.duration.as_secs(),
            self.duration.subsec_millis(),
            self.closed_first,
            self.why
        )
    }
}

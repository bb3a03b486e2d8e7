//! What the server of a trial does for a client.

/// A service that a client can ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Service {
    /// The server sends back every byte, the word included.
    Echo,
    /// The server sends back the word and drops every byte after it.
    Sink,
    /// As a sink, and the server sends bytes without end.
    BothWays,
}

impl Service {
    /// Returns the first byte of a connection, which names the service.
    pub(crate) fn word(self) -> u8 {
        match self {
            Service::Echo => b'E',
            Service::Sink => b'S',
            Service::BothWays => b'B',
        }
    }
}

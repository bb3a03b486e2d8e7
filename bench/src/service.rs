//! What the server of a trial does for a client.

/// What a client may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Service {
    /// Every byte comes back, the word included.
    Echo,
    /// The word comes back; every byte after it is dropped.
    Sink,
    /// As a sink, and bytes without end come back.
    BothWays,
}

impl Service {
    /// The first byte of a connection.
    pub(crate) fn word(self) -> u8 {
        match self {
            Service::Echo => b'E',
            Service::Sink => b'S',
            Service::BothWays => b'B',
        }
    }
}

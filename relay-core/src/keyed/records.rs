//! The records of one TLS connection: what rustls does with them, in buffers of the caller.

use rustls::Error;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};

use super::identity::Proof;

pub(super) enum Connection {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// Bytes, the first of which are used up.
#[derive(Default)]
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
}

/// What is to be done with what comes up.
pub(super) struct Hands<'a> {
    /// Where decrypted bytes go, and how many have.
    pub(super) room: &'a mut [u8],
    pub(super) filled: usize,
    pub(super) decrypted: &'a mut Held,
    pub(super) outgoing: &'a mut Held,
    pub(super) output: &'a mut [u8],
    /// What is sent once sending is possible; how many bytes of records that gave.
    pub(super) task: Task<'a>,
    pub(super) written: usize,
}

pub(super) enum Task<'a> {
    Nothing,
    Send(&'a [u8], &'a [u8]),
    Close,
}

/// What came up.
pub(super) enum Step {
    /// There may be more.
    Again,
    PeerClosed,
    /// More bytes are needed.
    Blocked,
}

impl Hands<'_> {
    pub(super) fn step<D>(
        &mut self,
        status: UnbufferedStatus<'_, '_, D>,
    ) -> (usize, Result<Step, Error>) {
        let mut discard = status.discard;
        let step = status.state.and_then(|state| match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    self.deliver(record.payload);
                }
                Ok(Step::Again)
            }
            ConnectionState::EncodeTlsData(mut data) => {
                let count = data.encode(self.output).map_err(too_large)?;
                self.outgoing.extend(&self.output[..count]);
                Ok(Step::Again)
            }
            ConnectionState::TransmitTlsData(data) => {
                // It is ours to send now, before all else.
                data.done();
                Ok(Step::Again)
            }
            ConnectionState::WriteTraffic(traffic) => {
                self.work(traffic)?;
                Ok(Step::Blocked)
            }
            ConnectionState::PeerClosed => Ok(Step::PeerClosed),
            // Early data is never offered.
            _ => Ok(Step::Blocked),
        });
        (discard, step)
    }

    fn deliver(&mut self, payload: &[u8]) {
        let (now, later) = payload.split_at(payload.len().min(self.room.len() - self.filled));
        self.room[self.filled..self.filled + now.len()].copy_from_slice(now);
        self.filled += now.len();
        self.decrypted.extend(later);
    }

    fn work<D>(&mut self, mut traffic: WriteTraffic<'_, D>) -> Result<(), Error> {
        match std::mem::replace(&mut self.task, Task::Nothing) {
            Task::Nothing => {}
            Task::Send(first, rest) => {
                for part in [first, rest] {
                    let room = &mut self.output[self.written..];
                    self.written += traffic.encrypt(part, room).map_err(exhausted)?;
                }
            }
            Task::Close => {
                self.written = traffic.queue_close_notify(self.output).map_err(exhausted)?;
            }
        }
        Ok(())
    }
}

impl Connection {
    pub(super) fn step(
        &mut self,
        input: &mut [u8],
        hands: &mut Hands<'_>,
    ) -> (usize, Result<Step, Error>) {
        match self {
            Self::Client(connection) => hands.step(connection.process_tls_records(input)),
            Self::Server(connection) => hands.step(connection.process_tls_records(input)),
        }
    }

    pub(super) fn wants_to_write(&self) -> bool {
        match self {
            Self::Client(connection) => connection.wants_write(),
            Self::Server(connection) => connection.wants_write(),
        }
    }

    /// What the peer has proved, once the handshake is done.
    pub(super) fn proof(&self) -> Option<Proof> {
        let (handshaking, presented) = match self {
            Self::Client(connection) => {
                (connection.is_handshaking(), connection.peer_certificates())
            }
            Self::Server(connection) => {
                (connection.is_handshaking(), connection.peer_certificates())
            }
        };
        let presented: &[CertificateDer<'_>] = presented.filter(|_| !handshaking)?;
        Proof::of(presented.first()?)
    }
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// So many were used. When none are left, the memory goes too.
    pub(super) fn advance(&mut self, count: usize) {
        self.at += count;
        if self.at >= self.bytes.len() {
            *self = Self::default();
        }
    }

    pub(super) fn take(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.rest().len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest()[..count]);
        if count > 0 {
            self.advance(count);
        }
        count
    }
}

fn too_large(error: EncodeError) -> Error {
    Error::General(error.to_string())
}

fn exhausted(error: EncryptError) -> Error {
    Error::General(error.to_string())
}

//! Ping-pong: how many small messages come back per second, and how soon.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::bulk;
use super::latencies::Latencies;
use crate::quantity::{Quantity, Reading};
use crate::result::Result;
use crate::service::Service;
use crate::trial::Trial;

/// Measures pings on `connections` connections.
pub(super) fn run(trial: &Trial, connections: usize) -> Result<Vec<Reading>> {
    let mut pingers = Pingers::open(trial, connections)?;
    pingers.run_for(WARM_UP)?;
    let start = Instant::now();
    let latencies = pingers.run_for(trial.duration)?;
    Ok(latencies.readings(start.elapsed()))
}

/// Measures pings while one more connection carries bulk to the server. Measures the bulk too: a relay can favour one at
/// the cost of the other.
pub(super) fn run_beside_bulk(trial: &Trial, connections: usize) -> Result<Vec<Reading>> {
    let _stream = bulk::start(trial, 1, Service::Sink)?;
    let (start, received) = (Instant::now(), trial.received());
    let mut readings = run(trial, connections)?;
    let bytes = trial.received() - received;
    readings.push((
        Quantity::BulkBeside,
        bytes as f64 / start.elapsed().as_secs_f64(),
    ));
    Ok(readings)
}

struct Pingers {
    poll: Poll,
    pingers: Vec<Pinger>,
}

struct Pinger {
    stream: TcpStream,
    /// When the current ping was sent.
    sent: Instant,
    /// How many of its bytes have come back.
    returned_bytes: usize,
}

impl Pingers {
    fn open(trial: &Trial, connections: usize) -> Result<Pingers> {
        let poll = Poll::new()?;
        let mut pingers = Vec::with_capacity(connections);
        for number in 0..connections {
            let stream = trial.open(Service::Echo)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(number), Interest::READABLE)?;
            pingers.push(Pinger {
                stream,
                sent: Instant::now(),
                returned_bytes: 0,
            });
        }
        for pinger in &mut pingers {
            pinger.send()?;
        }
        Ok(Pingers { poll, pingers })
    }

    /// Sends pings for `duration` and returns the latency of each ping that came back in that time.
    fn run_for(&mut self, duration: Duration) -> Result<Latencies> {
        let deadline = Instant::now() + duration;
        let mut latencies = Latencies::default();
        let mut events = Events::with_capacity(self.pingers.len());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.poll.poll(&mut events, Some(left)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error.into());
                }
                _ => {}
            }
            for event in &events {
                if let Some(latency) = self.pingers[event.token().0].receive()? {
                    latencies.record(latency);
                }
            }
        }
        if latencies.count() < self.pingers.len() {
            return Err("the pings did not come back".into());
        }
        Ok(latencies)
    }
}

impl Pinger {
    fn send(&mut self) -> io::Result<()> {
        self.returned_bytes = 0;
        self.sent = Instant::now();
        self.stream.write_all(&[b'p'; PING_BYTES])
    }

    /// Reads what has arrived. When the ping is complete, sends the next one and returns the latency.
    fn receive(&mut self) -> io::Result<Option<Duration>> {
        let mut buffer = [0; 2 * PING_BYTES];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.returned_bytes += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
            if self.returned_bytes >= PING_BYTES {
                let latency = self.sent.elapsed();
                self.send()?;
                return Ok(Some(latency));
            }
        }
    }
}

const PING_BYTES: usize = 64;
const WARM_UP: Duration = Duration::from_millis(300);

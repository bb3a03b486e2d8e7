//! Ping-pong: how soon a small message comes back, and how many do.

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

/// Measures pings alone, on so many connections.
pub(super) fn run(trial: &Trial, connections: usize) -> Result<Vec<Reading>> {
    let mut players = Players::open(trial, connections)?;
    players.play(WARM_UP)?;
    let start = Instant::now();
    let latencies = players.play(trial.duration)?;
    Ok(latencies.readings(start.elapsed()))
}

/// Measures pings while one more connection carries bulk to the server. What that one carries is told as well: a
/// relay can always favour the one at the cost of the other.
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

struct Players {
    poll: Poll,
    players: Vec<Player>,
}

struct Player {
    stream: TcpStream,
    /// When the ping that is under way was sent.
    sent: Instant,
    /// How much of it has come back.
    returned_bytes: usize,
}

impl Players {
    fn open(trial: &Trial, connections: usize) -> Result<Players> {
        let poll = Poll::new()?;
        let mut players = Vec::with_capacity(connections);
        for number in 0..connections {
            let stream = trial.open(Service::Echo)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(number), Interest::READABLE)?;
            players.push(Player {
                stream,
                sent: Instant::now(),
                returned_bytes: 0,
            });
        }
        for player in &mut players {
            player.send()?;
        }
        Ok(Players { poll, players })
    }

    /// Plays for `duration` and returns the latency of each ping that came back in it.
    fn play(&mut self, duration: Duration) -> Result<Latencies> {
        let deadline = Instant::now() + duration;
        let mut latencies = Latencies::default();
        let mut events = Events::with_capacity(self.players.len());
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
                if let Some(latency) = self.players[event.token().0].receive()? {
                    latencies.record(latency);
                }
            }
        }
        if latencies.count() < self.players.len() {
            return Err("the pings did not come back".into());
        }
        Ok(latencies)
    }
}

impl Player {
    fn send(&mut self) -> io::Result<()> {
        self.returned_bytes = 0;
        self.sent = Instant::now();
        self.stream.write_all(&[b'p'; PING_BYTES])
    }

    /// Reads what has come, and sends the next ping when the one before is complete.
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

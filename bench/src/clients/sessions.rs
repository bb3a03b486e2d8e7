//! Sessions: how many short sessions per second are opened, served and closed.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::latencies::Latencies;
use crate::quantity::{Quantity, Reading};
use crate::result::Result;
use crate::service::Service;
use crate::trial::Trial;

/// Keeps one session open per slot. The latency is the time from the dial to the answer.
pub(super) fn run(trial: &Trial) -> Result<Vec<Reading>> {
    let mut slots = Slots::new(trial.entry)?;
    slots.run_for(WARM_UP)?;
    (slots.latencies, slots.failed) = (Latencies::default(), 0);
    let start = Instant::now();
    slots.run_for(trial.duration)?;
    let elapsed = start.elapsed();

    let (answered, failed) = (slots.latencies.count(), slots.failed);
    if answered + failed == 0 {
        return Err("no session ended".into());
    }
    let mut readings = slots.latencies.readings(elapsed);
    readings.push((Quantity::Failed, failed as f64 / (answered + failed) as f64));
    Ok(readings)
}

struct Slots {
    entry: SocketAddr,
    poll: Poll,
    slots: Vec<Option<Session>>,
    latencies: Latencies,
    failed: usize,
}

struct Session {
    stream: TcpStream,
    dialled: Instant,
    stage: Stage,
}

enum Stage {
    ExpectConnection,
    ExpectAnswer { bytes: usize },
}

impl Slots {
    fn new(entry: SocketAddr) -> Result<Slots> {
        let slots = (0..SESSIONS).map(|_| None).collect();
        Ok(Slots {
            entry,
            poll: Poll::new()?,
            slots,
            latencies: Latencies::default(),
            failed: 0,
        })
    }

    /// Runs sessions for `duration`. When a session was served, its slot dials again at once. When a session failed, its
    /// slot waits for the next turn. Otherwise a relay that refuses everything would lose its CPU time to our dials.
    fn run_for(&mut self, duration: Duration) -> Result<()> {
        let deadline = Instant::now() + duration;
        let mut events = Events::with_capacity(SESSIONS);
        while Instant::now() < deadline {
            for number in 0..SESSIONS {
                if self.slots[number].is_none() {
                    self.dial(number);
                }
            }
            match self.poll.poll(&mut events, Some(TURN)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error.into());
                }
                _ => {}
            }
            for event in &events {
                self.advance(event.token().0);
            }
            self.close_late_sessions();
        }
        Ok(())
    }

    fn dial(&mut self, number: usize) {
        match Session::dial(self.entry, &self.poll, Token(number)) {
            Ok(session) => self.slots[number] = Some(session),
            Err(_) => self.failed += 1,
        }
    }

    fn advance(&mut self, number: usize) {
        let Some(session) = &mut self.slots[number] else {
            return;
        };
        match session.advance() {
            Ok(false) => {}
            Ok(true) => {
                self.latencies.record(session.dialled.elapsed());
                self.slots[number] = None; // closes
                self.dial(number);
            }
            Err(_) => {
                self.failed += 1;
                self.slots[number] = None;
            }
        }
    }

    fn close_late_sessions(&mut self) {
        for slot in &mut self.slots {
            if slot
                .as_ref()
                .is_some_and(|session| session.dialled.elapsed() > SESSION_TIMEOUT)
            {
                self.failed += 1;
                *slot = None;
            }
        }
    }
}

impl Session {
    fn dial(entry: SocketAddr, poll: &Poll, token: Token) -> io::Result<Session> {
        let dialled = Instant::now();
        let mut stream = TcpStream::connect(entry)?;
        poll.registry()
            .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let mut session = Session {
            stream,
            dialled,
            stage: Stage::ExpectConnection,
        };
        session.send()?; // over loopback the connection is often established already
        Ok(session)
    }

    /// Sends and reads as much as the socket allows. Returns true when the answer is complete.
    fn advance(&mut self) -> io::Result<bool> {
        self.send()?;
        while let Stage::ExpectAnswer { bytes } = &mut self.stage {
            match self.stream.read(&mut [0; 2 * REQUEST_BYTES]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => *bytes += count,
                Err(error) if is_not_yet(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
            if *bytes >= REQUEST_BYTES {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends the request if it was not sent and the connection is established.
    fn send(&mut self) -> io::Result<()> {
        if let Stage::ExpectConnection = self.stage {
            match self.stream.write(&[Service::Echo.word(); REQUEST_BYTES]) {
                Ok(_) => self.stage = Stage::ExpectAnswer { bytes: 0 },
                Err(error) if is_not_yet(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}

/// Sessions at the same time.
const SESSIONS: usize = 32;
const REQUEST_BYTES: usize = 16;
const WARM_UP: Duration = Duration::from_millis(300);

/// The longest wait for events. Then empty slots dial.
const TURN: Duration = Duration::from_millis(1);

/// A session that takes longer has failed.
const SESSION_TIMEOUT: Duration = Duration::from_secs(5);

//! Bulk: how many bytes per second the relay passes, and how much CPU time it needs for them.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::flood::{drain, flood};
use crate::quantity::{Quantity, Reading};
use crate::result::Result;
use crate::service::Service;
use crate::trial::Trial;

/// Measures `streams` connections at the same time. A byte is counted when either end has received it.
pub(super) fn run(trial: &Trial, streams: usize, both_ways: bool) -> Result<Vec<Reading>> {
    let streams = start(
        trial,
        streams,
        if both_ways {
            Service::BothWays
        } else {
            Service::Sink
        },
    )?;
    thread::sleep(WARM_UP);

    let before = Snapshot::take(trial);
    thread::sleep(trial.duration);
    let after = Snapshot::take(trial);
    drop(streams);

    let bytes = (after.received - before.received) as f64;
    if bytes == 0.0 {
        return Err("no bytes arrived".into());
    }
    let mut readings = vec![(
        Quantity::Rate,
        bytes / (after.time - before.time).as_secs_f64(),
    )];
    if trial.relay.has_nodes() {
        let cpu_per_gib = (after.cpu - before.cpu) / (bytes / f64::from(1 << 30));
        readings.push((Quantity::CpuPerGib, cpu_per_gib));
    }
    Ok(readings)
}

/// Opens `count` connections and keeps them busy until the value is dropped.
pub(super) fn start(trial: &Trial, count: usize, service: Service) -> Result<Streams> {
    let mut streams = Streams(Vec::new());
    for _ in 0..count {
        streams.0.push(Arc::new(trial.open(service)?));
    }
    for stream in &streams.0 {
        let sink = Arc::clone(stream);
        thread::spawn(move || flood(&sink));
        if service == Service::BothWays {
            let (source, received) = (Arc::clone(stream), Arc::clone(&trial.counter));
            thread::spawn(move || drain(&source, &received));
        }
    }
    Ok(streams)
}

/// Connections and their threads.
pub(super) struct Streams(Vec<Arc<TcpStream>>);

impl Drop for Streams {
    fn drop(&mut self) {
        for stream in &self.0 {
            let _ = stream.shutdown(Shutdown::Both); // its threads end
        }
    }
}

struct Snapshot {
    time: Instant,
    received: u64,
    cpu: f64,
}

impl Snapshot {
    fn take(trial: &Trial) -> Snapshot {
        Snapshot {
            time: Instant::now(),
            received: trial.received(),
            cpu: trial.relay.cpu_seconds(),
        }
    }
}

/// How long windows and pipes take to grow.
const WARM_UP: Duration = Duration::from_millis(300);

//! One load through one contestant.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Result;
use crate::contestant::Contestant;
use crate::load::{self, Load, Reading, Server, Service};
use crate::relay::Relay;
use crate::site::Site;

/// A relay that stands between clients and a server, both of this process.
pub(crate) struct Trial {
    /// Where clients connect.
    pub(crate) entry: SocketAddr,
    /// How long the load is measured.
    pub(crate) duration: Duration,
    /// Where every thread that receives bulk adds its bytes.
    pub(crate) counter: Arc<AtomicU64>,
    pub(crate) relay: Relay,
    _server: Server,
}

/// Starts the server and the contestant, runs the load, and ends both.
pub(crate) fn run(
    contestant: &Contestant,
    load: Load,
    site: &Site<'_>,
    duration: Duration,
) -> Result<Vec<Reading>> {
    let counter = Arc::new(AtomicU64::new(0));
    let server = Server::start(site.server, Arc::clone(&counter))?;
    let relay = (contestant.start)(site)?;
    let entry = if relay.has_nodes() {
        site.clients
    } else {
        site.server
    };
    let mut trial = Trial {
        entry,
        duration,
        counter,
        relay,
        _server: server,
    };
    let readings = load.run(&trial);
    trial.relay.check()?; // says more than what the load saw of it
    readings
}

impl Trial {
    /// How many bytes of bulk have arrived so far, at either end.
    pub(crate) fn received(&self) -> u64 {
        self.counter.load(Ordering::Relaxed)
    }

    /// A connection through the relay that has been answered by the server.
    pub(crate) fn open(&self, service: Service) -> Result<TcpStream> {
        load::open(self.entry, service, Instant::now() + OPEN_TIMEOUT)
    }
}

/// The first connection through a pair of nodes waits until they have found each other.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

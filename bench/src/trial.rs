//! The server and the contestant of one trial.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client;
use crate::contestant::Contestant;
use crate::relay::Relay;
use crate::result::Result;
use crate::server::Server;
use crate::service::Service;
use crate::site::Site;

/// A running relay between clients and a server. Both are in this process.
pub(crate) struct Trial {
    /// Where clients connect.
    pub(crate) entry: SocketAddr,
    /// How long the load is measured.
    pub(crate) duration: Duration,
    /// The number of bulk bytes that all threads have received.
    pub(crate) counter: Arc<AtomicU64>,
    pub(crate) relay: Relay,
    _server: Server,
}

impl Trial {
    /// Starts the server and the contestant. Both end when the value is dropped.
    pub(crate) fn start(
        contestant: &Contestant,
        site: &Site<'_>,
        duration: Duration,
    ) -> Result<Trial> {
        let counter = Arc::new(AtomicU64::new(0));
        let server = Server::start(site.server, Arc::clone(&counter))?;
        let relay = (contestant.start)(site)?;
        let entry = if relay.has_nodes() {
            site.clients
        } else {
            site.server
        };
        Ok(Trial {
            entry,
            duration,
            counter,
            relay,
            _server: server,
        })
    }

    /// Returns how many bytes of bulk have arrived so far, at either end.
    pub(crate) fn received(&self) -> u64 {
        self.counter.load(Ordering::Relaxed)
    }

    /// Opens a connection through the relay to the server.
    pub(crate) fn open(&self, service: Service) -> Result<TcpStream> {
        client::open(self.entry, service, Instant::now() + OPEN_TIMEOUT)
    }
}

/// The timeout of the first connection through a pair of nodes, which waits for the link between them.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

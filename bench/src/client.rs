//! How a client opens a connection that is known to reach the server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::result::Result;
use crate::service::Service;

/// Dials `entry`, asks for `service` and reads the acknowledgement, again and again until it succeeds or `deadline`
/// has come.
///
/// Trying again is part of it: some relays have nobody at the far end yet, and a pair of socats refuses a client
/// while the one before it waits. The connection returned is blocking, without a timeout.
pub(crate) fn open(entry: SocketAddr, service: Service, deadline: Instant) -> Result<TcpStream> {
    loop {
        match try_to_open(entry, service) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= deadline => {
                return Err(format!("no answer from the server: {error}").into());
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn try_to_open(entry: SocketAddr, service: Service) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&entry, TRY_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TRY_TIMEOUT))?;
    stream.write_all(&[service.word()])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    if answer != [service.word()] {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "an answer of somebody else",
        ));
    }
    stream.set_read_timeout(None)?;
    Ok(stream)
}

/// How long one try may take; more than the pause of the slowest contestant, which is two seconds.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(5);

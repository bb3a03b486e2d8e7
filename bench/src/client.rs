//! Opens a connection that is known to reach the server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::result::Result;
use crate::service::Service;

/// Dials `entry`, asks for `service` and reads the acknowledgement. Retries until this succeeds or `deadline` is reached.
///
/// A retry is normal: the far node of some relays is not connected yet, and a pair of socats refuses a client while the
/// client before it waits. The returned connection is blocking and has no timeout.
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
            "the answer is not from the server of this trial",
        ));
    }
    stream.set_read_timeout(None)?;
    Ok(stream)
}

/// The timeout of one try. The slowest contestant pauses for two seconds.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(5);

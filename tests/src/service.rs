//! A server that answers by itself, for tests that do not look at the server.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;

use socket2::Socket;

use crate::end::End;
use crate::server::Server;

/// A server with a thread for each of its sessions. It stops listening when it is dropped.
pub struct Service {
    listener: Arc<Socket>,
    word: String,
}

impl Service {
    /// Sends everything back, and the end of file after it.
    pub fn echo() -> Service {
        Service::on(Server::start(), |end| {
            // No delay comes from this server.
            end.send_at_once();
            if copy(&end).is_ok() {
                end.shutdown_write();
            }
        })
    }

    /// Sends `greeting` and closes.
    pub fn greeting(greeting: &'static str) -> Service {
        Service::greeting_on(Server::start(), greeting)
    }

    /// Sends `greeting` and closes, on sessions of `server`.
    pub fn greeting_on(server: Server, greeting: &'static str) -> Service {
        Service::on(server, |end| {
            let _ = end.try_send(greeting.as_bytes());
        })
    }

    /// Runs `serve` for each session of `server`.
    pub fn on(server: Server, serve: impl Fn(End) + Clone + Send + 'static) -> Service {
        let (listener, word) = server.into_parts();
        let listener = Arc::new(listener);
        let accepting = Arc::clone(&listener);
        thread::spawn(move || {
            while let Ok((socket, _)) = accepting.accept() {
                let serve = serve.clone();
                thread::spawn(move || serve(End::from(socket)));
            }
        });
        Service { listener, word }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Wakes the thread that accepts; the socket is closed with the last that holds it.
        let _ = self.listener.shutdown(Shutdown::Both);
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

fn copy(mut end: &End) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match end.read(&mut buffer)? {
            0 => return Ok(()),
            length => end.write_all(&buffer[..length])?,
        }
    }
}

//! The server behind every contestant.
//!
//! It has one port and one event loop. The first byte of a connection names the service. The loop serves an echo itself.
//! For bulk it acknowledges the connection, makes it blocking and gives it to threads of its own.

use std::io::{self, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use crate::flood::{drain, flood};
use crate::result::Result;
use crate::service::Service;

/// A running server. When dropped, it closes its listener and every connection.
pub(crate) struct Server {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address` and serves in a thread. Adds the bytes of bulk that arrive to `received`.
    pub(crate) fn start(address: SocketAddr, received: Arc<AtomicU64>) -> Result<Server> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut serving = Serving {
            poll,
            listener,
            connections: Slab::new(),
            bulk: Vec::new(),
            received,
            stop: Arc::clone(&stop),
            buffer: vec![0; BUFFER_BYTES],
        };
        let thread = thread::spawn(move || serving.run());
        Ok(Server {
            stop,
            waker,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if self.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

struct Serving {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    bulk: Vec<Arc<net::TcpStream>>,
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    ExpectWord,
    Echoing,
}

/// What happens to a connection after its event.
enum Next {
    Keep,
    Close,
    Bulk(Service),
}

impl Serving {
    fn run(&mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.stop.load(Ordering::Acquire) {
            if self.poll.poll(&mut events, None).is_err() {
                continue; // interrupted
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept_ready(),
                    Token(key) => self.serve(key, event),
                }
            }
        }
        for stream in &self.bulk {
            let _ = stream.shutdown(Shutdown::Both); // its threads end
        }
    }

    fn accept_ready(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let _ = stream.set_nodelay(true);
            let entry = self.connections.vacant_entry();
            if self
                .poll
                .registry()
                .register(&mut stream, Token(entry.key()), Interest::READABLE)
                .is_ok()
            {
                entry.insert(Connection {
                    stream,
                    stage: Stage::ExpectWord,
                });
            }
        }
    }

    fn serve(&mut self, key: usize, event: &Event) {
        let Some(connection) = self.connections.get_mut(key) else {
            return; // closed by an event of the same batch
        };
        match connection.echo(&mut self.buffer, event.is_read_closed()) {
            Next::Keep => {}
            Next::Close => drop(self.connections.remove(key)),
            Next::Bulk(service) => {
                let connection = self.connections.remove(key);
                // If this fails, the connection is closed and its client sees that.
                let _ = self.give_to_threads(connection, service);
            }
        }
    }

    fn give_to_threads(&mut self, mut connection: Connection, service: Service) -> io::Result<()> {
        self.poll.registry().deregister(&mut connection.stream)?;
        let stream = Arc::new(net::TcpStream::from(connection.stream));
        stream.set_nonblocking(false)?;
        (&*stream).write_all(&[service.word()])?;
        let (source, received) = (Arc::clone(&stream), Arc::clone(&self.received));
        thread::spawn(move || drain(&source, &received));
        if service == Service::BothWays {
            let sink = Arc::clone(&stream);
            thread::spawn(move || flood(&sink));
        }
        self.bulk.push(stream);
        Ok(())
    }
}

impl Connection {
    /// Sends back what has arrived. A read that does not fill the buffer has emptied the socket, and the next bytes raise a
    /// new event. Another read is needed only if end of file is already reported.
    fn echo(&mut self, buffer: &mut [u8], read_closed: bool) -> Next {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Next::Close,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Keep,
                Err(_) => return Next::Close,
            };
            if let Stage::ExpectWord = self.stage {
                match [Service::Sink, Service::BothWays]
                    .into_iter()
                    .find(|service| service.word() == buffer[0])
                {
                    Some(service) => return Next::Bulk(service),
                    None => self.stage = Stage::Echoing,
                }
            }
            // A few bytes always fit into the send buffer, because the client reads its answers.
            if self.stream.write_all(&buffer[..count]).is_err() {
                return Next::Close;
            }
            if count < buffer.len() && !read_closed {
                return Next::Keep;
            }
        }
    }
}

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// Far more than a message of any client, so one read receives all of it.
const BUFFER_BYTES: usize = 4096;

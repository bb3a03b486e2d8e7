//! A server whose sessions the test controls.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Socket, Type};

use crate::end::{End, parse};
use crate::timeouts::TIMEOUT;

/// A listening socket. Its [`Display`](fmt::Display) is the word to put into a command line.
pub struct Server {
    listener: Socket,
    word: String,
}

impl Server {
    /// Listens on a port of 127.0.0.1 that the system picks.
    pub fn start() -> Server {
        Server::on("127.0.0.1:0")
    }

    /// Listens on `address`, written as for [`End::dial`].
    pub fn on(address: &str) -> Server {
        let (domain, sockaddr) = parse(address);
        let listener = Socket::new(domain, Type::STREAM, None).expect("a socket can be had");
        listener
            .set_reuse_address(true)
            .expect("SO_REUSEADDR can be set");
        listener
            .bind(&sockaddr)
            .unwrap_or_else(|error| panic!("unable to bind to {address}: {error}"));
        listener.listen(BACKLOG).expect("a bound socket can listen");
        listener
            .set_read_timeout(Some(TIMEOUT))
            .expect("a timeout can be set");
        let bound = listener
            .local_addr()
            .expect("a bound socket has an address");
        let word = bound
            .as_socket()
            .map_or_else(|| address.to_owned(), |bound| bound.to_string());
        Server { listener, word }
    }

    /// Accepts the next session.
    #[track_caller]
    pub fn accept(&self) -> End {
        match self.listener.accept() {
            Ok((socket, _)) => End::from(socket),
            Err(error) => panic!("no client came to {self} within {TIMEOUT:?}: {error}"),
        }
    }

    /// Makes the kernel keep few connections that are not accepted yet: `backlog` and one more.
    pub fn keep_few_waiting(&self, backlog: i32) {
        self.listener
            .listen(backlog)
            .expect("a socket that listens can listen anew");
    }

    /// Expects no client for `time`.
    #[track_caller]
    pub fn expect_nobody(&self, time: Duration) {
        self.listener
            .set_read_timeout(Some(time))
            .expect("a timeout can be set");
        let came = self.listener.accept();
        self.listener
            .set_read_timeout(Some(TIMEOUT))
            .expect("a timeout can be set");
        let error = came.map(|_| ()).expect_err("somebody came");
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.word
            .parse()
            .expect("the server listens on the internet")
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    pub(crate) fn into_parts(self) -> (Socket, String) {
        self.listener
            .set_read_timeout(None)
            .expect("a timeout can be taken away");
        (self.listener, self.word)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

const BACKLOG: i32 = 128;

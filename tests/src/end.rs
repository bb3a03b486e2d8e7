//! One end of a session, which a test controls. Each step takes at most [`TIMEOUT`].

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::data::assert_same;
use crate::timeouts::TIMEOUT;

/// Runs a whole session between its two ends, with an end of file in each direction.
pub fn exchange(client: &End, server: &End) {
    client.send(b"question");
    client.shutdown_write();
    assert_same(&server.receive_to_eof(), b"question");
    server.send(b"answer");
    server.shutdown_write();
    assert_same(&client.receive_to_eof(), b"answer");
}

/// A connected stream socket.
///
/// Its methods take `&self`, so that one thread can send while another receives.
pub struct End {
    socket: Socket,
    /// The kernel reports a reset once, and the dial may have received that report.
    reset_when_dialled: bool,
}

impl End {
    /// Dials an address as our programs write it: `127.0.0.1:8000`, `[::1]:8000`, `unix:PATH` or `unix:@NAME`.
    pub fn dial(address: &str) -> End {
        End::try_dial(address)
            .unwrap_or_else(|error| panic!("unable to connect to {address}: {error}"))
    }

    /// Dials `address` from the local address `from`, both IPv4.
    pub fn dial_from(from: &str, address: &str) -> End {
        let parse = |text: &str| -> SocketAddr { text.parse().expect("an address with a port") };
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("descriptors are left");
        socket
            .bind(&parse(from).into())
            .expect("all of 127.0.0.0/8 is local");
        socket.connect(&parse(address).into()).expect("it listens");
        End::from(socket)
    }

    /// Dials as [`End::dial`] does, and returns the error if the dial fails.
    pub fn try_dial(address: &str) -> io::Result<End> {
        let (domain, address) = parse(address);
        let socket = Socket::new(domain, Type::STREAM, None)?;
        match socket.connect_timeout(&address, TIMEOUT) {
            Ok(()) => Ok(End::from(socket)),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(End {
                reset_when_dialled: true,
                ..End::from(socket)
            }),
            Err(error) => Err(error),
        }
    }

    /// Sends all of `bytes`.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) {
        self.try_send(bytes)
            .unwrap_or_else(|error| panic!("unable to send {} bytes: {error}", bytes.len()));
    }

    /// Sends all of `bytes`, unless the peer closes first.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.socket).write_all(bytes)
    }

    /// Sends one byte as urgent data (MSG_OOB).
    #[track_caller]
    pub fn send_urgent(&self, byte: u8) {
        let sent = self.socket.send_out_of_band(&[byte]);
        sent.unwrap_or_else(|error| panic!("unable to send an urgent byte: {error}"));
    }

    /// Sends until the socket has accepted nothing for `pause`, and returns the number of bytes sent.
    pub fn send_until_stalled(&self, chunk: &[u8], pause: Duration) -> usize {
        self.socket
            .set_write_timeout(Some(pause))
            .expect("a timeout can be set");
        let mut sent = 0;
        loop {
            match (&self.socket).write(&chunk[sent % chunk.len()..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("unable to send after {sent} bytes: {error}"),
            }
        }
        self.socket
            .set_write_timeout(Some(TIMEOUT))
            .expect("a timeout can be set");
        sent
    }

    /// Receives `bytes` and nothing else before them.
    #[track_caller]
    pub fn expect(&self, bytes: &[u8]) {
        assert_same(&self.receive(bytes.len()), bytes);
    }

    /// Receives exactly `length` bytes.
    #[track_caller]
    pub fn receive(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let result = (&self.socket).read_exact(&mut bytes);
        result.unwrap_or_else(|error| panic!("unable to receive {length} bytes: {error}"));
        bytes
    }

    /// Receives until the peer's end of file.
    #[track_caller]
    pub fn receive_to_eof(&self) -> Vec<u8> {
        match self.drain() {
            (bytes, None) => bytes,
            (bytes, Some(error)) => panic!(
                "instead of an end of file after {} bytes: {error}",
                bytes.len()
            ),
        }
    }

    /// Receives until the peer's reset.
    #[track_caller]
    pub fn receive_to_reset(&self) -> Vec<u8> {
        match self.drain() {
            (bytes, Some(error)) if error.kind() == ErrorKind::ConnectionReset => bytes,
            (bytes, Some(error)) => {
                panic!("instead of a reset after {} bytes: {error}", bytes.len())
            }
            (bytes, None) => panic!(
                "instead of a reset after {} bytes: end of file",
                bytes.len()
            ),
        }
    }

    /// Expects the peer's end of file, and no byte before it.
    #[track_caller]
    pub fn expect_eof(&self) {
        assert_same(&self.receive_to_eof(), b"");
    }

    /// Expects the peer's reset, and no byte before it.
    #[track_caller]
    pub fn expect_reset(&self) {
        assert_same(&self.receive_to_reset(), b"");
    }

    /// Expects the peer's end of file or reset, and returns the bytes before it.
    #[track_caller]
    pub fn receive_to_any_end(&self) -> Vec<u8> {
        match self.drain() {
            (bytes, Some(error)) if error.kind() == ErrorKind::WouldBlock => {
                panic!(
                    "neither end of file nor reset within {TIMEOUT:?} after {} bytes",
                    bytes.len()
                )
            }
            (bytes, _) => bytes,
        }
    }

    /// Expects nothing for `time`: no byte, no end.
    #[track_caller]
    pub fn expect_silence(&self, time: Duration) {
        self.socket
            .set_read_timeout(Some(time))
            .expect("a timeout can be set");
        let seen = (&self.socket).read(&mut [0]);
        self.socket
            .set_read_timeout(Some(TIMEOUT))
            .expect("a timeout can be set");
        match seen {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("instead of silence: {error}"),
            Ok(0) => panic!("instead of silence: end of file"),
            Ok(_) => panic!("instead of silence: a byte"),
        }
    }

    /// Shuts down writing, unless the peer has closed.
    pub fn try_shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(std::net::Shutdown::Write)
    }

    /// Shuts down writing (FIN), and continues to receive.
    pub fn shutdown_write(&self) {
        self.socket
            .shutdown(std::net::Shutdown::Write)
            .expect("the session is open");
    }

    /// Closes with a reset (RST). What the peer has not read yet is discarded.
    pub fn reset(self) {
        self.socket
            .set_linger(Some(Duration::ZERO))
            .expect("lingering can be set");
    }

    /// Makes the kernel's buffers of this end small, so that a stall stops the sender at once.
    pub fn keep_little(&self) {
        self.socket
            .set_recv_buffer_size(LITTLE)
            .expect("a buffer's size can be set");
        self.socket
            .set_send_buffer_size(LITTLE)
            .expect("a buffer's size can be set");
    }

    /// Sends each piece as it is, however small (TCP_NODELAY).
    pub fn send_at_once(&self) {
        self.socket
            .set_tcp_nodelay(true)
            .expect("TCP_NODELAY can be set");
    }

    /// Its own address.
    pub fn local(&self) -> SocketAddr {
        internet(self.socket.local_addr())
    }

    /// Its peer's address.
    pub fn peer(&self) -> SocketAddr {
        internet(self.socket.peer_addr())
    }

    fn drain(&self) -> (Vec<u8>, Option<io::Error>) {
        if self.reset_when_dialled {
            return (Vec::new(), Some(ErrorKind::ConnectionReset.into()));
        }
        let mut bytes = Vec::new();
        let error = (&self.socket).read_to_end(&mut bytes).err();
        (bytes, error)
    }
}

impl From<Socket> for End {
    fn from(socket: Socket) -> End {
        socket
            .set_read_timeout(Some(TIMEOUT))
            .expect("a timeout can be set");
        socket
            .set_write_timeout(Some(TIMEOUT))
            .expect("a timeout can be set");
        End {
            socket,
            reset_when_dialled: false,
        }
    }
}

impl From<End> for OwnedFd {
    /// The descriptor, for a child to inherit.
    fn from(end: End) -> OwnedFd {
        end.socket
            .set_read_timeout(None)
            .expect("a timeout can be taken away");
        end.socket
            .set_write_timeout(None)
            .expect("a timeout can be taken away");
        end.socket.into()
    }
}

impl Read for &End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(buffer)
    }
}

impl Write for &End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.socket).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn internet(address: io::Result<SockAddr>) -> SocketAddr {
    let address = address.expect("a connected socket has addresses");
    address.as_socket().expect("the socket is of the internet")
}

/// The socket's family and address that an address word stands for.
pub(crate) fn parse(word: &str) -> (Domain, SockAddr) {
    if let Some(path) = word.strip_prefix("unix:") {
        let path = path
            .strip_prefix('@')
            .map_or_else(|| path.to_owned(), |name| format!("\0{name}"));
        return (
            Domain::UNIX,
            SockAddr::unix(path).expect("the path of a socket is short"),
        );
    }
    let address: SocketAddr = word
        .parse()
        .unwrap_or_else(|_| panic!("{word:?} is no numeric address"));
    (Domain::for_address(address), address.into())
}

/// Twice the largest segment of the loopback interface: with less, a window update waits for a timer.
const LITTLE: usize = 128 * 1024;

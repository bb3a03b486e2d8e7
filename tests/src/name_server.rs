//! A name server that answers when the test says so, in a network of the test's own.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::network::{put_in_place, temporary_file};
use crate::timeouts::TIMEOUT;

/// The only name server that the programs of this network know.
pub struct NameServer {
    socket: UdpSocket,
    _configuration: Option<Configuration>,
}

/// Which name servers the programs of this network query, and how.
pub struct Configuration(#[expect(dead_code, reason = "it is kept")] NamedTempFile);

impl Configuration {
    /// Replaces resolv.conf(5) by `text`.
    pub fn new(text: &str) -> Configuration {
        let mut file = temporary_file();
        file.write_all(text.as_bytes())
            .expect("a temporary file can be written");
        put_in_place(&file, Path::new("/etc/resolv.conf"));
        Configuration(file)
    }
}

/// A query, and who sent it.
pub struct Question {
    message: Vec<u8>,
    from: SocketAddr,
}

impl NameServer {
    /// Listens on the loopback interface of this network, and replaces resolv.conf(5).
    pub fn start() -> NameServer {
        let text = "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n";
        NameServer {
            _configuration: Some(Configuration::new(text)),
            ..NameServer::on(Ipv4Addr::LOCALHOST)
        }
    }

    /// Listens on an address of this network, and leaves resolv.conf(5) as it is.
    pub fn on(address: Ipv4Addr) -> NameServer {
        let socket = UdpSocket::bind((address, 53)).expect("the network is the test's");
        socket
            .set_read_timeout(Some(TIMEOUT))
            .expect("a timeout can be set");
        NameServer {
            socket,
            _configuration: None,
        }
    }

    /// Receives the next query. getaddrinfo(3) sends two for a name: one for IPv4 addresses, one for IPv6 addresses.
    #[track_caller]
    pub fn receive(&self) -> Question {
        let mut message = vec![0; 512];
        let received = self.socket.recv_from(&mut message);
        let (length, from) =
            received.unwrap_or_else(|error| panic!("no query within {TIMEOUT:?}: {error}"));
        message.truncate(length);
        Question { message, from }
    }

    /// Answers that the name has `address`, and no IPv6 address.
    pub fn answer(&self, question: &Question, address: Ipv4Addr) {
        let answer = question.answer(address);
        self.socket
            .send_to(&answer, question.from)
            .expect("an answer can be sent");
    }
}

impl Question {
    /// RFC 1035 §4.1: the header, the question once more, and a record that points back to its name.
    fn answer(&self, address: Ipv4Addr) -> Vec<u8> {
        let (id, rest) = self.message.split_at(2);
        let question = &rest[HEADER_BYTES - 2..];
        let name_length = 1 + question
            .iter()
            .position(|&byte| byte == 0)
            .expect("a name ends with the root");
        let question = &question[..name_length + 4];
        let is_for_ipv4 = question[name_length..].starts_with(&TYPE_A);
        let records = u8::from(is_for_ipv4);
        let mut answer = [id, &[0x81, 0x80, 0, 1, 0, records, 0, 0, 0, 0], question].concat();
        if is_for_ipv4 {
            answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(address.octets());
        }
        answer
    }
}

const HEADER_BYTES: usize = 12;
const TYPE_A: [u8; 2] = [0, 1];

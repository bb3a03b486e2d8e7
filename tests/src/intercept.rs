//! A man in the middle between two nodes, who sees their bytes and can hold them back.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

use crate::server::Server;
use crate::timeouts::{TIMEOUT, eventually_some};

/// Accepts the connection of the inside node, and dials the outside node. Accepts no other.
pub fn join(middle: Server, link: &str) -> (TcpStream, TcpStream) {
    let (listener, _) = middle.into_parts();
    let (near, _) = listener.accept().expect("the inside node dials");
    // A raw outside node listens once it knows of a client.
    let far = eventually_some("the outside node listens", || TcpStream::connect(link).ok());
    let near = TcpStream::from(near);
    for side in [&near, &far] {
        side.set_read_timeout(Some(TIMEOUT)).expect("it is set");
    }
    (near, far)
}

/// Passes on one TLS record.
pub fn pass_record(mut from: &TcpStream, mut to: &TcpStream) {
    let mut record = vec![0; 5];
    from.read_exact(&mut record).expect("a header comes");
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    let body = &mut record[5..];
    from.read_exact(body).expect("what it announces comes");
    to.write_all(&record).expect("it is taken");
}

/// Passes on all bytes from now on.
pub fn pass_on(from: &TcpStream, to: &TcpStream) {
    let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor is free");
    let (mut from, mut to) = (copy(from), copy(to));
    thread::spawn(move || io::copy(&mut from, &mut to));
}

/// Waits until there is something to pass on.
pub fn expect_more(from: &TcpStream) {
    let seen = from.peek(&mut [0]).expect("something comes");
    assert_eq!(seen, 1, "an end of file came");
}

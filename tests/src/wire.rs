//! Frames of the link protocol, written by hand from relay-link(7), for peers that behave as no node of ours does.

use std::io::Write;
use std::os::fd::OwnedFd;

use nix::sys::sendfile::sendfile;

use crate::end::End;

/// Sends HELLO on `link` as an inside node that serves one port of `service`, and reads the WELCOME.
pub fn enter(link: &End, service: &str) {
    let length = u8::try_from(service.len()).expect("the name of a service is short");
    let body = [
        MAGIC.as_slice(),
        &VERSIONS,
        &NODE,
        &HEARTBEAT_MS,
        &[1, length],
        service.as_bytes(),
        &1_u16.to_be_bytes(),
    ]
    .concat();
    link.send(&frame(HELLO, &body));
    receive_frame(link, WELCOME);
}

/// Reads the HELLO on `link` as an outside node does, and sends WELCOME.
pub fn welcome(link: &End) {
    receive_hello(link);
    send_welcome(link);
}

/// Reads the HELLO on `link`.
#[track_caller]
pub fn receive_hello(link: &End) {
    receive_frame(link, HELLO);
}

/// Sends WELCOME on `link`.
pub fn send_welcome(link: &End) {
    let body = [&[VERSIONS[1]], NODE.as_slice(), &HEARTBEAT_MS].concat();
    link.send(&frame(WELCOME, &body));
}

/// Opens the first session on `link`, of a client without an address that sends `bytes` and ends.
pub fn open(link: &End, bytes: &[u8]) {
    let number = 1_u32.to_be_bytes();
    // The nameless service, its first port, an id, no addresses.
    let body = [number.as_slice(), &[0], &[0, 0], &NODE, &[0], &[0, 0]].concat();
    let frames = [frame(OPEN, &body), frame(DATA, bytes), frame(END, &[])];
    link.send(&frames.concat());
}

/// Reads what a server sends in a session that it accepts and ends: `bytes`, in one piece.
#[track_caller]
pub fn expect_session(link: &End, bytes: &[u8]) {
    receive_frame(link, OPENED);
    assert_eq!(receive_frame(link, DATA), bytes);
    receive_frame(link, END);
}

/// Reads the request for BYE on `link`.
#[track_caller]
pub fn receive_bye(link: &End) {
    receive_frame(link, BYE);
}

/// Sends BYE on `link`.
pub fn send_bye(link: &End) {
    link.send(&frame(BYE, &[]));
}

/// Sends PING after PING on `link`, and reads none of the answers, until the link ends.
pub fn flood(link: End) {
    let pings = frame(PING, b"flooding").repeat(200_000);
    let mut file = tempfile::tempfile().expect("a temporary file can be had");
    file.write_all(&pings)
        .expect("a temporary file can be written");
    let link = OwnedFd::from(link);
    let mut at = 0;
    loop {
        let left = pings.len() - at as usize;
        // Nothing is copied on this side: it is faster than a node can read.
        match sendfile(&link, &file, Some(&mut at), left) {
            Ok(0) | Err(_) => return,
            Ok(_) => at %= pings.len() as i64,
        }
    }
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is short");
    [&[kind], &length.to_be_bytes()[1..], payload].concat()
}

#[track_caller]
fn receive_frame(link: &End, kind: u8) -> Vec<u8> {
    let header = link.receive(4);
    assert_eq!(header[0], kind, "the type of a frame");
    let length = u32::from_be_bytes([0, header[1], header[2], header[3]]);
    link.receive(length as usize)
}

const HELLO: u8 = 0x80;
const WELCOME: u8 = 0x81;
const OPEN: u8 = 0x82;
const OPENED: u8 = 0x83;
const DATA: u8 = 0x85;
const END: u8 = 0x86;
const PING: u8 = 0x89;
const BYE: u8 = 0x8b;

const MAGIC: [u8; 8] = *b"\xf0relay1\n";
/// The lowest and the highest version.
const VERSIONS: [u8; 2] = [1, 1];
/// No other node is called that.
const NODE: [u8; 16] = *b"a test, not ours";
const HEARTBEAT_MS: [u8; 4] = 10_000_u32.to_be_bytes();

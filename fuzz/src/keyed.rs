//! A keyed link whose peer, or an attacker between the nodes, sends any bytes.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::LazyLock;

use relay_core::keyed::{Channel, Fault, Inner, KeyFile, Keys, Role, Wire, link_fault};

use super::hostile::length_prefixed;

/// The input is four parts: the end under test, how much an honest peer sends first, how the bytes that follow are split, and
/// these bytes. None of them is accepted as the peer's: they do not authenticate a peer that has no key, and behind an
/// authenticated peer they are not received.
pub fn keyed(input: &[u8]) {
    let Some((&first, input)) = input.split_first() else {
        return;
    };
    let ends = if first & 1 == 0 {
        (&*OUTSIDE, &*INSIDE)
    } else {
        (&*INSIDE, &*OUTSIDE)
    };
    let honest = usize::from(first >> 1 & 3);
    let (cuts, bytes) = length_prefixed(input);
    let whole = run(ends, honest, bytes, &[]);
    assert_eq!(whole.received, MESSAGE.repeat(honest.saturating_sub(1)));
    assert_eq!(whole.authenticated, honest > 0);
    assert!(!(whole.authenticated && whole.ended));
    assert_eq!(run(ends, honest, bytes, &[1]), whole, "byte by byte");
    assert_eq!(
        run(ends, honest, bytes, cuts),
        whole,
        "split after {cuts:?}"
    );
}

/// The result of one run.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    received: Vec<u8>,
    authenticated: bool,
    fault: Option<Fault>,
    /// The peer sent close_notify. Before the handshake anyone can send that.
    ended: bool,
}

/// If `honest` is not 0, an honest peer completes the handshake and sends `honest` - 1 messages. Then `bytes` arrive.
fn run((ours, theirs): (&Keys, &Keys), honest: usize, bytes: &[u8], cuts: &[u8]) -> Outcome {
    let mut channel = ours.channel().expect("keys make channels");
    let mut wire = SplitWire::default();
    let mut outcome = Outcome::default();
    if honest > 0 {
        let mut peer = theirs.channel().expect("keys make channels");
        let mut peer_wire = SplitWire::default();
        for _ in 0..4 {
            handshake(&mut channel, &mut wire, &mut peer_wire);
            handshake(&mut peer, &mut peer_wire, &mut wire);
        }
        for _ in 1..honest {
            peer.send(&mut peer_wire, &[], MESSAGE, false)
                .expect("it is proven");
        }
        wire.unread.append(&mut peer_wire.sent);
    }
    wire.unread.extend_from_slice(bytes);
    wire.cuts = cuts.to_vec();
    read(&mut channel, &mut wire, &mut outcome);
    outcome.authenticated = channel.proof().is_some() || (honest > 0 && outcome.fault.is_some());
    assert!(wire.sent.len() < 4096, "{} bytes sent", wire.sent.len());
    outcome
}

/// Continues the handshake. What this end sends becomes readable for `other`.
fn handshake(channel: &mut Channel, wire: &mut SplitWire, other: &mut SplitWire) {
    if let Err(error) = channel.authenticate(wire) {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    other.unread.append(&mut wire.sent);
}

fn read(channel: &mut Channel, wire: &mut SplitWire, outcome: &mut Outcome) {
    let mut buffer = [0; 1000];
    loop {
        match channel.recv(wire, &mut buffer) {
            Ok(0) => {
                outcome.ended = true;
                return;
            }
            Ok(count) => {
                outcome.received.extend_from_slice(&buffer[..count]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => {
                outcome.fault = Some(
                    link_fault(&error)
                        .expect("the error is a fault of the channel")
                        .clone(),
                );
                return;
            }
        }
    }
}

/// A wire that delivers its bytes in pieces whose lengths are the values of `cuts`, over and over; whole if `cuts` is empty.
#[derive(Default)]
struct SplitWire {
    unread: Vec<u8>,
    cuts: Vec<u8>,
    pieces: usize,
    sent: Vec<u8>,
}

impl Wire for SplitWire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = match self.cuts.len() {
            0 => usize::MAX,
            count => usize::from(self.cuts[self.pieces % count].max(1)),
        };
        self.pieces += 1;
        let count = length.min(buffer.len()).min(self.unread.len());
        buffer[..count].copy_from_slice(&self.unread[..count]);
        self.unread.drain(..count);
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8], _: bool) -> io::Result<usize> {
        self.sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

const MESSAGE: &[u8] = b"a frame";

static OUTSIDE: LazyLock<Keys> = LazyLock::new(|| keys(Role::Outside));
static INSIDE: LazyLock<Keys> = LazyLock::new(|| keys(Role::Inside));

fn keys(role: Role) -> Keys {
    let path = Path::new("link.key");
    let text = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let file = KeyFile::with_text(path, text).expect("the text is a key");
    Keys::new(role, Inner::Frames, file).expect("the key file gives keys")
}

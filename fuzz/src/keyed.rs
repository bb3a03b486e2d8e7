//! A keyed link whose peer, or somebody in between, sends anything.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::LazyLock;

use relay_core::keyed::{Channel, Fault, Inner, KeyFile, Keys, Role, Wire, link_fault};

use super::hostile::counted;

/// The input says which end is ours, how much an honest peer says before, how what follows is cut, and what that is. Nothing of it
/// is taken for the peer's: who has not proved the key proves nothing by it, and who has is heard no further.
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
    let (cuts, bytes) = counted(input);
    let whole = play(ends, honest, bytes, &[]);
    assert_eq!(whole.heard, MESSAGE.repeat(honest.saturating_sub(1)));
    assert_eq!(whole.proven, honest > 0);
    assert!(!(whole.proven && whole.ended));
    assert_eq!(play(ends, honest, bytes, &[1]), whole, "byte by byte");
    assert_eq!(play(ends, honest, bytes, cuts), whole, "cut after {cuts:?}");
}

/// What came of it.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    heard: Vec<u8>,
    proven: bool,
    fault: Option<Fault>,
    /// The peer has said that nothing follows, which anybody may before the handshake.
    ended: bool,
}

/// With an honest peer, if there is to be one, the handshake is made, and one message less than `honest` is sent. Then come `bytes`.
fn play((ours, theirs): (&Keys, &Keys), honest: usize, bytes: &[u8], cuts: &[u8]) -> Outcome {
    let mut channel = ours.channel().expect("keys make channels");
    let mut wire = Cut::default();
    let mut outcome = Outcome::default();
    if honest > 0 {
        let mut peer = theirs.channel().expect("keys make channels");
        let mut peer_wire = Cut::default();
        for _ in 0..4 {
            prove(&mut channel, &mut wire, &mut peer_wire);
            prove(&mut peer, &mut peer_wire, &mut wire);
        }
        for _ in 1..honest {
            peer.send(&mut peer_wire, &[], MESSAGE, false)
                .expect("it is proven");
        }
        wire.unread.append(&mut peer_wire.said);
    }
    wire.unread.extend_from_slice(bytes);
    wire.cuts = cuts.to_vec();
    read(&mut channel, &mut wire, &mut outcome);
    outcome.proven = channel.proof().is_some() || (honest > 0 && outcome.fault.is_some());
    assert!(wire.said.len() < 4096, "{} bytes said", wire.said.len());
    outcome
}

/// Goes on with the handshake; what this end says is there for the other to read.
fn prove(channel: &mut Channel, wire: &mut Cut, other: &mut Cut) {
    if let Err(error) = channel.prove(wire) {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    other.unread.append(&mut wire.said);
}

fn read(channel: &mut Channel, wire: &mut Cut, outcome: &mut Outcome) {
    let mut buffer = [0; 1000];
    loop {
        match channel.recv(wire, &mut buffer) {
            Ok(0) => {
                outcome.ended = true;
                return;
            }
            Ok(count) => {
                outcome.heard.extend_from_slice(&buffer[..count]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => {
                outcome.fault = Some(link_fault(&error).expect("it is the channel's").clone());
                return;
            }
        }
    }
}

/// A wire that brings its bytes in pieces as long as `cuts` says in turn, or whole.
#[derive(Default)]
struct Cut {
    unread: Vec<u8>,
    cuts: Vec<u8>,
    pieces: usize,
    said: Vec<u8>,
}

impl Wire for Cut {
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
        self.said.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

const MESSAGE: &[u8] = b"a frame";

static OUTSIDE: LazyLock<Keys> = LazyLock::new(|| keys(Role::Outside));
static INSIDE: LazyLock<Keys> = LazyLock::new(|| keys(Role::Inside));

fn keys(role: Role) -> Keys {
    let path = Path::new("link.key");
    let text = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let file = KeyFile::with_text(path, text).expect("it is a key");
    Keys::new(role, Inner::Frames, file).expect("it gives keys")
}

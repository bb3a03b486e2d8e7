//! The channel of a keyed link over a wire in memory: what it carries, however it is cut, and whom it turns away.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a broken expectation is a failed test"
)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use relay_core::keyed::{Channel, Fault, Inner, KeyFile, Keys, Role, Wire, link_fault};

/// One direction between two wires.
#[derive(Default)]
struct Lane {
    bytes: VecDeque<u8>,
    closed: bool,
    /// All that ever went.
    seen: Vec<u8>,
}

/// One end of a connection that holds at most `room` bytes each way, and moves at most `pace` of them at once.
struct End {
    to: Rc<RefCell<Lane>>,
    from: Rc<RefCell<Lane>>,
    room: usize,
    pace: usize,
}

impl Wire for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut lane = self.from.borrow_mut();
        let count = lane.bytes.len().min(buffer.len()).min(self.pace);
        if count == 0 && !lane.closed {
            return Err(ErrorKind::WouldBlock.into());
        }
        for (to, from) in buffer.iter_mut().zip(lane.bytes.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8], _: bool) -> io::Result<usize> {
        let mut lane = self.to.borrow_mut();
        let count = bytes.len().min(self.room - lane.bytes.len()).min(self.pace);
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        lane.bytes.extend(&bytes[..count]);
        lane.seen.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

/// A node's end of a link.
struct Node {
    channel: Channel,
    wire: End,
}

impl Node {
    fn recv(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 40_000];
        let count = self.channel.recv(&mut self.wire, &mut buffer)?;
        Ok(buffer[..count].to_vec())
    }

    fn recv_or_nothing(&mut self) -> Vec<u8> {
        match self.recv() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Vec::new(),
            result => result.unwrap(),
        }
    }

    fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<usize> {
        self.channel.send(&mut self.wire, head, body, false)
    }
}

fn wires(room: usize, pace: usize) -> (End, End) {
    let (left, right) = (Rc::default(), Rc::default());
    let end = |to: &Rc<_>, from: &Rc<_>| End {
        to: Rc::clone(to),
        from: Rc::clone(from),
        room,
        pace,
    };
    (end(&left, &right), end(&right, &left))
}

/// An outside and an inside node.
fn nodes(outside: &Keys, inside: &Keys, room: usize, pace: usize) -> (Node, Node) {
    let (left, right) = wires(room, pace);
    let node = |keys: &Keys, wire| Node {
        channel: keys.channel().unwrap(),
        wire,
    };
    (node(outside, left), node(inside, right))
}

/// Two nodes that hold one key, and have proved it.
fn linked(room: usize, pace: usize) -> (Node, Node) {
    let (mut outside, mut inside) = nodes(
        &keys(Role::Outside, &[1]),
        &keys(Role::Inside, &[1]),
        room,
        pace,
    );
    assert!(greet(&mut outside, &mut inside).is_ok());
    (outside, inside)
}

/// Lets both talk until nothing moves: what each had to say to its owner.
fn greet(outside: &mut Node, inside: &mut Node) -> Result<(), (Option<Fault>, Option<Fault>)> {
    let mut faults = (None, None);
    for _ in 0..20_000 {
        let fault = |result: io::Result<Vec<u8>>| match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(link_fault(&error).expect("it is the channel's").clone()),
            Ok(bytes) => panic!("nobody sent {bytes:?}"),
        };
        faults.1 = fault(inside.recv());
        faults.0 = fault(outside.recv());
        if outside.channel.proof().is_some() && inside.channel.proof().is_some() {
            return Ok(());
        }
        if faults.0.is_some() && faults.1.is_some() {
            break;
        }
    }
    Err(faults)
}

/// The keys of a node whose file holds these secrets, each of one byte many times.
fn keys(role: Role, secrets: &[u8]) -> Keys {
    of_kind(role, Inner::Frames, secrets)
}

fn of_kind(role: Role, inner: Inner, secrets: &[u8]) -> Keys {
    let file = Scratch::new(&lines(secrets));
    Keys::new(role, inner, KeyFile::read(&file.0).unwrap()).unwrap()
}

fn lines(secrets: &[u8]) -> String {
    use base64::Engine;
    let line = |&secret| base64::engine::general_purpose::STANDARD.encode([secret; 32]) + "\n";
    secrets.iter().map(line).collect()
}

/// A file that only its owner reads, and that is gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "relay-key-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        let mut file = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn two_nodes_with_one_key_understand_each_other() {
    let (mut outside, mut inside) = linked(1 << 20, usize::MAX);
    assert_eq!(inside.send(b"he", b"llo").unwrap(), 5);
    assert_eq!(outside.recv().unwrap(), b"hello");
    assert_eq!(outside.send(b"", b"hello").unwrap(), 5);
    assert_eq!(inside.recv().unwrap(), b"hello");
    assert!(outside.channel.is_quiet() && outside.channel.is_flushed());
    let seen = inside.wire.to.borrow().seen.clone();
    assert!(!seen.windows(5).any(|bytes| bytes == b"hello"));
}

#[test]
fn the_first_byte_of_each_side_is_that_of_tls() {
    let (outside, inside) = linked(1 << 20, usize::MAX);
    assert_eq!(outside.wire.to.borrow().seen[0], 0x16);
    assert_eq!(inside.wire.to.borrow().seen[0], 0x16);
}

#[test]
fn another_key_is_told_on_both_sides_and_nobody_is_linked() {
    let (mut outside, mut inside) = nodes(
        &keys(Role::Outside, &[1]),
        &keys(Role::Inside, &[2]),
        1 << 20,
        usize::MAX,
    );
    let faults = greet(&mut outside, &mut inside).unwrap_err();
    assert_eq!(faults, (Some(Fault::Refused), Some(Fault::WrongKey)));
    assert!(outside.send(b"", b"x").is_err() && inside.send(b"", b"x").is_err());
    assert_eq!(outside.channel.proof(), None);
}

#[test]
fn of_two_keys_either_is_taken_and_the_first_is_used() {
    // In the order in which a secret is changed, at either node first.
    let steps: [&[u8]; 4] = [&[1], &[1, 2], &[2, 1], &[2]];
    for (at, before) in steps.iter().enumerate() {
        for after in &steps[at..(at + 2).min(4)] {
            for (left, right) in [(before, after), (after, before)] {
                let (outside, inside) = (keys(Role::Outside, left), keys(Role::Inside, right));
                let (mut one, mut other) = nodes(&outside, &inside, 1 << 20, usize::MAX);
                assert!(greet(&mut one, &mut other).is_ok(), "{left:?} {right:?}");
                let used = |secret| keys(Role::Outside, &[secret]).accepts(one.channel.proof());
                assert!(used(right[0]) && !used(3 - right[0]));
            }
        }
    }
}

#[test]
fn a_key_that_is_gone_from_the_file_is_not_accepted_any_more() {
    let file = Scratch::new(&lines(&[1, 2]));
    let mut outside = Keys::new(
        Role::Outside,
        Inner::Frames,
        KeyFile::read(&file.0).unwrap(),
    )
    .unwrap();
    let (mut one, mut other) = nodes(&outside, &keys(Role::Inside, &[1]), 1 << 20, usize::MAX);
    greet(&mut one, &mut other).unwrap();
    assert!(outside.accepts(one.channel.proof()));

    fs::write(&file.0, "no key").unwrap();
    assert!(outside.read_again().is_err());
    assert!(outside.accepts(one.channel.proof()));

    fs::write(&file.0, lines(&[2])).unwrap();
    outside.read_again().unwrap();
    assert!(!outside.accepts(one.channel.proof()));
}

#[test]
fn the_holder_of_a_key_cannot_play_the_part_of_the_other_node_by_mistake() {
    let (left, right) = wires(1 << 20, usize::MAX);
    let inside = keys(Role::Inside, &[1]);
    let node = |wire| Node {
        channel: inside.channel().unwrap(),
        wire,
    };
    let faults = greet(&mut node(left), &mut node(right)).unwrap_err();
    assert_eq!(faults, (Some(Fault::SameRole), Some(Fault::SameRole)));
}

#[test]
fn a_raw_link_does_not_meet_one_with_frames() {
    let (mut outside, mut inside) = nodes(
        &of_kind(Role::Outside, Inner::Raw, &[1]),
        &keys(Role::Inside, &[1]),
        1 << 20,
        usize::MAX,
    );
    let faults = greet(&mut outside, &mut inside).unwrap_err();
    assert_eq!(faults, (Some(Fault::OtherInner), Some(Fault::OtherInner)));
}

#[test]
fn a_node_without_a_key_is_told_by_its_first_byte() {
    for (role, first, expected) in [
        (Role::Outside, 0x80, Fault::NoKey),
        (Role::Inside, 0x8c, Fault::NoKey),
        (Role::Outside, b'G', Fault::NotTls),
    ] {
        let (mut stranger, wire) = wires(1 << 20, usize::MAX);
        let mut node = Node {
            channel: keys(role, &[1]).channel().unwrap(),
            wire,
        };
        stranger.write(&[first], false).unwrap();
        let error = node.recv().unwrap_err();
        assert_eq!(link_fault(&error), Some(&expected));
        // An alert is what it hears.
        assert!(
            node.wire
                .to
                .borrow()
                .seen
                .ends_with(&[21, 3, 3, 0, 2, 2, 40])
        );
    }
}

#[test]
fn what_was_recorded_of_a_link_does_not_open_another() {
    let (outside, inside) = linked(1 << 20, usize::MAX);
    for (role, recorded) in [(Role::Outside, &inside), (Role::Inside, &outside)] {
        let (mut stranger, wire) = wires(1 << 20, usize::MAX);
        let mut node = Node {
            channel: keys(role, &[1]).channel().unwrap(),
            wire,
        };
        stranger
            .write(&recorded.wire.to.borrow().seen, false)
            .unwrap();
        let error = node.recv().unwrap_err();
        assert!(link_fault(&error).is_some(), "{error}");
        assert_eq!(node.channel.proof(), None);
    }
}

#[test]
fn an_end_of_file_is_said_and_a_cut_is_a_reset() {
    let (mut outside, mut inside) = linked(1 << 20, usize::MAX);
    inside.send(b"", b"last").unwrap();
    inside.channel.close(&mut inside.wire).unwrap();
    assert_eq!(
        inside.send(b"", b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    assert_eq!(outside.recv().unwrap(), b"last");
    assert_eq!(outside.recv().unwrap(), b"");
    // The other direction goes on.
    outside.send(b"", b"answer").unwrap();
    assert_eq!(inside.recv().unwrap(), b"answer");
    outside.wire.to.borrow_mut().closed = true;
    assert_eq!(
        inside.recv().unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn a_changed_byte_is_a_fault_and_what_came_before_it_is_not_lost() {
    let (mut outside, mut inside) = linked(1 << 20, usize::MAX);
    inside.send(b"", b"good").unwrap();
    let good = outside.wire.from.borrow().bytes.len();
    inside.send(b"", b"evil").unwrap();
    outside.wire.from.borrow_mut().bytes[good + 7] ^= 1;
    assert_eq!(outside.recv().unwrap(), b"good");
    assert!(link_fault(&outside.recv().unwrap_err()).is_some());
    assert!(link_fault(&outside.recv().unwrap_err()).is_some());
}

#[test]
fn a_frame_and_its_header_fill_whole_records() {
    let (_, mut inside) = linked(1 << 20, usize::MAX);
    let before = inside.wire.to.borrow().seen.len();
    let body = vec![7; relay_core::limits::COPY_BYTES];
    assert_eq!(
        inside.send(&[0x85, 0, 255, 252], &body).unwrap(),
        4 + body.len()
    );
    let wire = inside.wire.to.borrow().seen.len() - before;
    assert_eq!(wire, 4 * (16_384 + 22));
}

#[test]
fn what_the_wire_does_not_take_is_kept_and_no_more_is_taken() {
    let (mut outside, mut inside) = linked(8 * 1024, usize::MAX);
    let bytes = vec![9; 100_000];
    let first = inside.send(b"", &bytes).unwrap();
    assert!(first <= 64 * 1024);
    assert_eq!(
        inside.send(b"", &bytes).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let mut received = Vec::new();
    while received.len() < first {
        received.extend(outside.recv_or_nothing());
        let _ = inside.channel.flush(&mut inside.wire);
    }
    assert_eq!(received, bytes[..first]);
    assert!(inside.channel.is_flushed());
}

#[test]
fn a_file_that_others_can_read_is_refused_and_its_group_may() {
    for (mode, told) in [
        (0o600, None),
        (0o640, None),
        (0o604, Some("others can read it")),
        (0o602, Some("others can write to it")),
    ] {
        let file = Scratch::new(&lines(&[1]));
        fs::set_permissions(&file.0, fs::Permissions::from_mode(mode)).unwrap();
        let said = KeyFile::read(&file.0).err().map(|error| error.to_string());
        match (said, told) {
            (None, None) => {}
            (Some(said), Some(told)) => assert!(said.contains(told), "{said}"),
            (said, told) => panic!("{mode:o}: {said:?}, expected {told:?}"),
        }
    }
}

#[test]
fn what_is_no_file_is_refused_by_its_name() {
    let missing = KeyFile::read("/nonexistent/link.key".as_ref()).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "unable to use the key file /nonexistent/link.key: no such file or directory"
    );
    let directory = KeyFile::read(&std::env::temp_dir())
        .unwrap_err()
        .to_string();
    assert!(
        directory.ends_with("this is not a regular file"),
        "{directory}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_sent_arrives_however_it_is_cut(
        room in 200_usize..40_000,
        pace in 100_usize..20_000,
        pieces in proptest::collection::vec((0_usize..5, 0_usize..70_000), 1..4),
    ) {
        let (mut outside, mut inside) = linked(room, pace);
        let mut sent = Vec::new();
        let mut received = Vec::new();
        for (head, body) in pieces {
            let bytes: Vec<u8> = (sent.len()..sent.len() + head + body).map(|at| (at * 7 % 251) as u8).collect();
            let mut at = 0;
            while at < bytes.len() {
                let (first, rest) = bytes[at..].split_at(head.saturating_sub(at));
                match inside.send(first, rest) {
                    Ok(count) => at += count,
                    Err(error) => prop_assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                received.extend(outside.recv_or_nothing());
            }
            sent.extend(bytes);
        }
        while received.len() < sent.len() {
            let _ = inside.channel.flush(&mut inside.wire);
            received.extend(outside.recv_or_nothing());
        }
        prop_assert!(received == sent);
        prop_assert!(outside.channel.is_quiet());
    }
}

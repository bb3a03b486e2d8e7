//! A link whose peer sends anything, at any time, in any pieces.

use std::time::{Duration, Instant};

use relay_core::limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES};
use relay_core::protocol::frame::{
    AbortCode, ErrorCode, Hello, NodeId, Open, RefusedCode, ServiceWidth, SessionId,
};
use relay_core::protocol::link::{Event, Fault, Link};

/// The outside node's end of a link, with a peer that sends anything.
pub fn link_outside(input: &[u8]) {
    hostile(Role::Outside, input);
}

/// The inside node's end of a link, with a peer that sends anything.
pub fn link_inside(input: &[u8]) {
    hostile(Role::Inside, input);
}

/// Which end of the link is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `listen-listen`.
    Outside,
    /// `connect-connect`.
    Inside,
}

/// What came of a peer's bytes.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// In order, without [`Event::Incomplete`].
    pub events: Vec<Event>,
    /// Bytes of payload, those that were dropped included.
    pub payload: Vec<u8>,
    /// What this end said.
    pub said: Vec<u8>,
    /// Why it stopped listening before the end.
    pub fault: Option<Fault>,
}

/// The input says how it is cut, what this end does meanwhile, and what the peer sends; cut or not, the outcome is the same.
fn hostile(role: Role, input: &[u8]) {
    let (cuts, input) = counted(input);
    let (acts, bytes) = counted(input);
    let whole = play(role, acts, bytes, &[]);
    assert_eq!(play(role, acts, bytes, &[1]), whole, "byte by byte");
    assert_eq!(play(role, acts, bytes, cuts), whole, "cut after {cuts:?}");
}

/// As many bytes as the first one says, and the rest.
pub(crate) fn counted(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((&count, rest)) = input.split_first() else {
        return (&[], &[]);
    };
    rest.split_at(rest.len().min(count.into()))
}

/// Shows `bytes` to a link, in pieces as long as `cuts` says in turn, or whole. After each event this end does what the next of
/// `acts` says, if it may do that now.
pub fn play(role: Role, acts: &[u8], bytes: &[u8], cuts: &[u8]) -> Outcome {
    let now = Instant::now();
    let mut ours = Ours::new(role, acts, now);
    let mut outcome = Outcome::default();
    let mut unread = Vec::new();
    let mut rest = bytes;
    let mut lengths = cuts
        .iter()
        .cycle()
        .map(|&length| usize::from(length.max(1)));
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(lengths.next().unwrap_or(rest.len()).min(rest.len()));
        rest = behind;
        unread.extend_from_slice(piece);
        if let Err(fault) = ours.read(&mut unread, &mut outcome, now) {
            outcome.fault = Some(fault);
            ours.link.fail(fault.code(), fault.to_string());
            ours.say(&mut outcome, now);
            break;
        }
        assert!(
            unread.len() < FRAME_HEADER_BYTES + CONTROL_BYTES_MAX,
            "a whole frame waits"
        );
    }
    outcome
}

/// Our end of the link, and what it does of itself.
struct Ours<'a> {
    role: Role,
    link: Link,
    acts: std::slice::Iter<'a, u8>,
}

impl<'a> Ours<'a> {
    fn new(role: Role, acts: &'a [u8], now: Instant) -> Self {
        let link = match role {
            Role::Outside => Link::outside(Duration::from_secs(10), now),
            Role::Inside => Link::inside(hello(), now),
        };
        Self {
            role,
            link,
            acts: acts.iter(),
        }
    }

    fn read(
        &mut self,
        unread: &mut Vec<u8>,
        outcome: &mut Outcome,
        now: Instant,
    ) -> Result<(), Fault> {
        loop {
            let left = self.link.payload_left() as usize;
            if left > 0 {
                let payload: Vec<u8> = unread.drain(..left.min(unread.len())).collect();
                self.link.payload_taken(payload.len() as u32, now)?;
                outcome.payload.extend_from_slice(&payload);
                self.link.settle();
                if payload.len() < left {
                    return Ok(());
                }
            }
            let (taken, event) = self.link.receive(unread, now)?;
            unread.drain(..taken);
            if event == Event::Incomplete {
                assert_eq!(taken, 0);
                return Ok(());
            }
            self.link.settle();
            if let Event::Hello(_) = event {
                self.link.welcome(NodeId([2; 16]));
            }
            outcome.events.push(event);
            self.act(now);
            self.say(outcome, now);
        }
    }

    /// The next thing of `acts`. What has no place now is left to the machine to ignore, where it promises that.
    fn act(&mut self, now: Instant) {
        let link = &mut self.link;
        match self.acts.next().map_or(0, |act| act % 10) {
            1 if self.role == Role::Outside && link.is_idle() => link.open(open(), now),
            2 if self.role == Role::Inside => link.opened(now),
            3 if self.role == Role::Inside => link.refuse(RefusedCode::Refused, "no".into(), now),
            4 if link.may_send_payload() => link.end(),
            5 => link.abort(AbortCode::Reset, now),
            6 if self.role == Role::Outside => link.want(7),
            7 => link.probe(now),
            8 => link.bye(),
            9 => link.fail(ErrorCode::NoService, "none in common".into()),
            _ => {}
        }
    }

    /// Says what waits, which the peer cannot make long.
    fn say(&mut self, outcome: &mut Outcome, now: Instant) {
        let mut out = Vec::new();
        self.link.transmit(&mut out, now);
        assert!(self.link.has_said_all());
        assert!(
            out.len() <= 2 * CONTROL_BYTES_MAX,
            "{} bytes at once",
            out.len()
        );
        if self.link.may_send_payload() {
            let payload = b"ours";
            let length = self.link.announce(payload.len(), &mut out, now);
            out.extend_from_slice(&payload[..length as usize]);
            self.link.payload_sent(length, now);
        }
        outcome.said.append(&mut out);
        self.link.settle();
    }
}

/// A HELLO of ours.
pub fn hello() -> Hello {
    Hello {
        versions: (1, 1),
        node: NodeId([1; 16]),
        heartbeat: Duration::from_secs(10),
        services: vec![ServiceWidth {
            name: String::new(),
            width: 1,
        }],
    }
}

/// An OPEN of ours.
pub fn open() -> Open {
    Open {
        number: 0,
        service: String::new(),
        index: 0,
        session: SessionId::new([3; 8], 1),
        client: Some(([192, 0, 2, 7], 40000).into()),
        local: Some(([192, 0, 2, 1], 8000).into()),
    }
}

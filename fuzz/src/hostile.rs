//! A link whose peer sends any bytes, at any time, in any pieces.

use std::time::{Duration, Instant};

use relay_core::limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES};
use relay_core::protocol::frame::{
    AbortCode, ErrorCode, Hello, NodeId, Open, RefusedCode, ServiceWidth, SessionId,
};
use relay_core::protocol::link::{Event, Fault, Link};

/// The outside node's end of a link with a hostile peer. See `hostile`.
pub fn link_outside(input: &[u8]) {
    hostile(Role::Outside, input);
}

/// The inside node's end of a link with a hostile peer. See `hostile`.
pub fn link_inside(input: &[u8]) {
    hostile(Role::Inside, input);
}

/// The end of the link under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `listen-listen`.
    Outside,
    /// `connect-connect`.
    Inside,
}

/// The result of a peer's bytes.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The events in order, without [`Event::Incomplete`].
    pub events: Vec<Event>,
    /// The bytes of payload, including those that were dropped.
    pub payload: Vec<u8>,
    /// The bytes that this end sent.
    pub sent: Vec<u8>,
    /// Why this end stopped reading before the end of the input.
    pub fault: Option<Fault>,
}

/// The input is three parts: how the bytes are split, the actions of this end, and the bytes that the peer sends. The outcome
/// does not depend on how the bytes are split.
fn hostile(role: Role, input: &[u8]) {
    let (cuts, input) = length_prefixed(input);
    let (actions, bytes) = length_prefixed(input);
    let whole = run_link(role, actions, bytes, &[]);
    assert_eq!(run_link(role, actions, bytes, &[1]), whole, "byte by byte");
    assert_eq!(
        run_link(role, actions, bytes, cuts),
        whole,
        "split after {cuts:?}"
    );
}

/// Splits off as many bytes as the first byte says. Returns these bytes and the rest.
pub(crate) fn length_prefixed(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((&count, rest)) = input.split_first() else {
        return (&[], &[]);
    };
    rest.split_at(rest.len().min(count.into()))
}

/// Gives `bytes` to a link in pieces whose lengths are the values of `cuts`, over and over; whole if `cuts` is empty. After
/// each event this end does the next of `actions`, if that is allowed now.
pub fn run_link(role: Role, actions: &[u8], bytes: &[u8], cuts: &[u8]) -> Outcome {
    let now = Instant::now();
    let mut ours = OurEnd::new(role, actions, now);
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
            ours.send(&mut outcome, now);
            break;
        }
        assert!(
            unread.len() < FRAME_HEADER_BYTES + CONTROL_BYTES_MAX,
            "a whole frame waits"
        );
    }
    outcome
}

/// The end of the link under test, and the actions that it still does.
struct OurEnd<'a> {
    role: Role,
    link: Link,
    actions: std::slice::Iter<'a, u8>,
}

impl<'a> OurEnd<'a> {
    fn new(role: Role, actions: &'a [u8], now: Instant) -> Self {
        let link = match role {
            Role::Outside => Link::outside(Duration::from_secs(10), now),
            Role::Inside => Link::inside(hello(), now),
        };
        Self {
            role,
            link,
            actions: actions.iter(),
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
            self.send(outcome, now);
        }
    }

    /// Does the next of `actions`. Where the machine promises to ignore a call that is not allowed now, this calls it anyway.
    fn act(&mut self, now: Instant) {
        let link = &mut self.link;
        match self.actions.next().map_or(0, |action| action % 10) {
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

    /// Sends what is waiting. The peer cannot make that grow.
    fn send(&mut self, outcome: &mut Outcome, now: Instant) {
        let mut out = Vec::new();
        self.link.transmit(&mut out, now);
        assert!(self.link.is_transmitted());
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
        outcome.sent.append(&mut out);
        self.link.settle();
    }
}

/// Returns our HELLO.
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

/// Returns our OPEN.
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

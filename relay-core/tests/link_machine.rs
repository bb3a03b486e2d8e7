//! One end of a link against a peer that says what the test makes it say: the rules of `man/relay-link.7`, one by one.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so and fails"
)]

mod arbitrary;
#[allow(unreachable_pub, reason = "it is a library of its own, too")]
#[path = "../../fuzz/src/hostile.rs"]
mod hostile;

use std::time::{Duration, Instant};

use hostile::{Role, hello, link_inside, link_outside, open, run_link};
use proptest::collection::vec;
use proptest::prelude::*;
use relay_core::limits::{
    ABORT_DROPPED_BYTES_MAX, ABORT_TIMEOUT, CONTROL_BYTES_MAX, FRAME_HEADER_BYTES,
    HANDSHAKE_TIMEOUT, HEARTBEAT_MAX, HEARTBEAT_MIN, LINK_WARM, OPENED_DELAY,
};
use relay_core::protocol::frame::{
    AbortCode, ErrorCode, Frame, Header, Kind, Malformed, NodeId, Open, RefusedCode, Welcome,
};
use relay_core::protocol::link::{Event, Expired, Fault, Link};

proptest! {
    #[test]
    fn frames_of_a_hostile_peer_are_legal_or_an_error_however_they_are_cut(
        role in prop::sample::select(vec![Role::Outside, Role::Inside]),
        greeted in any::<bool>(),
        acts in vec(any::<u8>(), 0..40),
        pieces in vec(piece(), 0..40),
        cuts in vec(any::<u8>(), 1..20),
    ) {
        let mut bytes = if greeted { greeting(role) } else { Vec::new() };
        pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
        let whole = run_link(role, &acts, &bytes, &[]);
        prop_assert_eq!(&run_link(role, &acts, &bytes, &[1]), &whole);
        prop_assert_eq!(&run_link(role, &acts, &bytes, &cuts), &whole);
    }

    #[test]
    fn bytes_of_a_hostile_peer_never_panic(input in vec(any::<u8>(), 0..2000)) {
        link_outside(&input);
        link_inside(&input);
    }

    #[test]
    fn what_waits_to_be_said_stays_small_however_much_is_heard(
        role in prop::sample::select(vec![Role::Outside, Role::Inside]),
        frames in vec(arbitrary::frame(), 0..200),
    ) {
        let mut end = match role {
            Role::Outside => LinkEnd::outside(),
            Role::Inside => LinkEnd::inside(),
        };
        for frame in frames {
            if end.try_hears(&frame).is_err() {
                break;
            }
        }
        let mut out = Vec::new();
        end.link.transmit(&mut out, end.now);
        prop_assert!(out.len() <= 2 * CONTROL_BYTES_MAX);
    }
}

// The greeting.

#[test]
fn the_inside_node_says_hello_first_and_the_outside_node_welcome() {
    let now = Instant::now();
    let mut inside = LinkEnd::new(Link::inside(hello(), now), now);
    let mut outside = LinkEnd::new(Link::outside(Duration::from_secs(10), now), now);
    assert_eq!(outside.says(), []);
    assert_eq!(inside.says(), [Frame::Hello(hello())]);
    assert_eq!(outside.hears(&Frame::Hello(hello())), Event::Hello(hello()));
    outside.link.welcome(OUTSIDE);
    assert!(outside.link.is_idle());
    let [welcome] = &outside.says()[..] else {
        panic!()
    };
    assert_eq!(inside.hears(welcome), Event::Welcome(OUTSIDE));
    assert!(inside.link.is_idle());
}

#[test]
fn a_session_that_opens_with_the_welcome_follows_it() {
    let mut outside = LinkEnd::header_read();
    outside.link.welcome(OUTSIDE);
    outside.link.open(open(), outside.now);
    assert!(matches!(
        outside.says()[..],
        [Frame::Welcome(_), Frame::Open(_)]
    ));
}

#[test]
fn both_nodes_keep_the_smaller_heartbeat_within_its_bounds() {
    let seconds = Duration::from_secs;
    #[rustfmt::skip]
    let table = [
        (seconds(10),   seconds(10),    seconds(10)),
        (seconds(10),   seconds(3),     seconds(3)),
        (seconds(3),    seconds(10),    seconds(3)),
        (seconds(10),   Duration::ZERO, HEARTBEAT_MIN),
        (seconds(9000), seconds(8000),  HEARTBEAT_MAX),
    ];
    for (outside_wish, inside_wish, agreed) in table {
        let now = Instant::now();
        let hello = relay_core::protocol::frame::Hello {
            heartbeat: inside_wish,
            ..hello()
        };
        let mut outside = LinkEnd::new(Link::outside(outside_wish, now), now);
        let mut inside = LinkEnd::new(Link::inside(hello.clone(), now), now);
        outside.hears(&Frame::Hello(hello));
        outside.link.welcome(OUTSIDE);
        let [welcome] = &outside.says()[..] else {
            panic!()
        };
        inside.says();
        inside.hears(welcome);
        for end in [outside, inside] {
            assert_eq!(end.link.silence_max(), agreed * 5 / 2);
            assert_eq!(end.link.poll_timeout(), Some(now + agreed), "the next PING");
        }
    }
}

#[test]
fn a_node_that_meets_its_own_kind_says_so() {
    let mut outside = LinkEnd::outside();
    let welcome = Frame::Welcome(Welcome {
        version: 1,
        node: OUTSIDE,
        heartbeat: Duration::from_secs(1),
    });
    assert_eq!(outside.try_hears(&welcome), Err(Fault::SameRole));
    let now = Instant::now();
    let mut inside = LinkEnd::new(Link::inside(hello(), now), now);
    assert_eq!(
        inside.try_hears(&Frame::Hello(hello())),
        Err(Fault::SameRole)
    );
    assert_eq!(Fault::SameRole.code(), ErrorCode::SameRole);
}

#[test]
fn versions_that_do_not_meet_are_an_error_of_their_own() {
    for versions in [(2, 9), (0, 0), (2, 1)] {
        let now = Instant::now();
        let mut outside = LinkEnd::new(Link::outside(Duration::from_secs(10), now), now);
        let hello = relay_core::protocol::frame::Hello {
            versions,
            ..hello()
        };
        assert_eq!(outside.try_hears(&Frame::Hello(hello)), Err(Fault::Version));
    }
    let now = Instant::now();
    let mut inside = LinkEnd::new(Link::inside(hello(), now), now);
    let welcome = Frame::Welcome(Welcome {
        version: 2,
        node: OUTSIDE,
        heartbeat: Duration::from_secs(1),
    });
    assert_eq!(inside.try_hears(&welcome), Err(Fault::Version));
    assert_eq!(Fault::Version.code(), ErrorCode::Version);
}

#[test]
fn the_first_byte_of_a_stranger_is_enough() {
    for (byte, malformed) in [
        (0x16, Malformed::Tls),
        (b'G', Malformed::NotALink),
        (0xff, Malformed::Kind(0xff)),
    ] {
        let now = Instant::now();
        let mut link = Link::outside(Duration::from_secs(10), now);
        assert_eq!(link.receive(&[byte], now), Err(Fault::Malformed(malformed)));
    }
}

#[test]
fn a_frame_that_has_no_place_is_refused_before_its_payload_has_come() {
    let now = Instant::now();
    let mut link = Link::outside(Duration::from_secs(10), now);
    let header = Header {
        kind: Kind::Open,
        length: 4000,
    };
    assert_eq!(
        link.receive(&header.bytes(), now),
        Err(Fault::Unexpected(Kind::Open))
    );
}

#[test]
fn the_greeting_has_five_seconds_however_the_bytes_drip() {
    let now = Instant::now();
    let mut outside = Link::outside(Duration::from_secs(10), now);
    let inside = Link::inside(hello(), now);
    for link in [&outside, &inside] {
        assert_eq!(link.poll_timeout(), Some(now + HANDSHAKE_TIMEOUT));
    }
    let late = now + HANDSHAKE_TIMEOUT;
    let start = Header {
        kind: Kind::Hello,
        length: 40,
    }
    .bytes();
    assert_eq!(outside.receive(&start, late), Ok((0, Event::Incomplete)));
    assert_eq!(
        outside.handle_timeout(late - Duration::from_millis(1)),
        None
    );
    assert_eq!(outside.handle_timeout(late), Some(Expired::Handshake));
}

#[test]
fn an_answer_to_a_ping_in_the_greeting_waits_for_the_welcome() {
    let mut outside = LinkEnd::header_read();
    outside.hears(&Frame::Ping([7; 8]));
    assert!(!outside.link.has_pending());
    outside.link.welcome(OUTSIDE);
    assert!(matches!(
        outside.says()[..],
        [Frame::Welcome(_), Frame::Pong(_)]
    ));
}

#[test]
fn nothing_follows_an_error() {
    let mut outside = LinkEnd::header_read();
    outside.link.fail(ErrorCode::NoService, "none".into());
    outside.link.want(3);
    outside.link.probe(outside.now);
    outside.link.bye();
    assert_eq!(
        outside.says(),
        [Frame::Error(ErrorCode::NoService, "none".into())]
    );
    assert_eq!(outside.link.poll_timeout(), None);
    assert_eq!(outside.hears(&Frame::Ping([7; 8])), Event::Handled);
    assert_eq!(outside.says(), []);
}

// A session.

#[test]
fn a_session_that_ends_by_two_ends_leaves_the_link_idle() {
    let (mut outside, mut inside) = opened();
    outside.link.end();
    inside.link.end();
    exchange(&mut outside, &mut inside);
    assert!(outside.link.is_idle() && inside.link.is_idle());
}

#[test]
fn the_frame_behind_the_end_of_a_session_may_be_the_next_open() {
    let (mut outside, mut inside) = opened();
    inside.link.end();
    exchange(&mut outside, &mut inside);
    outside.link.end();
    let mut bytes = outside.bytes();
    assert!(outside.link.settle());
    outside.link.open(open(), outside.now);
    bytes.extend(outside.bytes());

    let (taken, event) = inside.link.receive(&bytes, inside.now).unwrap();
    assert_eq!(event, Event::End);
    assert!(inside.link.is_over() && inside.link.settle() && !inside.link.is_over());
    let (_, event) = inside.link.receive(&bytes[taken..], inside.now).unwrap();
    assert!(matches!(event, Event::Open(open) if open.number == 2));
}

#[test]
fn an_abort_that_comes_too_late_does_not_keep_the_link_from_the_next_session() {
    let (mut outside, mut inside) = opened();
    inside.link.end();
    exchange(&mut outside, &mut inside);
    outside.link.end();
    let mut bytes = outside.bytes();
    assert!(outside.link.settle());
    outside.link.open(open(), outside.now);
    bytes.extend(outside.bytes());

    inside.link.abort(AbortCode::Reset, inside.now);
    let (taken, event) = inside.link.receive(&bytes, inside.now).unwrap();
    assert_eq!(event, Event::End);
    assert!(inside.link.settle());
    assert_eq!(inside.says(), []);
    assert!(matches!(
        inside.link.receive(&bytes[taken..], inside.now),
        Ok((_, Event::Open(_)))
    ));
}

#[test]
fn an_abort_that_crosses_the_end_of_its_session_is_ignored() {
    let (mut outside, mut inside) = opened();
    outside.link.end();
    exchange(&mut outside, &mut inside);
    outside.link.abort(AbortCode::Reset, outside.now);
    inside.link.end();
    let crossing = outside.bytes();
    for frame in inside.says() {
        assert_eq!(outside.hears(&frame), Event::End);
    }
    assert!(outside.link.settle() && inside.link.settle());
    assert_eq!(
        inside.link.receive(&crossing, inside.now),
        Ok((crossing.len(), Event::Handled))
    );
    assert!(inside.link.is_idle());
}

#[test]
fn an_abort_of_an_earlier_session_does_not_touch_the_next() {
    let (mut outside, mut inside) = opened();
    outside.link.end();
    inside.link.end();
    exchange(&mut outside, &mut inside);
    outside.link.open(open(), outside.now);
    exchange(&mut outside, &mut inside);
    for end in [&mut outside, &mut inside] {
        assert_eq!(
            end.hears(&Frame::Abort(1, AbortCode::Reset)),
            Event::Handled
        );
        assert!(!end.link.drops_payload());
    }
}

#[test]
fn an_abort_may_follow_the_end_of_the_same_direction() {
    let (mut outside, mut inside) = opened();
    outside.link.end();
    assert_eq!(deliver(&mut outside, &mut inside), [Event::End]);
    outside.link.abort(AbortCode::IdleTimeout, outside.now);
    assert_eq!(
        deliver(&mut outside, &mut inside),
        [Event::Abort(AbortCode::IdleTimeout)]
    );
    assert_eq!(inside.says(), [Frame::Abort(1, AbortCode::Answer)]);
    assert!(inside.link.settle());
}

#[test]
fn who_reads_an_abort_answers_it_only_if_its_direction_is_open() {
    let (mut outside, mut inside) = opened();
    inside.link.end();
    exchange(&mut outside, &mut inside);
    outside.link.abort(AbortCode::Reset, outside.now);
    assert_eq!(
        deliver(&mut outside, &mut inside),
        [Event::Abort(AbortCode::Reset)]
    );
    assert_eq!(inside.says(), []);
    assert!(inside.link.is_idle() && outside.link.is_idle());
}

#[test]
fn two_aborts_that_cross_end_the_session_once_at_each_end() {
    let (mut outside, mut inside) = opened();
    outside.link.abort(AbortCode::Reset, outside.now);
    inside.link.abort(AbortCode::IdleTimeout, inside.now);
    let (ours, theirs) = (outside.says(), inside.says());
    assert_eq!(
        ours.iter()
            .map(|frame| inside.hears(frame))
            .collect::<Vec<_>>(),
        [Event::Abort(AbortCode::Reset)]
    );
    assert_eq!(
        theirs
            .iter()
            .map(|frame| outside.hears(frame))
            .collect::<Vec<_>>(),
        [Event::Abort(AbortCode::IdleTimeout)]
    );
    for end in [&mut outside, &mut inside] {
        assert!(end.link.settle());
        assert_eq!(end.says(), []);
    }
}

#[test]
fn a_refusal_that_crosses_an_abort_finishes_the_direction() {
    let (mut outside, mut inside) = opening();
    outside.link.abort(AbortCode::Reset, outside.now);
    inside
        .link
        .refuse(RefusedCode::Refused, "no".into(), inside.now);
    let (abort, refused) = (outside.says(), inside.says());
    assert_eq!(
        outside.hears(&refused[0]),
        Event::Refused(RefusedCode::Refused, "no".into())
    );
    assert_eq!(inside.hears(&abort[0]), Event::Abort(AbortCode::Reset));
    for end in [&mut outside, &mut inside] {
        assert!(end.link.settle());
        assert_eq!(end.says(), []);
    }
}

#[test]
fn an_acceptance_that_crosses_an_abort_is_told_and_its_bytes_are_dropped() {
    let (mut outside, mut inside) = opening();
    outside.link.abort(AbortCode::Reset, outside.now);
    inside.link.opened(inside.now);
    let mut bytes = Vec::new();
    inside.link.announce(3, &mut bytes, inside.now);
    bytes.extend_from_slice(b"abc");
    inside.link.payload_sent(3, inside.now);
    deliver(&mut outside, &mut inside);
    bytes.extend(inside.bytes());

    let (opened, payload) = (FRAME_HEADER_BYTES, 2 * FRAME_HEADER_BYTES);
    assert_eq!(
        outside.link.receive(&bytes, outside.now),
        Ok((opened, Event::Opened))
    );
    assert_eq!(
        outside.link.receive(&bytes[opened..], outside.now),
        Ok((FRAME_HEADER_BYTES, Event::Payload))
    );
    assert!(outside.link.drops_payload());
    outside.link.payload_taken(3, outside.now).unwrap();
    let (_, event) = outside
        .link
        .receive(&bytes[payload + 3..], outside.now)
        .unwrap();
    assert_eq!(event, Event::Abort(AbortCode::Answer));
    assert!(outside.link.settle() && inside.link.settle());
}

#[test]
fn a_refusal_after_the_end_of_the_client_needs_no_answer() {
    let (mut outside, mut inside) = opening();
    outside.link.end();
    inside
        .link
        .refuse(RefusedCode::Timeout, String::new(), inside.now);
    let (end, refused) = (outside.says(), inside.says());
    assert_eq!(
        outside.hears(&refused[0]),
        Event::Refused(RefusedCode::Timeout, String::new())
    );
    assert_eq!(inside.hears(&end[0]), Event::End);
    for end in [&mut outside, &mut inside] {
        assert!(end.link.settle());
        assert_eq!(end.says(), []);
    }
}

#[test]
fn a_server_may_be_reset_before_it_has_accepted() {
    let (mut outside, mut inside) = opening();
    inside.link.abort(AbortCode::Shutdown, inside.now);
    assert_eq!(
        deliver(&mut inside, &mut outside),
        [Event::Abort(AbortCode::Shutdown)]
    );
    exchange(&mut outside, &mut inside);
    assert!(outside.link.is_idle() && inside.link.is_idle());
}

#[test]
fn a_server_is_accepted_or_refused_once() {
    let (_, mut inside) = opening();
    inside.link.opened(inside.now);
    inside.link.opened(inside.now);
    inside
        .link
        .refuse(RefusedCode::Refused, String::new(), inside.now);
    assert_eq!(inside.says(), [Frame::Opened]);
    inside.link.opened(inside.now);
    assert_eq!(inside.says(), []);
}

#[test]
fn opened_travels_with_the_first_payload() {
    let (_, mut inside) = opening();
    inside.link.opened(inside.now + OPENED_DELAY);
    assert!(!inside.link.has_pending() && !inside.link.is_transmitted());
    let mut bytes = Vec::new();
    inside.link.announce(3, &mut bytes, inside.now);
    inside.link.payload_sent(3, inside.now);
    bytes.extend_from_slice(b"abc");
    assert_eq!(bytes, b"\x83\0\0\0\x85\0\0\x03abc");
    assert!(inside.link.is_transmitted());
}

#[test]
fn opened_goes_alone_when_no_payload_comes_in_time() {
    let (_, mut inside) = opening();
    let due = inside.now + OPENED_DELAY;
    inside.link.opened(due);
    assert_eq!(inside.link.poll_timeout(), Some(due));
    assert_eq!(inside.link.handle_timeout(due), None);
    assert!(inside.link.has_pending());
    assert_eq!(inside.says(), [Frame::Opened]);
}

#[test]
fn frames_that_have_no_place_are_refused() {
    use Kind::{Bye, Data, End, Open, Opened, Refused, Want};
    let states: [State; 10] = [
        (
            "outside, idle",
            LinkEnd::outside,
            &[Open, Opened, Refused, Data, End, Want],
        ),
        (
            "outside, before OPENED",
            || opening().0,
            &[Open, Data, End, Want],
        ),
        (
            "outside, after OPENED",
            || opened().0,
            &[Open, Opened, Refused, Want],
        ),
        (
            "outside, after END",
            || opened().0.after(&Frame::End),
            &[Open, Opened, Refused, Data, End, Want],
        ),
        (
            "outside, after BYE",
            || leaving().0,
            &[Open, Opened, Refused, Data, End, Want],
        ),
        (
            "inside, idle",
            LinkEnd::inside,
            &[Opened, Refused, Data, End],
        ),
        (
            "inside, before OPENED",
            || opening().1,
            &[Open, Opened, Refused, Bye],
        ),
        (
            "inside, after OPENED",
            || opened().1,
            &[Open, Opened, Refused, Bye],
        ),
        (
            "inside, after END",
            || opened().1.after(&Frame::End),
            &[Open, Opened, Refused, Data, End, Bye],
        ),
        (
            "inside, after BYE",
            || leaving().1,
            &[Open, Opened, Refused, Data, End, Want, Bye],
        ),
    ];
    for (state, make, refused) in states {
        for kind in [Open, Opened, Refused, Data, End, Want, Bye] {
            assert_eq!(
                make().refuses(kind),
                refused.contains(&kind),
                "{kind:?} {state}"
            );
        }
    }
}

#[test]
fn opens_are_counted_without_gaps() {
    for (number, expected) in [(0, false), (1, true), (2, false)] {
        let heard = LinkEnd::inside().try_hears(&Frame::Open(Open { number, ..open() }));
        assert_eq!(heard.is_ok(), expected, "{number}");
    }
}

#[test]
fn a_reset_session_has_two_seconds_to_end_at_both_ends() {
    let (mut outside, mut inside) = opened();
    outside.link.abort(AbortCode::Reset, outside.now);
    deliver(&mut outside, &mut inside);
    inside.link.abort(AbortCode::Reset, inside.now);
    for end in [&mut outside, &mut inside] {
        let deadline = end.now + ABORT_TIMEOUT;
        assert_eq!(end.link.poll_timeout(), Some(deadline));
        assert_eq!(
            end.link.handle_timeout(deadline - Duration::from_millis(1)),
            None
        );
        assert_eq!(end.link.handle_timeout(deadline), Some(Expired::Abandoned));
    }
}

#[test]
fn a_session_that_ended_in_time_has_no_deadline_any_more() {
    let (mut outside, mut inside) = opened();
    outside.link.abort(AbortCode::Reset, outside.now);
    exchange(&mut outside, &mut inside);
    assert!(outside.link.is_idle());
    assert_eq!(
        outside.link.handle_timeout(outside.now + ABORT_TIMEOUT),
        None
    );
}

#[test]
fn a_reset_session_drops_one_mebibyte_and_no_more() {
    let (mut outside, _) = opened();
    outside.link.abort(AbortCode::Reset, outside.now);
    let mut drop = |count| {
        let header = Header {
            kind: Kind::Data,
            length: count,
        };
        assert_eq!(
            outside.link.receive(&header.bytes(), outside.now),
            Ok((FRAME_HEADER_BYTES, Event::Payload))
        );
        outside.link.payload_taken(count, outside.now)
    };
    assert_eq!(drop(ABORT_DROPPED_BYTES_MAX), Ok(()));
    assert_eq!(drop(1), Err(Fault::Overrun));
}

#[test]
fn an_announced_length_is_completed_before_the_abort() {
    let (mut outside, mut inside) = opened();
    let mut bytes = Vec::new();
    outside.link.announce(10, &mut bytes, outside.now);
    outside.link.payload_sent(4, outside.now);
    inside.link.abort(AbortCode::Reset, inside.now);
    deliver(&mut inside, &mut outside);
    assert!(!outside.link.has_pending() && !outside.link.settle());
    outside.link.payload_sent(6, outside.now);
    assert_eq!(outside.says(), [Frame::Abort(1, AbortCode::Answer)]);
    assert!(outside.link.settle());
}

#[test]
fn payload_is_announced_in_frames_of_bounded_length_behind_what_waits() {
    let (mut outside, _) = opened();
    outside.link.want(2);
    let mut bytes = Vec::new();
    let length = outside.link.announce(usize::MAX, &mut bytes, outside.now);
    let (want, data) = bytes.split_at(FRAME_HEADER_BYTES + 4);
    assert_eq!(want[0], Kind::Want as u8);
    assert_eq!(
        Header::parse(*data.first_chunk().unwrap()),
        Ok(Header {
            kind: Kind::Data,
            length
        })
    );
    assert!(!outside.link.may_send_payload());
}

#[test]
fn control_frames_wait_once_each_behind_a_frame_of_payload() {
    let (mut outside, _) = opened();
    outside.link.announce(10, &mut Vec::new(), outside.now);
    for round in 0..100 {
        outside.hears(&Frame::Ping([round; 8]));
        outside.link.want(round.into());
        outside.link.probe(outside.now);
    }
    assert_eq!(outside.says(), []);
    outside.link.payload_sent(10, outside.now);
    let said = outside.says();
    assert!(
        matches!(
            said[..],
            [Frame::Want(99), Frame::Pong([99, ..]), Frame::Ping(_)]
        ),
        "{said:?}"
    );
}

// Bytes before OPENED.

#[test]
fn bytes_follow_the_open_at_once_on_a_link_heard_from_within_two_seconds() {
    let (mut outside, _) = idle();
    outside.now += LINK_WARM - Duration::from_millis(1);
    outside.link.open(open(), outside.now);
    assert!(matches!(outside.says()[..], [Frame::Open(_)]));
    assert!(outside.link.may_send_payload());
}

#[test]
fn bytes_wait_on_a_link_long_unheard_until_it_answers_the_ping() {
    let (mut outside, mut inside) = cold();
    assert!(!outside.link.may_send_payload());
    assert_eq!(deliver(&mut inside, &mut outside), [Event::Answered]);
    assert!(outside.link.may_send_payload());
    assert_ne!(
        outside.link.handle_timeout(outside.now + LINK_WARM),
        Some(Expired::Unanswered)
    );
}

#[test]
fn bytes_wait_on_a_link_long_unheard_until_the_server_accepted() {
    let (mut outside, mut inside) = cold();
    inside.link.opened(inside.now);
    assert_eq!(
        deliver(&mut inside, &mut outside),
        [Event::Opened, Event::Handled]
    );
    assert!(outside.link.may_send_payload());
}

#[test]
fn a_link_long_unheard_has_two_seconds_to_answer() {
    let (mut outside, _) = cold();
    let deadline = outside.now + LINK_WARM;
    assert_eq!(outside.link.poll_timeout(), Some(deadline));
    assert_eq!(
        outside
            .link
            .handle_timeout(deadline - Duration::from_millis(1)),
        None
    );
    assert_eq!(
        outside.link.handle_timeout(deadline),
        Some(Expired::Unanswered)
    );
}

#[test]
fn an_answer_to_nothing_that_was_asked_is_no_answer() {
    let (mut outside, _) = cold();
    for number in [0_u64, 2, u64::MAX] {
        assert_eq!(
            outside.hears(&Frame::Pong(number.to_be_bytes())),
            Event::Handled
        );
    }
    assert!(!outside.link.may_send_payload());
    assert_eq!(
        outside.hears(&Frame::Pong(1_u64.to_be_bytes())),
        Event::Answered
    );
}

#[test]
fn a_refusal_on_a_link_long_unheard_is_an_answer() {
    let (mut outside, mut inside) = cold();
    inside.says();
    inside
        .link
        .refuse(RefusedCode::Refused, String::new(), inside.now);
    deliver(&mut inside, &mut outside);
    assert_eq!(outside.says(), [Frame::Abort(1, AbortCode::Answer)]);
    assert!(outside.link.settle());
    assert_eq!(outside.link.handle_timeout(outside.now + LINK_WARM), None);
}

#[test]
fn the_server_speaks_only_once_it_has_accepted() {
    let (_, mut inside) = opening();
    assert!(!inside.link.may_send_payload());
    inside.link.opened(inside.now);
    assert!(inside.link.may_send_payload());
}

#[test]
fn an_idle_link_that_is_probed_and_silent_is_given_up_after_two_seconds() {
    let (mut outside, _) = idle();
    outside.link.probe(outside.now);
    assert!(matches!(outside.says()[..], [Frame::Ping(_)]));
    assert_eq!(
        outside.link.handle_timeout(outside.now + LINK_WARM),
        Some(Expired::Unanswered)
    );
    outside.hears(&Frame::Pong(1_u64.to_be_bytes()));
    assert_eq!(outside.link.handle_timeout(outside.now + LINK_WARM), None);
}

// The end of a link.

#[test]
fn the_outside_node_ends_an_idle_link_by_bye() {
    let (mut outside, mut inside) = idle();
    outside.link.bye();
    assert_eq!(deliver(&mut outside, &mut inside), [Event::Bye]);
    assert!(outside.link.ends_orderly() && inside.link.ends_orderly());
    outside.link.want(1);
    outside.link.probe(outside.now);
    outside.hears(&Frame::Ping([1; 8]));
    assert_eq!(outside.says(), []);
}

#[test]
fn the_outside_node_says_no_bye_during_a_session() {
    let (mut outside, _) = opened();
    outside.link.bye();
    assert_eq!(outside.says(), []);
    assert!(!outside.link.ends_orderly());
}

#[test]
fn the_inside_node_asks_for_bye_and_serves_until_it_comes() {
    let (mut outside, mut inside) = idle();
    inside.link.bye();
    outside.link.open(open(), outside.now);
    assert!(matches!(
        deliver(&mut outside, &mut inside)[..],
        [Event::Open(_)]
    ));
    assert_eq!(deliver(&mut inside, &mut outside), [Event::Bye]);
    assert!(outside.link.bye_requested());
    inside.link.opened(inside.now);
    inside.link.end();
    outside.link.end();
    exchange(&mut outside, &mut inside);
    outside.link.bye();
    assert_eq!(deliver(&mut outside, &mut inside), [Event::Bye]);
}

#[test]
fn the_inside_node_may_ask_for_bye_before_it_is_welcomed() {
    let now = Instant::now();
    let mut outside = LinkEnd::new(Link::outside(HEARTBEAT, now), now);
    let mut inside = LinkEnd::new(Link::inside(hello(), now), now);
    inside.link.bye();
    let said = inside.says();
    assert_eq!(outside.hears(&said[0]), Event::Hello(hello()));
    outside.link.welcome(OUTSIDE);
    outside.link.open(open(), now);
    assert_eq!(outside.hears(&said[1]), Event::Bye);
    assert!(matches!(
        deliver(&mut outside, &mut inside)[..],
        [Event::Welcome(OUTSIDE), Event::Open(_)]
    ));
    assert!(outside.link.bye_requested());
}

#[test]
fn byes_of_both_nodes_may_cross() {
    let (mut outside, mut inside) = idle();
    outside.link.bye();
    inside.link.bye();
    let (ours, theirs) = (outside.says(), inside.says());
    assert_eq!(outside.hears(&theirs[0]), Event::Bye);
    assert_eq!(inside.hears(&ours[0]), Event::Bye);
    outside.link.bye();
    assert_eq!(outside.says(), []);
    assert!(outside.link.ends_orderly() && inside.link.ends_orderly());
}

#[test]
fn an_end_of_file_without_bye_is_a_dead_link() {
    let (outside, inside) = idle();
    let (outside_open, inside_open) = opened();
    for end in [outside, inside, outside_open, inside_open] {
        assert!(!end.link.ends_orderly());
    }
}

#[test]
fn an_abort_behind_the_end_of_the_last_session_crosses_bye() {
    let (mut outside, mut inside) = opened();
    outside.link.end();
    inside.link.end();
    exchange(&mut outside, &mut inside);
    outside.link.bye();
    assert_eq!(
        outside.hears(&Frame::Abort(1, AbortCode::Reset)),
        Event::Handled
    );
}

// Liveness.

#[test]
fn a_ping_is_sent_only_when_nothing_else_was_for_a_heartbeat() {
    let (mut outside, _) = opened();
    let start = outside.now;
    for seconds in 1..=30 {
        outside.now = start + Duration::from_secs(seconds);
        outside.link.announce(1, &mut Vec::new(), outside.now);
        outside.link.payload_sent(1, outside.now);
        outside.link.heard(outside.now);
        assert_eq!(outside.link.handle_timeout(outside.now), None);
        assert_eq!(outside.says(), []);
    }
    outside.now += HEARTBEAT - Duration::from_millis(1);
    assert_eq!(outside.link.handle_timeout(outside.now), None);
    assert_eq!(outside.says(), []);
    outside.now += Duration::from_millis(1);
    assert_eq!(outside.link.handle_timeout(outside.now), None);
    assert!(matches!(outside.says()[..], [Frame::Ping(_)]));
    assert_eq!(outside.link.handle_timeout(outside.now), None);
    assert_eq!(outside.says(), []);
}

#[test]
fn a_ping_is_answered_with_its_own_bytes() {
    let (_, mut inside) = idle();
    inside.hears(&Frame::Ping(*b"are you?"));
    assert_eq!(inside.says(), [Frame::Pong(*b"are you?")]);
}

#[test]
fn silence_is_told_after_two_and_a_half_heartbeats_until_the_kernel_knows_better() {
    let (mut outside, _) = idle();
    let silent = outside.now + HEARTBEAT * 5 / 2;
    assert_eq!(
        outside
            .link
            .handle_timeout(silent - Duration::from_millis(1)),
        None
    );
    assert_eq!(outside.link.handle_timeout(silent), Some(Expired::Silent));
    outside.link.heard(silent);
    assert_eq!(outside.link.handle_timeout(silent), None);
}

#[test]
fn any_byte_counts_as_heard() {
    let (mut outside, _) = opened();
    let later = outside.now + HEARTBEAT * 2;
    let mut bytes = Header {
        kind: Kind::Data,
        length: 2,
    }
    .bytes()
    .to_vec();
    bytes.truncate(2);
    assert_eq!(
        outside.link.receive(&bytes, later),
        Ok((0, Event::Incomplete))
    );
    assert_eq!(
        outside.link.handle_timeout(outside.now + HEARTBEAT * 3),
        None
    );
}

#[test]
fn the_silence_clock_runs_only_while_the_link_is_read() {
    let (mut outside, _) = opened();
    outside.link.set_reading(false, outside.now);
    let mut checks = 0;
    let end = outside.now + HEARTBEAT * 20;
    while outside.now < end {
        outside.now = outside.link.poll_timeout().unwrap();
        match outside.link.handle_timeout(outside.now) {
            None => {}
            Some(Expired::Stalled) => checks += 1,
            expired => panic!("{expired:?}"),
        }
        outside.says();
    }
    assert!(
        (17..=19).contains(&checks),
        "the kernel is asked each heartbeat: {checks}"
    );
    outside.link.set_reading(true, outside.now);
    let silent = outside.now + HEARTBEAT * 5 / 2;
    assert_eq!(
        outside
            .link
            .handle_timeout(silent - Duration::from_millis(1)),
        None
    );
    assert_eq!(outside.link.handle_timeout(silent), Some(Expired::Silent));
}

#[test]
fn a_side_that_does_not_read_goes_on_sending_ping() {
    let (mut outside, _) = opened();
    outside.link.set_reading(false, outside.now);
    outside.now += HEARTBEAT;
    assert_eq!(outside.link.handle_timeout(outside.now), None);
    assert!(matches!(outside.says()[..], [Frame::Ping(_)]));
}

#[test]
fn every_deadline_that_is_told_has_something_to_do() {
    let (outside, inside) = opened();
    let (cold_outside, _) = cold();
    for mut end in [
        outside,
        inside,
        cold_outside,
        leaving().0,
        leaving().1,
        LinkEnd::outside(),
        LinkEnd::inside(),
    ] {
        let mut last = None;
        for _ in 0..10 {
            let deadline = end.link.poll_timeout().unwrap();
            assert!(
                last.is_none_or(|last| deadline > last),
                "the same deadline again"
            );
            last = Some(deadline);
            end.now = deadline;
            match end.link.handle_timeout(deadline) {
                Some(Expired::Silent) => end.link.heard(deadline),
                Some(Expired::Unanswered) => break,
                _ => {}
            }
            end.says();
        }
    }
}

/// One end of a link, and a peer that is the test.
struct LinkEnd {
    link: Link,
    now: Instant,
}

impl LinkEnd {
    fn new(link: Link, now: Instant) -> Self {
        Self { link, now }
    }

    /// Outside, idle.
    fn outside() -> Self {
        let mut end = Self::header_read();
        end.link.welcome(OUTSIDE);
        end.says();
        end
    }

    /// Outside, with HELLO read and not yet answered.
    fn header_read() -> Self {
        let now = Instant::now();
        let mut end = Self::new(Link::outside(HEARTBEAT, now), now);
        end.hears(&Frame::Hello(hello()));
        end
    }

    /// Inside, idle.
    fn inside() -> Self {
        let now = Instant::now();
        let mut end = Self::new(Link::inside(hello(), now), now);
        end.says();
        end.hears(&Frame::Welcome(Welcome {
            version: 1,
            node: OUTSIDE,
            heartbeat: HEARTBEAT,
        }));
        end
    }

    fn hears(&mut self, frame: &Frame) -> Event {
        self.try_hears(frame).unwrap()
    }

    fn try_hears(&mut self, frame: &Frame) -> Result<Event, Fault> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        let (taken, event) = self.link.receive(&bytes, self.now)?;
        assert_eq!(taken, bytes.len());
        Ok(event)
    }

    fn after(mut self, frame: &Frame) -> Self {
        self.hears(frame);
        self
    }

    /// Whether a frame of this kind is a violation now.
    fn refuses(mut self, kind: Kind) -> bool {
        // Only the header: what has no place is refused by its type.
        let length = if kind == Kind::Data { 1 } else { 30 };
        let heard = self
            .link
            .receive(&Header { kind, length }.bytes(), self.now);
        heard == Err(Fault::Unexpected(kind))
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.link.transmit(&mut bytes, self.now);
        bytes
    }

    fn says(&mut self) -> Vec<Frame> {
        let bytes = self.bytes();
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let Some((head, behind)) = rest.split_first_chunk() {
            let header = Header::parse(*head).unwrap();
            let (payload, behind) = behind.split_at(header.length as usize);
            frames.push(Frame::parse(header.kind, payload).unwrap());
            rest = behind;
        }
        frames
    }
}

/// Both ends of a link, idle.
fn idle() -> (LinkEnd, LinkEnd) {
    let (outside, mut inside) = (LinkEnd::outside(), LinkEnd::inside());
    inside.now = outside.now;
    (outside, inside)
}

/// Both ends of a link, on which the server is being dialled.
fn opening() -> (LinkEnd, LinkEnd) {
    let (mut outside, mut inside) = idle();
    outside.link.open(open(), outside.now);
    assert!(matches!(
        deliver(&mut outside, &mut inside)[..],
        [Event::Open(_)]
    ));
    (outside, inside)
}

/// Both ends of a link that carries a session.
fn opened() -> (LinkEnd, LinkEnd) {
    let (mut outside, mut inside) = opening();
    inside.link.opened(inside.now);
    assert_eq!(deliver(&mut inside, &mut outside), [Event::Opened]);
    (outside, inside)
}

/// Both ends of a link that was opened after it had been quiet for long.
fn cold() -> (LinkEnd, LinkEnd) {
    let (mut outside, mut inside) = idle();
    outside.now += LINK_WARM;
    outside.link.open(open(), outside.now);
    assert!(matches!(
        deliver(&mut outside, &mut inside)[..],
        [Event::Open(_), Event::Handled]
    ));
    (outside, inside)
}

/// Both ends of a link after the outside node's BYE.
fn leaving() -> (LinkEnd, LinkEnd) {
    let (mut outside, mut inside) = idle();
    outside.link.bye();
    assert_eq!(deliver(&mut outside, &mut inside), [Event::Bye]);
    (outside, inside)
}

/// What one end says is heard by the other.
fn deliver(from: &mut LinkEnd, to: &mut LinkEnd) -> Vec<Event> {
    let events = from.says().iter().map(|frame| to.hears(frame)).collect();
    from.link.settle();
    to.link.settle();
    events
}

/// Both say what they have to say, until neither has.
fn exchange(outside: &mut LinkEnd, inside: &mut LinkEnd) {
    while outside.link.has_pending() || inside.link.has_pending() {
        deliver(outside, inside);
        deliver(inside, outside);
    }
}

/// Something that a peer may send at any time.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let encoded = |frame: Frame| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        bytes
    };
    let data = vec(any::<u8>(), 1..300).prop_map(|payload| {
        let mut bytes = Header {
            kind: Kind::Data,
            length: payload.len() as u32,
        }
        .bytes()
        .to_vec();
        bytes.extend_from_slice(&payload);
        bytes
    });
    prop_oneof![10 => arbitrary::frame().prop_map(encoded), 5 => data, 1 => vec(any::<u8>(), 0..20)]
}

/// What an honest peer of this end says first.
fn greeting(role: Role) -> Vec<u8> {
    let mut bytes = Vec::new();
    match role {
        Role::Outside => Frame::Hello(hello()),
        Role::Inside => Frame::Welcome(Welcome {
            version: 1,
            node: OUTSIDE,
            heartbeat: HEARTBEAT,
        }),
    }
    .encode(&mut bytes);
    bytes
}

/// What a link has been through, and the frames that have no place then.
type State = (&'static str, fn() -> LinkEnd, &'static [Kind]);

const OUTSIDE: NodeId = NodeId([2; 16]);
const HEARTBEAT: Duration = Duration::from_secs(10);

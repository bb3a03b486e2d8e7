//! What one end sends arrives at the other: all of it, in order, no matter which end sends first and how it is cut.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use relay_tests::data::{MIB, assert_same, noise};
use relay_tests::{End, Plan, Server, Service, session_tests};

session_tests! {
    everywhere:
        bytes_go_both_ways,
        the_server_may_send_first,
        much_goes_both_ways_at_once,
        messages_of_any_size_come_back_in_order,
        many_small_messages_in_a_row_keep_their_order,
        single_bytes_behind_a_stalled_reader_are_not_forgotten,
        a_session_without_a_byte_ends_as_one;
    side_by_side:
        sessions_side_by_side_do_not_mix,
        a_small_session_beside_bulk_is_not_starved;
    ours:
        no_message_waits_for_a_timer,
        an_urgent_byte_keeps_its_place_in_a_message,
        an_urgent_byte_keeps_its_place_in_bulk,
        an_urgent_byte_just_before_the_end_of_bulk_does_not_cut_it_short;
}

fn bytes_go_both_ways(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.send(b"question");
    server.expect(b"question");
    server.send(b"answer");
    client.expect(b"answer");
}

fn the_server_may_send_first(plan: Plan) {
    let (client, server, _route) = plan.session();
    server.send(b"220 ready\r\n");
    client.expect(b"220 ready\r\n");
    client.send(b"QUIT\r\n");
    server.expect(b"QUIT\r\n");
}

fn much_goes_both_ways_at_once(plan: Plan) {
    let (client, server, _route) = plan.session();
    let (upload, download) = (noise(1, 16 * MIB), noise(2, 16 * MIB));
    thread::scope(|both| {
        both.spawn(|| send_all(&client, &upload));
        both.spawn(|| send_all(&server, &download));
        both.spawn(|| assert_same(&server.receive_to_eof(), &upload));
        both.spawn(|| assert_same(&client.receive_to_eof(), &download));
    });
}

fn messages_of_any_size_come_back_in_order(plan: Plan) {
    let server = Service::echo();
    let route = plan.to(&server);
    let client = route.dial();
    client.send_at_once();
    // Past the sizes at which a relay may change its way of moving bytes, up and down again.
    let sizes = (0..18)
        .chain((0..18).rev())
        .map(|exponent| (1_usize << exponent) + exponent);
    for (seed, size) in (1..).zip(sizes) {
        let message = noise(seed, size);
        client.send(&message);
        client.expect(&message);
    }
}

fn many_small_messages_in_a_row_keep_their_order(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.send_at_once();
    let all = noise(1, 200_000);
    thread::scope(|both| {
        both.spawn(|| all.chunks(100).for_each(|message| client.send(message)));
        both.spawn(|| server.expect(&all));
    });
}

// A pipe is full when its slots are used, even by few bytes each. A relay that mistakes a short splice for an empty
// socket loses its wakeup here.
fn single_bytes_behind_a_stalled_reader_are_not_forgotten(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.send_at_once();
    let bulk = noise(1, 4 * MIB);
    let single = noise(2, 3000);
    thread::scope(|both| {
        both.spawn(|| {
            client.send(&bulk);
            single.iter().for_each(|&byte| client.send(&[byte]));
            client.shutdown_write();
        });
        both.spawn(|| {
            server.expect(&bulk[..MIB]);
            server.expect(&bulk[MIB..]);
            assert_same(&server.receive_to_eof(), &single);
        });
    });
}

fn sessions_side_by_side_do_not_mix(plan: Plan) {
    let server = Service::echo();
    let route = plan.to(&server);
    thread::scope(|side_by_side| {
        for seed in 0..24 {
            let route = &route;
            side_by_side.spawn(move || {
                let client = route.dial();
                let message = noise(seed, 50_000);
                client.send(&message);
                client.shutdown_write();
                assert_same(&client.receive_to_eof(), &message);
            });
        }
    });
}

fn a_session_without_a_byte_ends_as_one(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.shutdown_write();
    server.expect_eof();
    drop(server);
    client.expect_eof();
}

fn a_small_session_beside_bulk_is_not_starved(plan: Plan) {
    let server = Service::echo();
    let route = plan.to(&server);
    let (bulk, small) = (route.dial(), route.dial());
    thread::scope(|side_by_side| {
        side_by_side.spawn(|| {
            let chunk = noise(1, MIB);
            (0..256).for_each(|_| bulk.send(&chunk));
            bulk.shutdown_write();
        });
        side_by_side.spawn(|| bulk.receive_to_eof());
        for seed in 0..50 {
            let since = Instant::now();
            let message = noise(seed, 64);
            small.send(&message);
            small.expect(&message);
            assert!(
                since.elapsed() < STARVED,
                "message {seed} took {:?}",
                since.elapsed()
            );
        }
    });
}

// Bytes sent with MSG_MORE wait for 200 ms, and Nagle's algorithm waits for the peer's delayed acknowledgement.
fn no_message_waits_for_a_timer(plan: Plan) {
    let server = Service::echo();
    let route = plan.to(&server);
    let client = route.dial();
    client.send_at_once();
    let is_late = |message: &[u8]| {
        let since = Instant::now();
        client.send(message);
        client.expect(message);
        since.elapsed() > TIMER
    };
    for exponent in 0..20 {
        let message = noise(exponent, 1000 + (1 << exponent));
        // A busy machine is late sometimes. A timer is late each time.
        let always_late = (0..5).all(|_| is_late(&message));
        assert!(!always_late, "a message of {} bytes waits", message.len());
    }
}

fn an_urgent_byte_keeps_its_place_in_a_message(plan: Plan) {
    let (client, server, route) = plan.session();
    for (sender, receiver, next_to_it) in [
        (&client, &server, route.outermost()),
        (&server, &client, route.innermost()),
    ] {
        // It is in the middle of what is read at once.
        next_to_it.signal(Signal::SIGSTOP);
        sender.send(b"abc");
        sender.send_urgent(b'd');
        sender.send(b"efg");
        next_to_it.signal(Signal::SIGCONT);
        receiver.expect(b"abcdefg");
        // It is the last for now.
        sender.send_urgent(b'h');
        receiver.expect(b"h");
    }
}

fn an_urgent_byte_keeps_its_place_in_bulk(plan: Plan) {
    let (client, server, _route) = plan.session();
    let bulk = noise(1, 16 * MIB);
    for (sender, receiver) in [(&client, &server), (&server, &client)] {
        thread::scope(|both| {
            both.spawn(|| {
                sender.send(&bulk);
                sender.send_urgent(b'!');
                sender.send(&bulk[..MIB]);
            });
            receiver.expect(&bulk);
            receiver.expect(b"!");
            receiver.expect(&bulk[..MIB]);
        });
    }
}

fn an_urgent_byte_just_before_the_end_of_bulk_does_not_cut_it_short(plan: Plan) {
    let server = Server::start();
    let route = plan.to(&server);
    let bulk = noise(1, 3 * MIB);
    for length in (MIB..3 * MIB).step_by(MIB / 16) {
        let client = route.dial();
        let inside = server.accept();
        thread::scope(|both| {
            both.spawn(|| {
                client.send(&bulk[..length]);
                client.send_urgent(b'!');
                send_all(&client, b"end");
            });
            assert_same(
                &inside.receive_to_eof(),
                &[&bulk[..length], b"!end"].concat(),
            );
        });
    }
}

fn send_all(end: &End, bytes: &[u8]) {
    end.send(bytes);
    end.shutdown_write();
}

/// Longer than a turn in which other sessions are served may take.
const STARVED: Duration = Duration::from_secs(1);

/// The shortest of the timers that may delay a message.
const TIMER: Duration = Duration::from_millis(35);

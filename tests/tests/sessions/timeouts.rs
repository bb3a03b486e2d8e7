//! Timeouts: which silence ends a session, and which does not.

use std::time::Duration;

use relay_tests::data::assert_same;
use relay_tests::timeouts::let_pass;
use relay_tests::{Plan, eventually, session_tests};

session_tests! {
    ours:
        a_session_that_is_idle_for_too_long_is_reset_at_both_ends,
        bytes_of_either_direction_keep_a_session_from_being_idle,
        a_one_way_session_that_is_silent_for_too_long_is_reset_at_both_ends,
        each_byte_gives_a_one_way_session_its_time_again,
        a_two_way_session_may_be_silent_for_longer_than_a_one_way_session,
        a_session_that_was_silent_before_its_first_end_of_file_has_its_time_from_there;
}

fn a_session_that_is_idle_for_too_long_is_reset_at_both_ends(plan: Plan) {
    let (client, server, _route) = plan.with("--idle-timeout 400ms").session();
    client.expect_reset();
    server.expect_reset();
}

fn bytes_of_either_direction_keep_a_session_from_being_idle(plan: Plan) {
    let (client, server, _route) = plan.with("--idle-timeout 600ms").session();
    for round in 0..6_u8 {
        let_pass(Duration::from_millis(200));
        let (sender, receiver) = if round < 3 {
            (&client, &server)
        } else {
            (&server, &client)
        };
        sender.send(&[round]);
        receiver.expect(&[round]);
    }
    client.expect_reset();
    server.expect_reset();
}

fn a_one_way_session_that_is_silent_for_too_long_is_reset_at_both_ends(plan: Plan) {
    let (client, server, _route) = plan.with("--half-close-timeout 400ms").session();
    client.shutdown_write();
    server.expect_eof();
    client.expect_reset();
    // The server has read an end of file, so it sees a reset only when it writes.
    eventually("the server is told", || server.try_send(b"answer").is_err());
}

fn each_byte_gives_a_one_way_session_its_time_again(plan: Plan) {
    let (client, server, _route) = plan.with("--half-close-timeout 600ms").session();
    client.shutdown_write();
    server.expect_eof();
    for round in 0..5_u8 {
        let_pass(Duration::from_millis(200));
        server.send(&[round]);
        client.expect(&[round]);
    }
    drop(server);
    client.expect_eof();
}

fn a_two_way_session_may_be_silent_for_longer_than_a_one_way_session(plan: Plan) {
    let (client, server, _route) = plan.with("--half-close-timeout 200ms").session();
    client.expect_silence(Duration::from_millis(600));
    client.send(b"hello");
    server.expect(b"hello");
}

fn a_session_that_was_silent_before_its_first_end_of_file_has_its_time_from_there(plan: Plan) {
    let (client, server, _route) = plan.with("--half-close-timeout 600ms").session();
    client.send(b"hello");
    server.expect(b"hello");
    client.expect_silence(Duration::from_secs(1));
    client.shutdown_write();
    server.expect_eof();
    let_pass(Duration::from_millis(200));
    server.send(b"answer");
    drop(server);
    assert_same(&client.receive_to_eof(), b"answer");
}

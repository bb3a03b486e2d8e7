//! How a session ends: an end of file arrives as an end of file, a reset and a refusal as a reset, each direction by
//! itself. The tests follow the first table in ARCHITECTURE.md. The tests of the tables about links are in `nodes/`.

use std::time::Duration;

use relay_tests::data::{MIB, assert_prefix, assert_same, noise};
use relay_tests::timeouts::{A_WHILE, let_pass};
use relay_tests::{Plan, ReservedPort, Server, eventually, session_tests};

session_tests! {
    everywhere:
        a_client_that_has_sent_its_end_of_file_still_gets_a_late_answer,
        a_server_that_has_sent_its_end_of_file_still_receives_from_the_client,
        an_end_of_file_does_not_overtake_what_a_slow_reader_has_not_read;
    ours:
        a_reset_of_the_client_resets_the_server,
        a_reset_of_the_server_resets_the_client,
        a_client_that_has_sent_its_end_of_file_can_still_be_reset,
        a_server_that_has_sent_its_end_of_file_can_still_be_reset,
        a_client_that_has_sent_its_end_of_file_can_still_reset,
        what_comes_before_a_reset_is_a_beginning_of_what_was_sent,
        a_reset_overtakes_what_a_stalled_reader_has_not_read,
        a_server_that_refuses_resets_the_client,
        a_server_that_refuses_resets_a_client_that_has_sent_its_request,
        one_that_ends_badly_does_not_hurt_the_next;
}

fn a_client_that_has_sent_its_end_of_file_still_gets_a_late_answer(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.send(b"request");
    client.shutdown_write();
    assert_same(&server.receive_to_eof(), b"request");
    let_pass(THOUGHT);
    let answer = noise(1, MIB);
    server.send(&answer);
    drop(server);
    assert_same(&client.receive_to_eof(), &answer);
}

fn a_server_that_has_sent_its_end_of_file_still_receives_from_the_client(plan: Plan) {
    let (client, server, _route) = plan.session();
    server.send(b"go ahead");
    server.shutdown_write();
    assert_same(&client.receive_to_eof(), b"go ahead");
    let_pass(THOUGHT);
    let upload = noise(1, MIB);
    client.send(&upload);
    drop(client);
    assert_same(&server.receive_to_eof(), &upload);
}

fn an_end_of_file_does_not_overtake_what_a_slow_reader_has_not_read(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.keep_little();
    let answer = noise(1, 2 * MIB);
    server.send(&answer);
    drop(server);
    let_pass(A_WHILE);
    assert_same(&client.receive_to_eof(), &answer);
}

fn a_reset_of_the_client_resets_the_server(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.send(b"hello");
    server.expect(b"hello");
    client.reset();
    server.expect_reset();
}

fn a_reset_of_the_server_resets_the_client(plan: Plan) {
    let (client, server, _route) = plan.session();
    server.send(b"hello");
    client.expect(b"hello");
    server.reset();
    client.expect_reset();
}

fn a_client_that_has_sent_its_end_of_file_can_still_be_reset(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.shutdown_write();
    server.expect_eof();
    server.reset();
    client.expect_reset();
}

fn a_server_that_has_sent_its_end_of_file_can_still_be_reset(plan: Plan) {
    let (client, server, _route) = plan.session();
    server.shutdown_write();
    client.expect_eof();
    client.reset();
    server.expect_reset();
}

fn a_client_that_has_sent_its_end_of_file_can_still_reset(plan: Plan) {
    let (client, server, _route) = plan.session();
    client.shutdown_write();
    server.expect_eof();
    client.reset();
    // After an end of file, only a write sees a reset: nothing is left to read.
    eventually("the server sees the reset", || {
        server.try_send(b"answer").is_err()
    });
}

fn what_comes_before_a_reset_is_a_beginning_of_what_was_sent(plan: Plan) {
    let (client, server, _route) = plan.session();
    let answer = noise(1, MIB);
    server.send(&answer);
    server.reset();
    assert_prefix(&client.receive_to_reset(), &answer);
}

fn a_reset_overtakes_what_a_stalled_reader_has_not_read(plan: Plan) {
    let (client, server, _route) = plan.session();
    server.keep_little();
    let chunk = noise(1, MIB);
    client.send_until_stalled(&chunk, A_WHILE);
    client.reset();
    eventually("the server sees the reset", || {
        server.try_send(b"are you there?").is_err()
    });
}

fn a_server_that_refuses_resets_the_client(plan: Plan) {
    let nobody = ReservedPort::new();
    let route = plan.to(&nobody);
    route.dial().expect_reset();
}

fn a_server_that_refuses_resets_a_client_that_has_sent_its_request(plan: Plan) {
    let nobody = ReservedPort::new();
    let route = plan.to(&nobody);
    let client = route.dial();
    // It may be reset before that.
    let _ = client.try_send(b"request");
    client.expect_reset();
}

fn one_that_ends_badly_does_not_hurt_the_next(plan: Plan) {
    let server = Server::start();
    let route = plan.to(&server);
    for round in 0..10 {
        let client = route.dial();
        client.send(b"hello");
        let inside = server.accept();
        inside.expect(b"hello");
        if round % 2 == 0 {
            client.reset();
            inside.expect_reset();
        } else {
            inside.reset();
            client.expect_reset();
        }
    }
    let client = route.dial();
    client.send(b"hello");
    server.accept().expect(b"hello");
}

/// Longer than the half second after which socat closes the other direction by itself.
const THOUGHT: Duration = Duration::from_millis(700);

//! Usage, fatal messages and exit statuses, compared literally with the files in `golden/`.

use relay_tests::{ReservedPort, Server, golden};

#[test]
fn the_messages_of_tcpfwd_are_unchanged() {
    check("tcpfwd.txt");
}

#[test]
fn the_messages_of_listen_listen_are_unchanged() {
    check("listen-listen.txt");
}

#[test]
fn the_messages_of_connect_connect_are_unchanged() {
    check("connect-connect.txt");
}

fn check(name: &str) {
    let taken = Server::start();
    let refused = ReservedPort::new();
    golden::check(
        name,
        &[
            ("{taken}", &taken.to_string()),
            ("{refused}", &refused.to_string()),
        ],
    );
}

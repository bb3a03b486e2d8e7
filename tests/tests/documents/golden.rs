//! Usage, fatal messages and exit statuses, compared literally with the files in `golden/`.

use relay_tests::{ReservedPort, Server, golden};

#[test]
fn tcpfwd_says_what_it_said() {
    check("tcpfwd.txt");
}

#[test]
fn listen_listen_says_what_it_said() {
    check("listen-listen.txt");
}

#[test]
fn connect_connect_says_what_it_said() {
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

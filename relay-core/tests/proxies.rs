//! What is said to proxies, and what may come back: each answer whole, byte by byte and cut at random, with the first bytes of
//! the session behind it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so and fails"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use relay_core::limits::HTTP_HEAD_BYTES_MAX;
use relay_core::protocol::proxy::{
    Command, Host, Kind, Login, Place, Progress, ProxyRequest, Refusal, Secret,
};

const NAME: &str = "srv.example";

#[test]
fn socks4_is_asked_for_an_address_and_socks4a_for_a_name() {
    let (bytes, _) = ProxyRequest::socks4(Command::Connect, &v4(80), "jo").unwrap();
    assert_eq!(bytes.0, b"\x04\x01\x00\x50\xc0\x00\x02\x07jo\0");
    let (bytes, _) = ProxyRequest::socks4(Command::Connect, &named(80), "").unwrap();
    assert_eq!(bytes.0, b"\x04\x01\x00\x50\x00\x00\x00\x01\0srv.example\0");
    let (bytes, _) = ProxyRequest::socks4(Command::Bind, &nowhere(), "jo").unwrap();
    assert_eq!(bytes.0, b"\x04\x02\x00\x00\x00\x00\x00\x00jo\0");
    let refused = ProxyRequest::socks4(Command::Connect, &v6(80), "").unwrap_err();
    assert!(refused.concerns_the_address());
    assert_eq!(refused.to_string(), "socks4 has no ipv6 addresses");
}

#[test]
fn socks5_is_asked_without_a_login_unless_there_is_one() {
    let answer = b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
    let talk = talk(
        ProxyRequest::socks5(Command::Connect, &v4(80), None),
        answer,
        &[],
    )
    .unwrap();
    assert_eq!(
        talk.said,
        b"\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50"
    );
    assert_eq!(talk.left, b"");
    let talk = self::talk(
        ProxyRequest::socks5(Command::Connect, &v6(80), None),
        answer,
        &[],
    )
    .unwrap();
    assert!(
        talk.said
            .ends_with(b"\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50")
    );
    let talk = self::talk(
        ProxyRequest::socks5(Command::Connect, &named(80), None),
        answer,
        &[],
    )
    .unwrap();
    assert!(talk.said.ends_with(b"\x03\x0bsrv.example\x00\x50"));
}

#[test]
fn socks5_tells_the_login_if_the_proxy_wants_it() {
    let login = login("jo", "secret");
    let ask = || ProxyRequest::socks5(Command::Connect, &v4(80), Some(&login));
    let answer = b"\x05\x02\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
    let talk = talk(ask(), answer, &[]).unwrap();
    assert_eq!(
        talk.said,
        b"\x05\x02\x00\x02\x01\x02jo\x06secret\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50"
    );
    let answer = b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
    let talk = self::talk(ask(), answer, &[]).unwrap();
    assert!(!talk.said.windows(6).any(|bytes| bytes == b"secret"));
    assert_eq!(refusal(ask(), b"\x05\x02\x01\x01"), Refusal::LoginRefused);
    assert_eq!(
        refusal(ask(), b"\x05\xff"),
        Refusal::LoginForeign(Vec::new())
    );
}

#[test]
fn http_is_asked_for_host_and_port_with_the_login_at_once() {
    let (bytes, _) = ProxyRequest::http(&named(80), Some(&login("Aladdin", "open sesame")));
    assert_eq!(
        str::from_utf8(&bytes.0).unwrap(),
        "CONNECT srv.example:80 HTTP/1.1\r\nHost: srv.example:80\r\n\
         Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
    );
    let (bytes, _) = ProxyRequest::http(&v6(80), None);
    assert_eq!(
        str::from_utf8(&bytes.0).unwrap(),
        "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n"
    );
}

#[test]
fn what_follows_the_answer_is_left_to_the_session() {
    for (ask, answer) in answers() {
        let whole = [&answer[..], b"SSH-2.0-server\r\n"].concat();
        for cuts in [vec![], (1..whole.len()).collect()] {
            let talk = talk(ask(), &whole, &cuts).unwrap();
            assert_eq!(
                talk.left,
                b"SSH-2.0-server\r\n",
                "{}",
                answer.escape_ascii()
            );
        }
    }
}

#[test]
fn a_bind_tells_where_the_proxy_listens_and_then_who_came() {
    let ask = || ProxyRequest::socks5(Command::Bind, &nowhere(), None);
    let answer = b"\x05\x00\x05\x00\x00\x01\xc0\x00\x02\x01\x10\x00\x05\x00\x00\x04\
        \0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x09\x20\x00hello";
    let talk = talk(ask(), answer, &[]).unwrap();
    assert_eq!(talk.listening.unwrap().to_string(), "192.0.2.1:4096");
    assert_eq!(talk.client.unwrap().to_string(), "192.0.2.9:8192");
    assert_eq!(talk.left, b"hello");

    let answer = b"\x05\x00\x05\x00\x00\x03\x02fw\x10\x00\x05\x00\x00\x03\x05a\nb\x1b.\x20\x00";
    let talk = self::talk(ask(), answer, &[]).unwrap();
    assert_eq!(talk.listening.unwrap().to_string(), "fw:4096");
    assert_eq!(talk.client.unwrap().to_string(), "a\\nb\\x1b.:8192");

    let ask = || ProxyRequest::socks4(Command::Bind, &nowhere(), "").unwrap();
    let answer = b"\x00\x5a\x10\x00\0\0\0\0\x00\x5a\x20\x00\xc0\x00\x02\x09hello";
    let talk = self::talk(ask(), answer, &[]).unwrap();
    assert_eq!(talk.listening.unwrap().to_string(), "0.0.0.0:4096");
    assert_eq!(talk.client.unwrap().to_string(), "192.0.2.9:8192");
    assert_eq!(talk.left, b"hello");
    assert_eq!(
        refusal(ask(), b"\x00\x5a\x10\x00\0\0\0\0\x00\x5b"),
        Refusal::Socks4(91)
    );
}

#[test]
fn each_refusal_has_words_and_a_kind() {
    let socks5 = |answer: &[u8]| {
        refusal(
            ProxyRequest::socks5(Command::Connect, &v4(80), None),
            answer,
        )
    };
    let socks4 = |answer: &[u8]| {
        refusal(
            ProxyRequest::socks4(Command::Connect, &v4(80), "").unwrap(),
            answer,
        )
    };
    let http = |answer: &str| refusal(ProxyRequest::http(&named(80), None), answer.as_bytes());
    for (refusal, kind, words) in [
        (
            socks5(b"\x05\x00\x05\x01"),
            Kind::Fault,
            "general failure of the proxy",
        ),
        (
            socks5(b"\x05\x00\x05\x02\x00\x01"),
            Kind::Forbidden,
            "connection not allowed by ruleset",
        ),
        (
            socks5(b"\x05\x00\x05\x03"),
            Kind::Unreachable,
            "network unreachable",
        ),
        (
            socks5(b"\x05\x00\x05\x04"),
            Kind::Unreachable,
            "host unreachable",
        ),
        (
            socks5(b"\x05\x00\x05\x05"),
            Kind::Refused,
            "connection refused",
        ),
        (socks5(b"\x05\x00\x05\x06"), Kind::Timeout, "ttl expired"),
        (
            socks5(b"\x05\x00\x05\x07"),
            Kind::Forbidden,
            "the proxy does not support this command",
        ),
        (
            socks5(b"\x05\x00\x05\x08"),
            Kind::Fault,
            "the proxy does not support this type of address",
        ),
        (
            socks5(b"\x05\x00\x05\x09"),
            Kind::Fault,
            "request failed with reply 9",
        ),
        (
            socks5(b"\x05\xff"),
            Kind::Forbidden,
            "the proxy wants a user and a password",
        ),
        (
            socks5(b"HTTP/1.1 400 Bad Request\r\n"),
            Kind::Forbidden,
            "this is no socks5 proxy: it answers HTTP/1.1 400 Bad Request",
        ),
        (
            socks5(b"\x05\x00\x05\x00\x00\x02\x00"),
            Kind::Forbidden,
            "this is no socks5 proxy: it answers \\x05\\x00\\x00\\x02\\x00",
        ),
        (
            socks4(b"\x00\x5b"),
            Kind::Refused,
            "request rejected or failed",
        ),
        (
            socks4(b"\x04\x5c"),
            Kind::Forbidden,
            "the proxy asked an identd here in vain",
        ),
        (
            socks4(b"\x00\x5d"),
            Kind::Forbidden,
            "an identd here names another user",
        ),
        (
            socks4(b"\x00\x01"),
            Kind::Refused,
            "request failed with code 1",
        ),
        (
            socks4(b"\x05\xff"),
            Kind::Forbidden,
            "this is no socks4 proxy: it answers \\x05\\xff",
        ),
        (
            http("HTTP/1.1 403 Forbidden\r\n\r\n"),
            Kind::Forbidden,
            "403 Forbidden",
        ),
        (http("HTTP/1.0 502\n\n"), Kind::Refused, "502"),
        (
            http("HTTP/1.1 504 Gateway Timeout\r\n\r\n"),
            Kind::Timeout,
            "504 Gateway Timeout",
        ),
        (
            http("HTTP/1.1 500 Oh\x1b[31m\r\n\r\n"),
            Kind::Forbidden,
            "this is no http proxy: it answers HTTP/1.1 500 Oh\\x1b[31m",
        ),
        (http("HTTP/1.1 500 Oh\r\n\r\n"), Kind::Fault, "500 Oh"),
        (
            http("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"),
            Kind::Forbidden,
            "the proxy wants a user and a password",
        ),
        (
            http(
                "HTTP/1.1 407 No\r\nproxy-authenticate: Negotiate\r\nProxy-Authenticate: NTLM x\r\n\r\n",
            ),
            Kind::Forbidden,
            "the proxy wants a login that is not supported: Negotiate, NTLM",
        ),
        (
            http("HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate, Basic realm=\"x, y\"\r\n\r\n"),
            Kind::Forbidden,
            "the proxy wants a user and a password",
        ),
        (
            http(
                "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"Basic, x\", qop=auth ,NTLM\r\n\r\n",
            ),
            Kind::Forbidden,
            "the proxy wants a login that is not supported: Digest, NTLM",
        ),
        (
            http("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            Kind::Fault,
            "101 Switching Protocols",
        ),
        (
            http("SSH-2.0-server\r\n"),
            Kind::Forbidden,
            "this is no http proxy: it answers SSH-2.0-server",
        ),
        (
            http("\r\n\r\n"),
            Kind::Forbidden,
            "this is no http proxy: it answers ",
        ),
    ] {
        assert_eq!((refusal.kind(), &refusal.to_string()[..]), (kind, words));
    }
    let login = login("jo", "wrong");
    let asked = ProxyRequest::http(&named(80), Some(&login));
    let refused = refusal(
        asked,
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n",
    );
    assert_eq!(refused, Refusal::LoginRefused);
}

#[test]
fn an_interim_answer_is_passed_over_and_the_fields_of_a_success_mean_nothing() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
        HTTP/1.0 299 Yes\nContent-Length: 5\nTransfer-Encoding: chunked\n\nhello";
    let talk = talk(ProxyRequest::http(&named(80), None), answer, &[]).unwrap();
    assert_eq!(talk.left, b"hello");
}

#[test]
fn a_head_without_end_is_given_up() {
    let line = b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
    let mut answer = b"HTTP/1.1 200 Yes\r\n".to_vec();
    while answer.len() <= HTTP_HEAD_BYTES_MAX {
        answer.extend(line);
    }
    let refused = refusal(ProxyRequest::http(&named(80), None), &answer);
    assert_eq!(refused, Refusal::HeadTooLong);
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(HTTP_HEAD_BYTES_MAX / 20);
    let refused = refusal(ProxyRequest::http(&named(80), None), &interim);
    assert_eq!(refused, Refusal::HeadTooLong);
}

#[test]
fn a_head_of_many_fields_below_the_limit_is_read() {
    let mut answer = b"HTTP/1.1 200 Yes\r\n".to_vec();
    for _ in 0..100 {
        answer.extend(b"X-Filler: ");
        answer.extend([b'a'; 600]);
        answer.extend(b"\r\n");
    }
    answer.extend(b"\r\nhello");
    let talk = talk(ProxyRequest::http(&named(80), None), &answer, &[]).unwrap();
    assert_eq!(talk.left, b"hello");
}

#[test]
fn nothing_that_is_held_shows_the_password() {
    let login = login("jo", "secret");
    let asked = ProxyRequest::socks5(Command::Connect, &v4(80), Some(&login));
    assert!(!format!("{asked:?}").contains("secret"));
    let asked = ProxyRequest::http(&v4(80), Some(&login));
    assert!(!format!("{asked:?}{login:?}").contains("am86c2VjcmV0"));
}

proptest! {
    #[test]
    fn however_an_answer_is_cut_it_means_the_same(
        which in 0..6_usize,
        garbage in any_answer(),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let (ask, answer) = answers().swap_remove(which);
        let tampered = [&answer[..answer.len() / 2], &garbage[..]].concat();
        for answer in [answer, tampered, garbage] {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(answer.len().max(1))).collect();
            cuts.sort_unstable();
            let whole = talk(ask(), &answer, &[]).map_err(comparable);
            let cut = talk(ask(), &answer, &cuts).map_err(comparable);
            let bytes = talk(ask(), &answer, &(1..answer.len().max(1)).collect::<Vec<_>>()).map_err(comparable);
            prop_assert_eq!(&whole, &cut);
            prop_assert_eq!(&whole, &bytes);
        }
    }
}

/// What came of an inquiry.
#[derive(Debug, Default, PartialEq, Eq)]
struct HandshakeStep {
    /// All that was sent.
    said: Vec<u8>,
    listening: Option<Place>,
    client: Option<Place>,
    done: bool,
    /// What is left in the socket.
    left: Vec<u8>,
}

/// Plays the proxy, whose answer arrives in pieces: cut at these places.
fn talk(
    (first, mut inquiry): (Secret, ProxyRequest),
    answer: &[u8],
    cuts: &[usize],
) -> Result<HandshakeStep, Refusal> {
    let mut talk = HandshakeStep {
        said: first.0,
        ..HandshakeStep::default()
    };
    let mut socket: Vec<u8> = Vec::new();
    let mut from = 0;
    let ends = cuts.iter().copied().chain([answer.len()]);
    for (number, end) in ends.enumerate() {
        socket.extend(&answer[from..end.max(from)]);
        from = end.max(from);
        while !socket.is_empty() {
            let (taken, progress) = inquiry.take(&socket)?;
            assert!(taken > 0, "nothing was taken of {} bytes", socket.len());
            socket.drain(..taken);
            inquiry = match progress {
                Progress::More(inquiry) => inquiry,
                Progress::Send(bytes, inquiry) => {
                    talk.said.extend(bytes.0);
                    inquiry
                }
                Progress::Listening(place, inquiry) => {
                    talk.listening = Some(place);
                    inquiry
                }
                Progress::Done(client) => {
                    talk.client = client;
                    talk.done = true;
                    socket.extend(&answer[from..]);
                    talk.left = socket;
                    assert!(number <= cuts.len());
                    return Ok(talk);
                }
            };
        }
    }
    Ok(talk)
}

fn refusal(asked: (Secret, ProxyRequest), answer: &[u8]) -> Refusal {
    talk(asked, answer, &[]).expect_err("it is refused")
}

/// How much of a wrong answer is shown depends on how much of it was there.
fn comparable(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::NoAnswer(protocol, _) => Refusal::NoAnswer(protocol, Vec::new()),
        refusal => refusal,
    }
}

type Ask = fn() -> (Secret, ProxyRequest);

/// An answer to each kind of inquiry.
fn answers() -> Vec<(Ask, Vec<u8>)> {
    vec![
        (
            || ProxyRequest::socks4(Command::Connect, &v4(80), "").unwrap(),
            b"\x00\x5a\x00\x00\x00\x00\x00\x00".to_vec(),
        ),
        (
            || ProxyRequest::socks5(Command::Connect, &v4(80), None),
            b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50".to_vec(),
        ),
        (
            || ProxyRequest::socks5(Command::Connect, &v6(80), Some(&login("jo", "secret"))),
            b"\x05\x02\x01\x00\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50".to_vec(),
        ),
        (
            || ProxyRequest::socks5(Command::Connect, &named(80), None),
            b"\x05\x00\x05\x00\x00\x03\x02fw\x00\x50".to_vec(),
        ),
        (
            || ProxyRequest::http(&named(80), None),
            b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n".to_vec(),
        ),
        (
            || ProxyRequest::socks5(Command::Bind, &nowhere(), None),
            b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x51".to_vec(),
        ),
    ]
}

/// Bytes of which some look like answers.
fn any_answer() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..300),
        vec(0..6_u8, 0..40),
        "HTTP/1\\.[01] [1-5][0-9]{2}( [a-z]{0,8})?(\r?\n[A-Z][a-z]{0,5}: [a-z]{0,9}){0,4}\r?\n\r?\n[a-z]{0,9}"
            .prop_map(String::into_bytes),
    ]
}

fn v4(port: u16) -> Place {
    Place {
        host: Host::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        port,
    }
}

fn v6(port: u16) -> Place {
    Place {
        host: Host::Ip(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
        port,
    }
}

fn named(port: u16) -> Place {
    Place {
        host: Host::Name(NAME.as_bytes().to_vec()),
        port,
    }
}

fn nowhere() -> Place {
    Place {
        host: Host::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        port: 0,
    }
}

fn login(user: &str, password: &str) -> Login {
    Login {
        user: user.to_owned(),
        password: Secret(password.as_bytes().to_vec()),
    }
}

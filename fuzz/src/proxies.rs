//! Answers of a proxy, and the URL of `--via`.

use std::net::{IpAddr, Ipv4Addr};

use relay_core::config::address::{parse_listen, parse_proxy, without_password};
use relay_core::protocol::proxy::{Command, Host, Login, Place, Progress, ProxyRequest, Secret};

/// The result of a SOCKS answer does not depend on how it is split. The first byte selects the request.
pub fn socks(input: &[u8]) {
    let Some((how, answer)) = input.split_first() else {
        return;
    };
    let command = match how & 1 {
        0 => Command::Connect,
        _ => Command::Bind,
    };
    let place = Place {
        host: Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        port: 80,
    };
    let login = Login {
        user: "jo".to_owned(),
        password: Secret(b"secret".to_vec()),
    };
    let ask = || match how >> 1 & 3 {
        0 => ProxyRequest::socks5(command, &place, None),
        1 => ProxyRequest::socks5(command, &place, Some(&login)),
        _ => ProxyRequest::socks4(command, &place, "jo").expect("the place has an ipv4 address"),
    };
    assert_split_invariant(ask, answer);
}

/// The result of the head of a CONNECT answer does not depend on how it is split.
pub fn http_connect(input: &[u8]) {
    let place = Place {
        host: Host::Name(b"srv".to_vec()),
        port: 80,
    };
    assert_split_invariant(|| ProxyRequest::http(&place, None), input);
}

/// If a URL is valid, it is shown without its password and otherwise has the same meaning. If it is invalid, the error has a
/// text.
pub fn via_url(input: &[u8]) {
    let Ok(url) = str::from_utf8(input) else {
        return;
    };
    match parse_proxy(url) {
        Ok(proxy) => {
            let shown =
                parse_proxy(&without_password(url)).expect("without its password it is a url too");
            assert_eq!(shown.password, None);
            assert_eq!(
                (shown.protocol, shown.host, shown.port, shown.user),
                (proxy.protocol, proxy.host, proxy.port, proxy.user)
            );
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
    let word = format!("bind+{url}");
    if let Ok(points) = parse_listen(&word) {
        let shown = points[0].at.to_string();
        let again = parse_listen(&shown).expect("the text of an address is an address");
        assert_eq!(again[0].at.to_string(), shown);
    }
}

/// Reads the answer whole, byte by byte, and in growing pieces. The results are equal.
fn assert_split_invariant(ask: impl Fn() -> (Secret, ProxyRequest), answer: &[u8]) {
    let whole = read(ask().1, answer, |_| answer.len());
    for pieces in [|_| 1, |piece: usize| 2 * piece + 1] {
        assert_eq!(read(ask().1, answer, pieces), whole);
    }
}

/// Returns how many bytes were consumed until the answer was complete, and the addresses in it. Returns None if the answer
/// was rejected.
fn read(
    mut inquiry: ProxyRequest,
    answer: &[u8],
    size: impl Fn(usize) -> usize,
) -> Option<(usize, Vec<String>)> {
    let (mut consumed, mut arrived, mut addresses) = (0, 0, Vec::new());
    for piece in 0.. {
        arrived = answer.len().min(arrived + size(piece));
        while consumed < arrived {
            let (count, progress) = inquiry.take(&answer[consumed..arrived]).ok()?;
            assert!(count > 0 && count <= arrived - consumed);
            consumed += count;
            inquiry = match progress {
                Progress::More(inquiry) => inquiry,
                Progress::Send(bytes, inquiry) => {
                    assert!(!bytes.0.is_empty());
                    inquiry
                }
                Progress::Listening(place, inquiry) => {
                    addresses.push(place.to_string());
                    inquiry
                }
                Progress::Done(client) => {
                    addresses.push(format!("{client:?}"));
                    return Some((consumed, addresses));
                }
            };
        }
        if arrived == answer.len() {
            break;
        }
    }
    Some((consumed, addresses))
}

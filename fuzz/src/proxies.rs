//! What holds for whatever a proxy answers, and for whatever stands in `--via`.

use std::net::{IpAddr, Ipv4Addr};

use relay_core::config::address::{parse_listen, parse_proxy, without_password};
use relay_core::protocol::http_connect::HttpConnect;
use relay_core::protocol::proxy::{Command, Host, Inquiry, Login, Place, Progress, Secret};
use relay_core::protocol::socks::{Socks4, Socks5};

/// An answer to SOCKS means the same however it is cut. The first byte says what was asked.
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
        0 => Socks5::ask(command, &place, None),
        1 => Socks5::ask(command, &place, Some(&login)),
        _ => Socks4::ask(command, &place, "jo").expect("the place has an ipv4 address"),
    };
    cut(ask, answer);
}

/// The head of an answer to CONNECT means the same however it is cut.
pub fn http_connect(input: &[u8]) {
    let place = Place {
        host: Host::Name(b"srv".to_vec()),
        port: 80,
    };
    cut(|| HttpConnect::ask(&place, None), input);
}

/// A URL that is understood is shown without its password, and means the same but for that; one that is not says why.
pub fn via_url(input: &[u8]) {
    let Ok(url) = str::from_utf8(input) else {
        return;
    };
    match parse_proxy(url) {
        Ok(proxy) => {
            let shown = parse_proxy(&without_password(url)).expect("it is a url without, too");
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
        let again = parse_listen(&shown).expect("it shows itself as a word");
        assert_eq!(again[0].at.to_string(), shown);
    }
}

/// Whole, byte by byte, and in pieces that grow.
fn cut(ask: impl Fn() -> (Secret, Inquiry), answer: &[u8]) {
    let whole = read(ask().1, answer, |_| answer.len());
    for pieces in [|_| 1, |piece: usize| 2 * piece + 1] {
        assert_eq!(read(ask().1, answer, pieces), whole);
    }
}

/// How many bytes were taken until the answer was whole, and what it said; or that it was refused.
fn read(
    mut inquiry: Inquiry,
    answer: &[u8],
    size: impl Fn(usize) -> usize,
) -> Option<(usize, Vec<String>)> {
    let (mut taken, mut arrived, mut said) = (0, 0, Vec::new());
    for piece in 0.. {
        arrived = answer.len().min(arrived + size(piece));
        while taken < arrived {
            let (count, progress) = inquiry.take(&answer[taken..arrived]).ok()?;
            assert!(count > 0 && count <= arrived - taken);
            taken += count;
            inquiry = match progress {
                Progress::More(inquiry) => inquiry,
                Progress::Say(bytes, inquiry) => {
                    assert!(!bytes.0.is_empty());
                    inquiry
                }
                Progress::Listening(place, inquiry) => {
                    said.push(place.to_string());
                    inquiry
                }
                Progress::Done(client) => {
                    said.push(format!("{client:?}"));
                    return Some((taken, said));
                }
            };
        }
        if arrived == answer.len() {
            break;
        }
    }
    Some((taken, said))
}

//! What each fuzz target asserts of an input, whatever it is. `relay-core/tests/corpus.rs` replays the seeds through the same
//! functions.

mod hostile;
mod keyed;
mod proxies;
mod surroundings;

use relay_core::config::address::{ListenAt, parse_listen, parse_target};
use relay_core::limits::FRAME_HEADER_BYTES;
use relay_core::protocol::frame::{Frame, Header, SessionId};
use relay_core::protocol::proxy_header::{self, HEADER_LOOK_BYTES, Version};

pub use hostile::{link_inside, link_outside};
pub use keyed::keyed;
pub use proxies::{http_connect, socks, via_url};
pub use surroundings::{network, ucspi};

/// A frame that is understood can be said again, and is then understood as the same.
pub fn frame(input: &[u8]) {
    let Some((head, rest)) = input.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return;
    };
    let Ok(header) = Header::parse(*head) else {
        return;
    };
    assert_eq!(header.bytes(), *head);
    let payload = &rest[..rest.len().min(header.length as usize)];
    let Ok(frame) = Frame::parse(header.kind, payload) else {
        return;
    };

    let mut again = Vec::new();
    frame.encode(&mut again);
    let (head, payload) = again.split_first_chunk().expect("a frame has a header");
    let header = Header::parse(*head).expect("what we say is well formed");
    assert_eq!(header.length as usize, payload.len());
    assert_eq!(Frame::parse(header.kind, payload), Ok(frame));
}

/// A word that is understood shows itself as a word that means the same; one that is not says why.
pub fn address(input: &[u8]) {
    let Ok(word) = str::from_utf8(input) else {
        return;
    };
    match parse_listen(word) {
        Ok(points) => {
            for point in points.iter().take(8) {
                let again = parse_listen(&point.to_string()).expect("it shows itself as a word");
                // A proxy is shown without its password.
                let secret =
                    matches!(&point.at, ListenAt::SocksBind(proxy) if proxy.password.is_some());
                assert!(
                    again.len() == 1 && (again[0].at == point.at || secret),
                    "{word:?}: {point}"
                );
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match parse_target(word) {
        Ok(targets) => {
            for target in targets.iter().take(8) {
                let again = parse_target(&target.to_string()).expect("it shows itself as a word");
                assert!(
                    again.len() == 1 && again[0].at == target.at,
                    "{word:?}: {target}"
                );
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The verdict on the first bytes of a connection does not depend on how they were cut, and addresses that are understood can be
/// said again.
pub fn proxy_header(input: &[u8]) {
    let whole = proxy_header::parse(input);
    for cut in 0..input.len().min(HEADER_LOOK_BYTES + 1) {
        let verdict = proxy_header::parse(&input[..cut]);
        assert!(
            verdict == Ok(None) || verdict == whole,
            "{cut}: {verdict:?}"
        );
    }
    let Ok(Some(header)) = whole else {
        assert!(whole.is_err() || input.len() < HEADER_LOOK_BYTES);
        return;
    };
    for version in [Version::V1, Version::V2] {
        let session = SessionId::new([0; 8], 1);
        let again = proxy_header::encode(version, header.addresses.as_ref(), session);
        let parsed =
            proxy_header::parse(&again).map(|parsed| parsed.map(|header| header.addresses));
        assert_eq!(parsed, Ok(Some(header.addresses)));
    }
}

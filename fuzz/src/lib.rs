//! The fuzz targets: each function asserts a property that holds for every input. `relay-core/tests/corpus.rs` replays the
//! seeds through the same functions.

mod environment;
mod hostile;
mod keyed;
mod proxies;

pub use environment::{network, ucspi};
pub use hostile::{link_inside, link_outside};
pub use keyed::keyed;
pub use proxies::{http_connect, socks, via_url};
use relay_core::config::address::{ListenAt, parse_listen, parse_target};
use relay_core::limits::FRAME_HEADER_BYTES;
use relay_core::protocol::frame::{Frame, Header, SessionId};
use relay_core::protocol::proxy_header::{self, HEADER_LOOK_BYTES, Version};

/// If a frame is valid, encoding it and parsing the result gives the same frame.
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

    let mut encoded = Vec::new();
    frame.encode(&mut encoded);
    let (head, payload) = encoded.split_first_chunk().expect("a frame has a header");
    let header = Header::parse(*head).expect("an encoded frame is well formed");
    assert_eq!(header.length as usize, payload.len());
    assert_eq!(Frame::parse(header.kind, payload), Ok(frame));
}

/// If an address is valid, its `Display` text is an address with the same meaning. If it is invalid, the error has a text.
pub fn address(input: &[u8]) {
    let Ok(word) = str::from_utf8(input) else {
        return;
    };
    match parse_listen(word) {
        Ok(points) => {
            for point in points.iter().take(8) {
                let again =
                    parse_listen(&point.to_string()).expect("the text of an address is an address");
                // The text of a proxy leaves out its password.
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
                let again = parse_target(&target.to_string())
                    .expect("the text of an address is an address");
                assert!(
                    again.len() == 1 && again[0].at == target.at,
                    "{word:?}: {target}"
                );
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The result for the first bytes of a connection does not depend on how they are split. If the header is valid, encoding its
/// addresses and parsing the result gives the same addresses.
pub fn proxy_header(input: &[u8]) {
    let whole = proxy_header::parse(input);
    for cut in 0..input.len().min(HEADER_LOOK_BYTES + 1) {
        let result = proxy_header::parse(&input[..cut]);
        assert!(result == Ok(None) || result == whole, "{cut}: {result:?}");
    }
    let Ok(Some(header)) = whole else {
        assert!(whole.is_err() || input.len() < HEADER_LOOK_BYTES);
        return;
    };
    for version in [Version::V1, Version::V2] {
        let session = SessionId::new([0; 8], 1);
        let encoded = proxy_header::encode(version, header.addresses.as_ref(), session);
        let parsed =
            proxy_header::parse(&encoded).map(|parsed| parsed.map(|header| header.addresses));
        assert_eq!(parsed, Ok(Some(header.addresses)));
    }
}

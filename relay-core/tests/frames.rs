//! The frames as bytes: what is written is read back, and what a peer makes up is refused or harmless.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so and fails"
)]

mod arbitrary;

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use relay_core::limits::{
    CONTROL_BYTES_MAX, DATA_BYTES_MAX, FRAME_HEADER_BYTES, REASON_TEXT_BYTES_MAX, SERVICES_MAX,
};
use relay_core::protocol::frame::{
    ErrorCode, Frame, Header, Hello, Kind, MAGIC, Malformed, NodeId, Open, RefusedCode, SessionId,
    Welcome,
};

proptest! {
    #[test]
    fn each_frame_is_read_back_as_it_was_written(frame in arbitrary::frame()) {
        prop_assert_eq!(read(&written(&frame)), Ok(frame));
    }

    #[test]
    fn any_payload_is_a_frame_or_refused(kind in kind(), payload in vec(any::<u8>(), 0..CONTROL_BYTES_MAX)) {
        let _ = Frame::parse(kind, &payload);
    }

    #[test]
    fn a_frame_that_was_tampered_with_is_a_frame_or_refused(
        frame in arbitrary::frame(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        length in any::<prop::sample::Index>(),
    ) {
        let bytes = written(&frame);
        let header = Header::parse(*bytes.first_chunk().unwrap()).unwrap();
        let mut payload = bytes[FRAME_HEADER_BYTES..].to_vec();
        if !payload.is_empty() {
            let at = at.index(payload.len());
            payload[at] = byte;
            payload.truncate(length.index(payload.len() + 1));
        }
        let _ = Frame::parse(header.kind, &payload);
    }

    #[test]
    fn what_a_later_version_appends_is_skipped(
        frame in arbitrary::frame().prop_filter("these end in extensions", is_extensible),
        extensions in vec((any::<u8>(), vec(any::<u8>(), 0..40)), 0..5),
    ) {
        let mut bytes = written(&frame);
        for (kind, value) in extensions {
            bytes.push(kind);
            bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&value);
        }
        set_length(&mut bytes);
        prop_assert_eq!(read(&bytes), Ok(frame));
    }

    #[test]
    fn a_frame_without_extensions_has_one_length(
        frame in arbitrary::frame().prop_filter("of fixed layout", |frame| !is_extensible(frame) && !has_text(frame)),
        extra in vec(any::<u8>(), 1..10),
    ) {
        let mut bytes = written(&frame);
        bytes.extend_from_slice(&extra);
        set_length(&mut bytes);
        prop_assert!(matches!(read(&bytes), Err(Malformed::Length(_))));
    }

    #[test]
    fn a_header_is_read_back_as_it_was_written(kind in kind(), length in 1_u32..=CONTROL_BYTES_MAX as u32) {
        let header = Header { kind, length };
        prop_assert_eq!(Header::parse(header.bytes()), Ok(header));
    }
}

#[test]
fn a_header_announces_no_more_than_its_type_may_have() {
    let parse = |kind: Kind, length: u32| Header::parse(Header { kind, length }.bytes());
    assert!(parse(Kind::Data, DATA_BYTES_MAX as u32).is_ok());
    assert_eq!(
        parse(Kind::Data, DATA_BYTES_MAX as u32 + 1),
        Err(Malformed::Length(Kind::Data))
    );
    assert_eq!(parse(Kind::Data, 0), Err(Malformed::Length(Kind::Data)));
    assert!(parse(Kind::Hello, CONTROL_BYTES_MAX as u32).is_ok());
    assert_eq!(
        parse(Kind::Hello, CONTROL_BYTES_MAX as u32 + 1),
        Err(Malformed::Length(Kind::Hello))
    );
    assert!(parse(Kind::Bye, 0).is_ok());
}

#[test]
fn the_first_byte_of_another_protocol_is_told_apart() {
    let first = |byte: u8| Header::parse([byte, 3, 1, 2]);
    assert_eq!(first(0x16), Err(Malformed::Tls));
    for byte in [b'G', b'S', 4, 5, 0, 0x7f] {
        assert_eq!(first(byte), Err(Malformed::NotALink));
    }
    assert_eq!(first(0xff), Err(Malformed::Kind(0xff)));
    assert_eq!(first(0x8d), Err(Malformed::Kind(0x8d)));
}

#[test]
fn addresses_are_ipv4_where_both_are_and_ipv6_where_one_is() {
    #[rustfmt::skip]
    let table = [
        ("192.0.2.7:40000",          "192.0.2.1:8000",          0x11, "192.0.2.7:40000",     "192.0.2.1:8000"),
        ("[::ffff:192.0.2.7]:40000", "[::ffff:192.0.2.1]:8000", 0x11, "192.0.2.7:40000",     "192.0.2.1:8000"),
        ("[2001:db8::7]:40000",      "[2001:db8::1]:8000",      0x21, "[2001:db8::7]:40000", "[2001:db8::1]:8000"),
        ("192.0.2.7:40000",          "[2001:db8::1]:8000",      0x21, "192.0.2.7:40000",     "[2001:db8::1]:8000"),
        ("[2001:db8::7]:40000",      "[::ffff:192.0.2.1]:8000", 0x21, "[2001:db8::7]:40000", "192.0.2.1:8000"),
    ];
    for (client, local, family, client_read, local_read) in table {
        let bytes = written(&Frame::Open(open(Some(client), Some(local))));
        assert_eq!(bytes[OPEN_FAMILY_AT], family, "{client} {local}");
        assert_eq!(
            read(&bytes),
            Ok(Frame::Open(open(Some(client_read), Some(local_read))))
        );
    }
}

#[test]
fn a_pair_with_one_address_is_sent_as_none() {
    let bytes = written(&Frame::Open(open(Some("192.0.2.7:40000"), None)));
    assert_eq!(bytes[OPEN_FAMILY_AT..], [0, 0, 0]);
    assert_eq!(read(&bytes), Ok(Frame::Open(open(None, None))));
}

#[test]
fn addresses_of_an_unknown_family_are_skipped() {
    let mut bytes = written(&Frame::Open(open(None, None)));
    bytes[OPEN_FAMILY_AT..].copy_from_slice(&[0x31, 0, 5]);
    bytes.extend_from_slice(b"/path");
    set_length(&mut bytes);
    assert_eq!(read(&bytes), Ok(Frame::Open(open(None, None))));
}

#[test]
fn addresses_shorter_than_their_family_are_refused() {
    let mut bytes = written(&Frame::Open(open(None, None)));
    bytes[OPEN_FAMILY_AT..].copy_from_slice(&[0x21, 0, 12]);
    bytes.extend_from_slice(&[0; 12]);
    set_length(&mut bytes);
    assert_eq!(read(&bytes), Err(Malformed::Length(Kind::Open)));
}

#[test]
fn hello_begins_with_the_magic_bytes_that_the_manual_shows() {
    let bytes = written(&Frame::Hello(hello(&[])));
    assert_eq!(bytes[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + 8], MAGIC);
    assert_eq!(MAGIC, [0xf0, 0x72, 0x65, 0x6c, 0x61, 0x79, 0x31, 0x0a]);
    let mut other = bytes;
    other[FRAME_HEADER_BYTES] = b'H';
    assert_eq!(read(&other), Err(Malformed::Magic));
}

#[test]
fn hello_names_each_service_once_and_with_a_width() {
    assert!(read(&written(&Frame::Hello(hello(&[("", 1), ("web", 2)])))).is_ok());
    assert_eq!(
        read(&written(&Frame::Hello(hello(&[("web", 1), ("web", 2)])))),
        Err(Malformed::Service)
    );
    assert_eq!(
        read(&written(&Frame::Hello(hello(&[("web", 0)])))),
        Err(Malformed::Service)
    );
    for name in ["Web", "web site", "ä", &"a".repeat(33)] {
        assert_eq!(
            read(&written(&Frame::Hello(hello(&[(name, 1)])))),
            Err(Malformed::Service),
            "{name}"
        );
    }
}

#[test]
fn the_longest_hello_fits_into_a_control_frame() {
    let names: Vec<String> = (0..SERVICES_MAX).map(|n| format!("{n:0>32}")).collect();
    let services: Vec<(&str, u16)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let hello = Frame::Hello(hello(&services));
    assert_eq!(read(&written(&hello)), Ok(hello));
}

#[test]
fn a_heartbeat_beyond_what_can_be_written_is_the_longest_that_can() {
    let welcome = |heartbeat| Welcome {
        version: 1,
        node: NodeId([0; 16]),
        heartbeat,
    };
    let bytes = written(&Frame::Welcome(welcome(std::time::Duration::MAX)));
    let longest = std::time::Duration::from_millis(u32::MAX.into());
    assert_eq!(read(&bytes), Ok(Frame::Welcome(welcome(longest))));
}

#[test]
fn a_reason_is_cut_between_two_characters() {
    let text = "é".repeat(REASON_TEXT_BYTES_MAX);
    let Ok(Frame::Refused(_, cut)) = read(&written(&Frame::Refused(RefusedCode::Other, text)))
    else {
        panic!()
    };
    assert_eq!(cut, "é".repeat(REASON_TEXT_BYTES_MAX / 2));

    let text = format!("x{}", "é".repeat(REASON_TEXT_BYTES_MAX));
    let Ok(Frame::Error(_, cut)) = read(&written(&Frame::Error(ErrorCode::Width, text))) else {
        panic!()
    };
    assert_eq!(
        cut,
        format!("x{}", "é".repeat((REASON_TEXT_BYTES_MAX - 1) / 2))
    );
}

#[test]
fn a_reason_that_is_not_a_text_is_shown_and_no_longer_than_one() {
    let payload: Vec<u8> = std::iter::once(1)
        .chain([0xff; CONTROL_BYTES_MAX - 1])
        .collect();
    let Ok(Frame::Refused(RefusedCode::Refused, text)) = Frame::parse(Kind::Refused, &payload)
    else {
        panic!()
    };
    assert!(text.len() <= REASON_TEXT_BYTES_MAX && text.starts_with('\u{fffd}'));
}

#[test]
fn a_reason_of_a_later_version_keeps_its_number() {
    assert_eq!(
        Frame::parse(Kind::Refused, &[200]),
        Ok(Frame::Refused(RefusedCode::Unknown(200), String::new()))
    );
    assert_eq!(RefusedCode::Unknown(200).to_string(), "reason 200");
}

#[test]
fn a_session_id_shows_its_process_and_its_count() {
    let id = SessionId::new([0x5f, 0x3a, 0x09, 0xc2, 0xb1, 0xd4, 0xe6, 0x77], 12);
    assert_eq!(id.to_string(), "5f3a09c2b1d4e677-12");
}

fn written(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

fn read(bytes: &[u8]) -> Result<Frame, Malformed> {
    let (head, payload) = bytes.split_first_chunk().unwrap();
    let header = Header::parse(*head)?;
    assert_eq!(header.length as usize, payload.len());
    Frame::parse(header.kind, payload)
}

/// Makes the header say how long the frame has become.
fn set_length(bytes: &mut [u8]) {
    let length = (bytes.len() - FRAME_HEADER_BYTES) as u32;
    bytes[1..FRAME_HEADER_BYTES].copy_from_slice(&length.to_be_bytes()[1..]);
}

fn is_extensible(frame: &Frame) -> bool {
    matches!(
        frame,
        Frame::Hello(_) | Frame::Welcome(_) | Frame::Open(_) | Frame::Bye
    )
}

fn has_text(frame: &Frame) -> bool {
    matches!(frame, Frame::Refused(..) | Frame::Error(..))
}

fn kind() -> impl Strategy<Value = Kind> {
    use Kind::{
        Abort, Bye, Data, End, Error, Hello, Open, Opened, Ping, Pong, Refused, Want, Welcome,
    };
    prop::sample::select(vec![
        Hello, Welcome, Open, Opened, Refused, Data, End, Abort, Want, Ping, Pong, Bye, Error,
    ])
}

fn hello(services: &[(&str, u16)]) -> Hello {
    use relay_core::protocol::frame::ServiceWidth;
    Hello {
        versions: (1, 1),
        node: NodeId([1; 16]),
        heartbeat: std::time::Duration::from_secs(10),
        services: services
            .iter()
            .map(|&(name, width)| ServiceWidth {
                name: name.to_owned(),
                width,
            })
            .collect(),
    }
}

/// An OPEN of the service without a name.
fn open(client: Option<&str>, local: Option<&str>) -> Open {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    Open {
        number: 1,
        service: String::new(),
        index: 0,
        session: SessionId([3; 16]),
        client: client.map(address),
        local: local.map(address),
    }
}

/// Header, number, length of the empty name, index, session.
const OPEN_FAMILY_AT: usize = FRAME_HEADER_BYTES + 4 + 1 + 2 + 16;

/// The page is what others write their own nodes by.
#[test]
fn the_example_of_the_manual_page_is_a_session() {
    let page = include_str!("../../man/relay-link.7");
    let (_, examples) = page.split_once(".Sh EXAMPLES").unwrap();
    let (_, example) = examples.split_once(".Bd").unwrap();
    let (example, _) = example.split_once(".Ed").unwrap();
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for line in example.lines() {
        if line.starts_with("inside ") || line.starts_with("outside ") {
            frames.push(Vec::new());
        }
        let bytes = line
            .split_whitespace()
            .filter_map(|word| u8::from_str_radix(word, 16).ok());
        if let Some(frame) = frames.last_mut() {
            frame.extend(bytes);
        }
    }
    let kinds: Vec<Kind> = frames
        .iter()
        .map(|bytes| {
            let (head, payload) = bytes.split_first_chunk().unwrap();
            let header = Header::parse(*head).unwrap();
            assert_eq!(header.length as usize, payload.len());
            if header.kind != Kind::Data {
                let frame = Frame::parse(header.kind, payload).unwrap();
                let mut encoded = Vec::new();
                frame.encode(&mut encoded);
                assert_eq!(&encoded, bytes);
            }
            header.kind
        })
        .collect();
    let session = [
        Kind::Hello,
        Kind::Welcome,
        Kind::Open,
        Kind::Data,
        Kind::End,
        Kind::Opened,
        Kind::Data,
        Kind::End,
    ];
    assert_eq!(kinds, session);
}

//! Frames that proptest makes up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use relay_core::protocol::frame::{
    AbortCode, ErrorCode, Frame, Hello, NodeId, Open, RefusedCode, ServiceWidth, SessionId, Welcome,
};

/// Any control frame that a node may send.
pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        hello().prop_map(Frame::Hello),
        welcome().prop_map(Frame::Welcome),
        open().prop_map(Frame::Open),
        Just(Frame::Opened),
        reason().prop_map(|text| Frame::Refused(RefusedCode::Refused, text)),
        Just(Frame::End),
        (0_u32..4).prop_map(|number| Frame::Abort(number, AbortCode::Reset)),
        any::<u32>().prop_map(Frame::Want),
        any::<[u8; 8]>().prop_map(Frame::Ping),
        (0_u64..4).prop_map(|number| Frame::Pong(number.to_be_bytes())),
        Just(Frame::Bye),
        reason().prop_map(|text| Frame::Error(ErrorCode::TooMany, text)),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    let services = prop::collection::btree_map("[a-z0-9-]{0,32}", 1_u16.., 0..5);
    (any::<[u8; 16]>(), 0_u8..3, heartbeat(), services).prop_map(
        |(node, version, heartbeat, services)| Hello {
            versions: (version.min(1), version),
            node: NodeId(node),
            heartbeat,
            services: services
                .into_iter()
                .map(|(name, width)| ServiceWidth { name, width })
                .collect(),
        },
    )
}

fn welcome() -> impl Strategy<Value = Welcome> {
    (any::<[u8; 16]>(), heartbeat()).prop_map(|(node, heartbeat)| Welcome {
        version: 1,
        node: NodeId(node),
        heartbeat,
    })
}

fn open() -> impl Strategy<Value = Open> {
    (
        0_u32..4,
        "[a-z0-9-]{0,32}",
        any::<u16>(),
        any::<[u8; 16]>(),
        prop::option::of((address(), address())),
    )
        .prop_map(|(number, service, index, session, addresses)| Open {
            number,
            service,
            index,
            session: SessionId(session),
            client: addresses.map(|(client, _)| client),
            local: addresses.map(|(_, local)| local),
        })
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<Ipv4Addr>().prop_map(IpAddr::V4),
        any::<Ipv6Addr>().prop_map(|ip| IpAddr::V6(ip).to_canonical()),
    ];
    (ip, any::<u16>()).prop_map(SocketAddr::from)
}

fn heartbeat() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|millis| Duration::from_millis(millis.into()))
}

/// A text that fits, of characters of all lengths.
fn reason() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..50).prop_map(String::from_iter)
}

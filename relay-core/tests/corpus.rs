//! Replays what the fuzz targets start from, `fuzz/seeds/TARGET`, through what they assert.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so and fails"
)]

#[allow(unreachable_pub, reason = "it is a library of its own, too")]
#[path = "../../fuzz/src/lib.rs"]
mod properties;

use std::path::Path;

#[test]
fn every_seed_of_the_addresses_holds() {
    replay("address", properties::address);
}

#[test]
fn every_seed_of_the_frames_holds() {
    replay("frame", properties::frame);
}

#[test]
fn every_seed_of_the_inside_end_of_a_link_holds() {
    replay("link_inside", properties::link_inside);
}

#[test]
fn every_seed_of_the_outside_end_of_a_link_holds() {
    replay("link_outside", properties::link_outside);
}

#[test]
fn every_seed_of_the_keyed_channel_holds() {
    replay("keyed", properties::keyed);
}

#[test]
fn every_seed_of_the_proxy_headers_holds() {
    replay("proxy_header", properties::proxy_header);
}

#[test]
fn every_seed_of_the_answers_by_socks_holds() {
    replay("socks", properties::socks);
}

#[test]
fn every_seed_of_the_answers_by_http_holds() {
    replay("http_connect", properties::http_connect);
}

#[test]
fn every_seed_of_the_urls_of_proxies_holds() {
    replay("via_url", properties::via_url);
}

#[test]
fn every_seed_of_the_networks_holds() {
    replay("network", properties::network);
}

#[test]
fn every_seed_of_the_environments_holds() {
    replay("ucspi", properties::ucspi);
}

fn replay(target: &str, property: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&seeds).expect("each target has seeds") {
        let path = entry.expect("the directory can be read").path();
        println!("{}", path.display());
        property(&std::fs::read(&path).expect("a seed can be read"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", seeds.display());
}

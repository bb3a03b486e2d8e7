//! Files of any size arrive byte for byte, many at once, from a web server to curl.

use std::time::Duration;

use relay_tests::data::{assert_same, noise};
use relay_tests::peer::HttpServer;
use relay_tests::scratch::Scratch;
use relay_tests::{Launch, Plan, needs, session_tests};

session_tests! {
    side_by_side:
        sixty_downloads_twelve_at_once_are_right_to_the_byte;
}

fn sixty_downloads_twelve_at_once_are_right_to_the_byte(plan: Plan) {
    needs!("python3", "curl");
    let (site, downloads) = (Scratch::new(), Scratch::new());
    let files = [("small", noise(1, 600)), ("large", noise(2, 20_000_000))];
    for (name, content) in &files {
        site.write(name, content);
    }
    let server = HttpServer::start(site.path());
    let route = plan.to(server.address());
    let clients = route.clients();

    let mut curl = Launch::new("curl --silent --show-error --fail --parallel-max 12 --parallel");
    for number in 0..60 {
        let (file, _) = files[number % 2];
        curl = curl.words([format!("http://{clients}/{file}"), format!("-o{number}")]);
    }
    let outcome = curl
        .directory(downloads.path())
        .spawn()
        .finish_within(DOWNLOADS_TIME_MAX);
    assert!(outcome.code == 0, "curl: {}", outcome.stderr);

    for number in 0..60 {
        let (_, content) = &files[number % 2];
        assert_same(&downloads.read(&number.to_string()), content);
    }
}

/// 600 MB through two nodes of the dev profile, while another test runs.
const DOWNLOADS_TIME_MAX: Duration = Duration::from_secs(60);

//! Both nodes against each other in virtual time, on a network that does everything a network does. The machines and the
//! deciders are the real ones; the sockets, the clock and the event loop are simulated.
//!
//! A world is made up from a seed. To replay the one that failed:
//! `SIMULATION_SEED=17 cargo test -p relay-core --test simulation seeds`. To go through more of them: `SIMULATION_SEEDS=100000`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so and fails"
)]

mod chaos;
mod inside;
mod link_end;
mod network;
mod outside;
mod scenarios;
mod talker;
mod world;

#[test]
fn seeds_of_worlds_in_which_everything_dies_keep_every_promise() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|value| value.parse::<u64>().expect("a number"))
    };
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for first in 0..threads {
            let seeds = seeds.clone().skip(first).step_by(threads);
            scope.spawn(move || {
                for seed in seeds {
                    let _replay = Replay(seed);
                    chaos::live(seed);
                }
            });
        }
    });
}

/// Says how to see it again, if the test fails meanwhile.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "replay: SIMULATION_SEED={} cargo test -p relay-core --test simulation seeds",
                self.0
            );
        }
    }
}

/// What takes a few seconds.
const SEEDS: u64 = if cfg!(debug_assertions) { 200 } else { 2000 };

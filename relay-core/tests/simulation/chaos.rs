//! A world made up from a seed, in which everything dies that can, until it heals.

use std::time::{Duration, Instant};

use relay_core::policy::keeper::Policy;

use crate::network::{Address, ListenMode, Process};
use crate::talker::{Habits, Outcome};
use crate::world::{Settings, World};

/// Lives through one world.
pub(crate) fn live(seed: u64) {
    let mut chaos = Chaos::new(seed);
    chaos.rage();
    chaos.heal();
    chaos.serve_late_clients();
    chaos.rest();
}

struct Chaos {
    world: World,
    rng: fastrand::Rng,
    settings: Settings,
    outside: Vec<OutsidePlaces>,
    inside: Vec<InsidePlaces>,
}

struct OutsidePlaces {
    process: Process,
    clients: Address,
    links: Vec<Address>,
}

struct InsidePlaces {
    process: Process,
    links: Vec<Address>,
    server: Address,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let settings = settings(&mut rng);
        let world = World::new(rng.u64(..), settings.clone());
        let mut chaos = Self {
            world,
            rng,
            settings,
            outside: Vec::new(),
            inside: Vec::new(),
        };
        // Either side may be there first.
        for _ in 0..chaos.rng.usize(1..=2) {
            chaos.add_outside();
        }
        for _ in 0..chaos.rng.usize(1..=3) {
            chaos.add_inside();
        }
        chaos
    }

    fn add_outside(&mut self) {
        let number = self.outside.len() as Address;
        let clients = CLIENT_ADDRESSES + number;
        let links: Vec<Address> = (0..self.rng.u32(1..=2))
            .map(|nth| LINK_ADDRESSES + 10 * number + nth)
            .collect();
        let process = self.world.outside(clients, &links);
        self.outside.push(OutsidePlaces {
            process,
            clients,
            links,
        });
    }

    /// The first one dials every outside node, so that all can be served.
    fn add_inside(&mut self) {
        let first = self.inside.is_empty();
        let mut links: Vec<Address> = Vec::new();
        for outside in &self.outside {
            if first || links.is_empty() || self.rng.bool() {
                links.extend(&outside.links);
            }
        }
        let server = SERVER_ADDRESSES + self.inside.len() as Address;
        self.world.server(server);
        let process = self.world.inside(&links, server);
        self.inside.push(InsidePlaces {
            process,
            links,
            server,
        });
    }

    /// Clients come, and things break.
    fn rage(&mut self) {
        let end = self.world.start + RAGE;
        let pause_max = self.rng.u64(100..2000);
        while self.world.net.now < end {
            self.world
                .run_for(Duration::from_millis(self.rng.u64(0..pause_max)));
            match self.rng.u8(0..20) {
                0..10 => self.client(),
                10..12 => self.kill_or_start(),
                12..14 => self.break_a_link(),
                14..16 => self.change_a_server(),
                16 => self.change_an_address(),
                17 => self.pause(),
                18 => self.drain(),
                _ => (0..self.rng.u8(2..8)).for_each(|_| self.client()),
            }
            self.world.check_conversations();
        }
    }

    /// From here on nothing breaks; what is broken may be found out yet.
    fn heal(&mut self) {
        for process in self.nodes() {
            self.world.start(process);
        }
        for inside in &self.inside {
            self.world.net.set_mode(inside.server, ListenMode::Accept);
        }
        for address in self.outside.iter().flat_map(|outside| &outside.links) {
            self.world.net.set_mode(*address, ListenMode::Accept);
        }
        let healed = self.world.net.now;
        for _ in 0..30 {
            self.world.run_for(Duration::from_secs(1));
            // What drained has left by now.
            for process in self.nodes() {
                self.world.start(process);
            }
        }
        let found_out = healed
            + self.settings.heartbeat * 5 / 2
            + self.settings.policy.interval
            + Duration::from_secs(8);
        for outside in &self.outside {
            let late = self
                .world
                .outside_node(outside.process)
                .given_up
                .iter()
                .filter(|&&at| at > found_out)
                .count();
            assert_eq!(late, 0, "clients were given up though all had healed");
        }
    }

    /// All who come now are served, by links that are used again.
    fn serve_late_clients(&mut self) {
        for _ in 0..=2 * self.inside.len() {
            let clients: Vec<Process> = self
                .outside
                .iter()
                .map(|outside| {
                    self.world.polite_client(
                        outside.clients,
                        self.rng.usize(4..5000),
                        self.rng.usize(4..5000),
                    )
                })
                .collect();
            self.world.run_for(Duration::from_secs(3));
            for client in clients {
                assert_eq!(
                    self.world.outcome(client),
                    Outcome::Complete,
                    "a late client was not served"
                );
            }
        }
        let reused: usize = self
            .outside
            .iter()
            .map(|outside| self.world.outside_node(outside.process).links_reused())
            .sum();
        assert!(reused > 0, "no link was used twice");
    }

    /// After two quiet minutes all have ended, and each node keeps as many links as it should.
    fn rest(&mut self) {
        self.world.run_for(Duration::from_secs(130));
        self.world.check_conversations();
        self.world.check_all_ended();
        for inside in &self.inside {
            let reached = |outside: &&OutsidePlaces| {
                outside.links.iter().any(|link| inside.links.contains(link))
            };
            let nodes = self.outside.iter().filter(reached).count();
            let keeper = &self.world.inside_node(inside.process).keeper;
            let idle = nodes * self.settings.policy.idle_min;
            assert_eq!(
                (keeper.idle_links(), keeper.links()),
                (idle, idle),
                "links to {nodes} nodes"
            );
        }
        for outside in &self.outside {
            assert_eq!(
                self.world.outside_node(outside.process).pairing.waiting(),
                0
            );
            for &address in &outside.links {
                self.check_dials(address);
            }
        }
    }

    /// No second sees more dials of an address than the clients that wait explain, each for each node.
    fn check_dials(&self, address: Address) {
        let dials = self.world.net.dials_of(address);
        let most = dials.iter().map(|&first| {
            let within = |&&at: &&Instant| at >= first && at < first + Duration::from_secs(1);
            dials.iter().filter(within).count()
        });
        let explained = self.inside.len() * (self.world.clients() + DIALS_OF_A_NODE);
        assert!(most.max().unwrap_or(0) < explained, "{address} was stormed");
    }

    fn client(&mut self) {
        let now = self.world.net.now;
        let rng = &mut self.rng;
        let outside = rng.usize(0..self.outside.len());
        let later = |rng: &mut fastrand::Rng, chances: u8| {
            let time = Duration::from_millis(rng.u64(0..8000));
            (rng.u8(..) < chances).then_some(now + time)
        };
        let habits = |rng: &mut fastrand::Rng| Habits {
            says: length(rng),
            answers: false,
            ends_last: false,
            ends_after: later(rng, 40).unwrap_or(now),
            reads_after: later(rng, 40).unwrap_or(now),
            resets_at: later(rng, 25),
        };
        let (mut client, mut server) = (habits(rng), habits(rng));
        match rng.u8(0..4) {
            0 => client.ends_last = true,
            1 => server.ends_last = true,
            2 => server.answers = true,
            _ => {}
        }
        self.world
            .client(self.outside[outside].clients, client, server);
    }

    fn kill_or_start(&mut self) {
        let process = self.any_node();
        if self.world.is_alive(process) {
            self.world.kill(process);
        } else {
            self.world.start(process);
        }
    }

    fn break_a_link(&mut self) {
        let outside = self.outside[self.rng.usize(0..self.outside.len())].process;
        let inside = self.inside[self.rng.usize(0..self.inside.len())].process;
        let links = self.world.net.between(outside, inside);
        let all = self.rng.u8(0..4) == 0;
        let silently = self.rng.bool();
        for link in links {
            if all || self.rng.u8(0..4) == 0 {
                if silently {
                    self.world.net.silence(link);
                } else {
                    self.world.net.cut_off(link);
                }
            }
        }
    }

    fn change_a_server(&mut self) {
        let server = self.inside[self.rng.usize(0..self.inside.len())].server;
        let mode = self.any_mode();
        self.world.net.set_mode(server, mode);
    }

    fn change_an_address(&mut self) {
        let outside = self.rng.usize(0..self.outside.len());
        let links = &self.outside[outside].links;
        let address = links[self.rng.usize(0..links.len())];
        let alive = self.world.is_alive(self.outside[outside].process);
        let mode = self.any_mode();
        if alive || mode != ListenMode::Accept {
            self.world.net.set_mode(address, mode);
        }
    }

    fn pause(&mut self) {
        let process = self.any_node();
        let time = Duration::from_millis(self.rng.u64(0..8000));
        self.world.pause(process, time);
    }

    fn drain(&mut self) {
        let process = self.any_node();
        self.world.drain(process);
    }

    fn any_mode(&mut self) -> ListenMode {
        [
            ListenMode::Accept,
            ListenMode::Accept,
            ListenMode::Refuse,
            ListenMode::Silence,
        ][self.rng.usize(0..4)]
    }

    fn any_node(&mut self) -> Process {
        let nodes = self.nodes();
        nodes[self.rng.usize(0..nodes.len())]
    }

    fn nodes(&self) -> Vec<Process> {
        let outside = self.outside.iter().map(|outside| outside.process);
        outside
            .chain(self.inside.iter().map(|inside| inside.process))
            .collect()
    }
}

fn settings(rng: &mut fastrand::Rng) -> Settings {
    Settings {
        heartbeat: Duration::from_secs([2, 4, 7][rng.usize(0..3)]),
        latency_max: Duration::from_millis([1, 20, 150][rng.usize(0..3)]),
        window: [2048, 16 * 1024, 64 * 1024][rng.usize(0..3)],
        policy: Policy {
            idle_min: rng.usize(1..=4),
            ..Settings::plain().policy
        },
        ..Settings::plain()
    }
}

/// Nothing, little, about as much as is kept, or more; never less than a key.
fn length(rng: &mut fastrand::Rng) -> usize {
    match rng.u8(0..16) {
        0..2 => 0,
        2..12 => rng.usize(4..2000),
        12..15 => rng.usize(4..30_000),
        _ => rng.usize(4..120_000),
    }
}

const CLIENT_ADDRESSES: Address = 1000;
const LINK_ADDRESSES: Address = 2000;
const SERVER_ADDRESSES: Address = 3000;
/// Dials within a second that keep the pool of a node that is back, and those that a back-off lets pass.
const DIALS_OF_A_NODE: usize = 30;
const RAGE: Duration = Duration::from_secs(20);

//! Worlds in which one thing happens, and what is promised of it.

use std::time::Duration;

use crate::network::{Address, ListenMode, Process};
use crate::talker::{Habits, Outcome};
use crate::world::{Settings, World};

#[test]
fn either_node_may_be_there_first() {
    for outside_first in [true, false] {
        let mut world = World::new(1, Settings::plain());
        world.server(SERVER);
        if outside_first {
            world.outside(CLIENTS, &[LINK]);
        } else {
            world.inside(&[LINK], SERVER);
        }
        world.run_for(Duration::from_secs(30));
        if outside_first {
            world.inside(&[LINK], SERVER);
        } else {
            world.outside(CLIENTS, &[LINK]);
        }
        world.run_for(Duration::from_secs(4));
        let client = world.polite_client(CLIENTS, 100, 100);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.outcome(client), Outcome::Complete);
    }
}

#[test]
fn an_address_that_refuses_is_dialled_by_one_dial_at_a_time_with_pauses() {
    let mut world = World::new(2, Settings::plain());
    let outside = world.outside(CLIENTS, &[LINK]);
    world.kill(outside);
    world.inside(&[LINK], SERVER);
    world.run_for(Duration::from_secs(100));
    let dials = world.net.dials_of(LINK);
    // The mean pause is half of the interval, but for the first few.
    assert!((60..160).contains(&dials.len()), "{} dials", dials.len());
    assert!(
        dials.windows(2).all(|pair| pair[0] < pair[1]),
        "two at once"
    );
}

#[test]
fn sessions_in_a_row_use_the_same_links() {
    let (mut world, ..) = pair(3);
    let before = world.net.dials_of(LINK).len();
    for _ in 0..200 {
        let client = world.polite_client(CLIENTS, 600, 600);
        world.run_for(Duration::from_millis(300));
        assert_eq!(world.outcome(client), Outcome::Complete);
    }
    let dials = world.net.dials_of(LINK).len() - before;
    assert!(dials <= 4, "{dials} dials for 200 sessions");
    world.check_conversations();
}

#[test]
fn a_burst_of_clients_is_served_and_its_links_go_back_after_a_quiet_minute() {
    let (mut world, _, inside, _) = pair(4);
    let clients: Vec<Process> = (0..100)
        .map(|_| world.polite_client(CLIENTS, 5000, 5000))
        .collect();
    world.run_for(Duration::from_secs(3));
    for client in clients {
        assert_eq!(world.outcome(client), Outcome::Complete);
    }
    let idle = world.inside_node(inside).keeper.idle_links();
    assert!((20..=256).contains(&idle), "{idle} idle links");
    world.run_for(Duration::from_secs(50));
    assert_eq!(
        world.inside_node(inside).keeper.idle_links(),
        idle,
        "they are kept for a minute"
    );
    world.run_for(Duration::from_secs(75));
    assert_eq!(
        world.inside_node(inside).keeper.idle_links(),
        Settings::plain().policy.idle_min
    );
    world.check_conversations();
}

#[test]
fn addresses_that_lead_to_one_node_get_one_set_of_links_and_each_node_gets_its_own() {
    let mut world = World::new(5, Settings::plain());
    world.outside(CLIENTS, &[LINK, LINK + 1, LINK + 2]);
    let inside = world.inside(&[LINK, LINK + 1, LINK + 2, LINK + 3], SERVER);
    world.run_for(Duration::from_secs(130));
    let idle_min = Settings::plain().policy.idle_min;
    assert_eq!(world.inside_node(inside).keeper.links(), idle_min);
    world.outside(CLIENTS + 1, &[LINK + 3]);
    world.run_for(Duration::from_secs(130));
    assert_eq!(world.inside_node(inside).keeper.links(), 2 * idle_min);
}

#[test]
fn a_client_that_ends_while_it_waits_is_served_and_one_that_is_reset_is_not() {
    let mut world = World::new(6, Settings::plain());
    let server = world.server(SERVER);
    world.outside(CLIENTS, &[LINK]);
    let ended = world.polite_client(CLIENTS, 3, 500);
    let resets_at = Some(world.net.now + Duration::from_secs(5));
    let (client, answer) = (
        Habits {
            resets_at,
            ..world.polite(100)
        },
        world.polite(100),
    );
    world.client(CLIENTS, client, answer);
    world.run_for(Duration::from_secs(10));
    world.inside(&[LINK], SERVER);
    world.run_for(Duration::from_secs(3));
    assert_eq!(world.outcome(ended), Outcome::Complete);
    assert_eq!(world.served(server), 1);
    world.check_conversations();
}

#[test]
fn a_client_that_nobody_serves_is_reset_after_the_wait() {
    let mut world = World::new(7, Settings::plain());
    world.outside(CLIENTS, &[LINK]);
    let client = world.polite_client(CLIENTS, 100, 100);
    world.run_for(Duration::from_secs(19));
    assert_eq!(world.outcome(client), Outcome::Talking);
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.outcome(client), Outcome::Reset);
}

#[test]
fn a_client_that_is_refused_is_served_by_another_node_with_all_its_bytes() {
    let (mut world, _, inside, servers) = two_inside_nodes(8);
    world.net.set_mode(SERVER, ListenMode::Refuse);
    for _ in 0..20 {
        let client = world.polite_client(CLIENTS, 30_000, 30_000);
        world.run_for(Duration::from_millis(700));
        assert_eq!(world.outcome(client), Outcome::Complete);
    }
    assert_eq!(servers.map(|server| world.served(server)), [0, 20]);
    world.check_conversations();

    // Half a minute later it is passed over no more.
    world.net.set_mode(SERVER, ListenMode::Accept);
    world.run_for(Duration::from_secs(31));
    for _ in 0..20 {
        world.polite_client(CLIENTS, 100, 100);
        world.run_for(Duration::from_millis(500));
    }
    assert_eq!(servers.map(|server| world.served(server)), [10, 30]);
    assert!(inside.iter().all(|&node| world.is_alive(node)));
}

#[test]
fn a_client_that_all_refuse_is_reset_at_once() {
    let (mut world, ..) = two_inside_nodes(9);
    world.net.set_mode(SERVER, ListenMode::Refuse);
    world.net.set_mode(SERVER + 1, ListenMode::Refuse);
    let client = world.polite_client(CLIENTS, 100, 100);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.outcome(client), Outcome::Reset);
}

#[test]
fn a_node_that_is_killed_resets_its_sessions_at_both_ends() {
    for side in 0..2 {
        let (mut world, outside, inside, _) = pair(10);
        let client = lasting_client(&mut world);
        world.run_for(Duration::from_secs(2));
        world.kill([outside, inside][side]);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.outcome(client), Outcome::Reset);
        world.check_all_ended();
        world.check_conversations();
    }
}

#[test]
fn a_node_that_is_drained_serves_its_sessions_to_their_end() {
    for side in 0..2 {
        let (mut world, outside, inside, _) = pair(11);
        let client = lasting_client(&mut world);
        world.run_for(Duration::from_secs(2));
        let node = [outside, inside][side];
        world.drain(node);
        world.run_for(Duration::from_secs(1));
        assert!(world.is_alive(node) && world.outcome(client) == Outcome::Talking);
        world.run_for(Duration::from_secs(4));
        assert_eq!(world.outcome(client), Outcome::Complete);
        assert!(!world.is_alive(node), "it has nothing more to do");
    }
}

#[test]
fn a_link_that_fell_silent_costs_a_client_two_seconds() {
    let (mut world, outside, inside, _) = pair(12);
    for link in world.net.between(outside, inside) {
        world.net.silence(link);
    }
    // Long unheard, and not yet found out.
    world.run_for(Duration::from_millis(4500));
    let client = world.polite_client(CLIENTS, 100, 100);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.outcome(client), Outcome::Complete);
    let took = world.took(client).expect("it has ended");
    assert!(took < Duration::from_millis(4500), "{took:?}");
}

#[test]
fn a_consumer_that_stalls_does_not_make_its_link_look_dead() {
    let (mut world, ..) = pair(13);
    let reads_after = world.net.now + Duration::from_secs(120);
    for stalled_client in [true, false] {
        let (mut client, mut server) = (world.polite(300_000), world.polite(300_000));
        let stalled = if stalled_client {
            &mut client
        } else {
            &mut server
        };
        stalled.reads_after = reads_after;
        world.client(CLIENTS, client, server);
    }
    world.run_for(Duration::from_secs(130));
    world.check_all_ended();
    world.check_conversations();
    assert!(world.all_complete());
}

#[test]
fn a_node_that_was_stopped_for_long_goes_on_with_its_sessions() {
    for side in 0..2 {
        let mut settings = Settings::plain();
        settings.heartbeat = Duration::from_secs(10);
        let (mut world, outside, inside, _) = pair_of(14, settings);
        let ends_after = world.net.now + Duration::from_secs(25);
        let (client, server) = (
            Habits {
                ends_after,
                ..world.polite(100)
            },
            world.polite(100),
        );
        let client = world.client(CLIENTS, client, server);
        world.run_for(Duration::from_secs(1));
        world.pause([outside, inside][side], Duration::from_secs(20));
        world.run_for(Duration::from_secs(40));
        assert_eq!(world.outcome(client), Outcome::Complete);
    }
}

/// An outside and an inside node with idle links, and a server.
fn pair(seed: u64) -> (World, Process, Process, Process) {
    pair_of(seed, Settings::plain())
}

fn pair_of(seed: u64, settings: Settings) -> (World, Process, Process, Process) {
    let mut world = World::new(seed, settings);
    let server = world.server(SERVER);
    let outside = world.outside(CLIENTS, &[LINK]);
    let inside = world.inside(&[LINK], SERVER);
    world.run_for(Duration::from_secs(3));
    (world, outside, inside, server)
}

/// Two inside nodes, each with a server of its own.
fn two_inside_nodes(seed: u64) -> (World, Process, [Process; 2], [Process; 2]) {
    let mut world = World::new(seed, Settings::plain());
    let servers = [SERVER, SERVER + 1].map(|address| world.server(address));
    let outside = world.outside(CLIENTS, &[LINK]);
    let inside = [SERVER, SERVER + 1].map(|server| world.inside(&[LINK], server));
    world.run_for(Duration::from_secs(3));
    (world, outside, inside, servers)
}

/// A client whose session lasts six seconds.
fn lasting_client(world: &mut World) -> Process {
    let ends_after = world.net.now + Duration::from_secs(6);
    let (client, server) = (
        Habits {
            ends_after,
            ..world.polite(1000)
        },
        world.polite(1000),
    );
    world.client(CLIENTS, client, server)
}

const CLIENTS: Address = 1000;
const LINK: Address = 2000;
const SERVER: Address = 3000;

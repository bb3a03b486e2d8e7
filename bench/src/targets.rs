//! The targets of our tools, and whether they are reached.

use crate::figures::Figures;
use crate::load::Load;
use crate::punch::Setting;
use crate::punches::Punches;
use crate::quantity::Quantity;

/// A figure of one of our tools, and its limit.
struct Target {
    contestant: &'static str,
    load: Load,
    quantity: Quantity,
    against: &'static [&'static str],
    limit: Limit,
}

enum Limit {
    AtLeast(f64),
    AtMost(f64),
    Above(f64),
    Below(f64),
    /// Within 0.05. What a node holds apart from its sessions, such as a few more idle links, is less than this per session.
    About(f64),
}

/// A figure of the 4way trials, and its limit.
struct PunchTarget {
    setting: Setting,
    what: &'static str,
    figure: fn(&Punches<'_>) -> Option<f64>,
    limit: Limit,
}

/// A target and the figure that was measured for it.
pub(crate) struct Outcome {
    pub(crate) what: String,
    pub(crate) wanted: String,
    /// None if it was not measured.
    pub(crate) reached: Option<f64>,
    pub(crate) passed: bool,
}

/// Returns every target, measured or not.
pub(crate) fn outcomes(figures: &Figures) -> Vec<Outcome> {
    all()
        .iter()
        .map(|target| target.outcome(figures))
        .chain(punch_targets().iter().map(|target| target.outcome(figures)))
        .collect()
}

fn all() -> Vec<Target> {
    let bulk = Load::ALL
        .into_iter()
        .filter(|load| matches!(load, Load::Bulk { .. }));
    bulk.flat_map(bulk_targets)
        .chain(small_message_targets("tcpfwd", 0.55, 0.45))
        .chain(small_message_targets("nodes", 0.35, 0.30))
        .chain(idle_targets("tcpfwd", 0))
        .chain(idle_targets("nodes", 0))
        .chain(idle_targets("nodes", 1))
        .chain(keyed_targets())
        .collect()
}

fn bulk_targets(load: Load) -> [Target; 5] {
    let target = |contestant, quantity, against, limit| Target {
        contestant,
        load,
        quantity,
        against,
        limit,
    };
    [
        target("tcpfwd", Quantity::Rate, &["bound"], Limit::AtLeast(0.85)),
        target(
            "tcpfwd",
            Quantity::CpuPerGib,
            &["bound"],
            Limit::AtMost(1.3),
        ),
        target(
            "nodes",
            Quantity::Rate,
            &["bound-pair"],
            Limit::AtLeast(0.85),
        ),
        target(
            "nodes",
            Quantity::CpuPerGib,
            &["bound-pair"],
            Limit::AtMost(1.3),
        ),
        target(
            "nodes",
            Quantity::Rate,
            PEERS_OF_THE_NODES,
            Limit::AtLeast(3.0),
        ),
    ]
}

fn small_message_targets(contestant: &'static str, sessions: f64, pings: f64) -> [Target; 3] {
    let target = |load, quantity, limit| Target {
        contestant,
        load,
        quantity,
        against: &["direct"],
        limit,
    };
    [
        target(Load::Sessions, Quantity::Rate, Limit::Above(sessions)),
        target(Load::PingPong, Quantity::Rate, Limit::Above(pings)),
        target(
            Load::PingPongBesideBulk { connections: 64 },
            Quantity::P99,
            Limit::Below(3.0),
        ),
    ]
}

fn idle_targets(contestant: &'static str, node: usize) -> [Target; 2] {
    let target = |quantity, limit| Target {
        contestant,
        load: Load::Idle,
        quantity,
        against: &[],
        limit,
    };
    [
        target(Quantity::KibPerSession(node), Limit::Below(1.0)),
        target(Quantity::DescriptorsPerSession(node), Limit::About(2.0)),
    ]
}

/// Returns the targets with a key: faster than other encrypting contestants, almost as many sessions as without a key, and
/// little memory per session.
fn keyed_targets() -> Vec<Target> {
    let target = |load, quantity, against, limit| Target {
        contestant: "nodes-keyed",
        load,
        quantity,
        against,
        limit,
    };
    let bulk = Load::ALL
        .into_iter()
        .filter(|load| matches!(load, Load::Bulk { .. }))
        .map(|load| target(load, Quantity::Rate, ENCRYPTING_PEERS, Limit::Above(1.0)));
    let sessions = target(
        Load::Sessions,
        Quantity::Rate,
        &["nodes"],
        Limit::AtLeast(0.9),
    );
    let idle = [0, 1].map(|node| {
        target(
            Load::Idle,
            Quantity::KibPerSession(node),
            &[],
            Limit::Below(24.0),
        )
    });
    bulk.chain([sessions]).chain(idle).collect()
}

fn punch_targets() -> [PunchTarget; 6] {
    let median = |setting, limit| PunchTarget {
        setting,
        what: "median-ms",
        figure: |punches| Some(punches.quantile(0.5)? * 1e3),
        limit: Limit::Below(limit),
    };
    [
        PunchTarget {
            setting: Setting::Drop,
            what: "on-first-try",
            figure: |punches| Some(punches.share_of_first_tries()),
            limit: Limit::AtLeast(1.0),
        },
        median(Setting::Drop, 50.0),
        PunchTarget {
            setting: Setting::Reset,
            what: "within-20-s",
            figure: |punches| Some(punches.share_within(20.0)),
            limit: Limit::AtLeast(1.0),
        },
        median(Setting::Reset, 5000.0),
        PunchTarget {
            setting: Setting::ResetSlow,
            what: "within-20-s",
            figure: |punches| Some(punches.share_within(20.0)),
            limit: Limit::AtLeast(1.0),
        },
        median(Setting::ResetSlow, 2000.0),
    ]
}

impl PunchTarget {
    fn outcome(&self, figures: &Figures) -> Outcome {
        let punches = figures.punches(self.setting);
        // If half of the trials failed, there is no median, and no limit allows it.
        let reached = punches.map(|punches| (self.figure)(&punches).unwrap_or(f64::INFINITY));
        Outcome {
            what: format!("4way: {}, {}", self.setting, self.what),
            wanted: self.limit.describe(),
            reached,
            passed: reached.is_some_and(|reached| self.limit.allows(reached)),
        }
    }
}

impl Target {
    fn outcome(&self, figures: &Figures) -> Outcome {
        let spread = match self.against {
            [] => figures.absolute(self.contestant, self.load, self.quantity),
            others => figures.ratio(self.contestant, others, self.load, self.quantity),
        };
        let reached = spread.map(|spread| spread.median);
        Outcome {
            what: format!(
                "{}: {}, {}",
                self.contestant,
                self.load,
                self.quantity.name()
            ),
            wanted: format!("{}{}", self.limit.describe(), self.unit()),
            reached,
            passed: reached.is_some_and(|reached| self.limit.allows(reached)),
        }
    }

    fn unit(&self) -> String {
        match self.against {
            [] => String::new(),
            [one] => format!(" × {one}"),
            _ => " × the best peer".to_owned(),
        }
    }
}

impl Limit {
    fn allows(&self, reached: f64) -> bool {
        match *self {
            Limit::AtLeast(limit) => reached >= limit,
            Limit::AtMost(limit) => reached <= limit,
            Limit::Above(limit) => reached > limit,
            Limit::Below(limit) => reached < limit,
            Limit::About(limit) => (reached - limit).abs() < 0.05,
        }
    }

    fn describe(&self) -> String {
        match self {
            Limit::AtLeast(limit) => format!("≥ {limit:.2}"),
            Limit::AtMost(limit) => format!("≤ {limit:.2}"),
            Limit::Above(limit) => format!("> {limit:.2}"),
            Limit::Below(limit) => format!("< {limit:.2}"),
            Limit::About(limit) => format!("{limit:.2}"),
        }
    }
}

/// The alternatives that a user has.
const PEERS_OF_THE_NODES: &[&str] = &["haproxy-pair", "ssh", "socat-pair", "socat-pair-10ms"];

/// The alternatives that encrypt the link.
const ENCRYPTING_PEERS: &[&str] = &["ssh", "nodes-stunnel"];

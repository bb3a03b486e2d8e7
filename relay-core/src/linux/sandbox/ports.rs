//! Which TCP ports may be dialled, and which be bound (landlock(7), since Linux 6.7).
//!
//! A relay knows from its start which ports it dials: those of its targets and of the first proxies on the way. Which hosts they are
//! on, names tell later. So whoever takes it over can reach those ports on any host, and no others; and an outside node dials nobody.

use std::collections::BTreeSet;

use landlock::{
    ABI, Access as _, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
};

use super::Needs;

/// Lets this thread dial and bind the ports that it needs; says how far the kernel sees to that.
pub fn confine(needs: &Needs) -> Result<&'static str, String> {
    let status = restrict(needs).map_err(|error| format!("unable to confine ports: {error}"))?;
    Ok(match status {
        RulesetStatus::NotEnforced => "no ports: the kernel has no landlock for them",
        _ if needs.dialled.len() > PORTS_MAX => "ports to bind by landlock",
        _ => "ports by landlock",
    })
}

fn restrict(needs: &Needs) -> Result<RulesetStatus, landlock::RulesetError> {
    let mut dialled = needs.dialled.clone();
    if needs.names {
        // Answers that are too long for a datagram.
        dialled.insert(DNS_PORT);
    }
    let mut handled = BitFlags::from(AccessNet::BindTcp);
    if dialled.len() <= PORTS_MAX {
        handled = AccessNet::from_all(KNOWN);
    } else {
        dialled.clear();
    }
    let ports = |ports: BTreeSet<u16>, access: AccessNet| {
        ports
            .into_iter()
            .map(move |port| Ok::<_, landlock::RulesetError>(NetPort::new(port, access)))
    };
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)?
        .create()?
        .add_rules(ports(dialled, AccessNet::ConnectTcp))?
        .add_rules(ports(needs.left_from.clone(), AccessNet::BindTcp))?;
    rules.restrict_self().map(|status| status.ruleset)
}

/// Linux 6.7, the first to know of ports.
const KNOWN: ABI = ABI::V4;
/// Beyond so many ports that are dialled, any may be: the list would take longer than it is worth.
const PORTS_MAX: usize = 1024;
/// RFC 1035 §4.2.
const DNS_PORT: u16 = 53;

//! Which TCP ports may be dialled and bound (landlock(7), since Linux 6.7).
//!
//! A relay knows at its start which ports it dials: those of its targets and of the first proxies. The hosts come later, from names. So
//! an attacker who takes over the process can reach these ports on any host, and no others. An outside node dials nothing.

use std::collections::BTreeSet;

use landlock::{
    ABI, Access as _, AccessNet, CompatLevel, Compatible as _, NetPort, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus,
};

use super::Needs;
use crate::limits::SANDBOX_PORTS_MAX;

/// Lets this thread dial and bind the ports that it needs; says how far the kernel sees to that.
pub fn confine(needs: &Needs) -> Result<&'static str, String> {
    let dialled = dialled(needs);
    let status = restrict(dialled.as_ref(), &needs.left_from)
        .map_err(|error| format!("unable to confine ports: {error}"))?;
    Ok(match (status, dialled) {
        (RulesetStatus::NotEnforced, _) => "no ports: the kernel has no landlock for them",
        (_, Some(_)) => "ports by landlock",
        (_, None) => "ports to bind by landlock",
    })
}

/// The ports to dial, unless they are too many.
fn dialled(needs: &Needs) -> Option<BTreeSet<u16>> {
    let mut ports = needs.dialled.clone();
    if !needs.names.is_empty() {
        // Answers that are too long for a datagram.
        ports.insert(DNS_PORT);
    }
    (ports.len() <= SANDBOX_PORTS_MAX).then_some(ports)
}

fn restrict(
    dialled: Option<&BTreeSet<u16>>,
    bound: &BTreeSet<u16>,
) -> Result<RulesetStatus, landlock::RulesetError> {
    let handled = match dialled {
        Some(_) => AccessNet::from_all(KNOWN),
        None => AccessNet::BindTcp.into(),
    };
    let ports = |ports: &BTreeSet<u16>, access: AccessNet| {
        let rules = ports.iter().map(move |port| NetPort::new(*port, access));
        rules
            .map(Ok::<_, landlock::RulesetError>)
            .collect::<Vec<_>>()
    };
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)?
        .create()?
        .add_rules(ports(bound, AccessNet::BindTcp))?;
    let rules = match dialled {
        Some(dialled) => rules.add_rules(ports(dialled, AccessNet::ConnectTcp))?,
        None => rules,
    };
    rules.restrict_self().map(|status| status.ruleset)
}

/// Linux 6.7, the first to know of ports.
const KNOWN: ABI = ABI::V4;
/// RFC 1035 §4.2.
const DNS_PORT: u16 = 53;

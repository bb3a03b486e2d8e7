//! Lists of networks that are allowed or denied, and the number of sessions that one client may have.
//!
//! Invariant: a v4-mapped address (RFC 4291 §2.5.5.2), which a dual-stack socket reports for an IPv4 client, is compared as
//! an IPv4 address. `::/0` is all of IPv6 and nothing of IPv4.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::{IpNet, Ipv4Net};

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Accept.
    Allow,
    /// Reset.
    Deny,
}

/// One `--allow` or `--deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it says about the network.
    pub verdict: Verdict,
    /// The network.
    pub network: IpNet,
}

/// Rules in the order in which they were typed: the first rule that covers an address decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList {
    rules: Vec<Rule>,
}

/// A slot among the sessions of one client. Dropping it frees it.
#[derive(Debug, Default)]
pub struct SessionSlot(#[allow(dead_code, reason = "held for its drop")] Option<Box<ReservedSlot>>);

/// Why a peer is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// This rule denies it; `None` if no rule covers it and other networks are allowed.
    Rule(Option<IpNet>),
    /// The client has this number of sessions already.
    Sessions(usize),
}

impl AccessList {
    /// Returns the list of these rules.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// Returns a list that allows only these networks, or every address if there are none.
    pub fn of_allowed(networks: &[IpNet]) -> Self {
        let allow = |network: &IpNet| Rule {
            verdict: Verdict::Allow,
            network: *network,
        };
        Self::new(networks.iter().map(allow).collect())
    }

    /// Returns whether there is no rule, so that every address is allowed.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Checks an address. If a rule allows a network, an address that no rule covers is denied.
    pub fn check(&self, ip: IpAddr) -> Result<(), Denial> {
        let ip = ip.to_canonical();
        match self.rules.iter().find(|rule| rule.network.contains(&ip)) {
            Some(rule) if rule.verdict == Verdict::Allow => Ok(()),
            Some(rule) => Err(Denial::Rule(Some(rule.network))),
            None if self.allows_some() => Err(Denial::Rule(None)),
            None => Ok(()),
        }
    }

    /// Returns whether a rule allows a network: then an address that no rule covers is denied.
    pub fn allows_some(&self) -> bool {
        self.rules.iter().any(|rule| rule.verdict == Verdict::Allow)
    }
}

/// Reads a network: `192.0.2.0/24`, `2001:db8::/32`, or the address of one host.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| {
            "expected a network as in 192.0.2.0/24 or 2001:db8::/32, or an address".to_owned()
        })?,
    };
    match network.trunc() {
        exact if exact == network => Ok(unmapped(network)),
        exact => Err(format!("bits are set behind the prefix: write {exact}")),
    }
}

/// A network of v4-mapped addresses is the network of IPv4 addresses that it maps.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let ip = v6.network().to_ipv4_mapped();
    let length = v6.prefix_len().checked_sub(MAPPED_PREFIX_BITS);
    ip.zip(length)
        .and_then(|(ip, length)| Ipv4Net::new(ip, length).ok())
        .map_or(network, IpNet::V4)
}

/// The sessions of each client that has some.
#[derive(Clone, Debug)]
pub struct SessionQuota {
    each_max: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

#[derive(Debug)]
struct ReservedSlot {
    client: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl SessionQuota {
    /// Allows each client `each_max` sessions at once.
    pub fn new(each_max: usize) -> Self {
        Self {
            each_max,
            taken: Arc::default(),
        }
    }

    /// Reserves a slot for a session of the client at `ip`.
    pub fn take(&self, ip: IpAddr) -> Result<SessionSlot, Denial> {
        let client = client_of(ip);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(client).or_default();
        if *count >= self.each_max {
            return Err(Denial::Sessions(self.each_max));
        }
        *count += 1;
        Ok(SessionSlot(Some(Box::new(ReservedSlot {
            client,
            taken: self.taken.clone(),
        }))))
    }
}

impl Drop for ReservedSlot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

/// One IPv4 address is one client. A host with IPv6 has a /64 to take addresses from (RFC 4291 §2.5.1), so that is one.
fn client_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => {
            let host_bits = u128::BITS - CLIENT_PREFIX_BITS;
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> host_bits << host_bits))
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(Some(network)) => write!(f, "{network} is denied"),
            Self::Rule(None) => f.write_str("no rule allows it"),
            Self::Sessions(max) => write!(f, "it has {max} sessions already"),
        }
    }
}

/// `::ffff:0:0/96`.
const MAPPED_PREFIX_BITS: u8 = 96;

/// See [`client_of`].
const CLIENT_PREFIX_BITS: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rules: &[&str]) -> AccessList {
        let rule = |text: &&str| {
            let (verdict, network) = text.split_once(' ').unwrap();
            let verdict = match verdict {
                "allow" => Verdict::Allow,
                _ => Verdict::Deny,
            };
            Rule {
                verdict,
                network: parse_network(network).unwrap(),
            }
        };
        AccessList::new(rules.iter().map(rule).collect())
    }

    fn permits(list: &AccessList, ip: &str) -> bool {
        list.check(ip.parse().unwrap()).is_ok()
    }

    #[test]
    fn without_rules_everybody_comes_in() {
        assert!(permits(&list(&[]), "192.0.2.1"));
        assert!(permits(&list(&[]), "2001:db8::1"));
    }

    #[test]
    fn the_first_rule_that_covers_an_address_decides() {
        let list = list(&["deny 192.0.2.7", "allow 192.0.2.0/24", "deny 192.0.2.8"]);
        assert!(!permits(&list, "192.0.2.7"));
        assert!(permits(&list, "192.0.2.8"));
    }

    #[test]
    fn where_some_are_allowed_the_others_are_not() {
        let list = list(&["allow 192.0.2.0/24"]);
        assert!(permits(&list, "192.0.2.255"));
        assert!(!permits(&list, "192.0.3.0"));
        assert!(!permits(&list, "::1"));
    }

    #[test]
    fn where_some_are_denied_and_none_allowed_the_others_come_in() {
        let list = list(&["deny 2001:db8::/32"]);
        assert!(!permits(&list, "2001:db8:1::1"));
        assert!(permits(&list, "2001:db9::1"));
        assert!(permits(&list, "192.0.2.1"));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_that_it_is() {
        assert!(!permits(&list(&["deny 192.0.2.0/24"]), "::ffff:192.0.2.1"));
        assert!(!permits(&list(&["deny ::ffff:192.0.2.0/120"]), "192.0.2.1"));
        assert!(permits(&list(&["allow ::ffff:0:0/96"]), "192.0.2.1"));
        assert!(permits(&list(&["deny ::/0"]), "::ffff:192.0.2.1"));
    }

    #[test]
    fn an_address_is_a_network_of_one_host() {
        let list = list(&["allow 2001:db8::1"]);
        assert!(permits(&list, "2001:db8::1"));
        assert!(!permits(&list, "2001:db8::2"));
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in [
            "",
            "192.0.2.0/33",
            "192.0.2",
            "[::1]",
            "localhost",
            "::1/129",
            "10/8",
        ] {
            let told = parse_network(text).unwrap_err();
            assert!(told.starts_with("expected a network"), "{text}: {told}");
        }
        assert_eq!(
            parse_network("192.0.2.7/24"),
            Err("bits are set behind the prefix: write 192.0.2.0/24".to_owned())
        );
    }

    #[test]
    fn a_seat_is_free_again_when_it_is_dropped() {
        let quota = SessionQuota::new(1);
        let ip = |text: &str| text.parse().unwrap();
        let first = quota.take(ip("192.0.2.1"));
        assert!(first.is_ok());
        assert_eq!(
            quota.take(ip("192.0.2.1")).unwrap_err(),
            Denial::Sessions(1)
        );
        assert!(quota.take(ip("192.0.2.2")).is_ok());
        drop(first);
        assert!(quota.take(ip("192.0.2.1")).is_ok());
        assert!(quota.taken.lock().unwrap().is_empty());
    }

    #[test]
    fn one_network_of_64_bits_is_one_client() {
        let quota = SessionQuota::new(1);
        let ip = |text: &str| text.parse().unwrap();
        let _first = quota.take(ip("2001:db8:0:1::1")).unwrap();
        assert!(quota.take(ip("2001:db8:0:1:ffff::2")).is_err());
        assert!(quota.take(ip("2001:db8:0:2::1")).is_ok());
    }
}

//! What a firewall of the laboratory does, as rules of nftables.

/// The character of a firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// The answer to a segment from outside that belongs to no connection.
    pub answer: Answer,
    /// How often it answers by ICMP.
    pub pace: Pace,
    /// On the way out.
    pub ports: Ports,
}

/// What a firewall answers to a connection that no host inside has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It drops it.
    Nothing,
    /// A reset, as a host answers if no program listens.
    Reset,
    /// The ICMP message "destination unreachable" with this code: `host-unreachable`, `net-unreachable`,
    /// `port-unreachable` or `admin-prohibited`, and with IPv6 what is nearest to it; or, with one version alone,
    /// `prot-unreachable` (IPv4) or `policy-fail` (IPv6).
    Unreachable(&'static str),
}

/// How many ICMP messages one host gets from a firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Some, and then one in a second, as Linux does.
    Limited,
    /// One for each packet.
    Unlimited,
}

/// What becomes of the source port when a firewall puts its own address into a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// It stays, if no other connection uses it.
    Kept,
    /// It is different for each connection.
    Random,
}

impl Firewall {
    /// Drops what it does not expect.
    pub const DROPS: Firewall = Firewall::that_answers(Answer::Nothing);
    /// Resets what it does not expect.
    pub const RESETS: Firewall = Firewall::that_answers(Answer::Reset);
    /// Answers by ICMP to what it does not expect.
    pub const SAYS_UNREACHABLE: Firewall =
        Firewall::that_answers(Answer::Unreachable("host-unreachable"));
    /// Answers by ICMP to what it does not expect, whenever it comes.
    pub const ALWAYS_SAYS_UNREACHABLE: Firewall = Firewall {
        pace: Pace::Unlimited,
        ..Firewall::SAYS_UNREACHABLE
    };
    /// Drops what it does not expect, and changes source ports.
    pub const CHANGES_PORTS: Firewall = Firewall {
        answer: Answer::Nothing,
        pace: Pace::Limited,
        ports: Ports::Random,
    };

    /// One that answers `answer` and keeps ports.
    pub const fn that_answers(answer: Answer) -> Firewall {
        Firewall {
            answer,
            pace: Pace::Limited,
            ports: Ports::Kept,
        }
    }

    /// The rules, for nft(8), of one with these two interfaces.
    pub(super) fn rules(self, inside: &str, outside: &str) -> String {
        let answer = match self.answer {
            Answer::Nothing => "drop".to_owned(),
            Answer::Reset => "reject with tcp reset".to_owned(),
            // The names are those of both IP versions together.
            Answer::Unreachable("net-unreachable") => "reject with icmpx type no-route".to_owned(),
            Answer::Unreachable(code @ "prot-unreachable") => {
                format!("meta nfproto ipv4 reject with icmp type {code}")
            }
            Answer::Unreachable(code @ "policy-fail") => {
                format!("meta nfproto ipv6 reject with icmpv6 type {code}")
            }
            Answer::Unreachable(code) => format!("reject with icmpx type {code}"),
        };
        let random = match self.ports {
            Ports::Kept => "",
            Ports::Random => "random",
        };
        format!(
            "table ip translation {{
                chain leaving {{
                    type nat hook postrouting priority srcnat
                    oifname {outside} masquerade {random}
                }}
            }}
            table inet firewall {{
                chain unasked {{
                    meta l4proto tcp {answer}
                    drop
                }}
                chain passing {{
                    type filter hook forward priority filter; policy drop
                    ct state established,related accept
                    iifname {inside} ct state new accept
                    iifname {outside} jump unasked
                }}
                chain arriving {{
                    type filter hook input priority filter
                    ct state established,related accept
                    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
                    iifname {outside} jump unasked
                }}
            }}"
        )
    }
}

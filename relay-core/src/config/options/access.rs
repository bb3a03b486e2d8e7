//! Which clients are accepted, as typed: options whose order counts.

use clap::parser::ArgMatches;
use clap::{ArgAction, Args, Command, Error, FromArgMatches};
use ipnet::IpNet;

use super::values::parse_count;
use crate::policy::access_list::{AccessList, Rule, Verdict, parse_network};

/// The options of the tools that accept clients.
#[derive(Args, Clone, Debug, Default)]
pub struct ClientOptions {
    /// Which clients are accepted.
    #[command(flatten)]
    pub access: ClientAccess,

    /// Serve at most this many sessions of one client at once [off]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count)]
    pub max_sessions_per_client: Option<usize>,

    /// Read the client's address from a PROXY header
    #[arg(long)]
    pub accept_proxy: bool,
}

/// `--allow` and `--deny` in one list. clap sorts what it reads by option; where each stood is in its indices.
#[derive(Clone, Debug, Default)]
pub struct ClientAccess(pub AccessList);

#[derive(Args)]
#[allow(
    dead_code,
    reason = "clap reads its attributes; the values are taken with their indices"
)]
struct Typed {
    /// Accept clients from this network; of --allow and --deny the first match decides
    #[arg(long, value_name = "CIDR", allow_hyphen_values = true, action = ArgAction::Append, value_parser = parse_network)]
    allow: Vec<IpNet>,

    /// Reset clients from this network
    #[arg(long, value_name = "CIDR", allow_hyphen_values = true, action = ArgAction::Append, value_parser = parse_network)]
    deny: Vec<IpNet>,
}

impl Args for ClientAccess {
    fn augment_args(command: Command) -> Command {
        Typed::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Typed::augment_args_for_update(command)
    }
}

impl FromArgMatches for ClientAccess {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let of = |name: &str, verdict| {
            let networks = matches.get_many::<IpNet>(name).into_iter().flatten();
            let places = matches.indices_of(name).into_iter().flatten();
            let rules: Vec<_> = places
                .zip(networks)
                .map(|(place, &network)| (place, Rule { verdict, network }))
                .collect();
            rules
        };
        let mut rules = of("allow", Verdict::Allow);
        rules.extend(of("deny", Verdict::Deny));
        rules.sort_by_key(|(place, _)| *place);
        let rules = rules.into_iter().map(|(_, rule)| rule).collect();
        Ok(Self(AccessList::new(rules)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

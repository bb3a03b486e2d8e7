//! The command lines of the three tools: the words and the groups of options.

use clap::Parser;

use super::access::ClientOptions;
use super::groups::{
    Common, Dialing, FourWayOptions, InsideOptions, LinkOptions, Messages, OutsideOptions,
};

/// Carry TCP from LISTEN to TARGET
#[derive(Debug, Parser)]
#[command(
    name = "tcpfwd",
    version,
    override_usage = "tcpfwd [OPTIONS] LISTEN TARGET [LISTEN TARGET]..."
)]
pub struct RouteLine {
    /// Where clients connect and where they are taken, in turn; see relay-address(7)
    #[arg(required = true, value_name = "LISTEN TARGET")]
    pub words: Vec<String>,

    /// What is logged.
    #[command(flatten)]
    pub messages: Messages,

    /// How targets are dialled.
    #[command(flatten)]
    pub dialing: Dialing,

    /// What all tools have.
    #[command(flatten)]
    pub common: Common,

    /// Which clients are accepted.
    #[command(flatten)]
    pub clients: ClientOptions,
}

/// Accept clients on CLIENTS and links on LINK, and give each client a link
#[derive(Debug, Parser)]
#[command(
    name = "listen-listen",
    version,
    override_usage = "listen-listen [OPTIONS] [NAME=]CLIENTS... LINK"
)]
pub struct OutsideLine {
    /// Where clients connect; see relay-address(7)
    #[arg(required = true, value_name = "CLIENTS")]
    pub clients: Vec<String>,

    /// Where connect-connect connects
    #[arg(value_name = "LINK")]
    pub link: String,

    /// What is logged.
    #[command(flatten)]
    pub messages: Messages,

    /// What all tools have.
    #[command(flatten)]
    pub common: Common,

    /// What both nodes have.
    #[command(flatten)]
    pub links: LinkOptions,

    /// What this node has.
    #[command(flatten)]
    pub outside: OutsideOptions,

    /// Which clients are accepted.
    #[command(flatten)]
    pub client_options: ClientOptions,

    /// How a 4way LINK is dialled.
    #[command(flatten)]
    pub four_way_options: FourWayOptions,
}

/// Keep links to LINK, and take the clients that they signal to SERVER
#[derive(Debug, Parser)]
#[command(
    name = "connect-connect",
    version,
    override_usage = "connect-connect [OPTIONS] LINK [NAME=]SERVER..."
)]
pub struct InsideLine {
    /// Where listen-listen accepts links; see relay-address(7)
    #[arg(value_name = "LINK")]
    pub link: String,

    /// Where clients are taken
    #[arg(required = true, value_name = "SERVER")]
    pub servers: Vec<String>,

    /// What is logged.
    #[command(flatten)]
    pub messages: Messages,

    /// How links are dialled.
    #[command(flatten)]
    pub dialing: Dialing,

    /// What all tools have.
    #[command(flatten)]
    pub common: Common,

    /// What both nodes have.
    #[command(flatten)]
    pub links: LinkOptions,

    /// What this node has.
    #[command(flatten)]
    pub inside: InsideOptions,
}

/// A command line that says what is logged.
pub trait CommandLine: Parser {
    /// Returns the options of messages.
    fn messages(&self) -> &Messages;
}

impl CommandLine for RouteLine {
    fn messages(&self) -> &Messages {
        &self.messages
    }
}

impl CommandLine for OutsideLine {
    fn messages(&self) -> &Messages {
        &self.messages
    }
}

impl CommandLine for InsideLine {
    fn messages(&self) -> &Messages {
        &self.messages
    }
}

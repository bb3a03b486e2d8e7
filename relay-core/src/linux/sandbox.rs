//! The sandbox that a process enters once everything is bound, before it reads a byte of anybody: no file and no TCP port beyond what
//! it needs ([`files`] and [`ports`], by Landlock), no system call beyond what a relay makes ([`calls`], by seccomp).
//!
//! It is for the day on which a mistake is found in what parses a peer's bytes: whoever makes use of it gets a process that can
//! open no file of interest, start no program and trace nobody. What it could do, it still can: use the sockets it has, and dial the
//! ports that it dials.
//!
//! All of it belongs to a thread and to the threads that it starts. There is only one when the sandbox is entered.

pub mod calls;
pub mod files;
pub mod ports;

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::address::{BindAddress, Proxy, TargetAt, TargetHost, UnixName};
use crate::keyed::Keys;

/// What a process opens while it runs, and what it has to hide. What it has open already stays open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Names are resolved: the C library reads its configuration anew, and loads modules.
    pub names: bool,
    /// Unix sockets of other processes are dialled.
    pub unix_sockets: bool,
    /// And some of them in the abstract namespace.
    pub abstract_sockets: bool,
    /// Messages go to syslog, which tells the time of the place.
    pub syslog: bool,
    /// There is a password or a key in its memory.
    pub secrets: bool,
    /// TCP ports that are dialled.
    pub dialled: BTreeSet<u16>,
    /// TCP ports that dials leave from, where they are bound to one; 0 is one that the system picks.
    pub left_from: BTreeSet<u16>,
    /// Files that are read again.
    pub files: Vec<PathBuf>,
    /// Socket files that are removed, and perhaps made anew.
    pub sockets: Vec<PathBuf>,
}

impl Needs {
    /// And what keys take, which are read again on SIGHUP.
    pub fn holding(mut self, keys: Option<&Keys>) -> Self {
        self.secrets |= keys.is_some();
        self.files.extend(keys.map(|keys| keys.path().to_owned()));
        self
    }

    /// And what dialling these takes, through these proxies.
    pub fn dialling<'t>(
        mut self,
        targets: impl IntoIterator<Item = &'t TargetAt>,
        via: &[Proxy],
    ) -> Self {
        let is_name = |host: &TargetHost| matches!(host, TargetHost::Name(_));
        for target in targets {
            match target {
                TargetAt::Tcp { host, port } => {
                    self.names |= is_name(host);
                    self.dialled.extend(via.is_empty().then_some(*port));
                }
                TargetAt::FourWay {
                    local_port,
                    host,
                    port,
                } => {
                    self.names |= is_name(host);
                    self.dialled.insert(*port);
                    self.left_from.insert(*local_port);
                }
                TargetAt::Unix(name) => {
                    self.unix_sockets = true;
                    self.abstract_sockets |= matches!(name, UnixName::Abstract(_));
                }
                TargetAt::Stdio | TargetAt::Fd { .. } => {}
            }
        }
        // The further ones are dialled by the one before.
        self.dialled.extend(via.first().map(|proxy| proxy.port));
        self.names |= via.iter().any(|proxy| is_name(&proxy.host));
        self.secrets |= via.iter().any(|proxy| proxy.password.is_some());
        self
    }

    /// And what it takes to dial from there.
    pub fn leaving_from(mut self, bind: Option<BindAddress>) -> Self {
        self.left_from
            .extend(bind.map(|bind| bind.port.unwrap_or(0)));
        self
    }

    /// Whether Unix sockets are made: also for syslog, and by modules of the name service.
    fn unix(&self) -> bool {
        self.unix_sockets || !self.sockets.is_empty() || self.syslog || self.names
    }
}

/// Enters the sandbox, as far as the kernel has one; says what it is made of.
///
/// # Errors
/// What could not be done, though the kernel knows how.
pub fn enter(needs: &Needs, program: &'static str, speaks: bool) -> Result<String, String> {
    let files = files::confine(needs)?;
    let ports = ports::confine(needs)?;
    let calls = calls::confine(needs, program, speaks)?;
    Ok(format!("sandbox: {files}, {ports}, {calls}"))
}

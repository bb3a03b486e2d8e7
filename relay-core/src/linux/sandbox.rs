//! The sandbox that a process enters after everything is bound and before it reads the first byte of a peer: no file and no TCP port
//! except those that it needs ([`files`] and [`ports`], by Landlock), and no system call except those of a relay ([`calls`], by seccomp).
//!
//! It limits a fault in the code that parses a peer's bytes: an attacker who takes over the process can open no other file, start no
//! program and trace no process. The process can still use the sockets that it has and dial the ports that it dials.
//!
//! A sandbox belongs to a thread and to the threads that it starts. When the sandbox is entered there is one thread. The threads that
//! resolve names are started between its layers.

mod call_table;
pub mod calls;
pub mod files;
pub mod ports;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What a process opens while it runs, and what it has to hide. What it has open already stays open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Names that are resolved: for that the C library reads its configuration anew, and loads modules.
    pub names: BTreeSet<String>,
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
    /// Whether Unix sockets are made: also for syslog, and by modules of the name service.
    fn unix(&self) -> bool {
        self.unix_sockets || !self.sockets.is_empty() || self.syslog || !self.names.is_empty()
    }
}

/// What came of entering the sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    /// Its layers, as far as the kernel has them.
    pub layers: Vec<&'static str>,
    /// Which layers could not be had, though the kernel knows how.
    pub faults: Vec<String>,
}

/// Enters the sandbox, each of its layers, whatever becomes of the others. `start_threads` is called on the way with what each of
/// the threads has to call first that run code of others.
pub fn enter(
    needs: &Needs,
    program: &'static str,
    speaks: bool,
    start_threads: impl FnOnce(Arc<dyn Fn() + Send + Sync>),
) -> Entered {
    let mut entered = Entered::default();
    entered.note(files::confine(needs));
    entered.note(ports::confine(needs));
    start_threads(Arc::new(calls::for_threads(needs)));
    entered.note(calls::confine(needs, program, speaks));
    entered
}

impl Entered {
    fn note(&mut self, layer: Result<&'static str, String>) {
        match layer {
            Ok(layer) => self.layers.push(layer),
            Err(fault) => self.faults.push(fault),
        }
    }
}

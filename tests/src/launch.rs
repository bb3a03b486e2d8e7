//! Starting a program so that it cannot outlive its test.
//!
//! Each child is the leader of a session of its own. It therefore has no controlling terminal unless a test gives it one, and all
//! that it forks can be killed with it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::setsid;

use crate::program;
use crate::running::{Outcome, Running};

/// A command line about to be run. Standard input is `/dev/null`; output and errors are recorded.
pub struct Launch {
    command: Command,
    name: String,
    terminal: Terminal,
    network: Option<OwnedFd>,
    realtime: bool,
}

impl Launch {
    /// The command `line`, split at blanks: nothing in it is quoted or expanded. Our own programs are found by
    /// name, for the programs that start them too.
    pub fn new(line: &str) -> Launch {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a command line names a program");
        Launch::program(name).words(words)
    }

    /// The program `name`, without arguments yet.
    pub fn program(name: &str) -> Launch {
        let mut command = Command::new(program::path(name));
        command
            .env("PATH", program::search_path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Launch {
            command,
            name: name.to_owned(),
            terminal: Terminal::None,
            network: None,
            realtime: false,
        }
    }

    /// The command `line` of a shell, with its pipes and redirections. Its `$1` and on are the words added.
    pub fn shell(line: &str) -> Launch {
        Launch::new("sh -c").words([line, "sh"])
    }

    /// Adds one word, blanks and all.
    pub fn word(mut self, word: impl AsRef<OsStr>) -> Launch {
        self.command.arg(word);
        self
    }

    /// Adds words.
    pub fn words(mut self, words: impl IntoIterator<Item: AsRef<OsStr>>) -> Launch {
        self.command.args(words);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Launch {
        self.command.env(name, value);
        self
    }

    /// Runs in `directory`.
    pub fn directory(mut self, directory: &Path) -> Launch {
        self.command.current_dir(directory);
        self
    }

    /// Sets descriptor 0.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Launch {
        self.command.stdin(stdin);
        self
    }

    /// Sets descriptor 1, which is then not recorded.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Launch {
        self.command.stdout(stdout);
        self
    }

    /// Sets descriptor 2, which is then not recorded.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Launch {
        self.command.stderr(stderr);
        self
    }

    /// Makes the terminal that was given as descriptor 0 the controlling one.
    pub fn with_controlling_terminal(mut self) -> Launch {
        self.terminal = Terminal::Stdin;
        self
    }

    /// Runs in the network namespace that `network` is a descriptor of.
    pub fn network(mut self, network: OwnedFd) -> Launch {
        self.network = Some(network);
        self
    }

    /// Gives the program real-time priority (SCHED_FIFO), if this user may do that. It is for tests that depend on the exact
    /// moment, on a machine that is busy with other tests.
    pub fn realtime(mut self) -> Launch {
        self.realtime = true;
        self
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running {
        confine(
            &mut self.command,
            self.terminal,
            self.network,
            self.realtime,
        );
        let child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("unable to start {}: {error}", self.name));
        Running::new(self.name, child)
    }

    /// Starts it and waits for its end.
    pub fn run(self) -> Outcome {
        self.spawn().finish()
    }
}

#[derive(Clone, Copy)]
enum Terminal {
    None,
    Stdin,
}

/// Makes the child the leader of a session of its own. The kernel kills it when the thread that started it ends, because a
/// test that is killed runs no destructors. The child ignores no signal, even if the tests run in the background or under nohup.
/// With `network`, it enters that network.
#[allow(
    unsafe_code,
    reason = "the one place of the tests that acts between fork and exec"
)]
fn confine(command: &mut Command, terminal: Terminal, network: Option<OwnedFd>, realtime: bool) {
    // SAFETY: the closure makes a few system calls, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            for ignored in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
                signal(ignored, SigHandler::SigDfl)?;
            }
            set_pdeathsig(Signal::SIGKILL)?;
            if let Some(network) = &network {
                setns(network, CloneFlags::CLONE_NEWNET)?;
            }
            if realtime {
                let lowest = libc::sched_param { sched_priority: 1 };
                libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const lowest);
            }
            match terminal {
                Terminal::Stdin if libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 => {
                    Err(io::Error::last_os_error())
                }
                Terminal::Stdin | Terminal::None => Ok(()),
            }
        });
    }
}

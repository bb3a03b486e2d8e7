//! A child process and its guard. When the guard is dropped, the child and all processes that it forked are killed.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ExitStatus};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::kernel;
use crate::timeouts::{TIMEOUT, some_within};
use crate::transcript::Transcript;

/// A program that runs, and what it has written so far.
///
/// The kernel kills the child when the thread that launched it ends, so the guard must stay in that thread.
pub struct Running {
    name: String,
    child: Child,
    /// What it wrote on descriptor 1, where that is recorded.
    pub stdout: Transcript,
    /// What it wrote on descriptor 2, where that is recorded.
    pub stderr: Transcript,
}

/// The exit status and the output of a program that has ended.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status, or 128 plus the number of the signal that ended it.
    pub code: i32,
    /// All it wrote on descriptor 1.
    pub stdout: Vec<u8>,
    /// All it wrote on descriptor 2.
    pub stderr: String,
}

impl Running {
    pub(crate) fn new(name: String, mut child: Child) -> Running {
        let stdout = Transcript::of(child.stdout.take());
        let stderr = Transcript::of(child.stderr.take());
        Running {
            name,
            child,
            stdout,
            stderr,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(
            self.child
                .id()
                .try_into()
                .expect("process ids are positive"),
        )
    }

    /// The writing end of its standard input, where that is a pipe; dropping it is the end of file.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.child
            .stdin
            .take()
            .expect("standard input is a pipe, and taken once")
    }

    /// Sends `signal` to the program alone.
    pub fn signal(&self, signal: Signal) {
        signal::kill(self.pid(), signal)
            .unwrap_or_else(|error| panic!("{self}: {signal}: {error}"));
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Waits for its end and returns the exit status, as a shell would give it.
    pub fn exit_code(&mut self) -> i32 {
        self.exit_code_within(TIMEOUT)
    }

    /// Waits for its end and collects what it wrote.
    pub fn finish(self) -> Outcome {
        self.finish_within(TIMEOUT)
    }

    /// Waits for its end as [`Running::finish`] does, up to `timeout`.
    pub fn finish_within(mut self, timeout: Duration) -> Outcome {
        let code = self.exit_code_within(timeout);
        Outcome {
            code,
            stdout: self.stdout.wait_for_end(),
            stderr: text(self.stderr.wait_for_end()),
        }
    }

    fn exit_code_within(&mut self, timeout: Duration) -> i32 {
        let what = format!("{self} ends");
        let status = some_within(timeout, &what, || self.ended());
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().expect("ended by a status or by a signal"))
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("the child is ours to wait for")
    }

    fn report(&self) {
        // Not eprintln: that would lose the report of a guard in a helper thread.
        let _ = writeln!(io::stderr(), "--- {self} wrote:\n{}---", self.stderr.text());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // In the dev profile a panic ends its thread and not the program, which may go on as if nothing had happened.
        let has_panicked = has_panicked(&self.stderr.text());
        if thread::panicking() || has_panicked {
            self.report();
        }
        // Its children may lead process groups of their own, and a group outlives a leader that has forked. An error means that
        // no process is left.
        for descendant in kernel::descendants(self.pid()) {
            let _ = signal::kill(descendant, Signal::SIGKILL);
        }
        let _ = signal::killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
        assert!(!has_panicked || thread::panicking(), "{self} panicked");
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid())
    }
}

fn has_panicked(stderr: &str) -> bool {
    stderr
        .lines()
        .any(|line| line.starts_with("thread '") && line.contains(" panicked at "))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("messages are UTF-8")
}

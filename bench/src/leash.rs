//! A process that does not outlive the one that started it, and that inherits no descriptor but the first three.
//!
//! Doing this between fork and exec would be unsafe code; a program that does it and then becomes the other one
//! needs none. The children of that other one are not bound by the signal: those are killed by [`crate::relay`], or
//! with their namespace.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::close;

use crate::result::Result;

/// The command that runs `command` on a leash.
pub(crate) fn on_leash(command: &Command) -> Result<Command> {
    let mut leashed = Command::new(std::env::current_exe()?);
    leashed
        .arg("leash")
        .arg(command.get_program())
        .args(command.get_args());
    Ok(leashed)
}

/// Becomes `command`. It is killed as soon as the thread that started this process has ended.
pub(crate) fn become_command(command: &[String]) -> Result<()> {
    let (program, args) = command.split_first().ok_or("no command")?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    close_inherited()?;
    Err(format!(
        "unable to run {program}: {}",
        Command::new(program).args(args).exec()
    )
    .into())
}

/// Stdin is a pipe from the process that runs the rounds. When that process ends, however it does, the pipe does,
/// and with this process its namespace and all relays.
pub(crate) fn end_with_stdin() {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

/// A shell or make(1) may have left descriptors open in all its children. A contestant that forks would have them
/// once for each session, and they would be counted.
fn close_inherited() -> Result<()> {
    let names = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let descriptors: Vec<i32> = names.filter_map(|name| name.parse().ok()).collect();
    for descriptor in descriptors.into_iter().filter(|descriptor| *descriptor > 2) {
        let _ = close(descriptor); // the one that listed the others is closed already
    }
    Ok(())
}

//! Processes that do not outlive the process that started them and inherit only descriptors 0, 1 and 2.
//!
//! To do this between fork and exec needs unsafe code. Instead this program starts itself, prepares the process and then
//! executes the command. The signal does not reach the children of the command: [`crate::relay`] kills these, or they end
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

/// Returns a command that runs `command` on a leash.
pub(crate) fn on_leash(command: &Command) -> Result<Command> {
    let mut leashed = Command::new(std::env::current_exe()?);
    leashed
        .arg("leash")
        .arg(command.get_program())
        .args(command.get_args());
    Ok(leashed)
}

/// Executes `command` in this process. The kernel kills it when the thread that started this process ends.
pub(crate) fn become_command(command: &[String]) -> Result<()> {
    let (program, args) = command.split_first().ok_or("no command is given")?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    close_inherited()?;
    Err(format!(
        "unable to run {program}: {}",
        Command::new(program).args(args).exec()
    )
    .into())
}

/// Exits when stdin reaches end of file. Stdin is a pipe from the process that runs the rounds. When that process ends
/// for any reason, this process ends too, and with it its namespace and all relays.
pub(crate) fn end_with_stdin() {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

/// Closes inherited descriptors. A shell or make(1) may leave some open in its children. A contestant that forks would
/// hold them once per session, and they would be counted.
fn close_inherited() -> Result<()> {
    let names = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let descriptors: Vec<i32> = names.filter_map(|name| name.parse().ok()).collect();
    for descriptor in descriptors.into_iter().filter(|descriptor| *descriptor > 2) {
        let _ = close(descriptor); // the descriptor of the directory is closed already
    }
    Ok(())
}

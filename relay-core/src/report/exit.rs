//! Exit statuses.

use std::process::{ExitCode, Termination};

/// How the process ends (the exit status of ucspi-tcp's tools).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Usage, or a permanent fault of the command line.
    Permanent = 100,
    /// A fault that may pass, or one of the system.
    Temporary = 111,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

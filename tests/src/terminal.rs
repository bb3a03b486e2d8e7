//! A terminal (a pseudo-terminal, pty(7)), with the test at its keyboard.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;

use crate::transcript::Transcript;

/// A terminal. It hangs up when it is dropped, unless its screen is watched.
pub struct Terminal {
    keyboard: File,
    line: OwnedFd,
}

impl Terminal {
    /// A terminal in its usual mode: it echoes, and hands over whole lines.
    pub fn open() -> Terminal {
        // Not openpty: no program may inherit the master, because a terminal hangs up when its last copy is closed.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let keyboard = posix_openpt(flags).expect("a terminal can be had");
        grantpt(&keyboard).expect("it is ours");
        unlockpt(&keyboard).expect("it is ours");
        let name = ptsname_r(&keyboard).expect("it has a name");
        let line = open(name.as_str(), flags, Mode::empty()).expect("its other side can be opened");
        Terminal {
            keyboard: File::from(OwnedFd::from(keyboard)),
            line,
        }
    }

    /// What appears on its screen from now on, the echo of what is typed included.
    pub fn watch_screen(&self) -> Transcript {
        Transcript::of(Some(
            self.keyboard
                .try_clone()
                .expect("a descriptor can be doubled"),
        ))
    }

    /// A descriptor of the terminal, for a program.
    pub fn descriptor(&self) -> OwnedFd {
        self.line.try_clone().expect("a descriptor can be doubled")
    }

    /// The descriptor that the test keeps; it shares its flags with those of the programs.
    pub fn shared(&self) -> impl AsFd {
        &self.line
    }

    /// Types `keys`.
    pub fn type_in(&self, keys: &[u8]) {
        (&self.keyboard)
            .write_all(keys)
            .expect("a terminal takes keys");
    }
}

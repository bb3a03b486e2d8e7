//! Signals as readable events (signalfd(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// TERM or INT, or HUP with a controlling terminal: end in an orderly way; the second time at once.
    Terminate,
    /// HUP without a controlling terminal: dial now what waits.
    Reload,
    /// USR1: say how things are.
    Status,
}

/// The signals that the loop serves. They are blocked in every thread that is started later.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    hangup: Request,
}

impl Signals {
    /// Blocks the signals that are not ignored already, as nohup(1) does with HUP.
    pub fn new() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGUSR1,
        ] {
            if !is_ignored(signal)? {
                set.add(signal);
            }
        }
        let mut blocked = set;
        // A file that may grow no further (RLIMIT_FSIZE) is a failed write, and nothing to end for: the log may be such a file.
        blocked.add(Signal::SIGXFSZ);
        blocked.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // A momentary route dies with its terminal.
        let has_terminal = std::fs::File::open("/dev/tty").is_ok();
        let hangup = if has_terminal {
            Request::Terminate
        } else {
            Request::Reload
        };
        Ok(Self { fd, hangup })
    }

    /// The next signal that came.
    pub fn receive(&mut self) -> Option<Request> {
        loop {
            let number = self.fd.read_signal().ok()??.ssi_signo;
            match Signal::try_from(number as i32) {
                Ok(Signal::SIGTERM | Signal::SIGINT) => return Some(Request::Terminate),
                Ok(Signal::SIGHUP) => return Some(self.hangup),
                Ok(Signal::SIGUSR1) => return Some(Request::Status),
                _ => {}
            }
        }
    }

    /// For epoll.
    pub fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[allow(
    unsafe_code,
    reason = "sigaction(2) has no safe wrapper that only reads"
)]
fn is_ignored(signal: Signal) -> io::Result<bool> {
    let mut action: std::mem::MaybeUninit<libc::sigaction> = std::mem::MaybeUninit::uninit();
    // SAFETY: with a null new action nothing is changed, and the kernel fills in `action`, which outlives the call.
    let result = unsafe { libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr()) };
    Errno::result(result)?;
    // SAFETY: the call succeeded, so `action` is filled in.
    let handler = unsafe { action.assume_init() }.sa_sigaction;
    Ok(handler == libc::SIG_IGN)
}

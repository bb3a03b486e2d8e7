//! Descriptors that the process was started with.
//!
//! They are moved away from 0, 1 and 2, and /dev/null is put there: so a stray print never reaches a client, and closing an end
//! really closes it. Under inetd descriptor 2 is the client's socket too.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::isatty;
use socket2::SockRef;

use super::accepted::{Accepted, Peer};
use super::end::{End, Medium};
use super::options::{Purpose, prepare};
use crate::config::address::{ListenAt, ListenPoint, Target, TargetAt};
use crate::protocol::addresses::Addresses;
use crate::protocol::ucspi;
use crate::report::{self, Report};

/// The connection that a word to listen on stands for.
pub fn point(point: &ListenPoint, purpose: Purpose) -> Result<End, String> {
    let end = match &point.at {
        ListenAt::Fd { read, write } => connection(*read, *write, purpose),
        _ => stdio(purpose),
    };
    end.map_err(|error| unable_to_use(&point.word, &error))
}

/// [`point`], as if it had just been accepted.
pub fn connected(word: &ListenPoint, purpose: Purpose) -> Result<Accepted, String> {
    let end = point(word, purpose)?;
    let peer = end.peer_address().map_or(Peer::Inherited, Peer::Tcp);
    Ok(Accepted {
        end,
        peer,
        told: None,
    })
}

/// [`connected`], for a client: on stdin and stdout, a UCSPI server's environment knows it better than the kernel, which may know a
/// pipe to whoever ends TLS, or a proxy whose header is taken already.
pub fn client(word: &ListenPoint, report: &Report) -> Result<Accepted, String> {
    let accepted = connected(word, Purpose::Session)?;
    let told = match word.at {
        ListenAt::Stdio => ucspi::read(|name| std::env::var_os(name)),
        _ => Ok(None),
    };
    let told = told.unwrap_or_else(|invalid| {
        report.info(format_args!("the client's address is not known: {invalid}"));
        None
    });
    let addresses = |told: ucspi::UcspiAddresses| {
        let local = told.local.or_else(|| accepted.end.local_address());
        Addresses::new(told.client, local.unwrap_or(unspecified(told.client)))
    };
    Ok(Accepted {
        told: told.map(addresses),
        ..accepted
    })
}

/// The address that stands for any, of the other's family.
fn unspecified(other: SocketAddr) -> SocketAddr {
    match other {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// The connection that a word to dial stands for, if it is not to be dialled.
pub fn target(target: &Target, purpose: Purpose) -> Option<io::Result<End>> {
    match &target.at {
        TargetAt::Stdio => Some(stdio(purpose)),
        TargetAt::Fd { read, write } => Some(connection(*read, *write, purpose)),
        TargetAt::Tcp { .. } | TargetAt::FourWay { .. } | TargetAt::Unix(_) => None,
    }
}

/// The connection on descriptors 0 and 1.
pub fn stdio(purpose: Purpose) -> io::Result<End> {
    connection(0, 1, purpose)
}

/// The connection that is read from one descriptor and written to another.
pub fn connection(read: RawFd, write: RawFd, purpose: Purpose) -> io::Result<End> {
    let connection = inode(read)?;
    let same_socket = is_socket(read) && is_socket(write) && connection == inode(write)?;
    let (read_fd, read_medium) = take(read, purpose)?;
    let end = if same_socket {
        if write != read {
            vacate(write)?;
        }
        let is_unix = SockRef::from(&read_fd)
            .local_addr()
            .is_ok_and(|address| address.is_unix());
        if is_unix {
            End::unix(read_fd)
        } else {
            End::socket(read_fd)
        }
    } else if write == read {
        let write_fd = read_fd.try_clone()?;
        End::pair((read_fd, read_medium), (write_fd, read_medium))
    } else {
        End::pair((read_fd, read_medium), take(write, purpose)?)
    };
    if same_socket && inode(2).is_ok_and(|inode| inode == connection) {
        vacate(2)?;
    }
    Ok(end)
}

/// The inherited socket, non-blocking.
pub fn listener(fd: RawFd) -> io::Result<OwnedFd> {
    let (fd, medium) = take(fd, Purpose::Session)?;
    if medium == Medium::Socket {
        Ok(fd)
    } else {
        Err(nix::errno::Errno::ENOTSOCK.into())
    }
}

/// Moves a descriptor out of the way, with what its kind needs.
fn take(fd: RawFd, purpose: Purpose) -> io::Result<(OwnedFd, Medium)> {
    let taken = duplicate(fd)?;
    let kind = SFlag::from_bits_truncate(fstat(&taken)?.st_mode) & SFlag::S_IFMT;
    vacate(fd)?;
    let medium = match kind {
        SFlag::S_IFSOCK => {
            let flags = OFlag::from_bits_retain(fcntl(&taken, FcntlArg::F_GETFL)?);
            fcntl(&taken, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
            // A Unix socket has none of these.
            let _ = prepare(&taken, purpose);
            Medium::Socket
        }
        SFlag::S_IFREG | SFlag::S_IFBLK => Medium::File,
        SFlag::S_IFCHR if isatty(&taken).unwrap_or(false) => {
            // A terminal can block though it is ready. Opened anew it has flags of its own, which nobody shares.
            let path = format!("/proc/self/fd/{}", taken.as_raw_fd());
            let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            return match open(path.as_str(), flags, Mode::empty()) {
                Ok(own) => Ok((own, Medium::Terminal)),
                Err(_) => Ok((taken, Medium::Stream)),
            };
        }
        _ => Medium::Stream,
    };
    Ok((taken, medium))
}

/// Puts /dev/null in the place of a standard descriptor; closes any other.
pub fn vacate(fd: RawFd) -> io::Result<()> {
    if fd > 2 {
        nix::unistd::close(fd)?;
        return Ok(());
    }
    let null = File::options().read(true).write(true).open("/dev/null")?;
    match fd {
        0 => nix::unistd::dup2_stdin(null)?,
        1 => nix::unistd::dup2_stdout(null)?,
        _ => nix::unistd::dup2_stderr(null)?,
    }
    Ok(())
}

#[allow(
    unsafe_code,
    reason = "a number from the command line becomes a descriptor here"
)]
/// A second descriptor of the same file, above the standard ones.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl(2) refuses a number that is no open descriptor, and the borrow ends with the call.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let taken = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(taken) })
}

fn is_socket(fd: RawFd) -> bool {
    with_fd(fd, |fd| fstat(fd)).is_ok_and(|stat| {
        SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK
    })
}

fn inode(fd: RawFd) -> io::Result<(u64, u64)> {
    let stat = with_fd(fd, |fd| fstat(fd))?;
    Ok((stat.st_dev, stat.st_ino))
}

#[allow(
    unsafe_code,
    reason = "a number from the command line is asked about here"
)]
fn with_fd<T>(fd: RawFd, ask: impl FnOnce(BorrowedFd<'_>) -> nix::Result<T>) -> nix::Result<T> {
    // SAFETY: fstat(2) refuses a number that is no open descriptor, and the borrow ends with the call.
    ask(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Returns the message for a word whose inherited descriptor cannot be used.
pub fn unable_to_use(word: &str, error: &io::Error) -> String {
    format!("unable to use {word}: {}", report::reason(error))
}

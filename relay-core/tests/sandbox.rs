//! What cannot be done in the sandbox, and what can: each try is a process of its own, this program again, which enters it first.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on says so and fails"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use relay_core::linux::sandbox::{self, Needs};

/// What a process tries to do in a sandbox.
struct Try {
    name: &'static str,
    needs: fn() -> Needs,
    act: fn() -> io::Result<()>,
}

const TRIES: &[Try] = &[
    Try {
        name: "read",
        needs: Needs::default,
        act: || fs::read("/etc/passwd").map(drop),
    },
    Try {
        name: "write",
        needs: Needs::default,
        act: || fs::write(scratch().join("new"), "text"),
    },
    Try {
        name: "list",
        needs: Needs::default,
        act: || fs::read_dir("/").map(drop),
    },
    Try {
        name: "remove",
        needs: Needs::default,
        act: || fs::remove_file(scratch().join("old")),
    },
    Try {
        name: "read a needed file",
        needs: || Needs {
            files: vec![scratch().join("old")],
            ..Needs::default()
        },
        act: || fs::read(scratch().join("old")).map(drop),
    },
    Try {
        name: "read a needed file whose name is a link",
        needs: || Needs {
            files: vec![scratch().join("link")],
            ..Needs::default()
        },
        act: || fs::read(scratch().join("link")).map(drop),
    },
    Try {
        name: "write a needed file",
        needs: || Needs {
            files: vec![scratch().join("old")],
            ..Needs::default()
        },
        act: || fs::write(scratch().join("old"), "text"),
    },
    Try {
        name: "remove a socket and make it anew",
        needs: || Needs {
            sockets: vec![scratch().join("old")],
            ..Needs::default()
        },
        act: || {
            fs::remove_file(scratch().join("old"))?;
            UnixListener::bind(scratch().join("old")).map(drop)
        },
    },
    Try {
        name: "resolve a name in a thread",
        needs: with_names,
        act: || {
            let found =
                in_the_thread(|| ("localhost", 80).to_socket_addrs().map(|mut it| it.next()));
            match found? {
                Some(_) => Ok(()),
                None => Err(io::Error::other("no address")),
            }
        },
    },
    Try {
        name: "step outside in a thread that resolves names",
        needs: with_names,
        act: || in_the_thread(|| env::set_current_dir("/")),
    },
    Try {
        name: "start a program in a thread that resolves names",
        needs: with_names,
        act: || in_the_thread(|| Command::new("/bin/true").status().map(drop)),
    },
    Try {
        name: "dial a needed port",
        needs: || Needs {
            dialled: BTreeSet::from([listener().port()]),
            ..Needs::default()
        },
        act: || TcpStream::connect(listener()).map(drop),
    },
    Try {
        name: "dial from a needed port",
        needs: || Needs {
            dialled: BTreeSet::from([listener().port()]),
            left_from: BTreeSet::from([0]),
            ..Needs::default()
        },
        act: || dial_from_a_bound_port(listener()),
    },
    Try {
        name: "dial",
        needs: Needs::default,
        act: || TcpStream::connect(listener()).map(drop),
    },
    Try {
        name: "dial another port",
        needs: || Needs {
            dialled: BTreeSet::from([1]),
            ..Needs::default()
        },
        act: || TcpStream::connect(listener()).map(drop),
    },
    Try {
        name: "dial from another port",
        needs: || Needs {
            dialled: BTreeSet::from([listener().port()]),
            ..Needs::default()
        },
        act: || dial_from_a_bound_port(listener()),
    },
    Try {
        name: "listen",
        needs: Needs::default,
        act: || TcpListener::bind("127.0.0.1:0").map(drop),
    },
    Try {
        name: "start a program",
        needs: Needs::default,
        act: || Command::new("/bin/true").status().map(drop),
    },
    Try {
        name: "become another program",
        needs: Needs::default,
        act: || {
            use std::os::unix::process::CommandExt as _;
            Err(Command::new("/bin/true").exec())
        },
    },
    Try {
        name: "change the root",
        needs: Needs::default,
        act: || nix::unistd::chroot("/").map_err(io::Error::from),
    },
    Try {
        name: LAYER_FAILS,
        needs: Needs::default,
        act: || nix::unistd::chroot("/").map_err(io::Error::from),
    },
    Try {
        name: "make a raw socket",
        needs: Needs::default,
        act: || {
            use socket2::{Domain, Socket, Type};
            Socket::new(Domain::PACKET, Type::RAW, None).map(drop)
        },
    },
    Try {
        name: "make a raw socket of IP",
        needs: with_names,
        act: || make_socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_TCP),
    },
    Try {
        name: "make a socket of several paths",
        needs: with_names,
        act: || make_socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
    },
    Try {
        name: "make a socket for datagrams",
        needs: Needs::default,
        act: || make_socket(libc::AF_INET, libc::SOCK_DGRAM, 0),
    },
    Try {
        name: "map code",
        needs: Needs::default,
        act: || map_code(),
    },
    Try {
        name: "map code of the name service",
        needs: with_names,
        act: || map_code(),
    },
    Try {
        name: "look at the limits of another process",
        needs: Needs::default,
        act: || limits_of(1),
    },
    Try {
        name: "look at limits",
        needs: Needs::default,
        act: || limits_of(0),
    },
    Try {
        name: "make a Unix socket",
        needs: Needs::default,
        act: || make_socket(libc::AF_UNIX, libc::SOCK_STREAM, 0),
    },
    Try {
        name: "make the sockets of needs",
        needs: || Needs {
            unix_sockets: true,
            ..with_names()
        },
        act: || {
            make_socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
            make_socket(libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDP)?;
            make_socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP)
        },
    },
    Try {
        name: "dial by sending",
        needs: Needs::default,
        act: || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            socket
                .send_to_with_flags(b"hello", &listener().into(), libc::MSG_FASTOPEN)
                .map(drop)
        },
    },
    Try {
        name: "dial by sending what is gathered",
        needs: Needs::default,
        act: || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            let bytes = [io::IoSlice::new(b"hello")];
            socket
                .send_to_vectored_with_flags(&bytes, &listener().into(), libc::MSG_FASTOPEN)
                .map(drop)
        },
    },
    Try {
        name: "panic with a backtrace",
        needs: Needs::default,
        act: || {
            let panicked = thread::spawn(|| {
                drop(env::current_dir());
                panic!("{}", std::backtrace::Backtrace::force_capture());
            });
            drop(panicked.join());
            Ok(())
        },
    },
];

#[test]
fn no_file_can_be_opened_but_what_is_needed() {
    for name in ["read", "write", "list", "remove", "write a needed file"] {
        let outcome = attempt(name);
        assert_eq!(
            outcome.said(),
            "failed: Permission denied (os error 13)",
            "{name}"
        );
    }
}

#[test]
fn no_port_can_be_dialled_or_bound_but_what_is_needed() {
    for name in [
        "dial",
        "dial another port",
        "dial from another port",
        "listen",
    ] {
        let outcome = attempt(name);
        assert_eq!(
            outcome.said(),
            "failed: Permission denied (os error 13)",
            "{name}"
        );
    }
}

#[test]
fn what_is_needed_works() {
    for name in [
        "read a needed file",
        "read a needed file whose name is a link",
        "remove a socket and make it anew",
        "resolve a name in a thread",
        "dial a needed port",
        "dial from a needed port",
        "make the sockets of needs",
        "map code of the name service",
        "look at limits",
        "panic with a backtrace",
    ] {
        assert_eq!(attempt(name).said(), "done", "{name}");
    }
}

#[test]
fn a_system_call_outside_ends_the_process_with_a_line_that_names_it() {
    for (name, call) in [
        ("become another program", "execve"),
        ("change the root", "chroot"),
        ("make a raw socket", "socket"),
        ("make a raw socket of IP", "socket"),
        ("make a socket of several paths", "socket"),
        ("make a socket for datagrams", "socket"),
        ("make a Unix socket", "socket"),
        ("map code", "mmap"),
        ("look at the limits of another process", "prlimit64"),
        ("dial by sending", "sendto"),
        ("dial by sending what is gathered", "sendmsg"),
    ] {
        let outcome = attempt(name);
        let expected = format!("({call}) is outside the sandbox");
        assert!(
            outcome.stderr.contains(&expected),
            "{name}: {}",
            outcome.stderr
        );
        assert_eq!(outcome.code, Some(111), "{name}");
    }
}

#[test]
fn a_system_call_outside_ends_the_process_though_nobody_reads_of_it() {
    let (_reader, writer) = io::pipe().unwrap();
    fill(&writer);
    let mut tried = command("change the root").stderr(writer).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    let status = loop {
        match tried.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > until => break None,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let _ = tried.kill();
    assert_eq!(status.and_then(|status| status.code()), Some(111));
}

/// Until the pipe takes no further byte.
fn fill(pipe: &io::PipeWriter) {
    let set = |flags| fcntl(pipe, FcntlArg::F_SETFL(flags)).unwrap();
    set(OFlag::O_NONBLOCK);
    for bytes in [&[0; 4096][..], &[0]] {
        while nix::unistd::write(pipe, bytes).is_ok() {}
    }
    set(OFlag::empty());
}

#[test]
fn a_system_call_outside_fails_in_a_thread_that_resolves_names_and_the_process_goes_on() {
    for name in [
        "step outside in a thread that resolves names",
        "start a program in a thread that resolves names",
    ] {
        let said = attempt(name);
        let expected = "failed: Operation not permitted (os error 1)";
        assert_eq!(said.said(), expected, "{name}");
    }
}

#[test]
fn a_layer_that_fails_is_told_and_keeps_the_others() {
    let outcome = attempt(LAYER_FAILS);
    for expected in [
        "unable to confine files: ",
        "unable to confine ports: ",
        r#"layers: ["system calls by seccomp"]"#,
        "(chroot) is outside the sandbox",
    ] {
        let stderr = &outcome.stderr;
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
}

// The C library blocks all signals while it makes a process: there the kernel ends this one, by SIGSYS and without a line.
#[test]
fn no_program_can_be_started() {
    let outcome = attempt("start a program");
    assert_eq!(outcome.signal, Some(SIGSYS), "{}", outcome.stderr);
}

/// Not a test of its own: what the others start.
#[test]
fn try_it() {
    let Ok(name) = env::var(TRY) else {
        return;
    };
    let tried = TRIES.iter().find(|tried| tried.name == name).unwrap();
    listener();
    if name == LAYER_FAILS {
        for _ in 0..LANDLOCK_DOMAINS_MAX {
            sandbox::ports::confine(&Needs::default()).unwrap();
        }
    }
    let entered = sandbox::enter(&(tried.needs)(), "try", true, start_thread);
    if entered.layers
        != [
            "files by landlock",
            "ports by landlock",
            "system calls by seccomp",
        ]
    {
        eprintln!("{SAID}partial: {entered:?}");
    }
    match (tried.act)() {
        Ok(()) => eprintln!("{SAID}done"),
        Err(error) => eprintln!("{SAID}failed: {error}"),
    }
    // The harness would do more than a sandboxed relay may.
    std::process::exit(0);
}

struct Outcome {
    code: Option<i32>,
    signal: Option<i32>,
    stderr: String,
}

impl Outcome {
    fn said(&self) -> &str {
        let line = self.stderr.lines().find_map(|line| line.split(SAID).nth(1));
        line.unwrap_or_else(|| panic!("it said nothing: {}", self.stderr))
    }
}

fn attempt(name: &str) -> Outcome {
    let scratch = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    File::create(scratch.path().join("old")).unwrap();
    File::create(elsewhere.path().join("target")).unwrap();
    symlink(elsewhere.path().join("target"), scratch.path().join("link")).unwrap();
    let Output { status, stderr, .. } =
        command(name).env(SCRATCH, scratch.path()).output().unwrap();
    Outcome {
        code: status.code(),
        signal: status.signal(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

fn command(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "try_it", "--nocapture", "--test-threads=1"])
        .env(TRY, name);
    command
}

/// Somebody who listens, for as long as this process runs.
fn listener() -> SocketAddr {
    static LISTENER: OnceLock<TcpListener> = OnceLock::new();
    let listener = LISTENER.get_or_init(|| TcpListener::bind("127.0.0.1:0").unwrap());
    listener.local_addr().unwrap()
}

/// Starts a thread that does what it is sent.
fn start_thread(enter: Arc<dyn Fn() + Send + Sync>) {
    let (order, orders) = mpsc::channel::<Order>();
    thread::spawn(move || {
        enter();
        for order in orders {
            order();
        }
    });
    THREAD.set(order).expect("there is one");
}

/// Lets that thread do it.
fn in_the_thread<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (answer, answers) = mpsc::channel();
    let order = Box::new(move || drop(answer.send(act())));
    THREAD.get().unwrap().send(order).unwrap();
    answers.recv().unwrap()
}

type Order = Box<dyn FnOnce() + Send>;
static THREAD: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

fn with_names() -> Needs {
    Needs {
        names: BTreeSet::from(["localhost".to_owned()]),
        ..Needs::default()
    }
}

#[allow(unsafe_code, reason = "code is mapped by no safe call")]
fn map_code() -> io::Result<()> {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_EXEC,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: maps a page of its own, which nobody uses.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    match page {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[allow(unsafe_code, reason = "prlimit(2) has no wrapper")]
fn limits_of(process: u32) -> io::Result<()> {
    let (mut old, process) = (
        libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        },
        process.cast_signed(),
    );
    // SAFETY: the kernel writes a limit to `old`, which outlives the call.
    let got = unsafe { libc::prlimit(process, libc::RLIMIT_CORE, std::ptr::null(), &raw mut old) };
    match got {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn make_socket(family: i32, kind: i32, protocol: i32) -> io::Result<()> {
    socket2::Socket::new(family.into(), kind.into(), Some(protocol.into())).map(drop)
}

fn dial_from_a_bound_port(address: SocketAddr) -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    let from: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&from.into())?;
    socket.connect(&address.into())
}

fn scratch() -> PathBuf {
    Path::new(&env::var_os(SCRATCH).unwrap()).to_owned()
}

const PATIENCE: Duration = Duration::from_secs(10);
/// landlock(7): as many can be stacked.
const LANDLOCK_DOMAINS_MAX: usize = 16;
const LAYER_FAILS: &str = "enter where a layer fails";
const TRY: &str = "SANDBOX_TRY";
const SCRATCH: &str = "SANDBOX_SCRATCH";
const SIGSYS: i32 = libc::SIGSYS;
const SAID: &str = "the try: ";

//! Which system calls may be made (seccomp(2)).
//!
//! The list is in groups, each with its reason; a call that is new to the relay, or to the C library below it, goes where its reason
//! is. A call outside the list ends the process with a line that names it; without one where the C library has blocked all signals, as
//! it does while it makes a process. In a thread that resolves names it only fails.
#![allow(
    unsafe_code,
    reason = "a handler of signals is set, and reads what the kernel tells it"
)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the list of system calls is that of 64-bit processors: add those that others have");

use std::collections::BTreeMap;
use std::sync::OnceLock;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::Needs;
use super::call_table::{ALWAYS, PR_SET_VMA, TCGETS2};
use crate::report::{Exit, last_words};

/// Lets this thread make the calls of the list and no others; says how far the kernel sees to that. Whoever steps outside ends, with
/// a line from `program` if it `speaks`.
pub fn confine(needs: &Needs, program: &'static str, speaks: bool) -> Result<&'static str, String> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok("all system calls: no filter is known for this processor");
    };
    let unable = |error: &dyn std::fmt::Display| format!("unable to confine system calls: {error}");
    let filters = filters(needs, SeccompAction::Trap, arch).map_err(|error| unable(&error))?;
    let _ = SPEAKER.set(speaks.then_some(program));
    let handler = SigAction::new(
        SigHandler::SigAction(outside),
        SaFlags::SA_SIGINFO,
        SigSet::all(),
    );
    // SAFETY: the handler calls only what signal-safety(7) lists, and never returns.
    unsafe { sigaction(Signal::SIGSYS, &handler) }.map_err(|error| unable(&error))?;
    match apply(&filters) {
        Ok(()) => Ok("system calls by seccomp"),
        Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error))
            if matches!(
                error.raw_os_error(),
                Some(libc::EINVAL | libc::ENOSYS | libc::EPERM)
            ) =>
        {
            Ok("all system calls: the kernel has no seccomp filters")
        }
        Err(error) => Err(unable(&error)),
    }
}

/// What a thread does that runs code of others, as the modules of the name service are: there a call outside the list fails, and the
/// process goes on. Such a thread is made before this one is confined, since of two filters the stricter one counts.
pub fn for_threads(needs: &Needs) -> impl Fn() + Send + Sync + 'static {
    let fails = SeccompAction::Errno(libc::EPERM as u32);
    let filters = TargetArch::try_from(std::env::consts::ARCH)
        .and_then(|arch| filters(needs, fails, arch))
        .ok();
    move || {
        // Where this fails, so does what confines the loop, which tells.
        let _ = filters.as_ref().map(apply);
    }
}

fn apply(filters: &[BpfProgram; 2]) -> seccompiler::Result<()> {
    filters.iter().try_for_each(|filter| apply_filter(filter))
}

/// Two filters, of whose answers the kernel takes the stricter one.
fn filters(
    needs: &Needs,
    otherwise: SeccompAction,
    arch: TargetArch,
) -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let allowed = SeccompFilter::new(allowed(needs)?, otherwise, SeccompAction::Allow, arch)?;
    // The arguments of clone3 are in memory, where no filter sees them. Without it the C libraries use clone.
    let absent = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        arch,
    )?;
    // The list comes last: it has no call to set another filter.
    Ok([absent.try_into()?, allowed.try_into()?])
}

fn allowed(needs: &Needs) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALWAYS
        .iter()
        .flat_map(|(_, calls)| calls.iter())
        .map(|call| (*call, Vec::new()))
        .collect();
    rules.insert(libc::SYS_socket, sockets(needs)?);
    // MSG_FASTOPEN dials without a check of the port.
    for (call, flags) in [
        (libc::SYS_sendto, 3),
        (libc::SYS_sendmsg, 2),
        (libc::SYS_sendmmsg, 3),
    ] {
        let no_dial = masked(flags, libc::MSG_FASTOPEN, 0)?;
        rules.insert(call, vec![SeccompRule::new(vec![no_dial])?]);
    }
    let requests = [
        libc::FIONREAD,
        libc::FIONBIO,
        libc::FIOCLEX,
        // The zone of a name server's address.
        libc::SIOCGIFINDEX as libc::Ioctl,
        // Whether it is a terminal.
        libc::TCGETS,
        TCGETS2,
    ];
    // The C libraries do not agree on the type of a request; 32 bits of it count.
    #[allow(clippy::unnecessary_cast, reason = "with one of them it is u64")]
    let requests = requests.map(|request| request as u64);
    rules.insert(libc::SYS_ioctl, one_of(1, requests)?);
    let of_a_thread = [
        libc::PR_SET_NAME,
        PR_SET_VMA,
        // Which modules of the name service ask to find out where they run.
        libc::PR_CAPBSET_READ,
    ];
    rules.insert(libc::SYS_prctl, one_of(0, of_a_thread.map(|it| it as u64))?);
    // A thread of this process, not another process.
    let thread = SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64);
    rules.insert(
        libc::SYS_clone,
        vec![rule(
            0,
            SeccompCmpArgLen::Dword,
            thread,
            libc::CLONE_THREAD as u64,
        )?],
    );
    // Of this thread and no other process: short slices of the processor, one of one's own for the instant of a 4way dial, limits.
    for (call, argument) in [
        (libc::SYS_getpriority, 1),
        (libc::SYS_sched_getscheduler, 0),
        (libc::SYS_sched_setattr, 0),
        (libc::SYS_sched_setaffinity, 0),
        (libc::SYS_prlimit64, 0),
    ] {
        rules.insert(call, one_of(argument, [0])?);
    }
    // Code is mapped where modules of the name service are loaded.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let rule = if needs.names.is_empty() {
            vec![SeccompRule::new(vec![masked(2, libc::PROT_EXEC, 0)?])?]
        } else {
            Vec::new()
        };
        rules.insert(call, rule);
    }
    // How abort(3) ends this process, and no other.
    let own = [u64::from(std::process::id())];
    rules.insert(libc::SYS_tgkill, one_of(0, own)?);
    Ok(rules)
}

/// The sockets that may be made. What Landlock says of ports it says of TCP alone: whatever else reaches a port of TCP, as MPTCP
/// does, is left out.
fn sockets(needs: &Needs) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let socket = |family, kind, protocol| {
        SeccompRule::new(vec![
            masked(0, !0, family)?,
            masked(1, !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK), kind)?,
            masked(2, !0, protocol)?,
        ])
    };
    let mut sockets = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for protocol in [0, libc::IPPROTO_TCP] {
            sockets.push(socket(family, libc::SOCK_STREAM, protocol)?);
        }
        if !needs.names.is_empty() {
            for protocol in [0, libc::IPPROTO_UDP] {
                sockets.push(socket(family, libc::SOCK_DGRAM, protocol)?);
            }
        }
    }
    if !needs.names.is_empty() {
        // By which getaddrinfo(3) asks for the addresses of this host.
        sockets.push(socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW,
            libc::NETLINK_ROUTE,
        )?);
    }
    if needs.unix() {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            sockets.push(socket(libc::AF_UNIX, kind, 0)?);
        }
    }
    Ok(sockets)
}

/// These bits of this argument, an int, are this.
fn masked(
    argument: u8,
    mask: libc::c_int,
    value: libc::c_int,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    let (mask, value) = (mask.cast_unsigned(), value.cast_unsigned());
    let operator = SeccompCmpOp::MaskedEq(u64::from(mask));
    SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        operator,
        u64::from(value),
    )
}

/// One of the values in this argument, an int.
fn one_of<const N: usize>(
    argument: u8,
    values: [u64; N],
) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    values
        .into_iter()
        .map(|value| {
            rule(
                argument,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::Eq,
                value & u64::from(u32::MAX),
            )
        })
        .collect()
}

fn rule(
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(
        argument, length, operator, value,
    )?])
}

/// The program that reports a forbidden call, unless descriptor 2 is a client's.
static SPEAKER: OnceLock<Option<&'static str>> = OnceLock::new();

/// A call outside the list was made: says which, and ends the process.
extern "C" fn outside(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t, which for SIGSYS begins with these fields (sigaction(2)).
    let number = unsafe { (*info.cast::<CallInfo>()).call };
    if let Some(Some(program)) = SPEAKER.get() {
        let known = usize::try_from(number).ok().and_then(syscalls::Sysno::new);
        let name = known.map_or("unknown", |known| known.name());
        last_words(
            program,
            format_args!("system call {number} ({name}) is outside the sandbox"),
        );
    }
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(Exit::Temporary as libc::c_int) }
}

/// The beginning of siginfo_t, for SIGSYS.
#[repr(C)]
struct CallInfo {
    signal: libc::c_int,
    error: libc::c_int,
    code: libc::c_int,
    address: *const libc::c_void,
    call: libc::c_int,
    arch: libc::c_uint,
}

//! The system calls that every relay makes, with the arguments that may be restricted.

/// Calls that are made with any arguments, and what for.
pub(super) const ALWAYS: &[(&str, &[i64])] = &[
    (
        "bytes",
        &[
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_readv,
            libc::SYS_writev,
            libc::SYS_splice,
            libc::SYS_pipe2,
        ],
    ),
    (
        "sockets",
        &[
            libc::SYS_accept4,
            libc::SYS_bind,
            libc::SYS_connect,
            libc::SYS_getpeername,
            libc::SYS_getsockname,
            libc::SYS_getsockopt,
            libc::SYS_listen,
            libc::SYS_recvfrom,
            libc::SYS_recvmsg,
            libc::SYS_setsockopt,
            libc::SYS_shutdown,
        ],
    ),
    (
        "waiting",
        &[
            libc::SYS_epoll_ctl,
            libc::SYS_epoll_pwait,
            libc::SYS_epoll_pwait2,
            libc::SYS_ppoll,
            libc::SYS_restart_syscall,
            libc::SYS_clock_nanosleep,
            libc::SYS_nanosleep,
        ],
    ),
    (
        "clocks, where the kernel does not let them be read without a call; timers",
        &[
            libc::SYS_clock_gettime,
            libc::SYS_gettimeofday,
            libc::SYS_timerfd_create,
            libc::SYS_timerfd_gettime,
            libc::SYS_timerfd_settime,
        ],
    ),
    (
        "descriptors",
        &[
            libc::SYS_close,
            libc::SYS_dup,
            libc::SYS_dup3,
            libc::SYS_eventfd2,
            libc::SYS_fcntl,
        ],
    ),
    (
        "files, as far as Landlock lets them be opened: of keys, of names, sockets to remove",
        &[
            libc::SYS_faccessat,
            libc::SYS_faccessat2,
            libc::SYS_fstat,
            libc::SYS_lseek,
            libc::SYS_newfstatat,
            libc::SYS_openat,
            libc::SYS_pread64,
            libc::SYS_readlinkat,
            libc::SYS_statx,
            libc::SYS_unlinkat,
        ],
    ),
    (
        "memory",
        &[
            libc::SYS_brk,
            libc::SYS_madvise,
            libc::SYS_mremap,
            libc::SYS_munmap,
        ],
    ),
    (
        "threads that resolve names, which are started when there is a name",
        &[
            libc::SYS_clone3,
            libc::SYS_exit,
            libc::SYS_futex,
            libc::SYS_gettid,
            libc::SYS_membarrier,
            libc::SYS_rseq,
            libc::SYS_sched_getaffinity,
            libc::SYS_sched_yield,
            libc::SYS_set_robust_list,
            libc::SYS_set_tid_address,
        ],
    ),
    (
        "resolving names, beside what is above",
        &[libc::SYS_recvmmsg, libc::SYS_sysinfo, libc::SYS_uname],
    ),
    (
        "who this is, how much it may use, and randomness",
        &[
            libc::SYS_getegid,
            libc::SYS_geteuid,
            libc::SYS_getgid,
            libc::SYS_getpid,
            libc::SYS_getrandom,
            libc::SYS_getuid,
        ],
    ),
    (
        "signals, and the end; what a panic tells of where it was",
        &[
            libc::SYS_exit_group,
            libc::SYS_getcwd,
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigreturn,
            libc::SYS_sigaltstack,
        ],
    ),
    #[cfg(target_arch = "x86_64")]
    (
        "older forms of the above, which this processor still has",
        &[
            libc::SYS_access,
            libc::SYS_dup2,
            libc::SYS_epoll_wait,
            libc::SYS_getrlimit,
            libc::SYS_lstat,
            libc::SYS_open,
            libc::SYS_poll,
            libc::SYS_readlink,
            libc::SYS_stat,
            libc::SYS_time,
            libc::SYS_unlink,
        ],
    ),
];

/// How newer C libraries ask whether something is a terminal.
pub(super) const TCGETS2: libc::Ioctl = 0x802c_542a_u32 as libc::Ioctl;

/// How newer C libraries name memory that they map.
pub(super) const PR_SET_VMA: libc::c_int = 0x5356_4d41;

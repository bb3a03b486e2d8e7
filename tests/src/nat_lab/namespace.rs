//! A network namespace without a name: it is there as long as a descriptor or a process holds it.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::path::Path;
use std::process;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::launch::Launch;

/// A network of its own, with the loopback interface up.
pub struct Namespace(OwnedFd);

impl Namespace {
    /// A new one.
    pub fn new() -> Namespace {
        // Namespaces belong to threads. A thread that has left ours has no other use, and ends.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace can be made");
            // A namespace starts with what is set for the machine, where paths may have to be symmetrical.
            set("ipv4/conf/all/rp_filter", "0");
            set("ipv4/conf/default/rp_filter", "0");
            if Path::new(IPV6).exists() {
                // Addresses are usable at once, without the second of duplicate address detection.
                set("ipv6/conf/all/accept_dad", "0");
                set("ipv6/conf/default/accept_dad", "0");
            }
            File::open("/proc/thread-self/ns/net").expect("the kernel shows namespaces")
        });
        let namespace = Namespace(made.join().expect("the thread has not panicked").into());
        namespace.ip(&["link set lo up"]);
        namespace
    }

    /// What `action` returns when it runs in here. Sockets that it opens stay in here.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("the namespace can be entered");
                action()
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// The command `line`, to be run in here.
    pub fn launch(&self, line: &str) -> Launch {
        Launch::new(line).network(self.descriptor())
    }

    /// A file by which other programs find it, as long as this process holds it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd())
    }

    /// Runs commands of ip(8).
    pub(super) fn ip(&self, commands: &[&str]) {
        self.ip_with("-4", commands);
    }

    /// Runs commands of ip(8) that are about IPv6, where the kernel knows it.
    pub(super) fn ip_v6(&self, commands: &[&str]) {
        if Path::new(IPV6).exists() {
            self.ip_with("-6", commands);
        }
    }

    fn ip_with(&self, family: &str, commands: &[&str]) {
        let outcome = Launch::shell(&format!("printf '%s\\n' \"$@\" | ip {family} -batch -"))
            .words(commands)
            .network(self.descriptor())
            .run();
        assert!(outcome.code == 0, "ip: {commands:?}: {}", outcome.stderr);
    }

    /// Adds rules of nft(8).
    pub(super) fn nft(&self, rules: &str) {
        self.try_nft(rules)
            .unwrap_or_else(|why| panic!("nft: {rules}: {why}"));
    }

    /// Adds rules of nft(8), or returns its error message.
    pub(super) fn try_nft(&self, rules: &str) -> Result<(), String> {
        let outcome = Launch::shell("printf '%s\\n' \"$1\" | nft -f -")
            .word(rules)
            .network(self.descriptor())
            .run();
        match outcome.code {
            0 => Ok(()),
            _ => Err(outcome.stderr),
        }
    }

    /// Makes it a router.
    pub(super) fn forward_packets(&self) {
        self.run(|| {
            set("ipv4/ip_forward", "1");
            if Path::new(IPV6).exists() {
                set("ipv6/conf/all/forwarding", "1");
            }
        });
    }

    /// Lets it send ICMP answers without a rate limit.
    pub(super) fn limit_no_icmp(&self) {
        self.run(|| {
            // The mask names the limited types of message: none.
            set("ipv4/icmp_ratemask", "0");
            if Path::new(IPV6).exists() {
                set("ipv6/icmp/ratemask", "");
            }
        });
    }

    fn descriptor(&self) -> OwnedFd {
        self.0.try_clone().expect("a descriptor is free")
    }
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace::new()
    }
}

/// Sets a variable of the network that this thread is in.
fn set(variable: &str, value: &str) {
    let file = format!("/proc/sys/net/{variable}");
    fs::write(&file, value).unwrap_or_else(|error| panic!("{file}: {error}"));
}

/// Where the kernel keeps the variables of IPv6, if it knows that.
const IPV6: &str = "/proc/sys/net/ipv6";

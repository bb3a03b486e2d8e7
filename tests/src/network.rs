//! A private network for a test: all ports are free, the kernel's counters start at zero, and the test can drop packets and
//! define host names.
//!
//! The test runs itself again in a new network namespace with mounts of its own. Both are gone when it ends. A user who is not
//! root needs a user namespace too.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;
use tempfile::{Builder, NamedTempFile};

use crate::launch::Launch;
use crate::requirement;

/// Lists the tests of a file that run in a network of their own. Each is a function of that name.
///
/// ```no_run
/// relay_tests::network_tests! {
///     every_port_is_free
/// }
///
/// fn every_port_is_free() {
///     relay_tests::Server::on("127.0.0.1:80");
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! network_tests {
    ($($name:ident),+) => {
        mod in_its_own_network {
            $(#[test]
            fn $name() {
                $crate::network::run(concat!(module_path!(), "::", stringify!($name)), super::$name);
            })+
        }
    };
}

/// Runs `test` in a new network. It is the whole of the test function at `path`, which begins with the name of the crate.
pub fn run(path: &str, test: impl FnOnce()) {
    if is_ours() {
        run_tool("ip link set lo up");
        test();
    } else if can_be_made() {
        let (_, name) = path.split_once("::").expect("a test is in a crate");
        run_again(name);
    }
}

/// Whether this process is in such a network, and cannot change the network of the machine.
pub fn is_ours() -> bool {
    env::var_os(INSIDE).is_some()
}

/// The command `program`, to be run in a network and with mounts of its own.
fn launch(program: impl AsRef<OsStr>) -> Launch {
    Launch::new(&unshare()).word(program).env(INSIDE, "1")
}

/// Runs this program again in such a network, with the same arguments. Returns only if that fails.
pub fn restart_in_one() -> io::Error {
    let unshare = unshare();
    let mut words = unshare.split(' ');
    let executable = match env::current_exe() {
        Ok(executable) => executable,
        Err(error) => return error,
    };
    Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg(executable)
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec()
}

/// Drops the packets that the nftables `rule` matches, as a firewall does when it has forgotten a connection. Neither end
/// is informed.
///
/// `rule` is for example `tcp dport 8001`. There is one interface, the loopback, and each packet comes in there.
pub fn drop_packets(rule: &str) {
    run_tool("nft add table inet firewall");
    run_tool("nft add chain inet firewall arriving { type filter hook input priority 0 ; }");
    run_tool(&format!("nft add rule inet firewall arriving {rule} drop"));
}

/// Lets every packet pass again.
pub fn drop_nothing() {
    run_tool("nft flush ruleset");
}

/// Gives the loopback interface one more address.
pub fn add_address(address: IpAddr) {
    run_tool(&format!("ip address add {address} dev lo"));
}

/// Makes `place` an empty directory, in this network's mounts only.
pub fn mount_nothing_on(place: &str) {
    run_tool(&format!("mount -t tmpfs none {place}"));
}

/// The host names that are known in a network.
pub struct Hosts(NamedTempFile);

impl Hosts {
    /// Replaces hosts(5) by `text`.
    pub fn new(text: &str) -> Hosts {
        let hosts = Hosts(temporary_file());
        hosts.replace(text);
        put_in_place(&hosts.0, Path::new("/etc/hosts"));
        hosts
    }

    /// Replaces the names by those in `text`.
    pub fn replace(&self, text: &str) {
        fs::write(self.0.path(), text).expect("a temporary file can be written");
    }
}

/// Makes a temporary file what `place` is, in this network's mounts only.
pub(crate) fn put_in_place(file: &NamedTempFile, place: &Path) {
    run_tool(&format!(
        "mount --bind {} {}",
        file.path().display(),
        place.display()
    ));
}

pub(crate) fn temporary_file() -> NamedTempFile {
    // Every user can read the file that it replaces.
    let everybody = Permissions::from_mode(0o644);
    let file = Builder::new().permissions(everybody).tempfile();
    file.expect("a temporary file can be made")
}

fn can_be_made() -> bool {
    if requirement::is_missing(&["unshare", "ip", "nft"]) {
        return false;
    }
    let allowed = launch("true").run().code == 0;
    if !allowed {
        requirement::skip("no network namespace can be made");
    }
    allowed
}

fn run_again(name: &str) {
    let executable = env::current_exe().expect("the kernel knows what it runs");
    let again = launch(executable)
        .words(["--exact", name, "--nocapture"])
        .spawn()
        .finish_within(TIMEOUT_IN_A_NETWORK);
    let printed = String::from_utf8_lossy(&again.stdout);
    assert!(
        again.code == 0,
        "in a network of its own:\n{printed}{}",
        again.stderr
    );
    assert!(
        printed.contains("1 passed"),
        "there is no test {name}:\n{printed}"
    );
}

fn unshare() -> String {
    let identity = if geteuid().is_root() {
        ""
    } else {
        " --map-root-user"
    };
    format!("unshare --net --mount{identity}")
}

fn run_tool(line: &str) {
    let outcome = Launch::new(line).run();
    assert!(outcome.code == 0, "{line}: {}", outcome.stderr);
}

/// A whole test runs in the network, and it may wait several times.
const TIMEOUT_IN_A_NETWORK: Duration = Duration::from_secs(150);

/// The variable of the environment which says that this network is the process's own.
pub const INSIDE: &str = "RELAY_TESTS_NETWORK";

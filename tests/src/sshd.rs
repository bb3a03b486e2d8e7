//! sshd(8) with keys of its own, in a network of the test's own.

use std::fs;

use crate::launch::Launch;
use crate::network::mount_nothing_on;
use crate::peer::user;
use crate::running::Running;
use crate::scratch::Scratch;

/// sshd, until it is dropped.
pub struct Sshd {
    _running: Running,
    scratch: Scratch,
}

impl Sshd {
    /// Starts it on `address`, and waits until it listens.
    pub fn start(address: &str) -> Sshd {
        let scratch = Scratch::new();
        // The directory to which it confines itself before a user has logged in.
        mount_nothing_on("/run");
        fs::create_dir("/run/sshd").expect("nothing is there");
        for name in ["host_key", "user_key"] {
            let keygen = Launch::new("ssh-keygen -q -t ed25519 -f").word(scratch.file(name));
            let outcome = keygen.words(["-N", ""]).run();
            assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        }
        let path = |name| scratch.file(name).display().to_string();
        let configuration = format!(
            "ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n",
            path("host_key"),
            path("user_key.pub")
        );
        let file = scratch.write("sshd_config", configuration.as_bytes());
        let running = Launch::new("sshd -D -e -f").word(file).spawn();
        running.stderr.wait_for("Server listening");
        Sshd {
            _running: running,
            scratch,
        }
    }

    /// `ssh` with these words, as a user that it lets in. It is called `srv`, and its key is known.
    pub fn client(&self, words: &str) -> Launch {
        let key = self.scratch.read("host_key.pub");
        let known = self
            .scratch
            .write("known_hosts", &[b"srv ", &key[..]].concat());
        let line = format!(
            "ssh -F none -i {} -o BatchMode=yes -o IdentitiesOnly=yes -o HostKeyAlias=srv -o UserKnownHostsFile={} -l {} {words}",
            self.scratch.file("user_key").display(),
            known.display(),
            user()
        );
        Launch::new(&line)
    }
}

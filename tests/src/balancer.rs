//! Load balancers that speak the PROXY protocol: haproxy and nginx, in the foreground, on ports that the test chose.

use crate::launch::Launch;
use crate::running::Running;
use crate::scratch::Scratch;

/// haproxy, until it is dropped.
pub struct Haproxy {
    _running: Running,
    _scratch: Scratch,
}

/// nginx, until it is dropped.
pub struct Nginx {
    _running: Running,
    _scratch: Scratch,
}

impl Haproxy {
    /// Starts it with the sections of a configuration in which little has to be said. It listens some time later.
    pub fn start(sections: &str) -> Haproxy {
        let scratch = Scratch::new();
        let defaults = "global\n  maxconn 100\ndefaults\n  timeout connect 10s\n  timeout client 10s\n  timeout server 10s\n";
        let file = scratch.write("haproxy.cfg", format!("{defaults}{sections}").as_bytes());
        Haproxy {
            _running: Launch::new("haproxy -db -f").word(file).spawn(),
            _scratch: scratch,
        }
    }
}

impl Nginx {
    /// Starts it with the blocks of a configuration (`http { … }`), which keeps its files in a directory of its own. It listens
    /// some time later.
    pub fn start(blocks: &str) -> Nginx {
        let scratch = Scratch::new();
        let head =
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\n";
        let file = scratch.write("nginx.conf", format!("{head}{blocks}\n").as_bytes());
        let running = Launch::new("nginx -e stderr -p")
            .word(scratch.path())
            .word("-c")
            .word(file)
            .spawn();
        Nginx {
            _running: running,
            _scratch: scratch,
        }
    }
}

//! Load balancers that use the PROXY protocol: haproxy and nginx, in the foreground, on ports that the test chooses.

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
    /// Starts it with these sections of its configuration. It listens some time later.
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
        Nginx::configured(&format!("{HEAD}{blocks}\n"))
    }

    /// Starts it as [`Nginx::start`] does, with a module from its file.
    pub fn with_module(file: &str, blocks: &str) -> Nginx {
        Nginx::configured(&format!("load_module {file};\n{HEAD}{blocks}\n"))
    }

    fn configured(configuration: &str) -> Nginx {
        let scratch = Scratch::new();
        let file = scratch.write("nginx.conf", configuration.as_bytes());
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

const HEAD: &str =
    "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\n";

//! vsftpd, with one file for anonymous users.

use crate::launch::Launch;
use crate::running::Running;
use crate::scratch::Scratch;

/// vsftpd, until it is dropped.
pub struct Vsftpd {
    _running: Running,
    _scratch: Scratch,
}

impl Vsftpd {
    /// Starts it on port 21 of `host`, with these lines of its configuration, and with a file `hello` to fetch. It listens some
    /// time later.
    pub fn start(host: &str, lines: &str, hello: &[u8]) -> Vsftpd {
        let scratch = Scratch::new();
        scratch.write("hello", hello);
        let configuration = format!(
            "{lines}\nlisten=YES\nlisten_address={host}\nbackground=NO\nrun_as_launching_user=YES\n\
             anonymous_enable=YES\nlocal_enable=NO\nanon_root={}\nxferlog_enable=NO\nisolate=NO\nisolate_network=NO\n",
            scratch.path().display(),
        );
        let file = scratch.write("vsftpd.conf", configuration.as_bytes());
        Vsftpd {
            _running: Launch::new("vsftpd").word(file).spawn(),
            _scratch: scratch,
        }
    }
}

//! ssh -R and an sshd of its own, with keys that are made for the trial.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{User, getuid};

use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

pub(super) fn start(site: &Site<'_>) -> Result<Relay> {
    let host_key = key(site, "host_key")?;
    let user_key = key(site, "user_key")?;
    let mut relay = Relay::default();
    let configuration = site.write(
        "sshd_config",
        &server_configuration(site, &host_key, &user_key),
    )?;
    let mut server = site.peer("sshd")?;
    server.args(["-D", "-e", "-f"]).arg(configuration);
    relay.start(&server, site.file("sshd.log"), Some(site.link.port()))?;
    relay.start(
        &client(site, &user_key)?,
        site.file("ssh.log"),
        Some(site.clients.port()),
    )?;
    Ok(relay)
}

fn server_configuration(site: &Site<'_>, host_key: &Path, user_key: &Path) -> String {
    format!(
        "ListenAddress {}
        HostKey {}
        AuthorizedKeysFile {}
        PermitRootLogin prohibit-password
        StrictModes no
        UsePAM no
        PidFile none
        ",
        site.link,
        host_key.display(),
        user_key.with_extension("pub").display()
    )
}

fn client(site: &Site<'_>, user_key: &Path) -> Result<Command> {
    let user = User::from_uid(getuid())?.ok_or("the user of this process has no name")?;
    let mut command = site.peer("ssh")?;
    command
        .args(["-F", "none", "-N", "-c", "aes128-gcm@openssh.com", "-i"])
        .arg(user_key);
    for option in [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "ExitOnForwardFailure=yes",
    ] {
        command.args(["-o", option]);
    }
    command.args([
        "-p",
        &site.link.port().to_string(),
        "-R",
        &format!("{}:{}", site.clients, site.server),
    ]);
    command.arg(format!("{}@{}", user.name, site.link.ip()));
    Ok(command)
}

/// Returns the path of the key file `name`. Makes the file if it does not exist.
fn key(site: &Site<'_>, name: &str) -> Result<PathBuf> {
    let path = site.file(name);
    if !path.exists() {
        let mut command = site.peer("ssh-keygen")?;
        command
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&path)
            .stdin(Stdio::null());
        if !command.status()?.success() {
            return Err("ssh-keygen did not make a key".into());
        }
    }
    Ok(path)
}

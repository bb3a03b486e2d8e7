//! The two nodes with an encrypted link: with `--key-file`, or through a pair of stunnels.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::nodes;
use crate::relay::Relay;
use crate::result::Result;
use crate::site::Site;

/// Both nodes with `--key-file`.
pub(super) fn key_file(site: &Site<'_>) -> Result<Relay> {
    let key = site.write("link.key", KEY)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let key: [&std::ffi::OsStr; 2] = ["--key-file".as_ref(), key.as_ref()];
    let mut relay = Relay::default();
    nodes::start(site, &mut relay, &key, (site.link, site.link), |_| Ok(()))?;
    Ok(relay)
}

/// Both nodes without a key, and a stunnel beside each that encrypts the link.
pub(super) fn stunnel(site: &Site<'_>) -> Result<Relay> {
    let certificate = certificate(site)?;
    let mut relay = Relay::default();
    let tunnel = |relay: &mut Relay| {
        let outside = format!("cert = {}", certificate.display());
        start_stunnel(site, relay, "outside", &outside, site.link, site.tunnel.0)?;
        start_stunnel(
            site,
            relay,
            "inside",
            "client = yes",
            site.tunnel.1,
            site.link,
        )
    };
    nodes::start(site, &mut relay, &[], site.tunnel, tunnel)?;
    Ok(relay)
}

fn start_stunnel(
    site: &Site<'_>,
    relay: &mut Relay,
    name: &str,
    options: &str,
    accept: SocketAddr,
    connect: SocketAddr,
) -> Result<()> {
    let text = format!(
        "foreground = yes
        pid =
        debug = err
        socket = l:TCP_NODELAY=1
        socket = r:TCP_NODELAY=1
        ciphersuites = TLS_AES_128_GCM_SHA256
        [link]
        {options}
        accept = {accept}
        connect = {connect}\n"
    );
    let configuration = site.write(&format!("stunnel-{name}.conf"), &text)?;
    let mut command = site.peer("stunnel")?;
    command.arg(configuration);
    let log = site.file(&format!("stunnel-{name}.log"));
    relay.start(&command, log, Some(accept.port()))
}

/// Returns the path of a certificate with its key. Makes the file if it does not exist.
fn certificate(site: &Site<'_>) -> Result<PathBuf> {
    let path = site.file("stunnel.pem");
    if !path.exists() {
        let mut command: Command = site.peer("openssl")?;
        command
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=link"])
            .arg("-keyout")
            .arg(&path)
            .arg("-out")
            .arg(path.with_extension("crt"))
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        if !command.status()?.success() {
            return Err("openssl did not make a certificate".into());
        }
        let both = [fs::read(&path)?, fs::read(path.with_extension("crt"))?].concat();
        fs::write(&path, both)?;
    }
    Ok(path)
}

/// The key of the link. It protects nothing, so it need not be secret.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";

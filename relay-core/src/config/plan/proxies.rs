//! The proxies of a command line: their URLs, and the password that a URL leaves out.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{PASSWORD_VARIABLE, PlanError};
use crate::config::address::{
    ListenAt, ListenPoint, Proxy, ProxyProtocol, Target, TargetAt, TargetHost, parse_proxy,
    without_password,
};
use crate::config::family::Family;
use crate::config::options::{Common, TypedUrl};
use crate::limits::PROXIES_MAX;
use crate::protocol::proxy::Secret;

/// Completes the proxies of one command line.
#[derive(Debug)]
pub(super) struct Proxies {
    file: Option<PathBuf>,
    /// Read when the first proxy lacks it.
    password: Option<Secret>,
}

impl Proxies {
    pub(super) fn new(common: &Common) -> Self {
        Self {
            file: common.via_password_file.clone(),
            password: None,
        }
    }

    /// The chain that an option names.
    pub(super) fn chain(
        &mut self,
        option: &'static str,
        urls: &[TypedUrl],
    ) -> Result<Arc<[Proxy]>, PlanError> {
        if urls.len() > PROXIES_MAX {
            return Err(PlanError::ProxiesTooMany(option));
        }
        let complete = |TypedUrl(url): &TypedUrl| {
            let words = format!("{option} {}", without_password(url));
            let mut proxy = parse_proxy(url).map_err(|fault| PlanError::Proxy {
                words: words.clone(),
                fault,
            })?;
            self.complete(&mut proxy, &words)?;
            Ok(proxy)
        };
        urls.iter().map(complete).collect()
    }

    /// The proxies that listen for us.
    pub(super) fn complete_points<'p>(
        &mut self,
        points: impl IntoIterator<Item = &'p mut ListenPoint>,
    ) -> Result<(), PlanError> {
        for point in points {
            if let ListenAt::SocksBind(proxy) = &mut point.at {
                self.complete(proxy, &point.word)?;
            }
        }
        Ok(())
    }

    /// A file that no proxy needed was meant for one.
    pub(super) fn finish(self) -> Result<(), PlanError> {
        match (self.file, self.password) {
            (Some(file), None) => Err(PlanError::PasswordFileUnused(file)),
            _ => Ok(()),
        }
    }

    fn complete(&mut self, proxy: &mut Proxy, words: &str) -> Result<(), PlanError> {
        if !proxy.lacks_password() {
            return Ok(());
        }
        if self.password.is_none() {
            self.password = match &self.file {
                Some(file) => {
                    Some(
                        read_password(file).map_err(|error| PlanError::PasswordFile {
                            file: file.clone(),
                            error,
                        })?,
                    )
                }
                None => env::var_os(PASSWORD_VARIABLE)
                    .map(OsString::into_vec)
                    .map(Secret),
            };
        }
        proxy.password.clone_from(&self.password);
        if proxy.lacks_password() {
            return Err(PlanError::PasswordMissing(words.to_owned()));
        }
        proxy.check_login().map_err(|fault| PlanError::Proxy {
            words: words.to_owned(),
            fault,
        })
    }
}

/// The first proxy is dialled from here, so that it is of the wanted family. The last one must be able to be asked for each of
/// the targets, and each proxy for the next one.
pub(super) fn check_ways<'t>(
    option: &'static str,
    family: Family,
    proxies: &[Proxy],
    targets: impl IntoIterator<Item = &'t Target>,
) -> Result<(), PlanError> {
    if let Some(first) = proxies.first()
        && let TargetHost::Ip(ip, _) = first.host
        && !family.allows(ip)
    {
        return Err(PlanError::FamilyExcluded {
            word: format!("{option} {}:{}", first.host, first.port),
            family,
        });
    }
    for pair in proxies.windows(2) {
        check_way(option, &pair[0], &pair[1].host, &pair[1])?;
    }
    let Some(last) = proxies.last() else {
        return Ok(());
    };
    for target in targets {
        match &target.at {
            TargetAt::Tcp { host, .. } => check_way(option, last, host, &target.word)?,
            _ => {
                return Err(PlanError::NotThroughProxy {
                    word: target.word.clone(),
                    option,
                    why: "a proxy connects to tcp ports only",
                });
            }
        }
    }
    Ok(())
}

fn check_way(
    option: &'static str,
    proxy: &Proxy,
    host: &TargetHost,
    word: &dyn ToString,
) -> Result<(), PlanError> {
    let socks4 = matches!(
        proxy.protocol,
        ProxyProtocol::Socks4 | ProxyProtocol::Socks4a
    );
    let why = match host {
        TargetHost::Ip(_, zone) if *zone != 0 => "a zone means nothing to a proxy",
        TargetHost::Ip(ip, _) if ip.is_ipv6() && socks4 => "socks4 knows ipv4 addresses only",
        _ => return Ok(()),
    };
    Err(PlanError::NotThroughProxy {
        word: word.to_string(),
        option,
        why,
    })
}

/// The first line of the file.
fn read_password(path: &Path) -> io::Result<Secret> {
    let file = File::open(path)?;
    let kind = file.metadata()?;
    if kind.is_file() && kind.permissions().mode() & OTHERS_MAY_READ != 0 {
        return Err(io::Error::other(format!(
            "others can read it: chmod o-r {}",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    file.take(PASSWORD_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.is_empty() {
        true => Err(io::Error::other("the first line is empty")),
        false => Ok(Secret(line.to_vec())),
    }
}

const OTHERS_MAY_READ: u32 = 0o004;

/// More than any protocol has room for.
const PASSWORD_FILE_BYTES_MAX: u64 = 8192;

//! What the addresses and keys of a plan need from the sandbox.

use super::address::{BindAddress, Proxy, TargetAt, TargetHost, UnixName};
use crate::keyed::Keys;
use crate::linux::sandbox::Needs;

impl Needs {
    /// And what keys take, which are read again on SIGHUP.
    pub fn holding(mut self, keys: Option<&Keys>) -> Self {
        self.secrets |= keys.is_some();
        self.files.extend(keys.map(|keys| keys.path().to_owned()));
        self
    }

    /// And what dialling these takes, through these proxies.
    pub fn dialling<'t>(
        mut self,
        targets: impl IntoIterator<Item = &'t TargetAt>,
        via: &[Proxy],
    ) -> Self {
        let name = |host: &TargetHost| match host {
            TargetHost::Name(name) => Some(name.clone()),
            _ => None,
        };
        for target in targets {
            match target {
                TargetAt::Tcp { host, port } => {
                    self.names.extend(name(host));
                    self.dialled.extend(via.is_empty().then_some(*port));
                }
                TargetAt::FourWay {
                    local_port,
                    host,
                    port,
                } => {
                    self.names.extend(name(host));
                    self.dialled.insert(*port);
                    self.left_from.insert(*local_port);
                }
                TargetAt::Unix(name) => {
                    self.unix_sockets = true;
                    self.abstract_sockets |= matches!(name, UnixName::Abstract(_));
                }
                TargetAt::Stdio | TargetAt::Fd { .. } => {}
            }
        }
        // The further ones are dialled by the one before.
        self.dialled.extend(via.first().map(|proxy| proxy.port));
        self.names
            .extend(via.iter().filter_map(|proxy| name(&proxy.host)));
        self.secrets |= via.iter().any(|proxy| proxy.password.is_some());
        self
    }

    /// And what it takes to dial from there.
    pub fn leaving_from(mut self, bind: Option<BindAddress>) -> Self {
        self.left_from
            .extend(bind.map(|bind| bind.port.unwrap_or(0)));
        self
    }
}

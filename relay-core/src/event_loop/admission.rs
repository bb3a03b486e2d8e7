//! Admission: the gate that checks the access list and the number of sessions of each client.
//!
//! A [`Gate`] is asked as soon as a connection is accepted. The connection of a denied peer is reset. A peer without an address, on a
//! Unix socket or a pipe, is allowed: the permissions of the socket or pipe protect it.
//!
//! Not here: checks of peers that were accepted, such as the key of a link.

use std::fmt;

use crate::config::address::ListenPoint;
use crate::config::settings::Admission;
use crate::event_loop::context::Context;
use crate::limits::UNAUTHENTICATED_LINKS_PERIOD;
use crate::policy::access_list::{AccessList, Denial, SessionQuota, SessionSlot};
use crate::report::Throttle;
use crate::sockets::accepted::{Accepted, Peer};

/// Decides which peers of one kind of listener are accepted.
#[derive(Debug)]
pub struct Gate {
    list: AccessList,
    quota: Option<SessionQuota>,
    /// The peers are proxies: a PROXY header names the client.
    by_proxy: bool,
    denied: u64,
    told: Told,
}

/// How a denial is logged.
#[derive(Debug)]
enum Told {
    /// Each one, with `-v`: clients come as they like.
    InDetail,
    /// One in a period, as a warning: it may be a node of ours, which sees only a reset.
    NowAndThen(Throttle),
}

impl Gate {
    /// The gate for clients.
    pub fn of(admission: &Admission) -> Self {
        Self {
            list: admission.list.clone(),
            quota: admission.sessions_per_client_max.map(SessionQuota::new),
            by_proxy: admission.by_proxy,
            denied: 0,
            told: Told::InDetail,
        }
    }

    /// The gate for links.
    pub fn of_links(list: &AccessList) -> Self {
        Self {
            list: list.clone(),
            quota: None,
            by_proxy: false,
            denied: 0,
            told: Told::NowAndThen(Throttle::per(UNAUTHENTICATED_LINKS_PERIOD)),
        }
    }

    /// Accepts a connection to `word` and returns its slot, or counts and logs the denial. The caller drops a denied one, which resets it.
    pub fn admits(
        &mut self,
        accepted: &Accepted,
        word: &str,
        context: &Context,
    ) -> Option<SessionSlot> {
        let client = accepted.client();
        let Some(address) = client.address() else {
            let session_slot = match client {
                // A proxy that listens for us names its clients as it likes: no list can know them.
                Peer::Unknown if self.list.allows_some() => Err(Denial::Rule(None)),
                _ => Ok(SessionSlot::default()),
            };
            return self.log(session_slot, &client, word, context);
        };
        let ip = address.ip().to_canonical();
        let session_slot = self.list.check(ip).and_then(|()| match &self.quota {
            Some(quota) if !self.by_proxy => quota.take(ip),
            _ => Ok(SessionSlot::default()),
        });
        self.log(session_slot, &ip, word, context)
    }

    /// Returns a slot for the client that a PROXY header named; its proxy was accepted before.
    pub fn session_slot(
        &mut self,
        client: Peer,
        word: &str,
        context: &Context,
    ) -> Option<SessionSlot> {
        match (client.address(), &self.quota) {
            (Some(address), Some(quota)) => {
                let ip = address.ip().to_canonical();
                self.log(quota.take(ip), &ip, word, context)
            }
            _ => Some(SessionSlot::default()),
        }
    }

    fn log(
        &mut self,
        session_slot: Result<SessionSlot, Denial>,
        who: &dyn fmt::Display,
        word: &str,
        context: &Context,
    ) -> Option<SessionSlot> {
        match session_slot {
            Ok(session_slot) => Some(session_slot),
            Err(denial) => {
                self.denied += 1;
                let text = format_args!("denied {who} on {word}: {denial}");
                match &mut self.told {
                    Told::InDetail => context.report.info(text),
                    Told::NowAndThen(throttle) => {
                        throttle.warning(&context.report, context.now(), text);
                    }
                }
                None
            }
        }
    }

    /// [`Gate::admits`] for the connection that is already there: without it there is nothing to run for.
    pub fn admits_inherited(
        &mut self,
        accepted: &Accepted,
        point: &ListenPoint,
        context: &Context,
    ) -> Result<SessionSlot, String> {
        self.admits(accepted, &point.word, context)
            .ok_or_else(|| format!("unable to use {}: its peer is denied", point.word))
    }

    /// Returns whether the peers are proxies that send a PROXY header.
    pub fn expects_proxies(&self) -> bool {
        self.by_proxy
    }

    /// How many were kept out.
    pub fn denied(&self) -> u64 {
        self.denied
    }
}

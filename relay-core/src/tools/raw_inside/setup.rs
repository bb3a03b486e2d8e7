//! The start of the raw inside node.

use super::node::RawInside;
use crate::config::plan::InsidePlan;
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::limits::OUTAGE_PERIOD;
use crate::policy::backoff::Backoff;
use crate::report::{self, Exit, Throttle};
use crate::session::account::SessionIds;
use crate::session::timeouts::Timeouts;
use crate::sockets::accepted::Peer;
use crate::sockets::dial::DialOptions;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;
use crate::token::Slot;

impl RawInside {
    pub(super) fn new(plan: InsidePlan, context: &mut Context) -> Result<Self, String> {
        let settings = &plan.settings;
        let (Some(link), Some(server)) = (
            plan.link.first(),
            plan.servers
                .first()
                .and_then(|service| service.ports.first()),
        ) else {
            return Err("a raw link needs one LINK and one SERVER".to_owned());
        };
        let options = DialOptions::of(settings, Purpose::Session)
            .within(&context.report, &context.dial_queue);
        let mut inside = Self {
            entries: Entries::default(),
            ids: SessionIds::new(),
            link: link.clone(),
            server: server.clone(),
            to: server.to_string().into(),
            link_dial_options: options.clone(),
            server_dial_options: DialOptions {
                bind: plan.server_bind,
                via: plan.server_via.clone(),
                ..options
            },
            keys: plan.keys,
            send_proxy: settings.send_proxy,
            interval: plan.interval,
            backoff: Backoff::default(),
            rng: fastrand::Rng::with_seed(u64::from_ne_bytes(crate::ids::random())),
            dial_at: None,
            dialling: None,
            inherited: false,
            timeouts: Timeouts::of(settings),
            sessions_max: context.settings.sessions_max,
            once: settings.once,
            draining: false,
            outcome: Exit::Done,
            warnings: Throttle::per(OUTAGE_PERIOD),
        };
        if let Some(end) = inherited::target(&inside.link, Purpose::Session) {
            let mut end = end.map_err(|error| {
                format!("unable to use {}: {}", link.word, report::reason(&error))
            })?;
            inside.inherited = true;
            let key = inside.entries.next_key();
            let registered = end.register(&context.registry, key, Slot::LEFT);
            registered.map_err(|error| {
                format!("unable to use {}: {}", link.word, report::reason(&error))
            })?;
            let entry = inside
                .connected(key, end, Peer::Inherited, context)
                .map_err(|reason| reason.to_string())?;
            inside.entries.insert(entry);
        }
        Ok(inside)
    }
}

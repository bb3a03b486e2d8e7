//! The start of the raw outside node.

use std::collections::VecDeque;

use super::four_way::FourWay;
use super::node::RawOutside;
use crate::config::plan::OutsidePlan;
use crate::event_loop::admission::Gate;
use crate::event_loop::connected::is_connection;
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::keyed::Keys;
use crate::limits::UNAUTHENTICATED_LINKS_PERIOD;
use crate::policy::unauthenticated::UnauthenticatedLinks;
use crate::report::{Exit, Throttle};
use crate::session::account::SessionIds;
use crate::session::timeouts::Timeouts;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;

impl RawOutside {
    pub(super) fn new(
        plan: &OutsidePlan,
        keys: Option<Keys>,
        context: &mut Context,
    ) -> Result<Self, String> {
        let settings = &plan.settings;
        let mut outside = Self {
            entries: Entries::default(),
            client_gate: Gate::of(&plan.admission),
            link_gate: Gate::of_links(&plan.link_access),
            keys,
            unauthenticated: UnauthenticatedLinks::new(fastrand::Rng::new()),
            ids: SessionIds::new(),
            waiting: VecDeque::new(),
            client_listeners: Vec::new(),
            link_listeners: Vec::new(),
            four_way: FourWay::new(plan, context),
            fixed_link: None,
            told: 0,
            wait_timeout: plan.wait_timeout,
            timeouts: Timeouts::of(settings),
            sessions_max: context.settings.sessions_max,
            queue_max: plan.queue_max,
            once: settings.once,
            draining: false,
            outcome: Exit::Done,
            unserved: Throttle::per_second(),
            refused: Throttle::per(UNAUTHENTICATED_LINKS_PERIOD),
        };
        // Asked before anything is bound: an inherited listener has another number afterwards.
        let points = plan.clients.iter().flat_map(|service| &service.ports);
        let (connected, listening): (Vec<_>, Vec<_>) =
            points.partition(|point| is_connection(&point.at));
        for point in listening {
            let ids = context
                .listeners
                .bind(point, settings.family, Purpose::Session)?;
            outside.client_listeners.extend(ids);
        }
        for point in &plan.link {
            if is_connection(&point.at) {
                let link = inherited::connected(point, Purpose::Session)?;
                outside.link_gate.admits_inherited(&link, point, context)?;
                outside.fixed_link = Some(link.end);
            } else {
                outside
                    .link_listeners
                    .extend(context.listeners.bind_to_reopen(
                        point,
                        settings.family,
                        Purpose::Session,
                    )?);
            }
        }
        context
            .listeners
            .open_all(&context.registry, &outside.link_listeners)?;
        for point in connected {
            let client = inherited::client(point, &context.report)?;
            let session_slot = outside
                .client_gate
                .admits_inherited(&client, point, context)?;
            outside.client_accepted(&point.word, client, session_slot, context);
        }
        Ok(outside)
    }
}

//! The start of a route: binds its ports and takes over an inherited connection.

use super::node::{Route, Way};
use crate::config::plan::RoutePlan;
use crate::event_loop::admission::Gate;
use crate::event_loop::connected::is_connection;
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::report::{Exit, Throttle};
use crate::session::account::SessionIds;
use crate::session::timeouts::Timeouts;
use crate::sockets::dial::DialOptions;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;

impl Route {
    pub(super) fn new(plan: &RoutePlan, context: &mut Context) -> Result<Self, String> {
        let settings = &plan.settings;
        let mut route = Self {
            entries: Entries::default(),
            ways: Vec::new(),
            way_of: Vec::new(),
            options: DialOptions::of(settings, Purpose::Session)
                .within(&context.report, &context.dial_queue),
            timeouts: Timeouts::of(settings),
            gate: Gate::of(&plan.admission),
            ids: SessionIds::new(),
            sessions_max: context.settings.sessions_max,
            once: settings.once,
            draining: false,
            outcome: Exit::Done,
            unreached: Throttle::per_second(),
        };
        // Asked before anything is bound: an inherited listener has another number afterwards.
        let connected: Vec<bool> = plan
            .routes
            .iter()
            .map(|(point, _)| is_connection(&point.at))
            .collect();
        for ((point, target), connected) in plan.routes.iter().zip(&connected) {
            let listeners = if *connected {
                Vec::new()
            } else {
                context
                    .listeners
                    .bind(point, settings.family, Purpose::Session)?
            };
            route
                .way_of
                .extend(listeners.iter().map(|_| route.ways.len()));
            route.ways.push(Way {
                listeners,
                target: target.clone(),
                to: target.to_string().into(),
            });
        }
        context.listeners.open_all(&context.registry, &[])?;
        for (way, (point, _)) in plan
            .routes
            .iter()
            .enumerate()
            .filter(|(way, _)| connected[*way])
        {
            let client = inherited::client(point, &context.report)?;
            let session_slot = route.gate.admits_inherited(&client, point, context)?;
            route.begin(way, client, session_slot, context);
        }
        Ok(route)
    }
}

//! The start of the outside node: binds its ports and takes over inherited connections.

use super::client::ClientPort;
use super::four_ways::FourWays;
use super::node::{Outside, Service, Warnings};
use crate::config::address::ListenPoint;
use crate::config::family::Family;
use crate::config::plan::OutsidePlan;
use crate::event_loop::admission::Gate;
use crate::event_loop::connected::is_connection;
use crate::event_loop::context::Context;
use crate::event_loop::entries::Entries;
use crate::ids::random;
use crate::keyed::Keys;
use crate::limits::UNAUTHENTICATED_LINKS_PERIOD;
use crate::policy::access_list::AccessList;
use crate::policy::pairing::Pairing;
use crate::policy::unauthenticated::UnauthenticatedLinks;
use crate::protocol::frame::NodeId;
use crate::report::{Exit, Throttle};
use crate::session::account::SessionIds;
use crate::session::timeouts::Timeouts;
use crate::sockets::inherited;
use crate::sockets::options::Purpose;

impl Outside {
    pub(super) fn new(
        plan: &OutsidePlan,
        keys: Option<Keys>,
        context: &mut Context,
    ) -> Result<Self, String> {
        let settings = &plan.settings;
        let mut outside = Self {
            entries: Entries::default(),
            pairing: Pairing::new(plan.wait_timeout),
            node: NodeId(random()),
            ids: SessionIds::new(),
            services: Vec::new(),
            client_ports: Vec::new(),
            client_listeners: Vec::new(),
            link_listeners: Vec::new(),
            four_ways: FourWays::new(plan, context),
            client_gate: Gate::of(&plan.admission),
            link_gate: Gate::of_links(&plan.link_access),
            heartbeat: plan.heartbeat,
            keys,
            timeouts: Timeouts::of(settings),
            sessions_max: context.settings.sessions_max,
            queue_max: plan.queue_max,
            once: settings.once,
            draining: false,
            fixed_link: plan.link.iter().any(|point| is_connection(&point.at)),
            clients: 0,
            awaiting_headers: 0,
            unauthenticated: UnauthenticatedLinks::new(fastrand::Rng::new()),
            links: 0,
            probed: None,
            outcome: Exit::Done,
            warnings: Warnings {
                unauthenticated: Throttle::per(UNAUTHENTICATED_LINKS_PERIOD),
                unserved: Throttle::per_second(),
                links: Throttle::per_second(),
            },
        };
        // Asked before anything is bound: an inherited listener has another number afterwards.
        let (connected, listening): (Vec<_>, Vec<_>) =
            plan.link.iter().partition(|point| is_connection(&point.at));
        let inherited_clients = outside.bind_clients(plan, context)?;
        outside.bind_links(&listening, &plan.link_access, settings.family, context)?;
        context.listeners.open_all(&context.registry, &[])?;
        for point in connected {
            let link = inherited::connected(point, Purpose::Link)?;
            outside.link_gate.admits_inherited(&link, point, context)?;
            outside.link_accepted(link, context);
        }
        for (point, client_port) in inherited_clients {
            let client = inherited::client(point, &context.report)?;
            let session_slot = outside
                .client_gate
                .admits_inherited(&client, point, context)?;
            outside.client_accepted(&client_port, client, session_slot, context);
        }
        Ok(outside)
    }

    /// Binds where clients come in; those that are already there are returned.
    pub(super) fn bind_clients<'p>(
        &mut self,
        plan: &'p OutsidePlan,
        context: &mut Context,
    ) -> Result<Vec<(&'p ListenPoint, ClientPort)>, String> {
        let mut inherited_clients = Vec::new();
        for service in &plan.clients {
            let name = service.name.as_ref().map_or("", |name| name.as_str());
            for (index, point) in service.ports.iter().enumerate() {
                let to = if name.is_empty() {
                    point.word.clone()
                } else {
                    format!("{name}={}", point.word)
                };
                let client_port = ClientPort {
                    service: self.services.len(),
                    index: index as u16,
                    to: to.into(),
                };
                if is_connection(&point.at) {
                    inherited_clients.push((point, client_port));
                } else {
                    let ids =
                        context
                            .listeners
                            .bind(point, plan.settings.family, Purpose::Session)?;
                    self.client_ports
                        .extend(ids.iter().map(|_| Some(client_port.clone())));
                    self.client_listeners.extend(ids);
                }
            }
            self.services.push(Service {
                name: name.to_owned(),
                width: service.ports.len() as u16,
            });
        }
        Ok(inherited_clients)
    }

    pub(super) fn bind_links(
        &mut self,
        points: &[&ListenPoint],
        access: &AccessList,
        family: Family,
        context: &mut Context,
    ) -> Result<(), String> {
        for point in points {
            let ids = context.listeners.bind(point, family, Purpose::Link)?;
            let open = ids
                .iter()
                .any(|id| context.listeners.is_open_to_others(*id));
            if open && access.is_empty() && self.keys.is_none() {
                let text = format_args!(
                    "anyone who can reach {} can serve the clients: neither --key-file nor --allow-link is given",
                    point.word
                );
                context.report.warning(text);
            }
            self.client_ports.extend(ids.iter().map(|_| None));
            self.link_listeners.extend(ids);
        }
        Ok(())
    }
}

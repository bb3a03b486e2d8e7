//! What the frames of an inside node mean to the outside node.

use super::node::{Entry, Outside};
use crate::event_loop::context::Context;
use crate::limits::LINKS_SPARE;
use crate::protocol::frame::{ErrorCode, Hello};
use crate::protocol::link::Event as Frame;
use crate::report::sanitise;
use crate::session::close_reason::CloseReason;
use crate::session::link_driver::Stage;
use crate::token::Key;

impl Outside {
    pub(super) fn frame(&mut self, key: Key, frame: Frame, context: &mut Context) {
        let now = context.now();
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        match frame {
            Frame::Hello(hello) => self.hello(key, &hello, context),
            Frame::Opened => {
                if let Some(opening) = entry.driver.take_pending() {
                    entry.driver.stage = Stage::Relaying(opening.into_relay(now));
                }
                if let Some(node) = entry.node {
                    self.pairing.accepted(node);
                }
                if self.once {
                    self.draining = true;
                }
            }
            Frame::Refused(code, text) => {
                let why = if text.is_empty() {
                    code.to_string()
                } else {
                    sanitise(text.as_bytes())
                };
                self.refused(key, why, context);
            }
            Frame::Abort(code) => self.end_session(key, &CloseReason::Aborted(code), context),
            Frame::Bye if matches!(entry.driver.stage, Stage::Idle) => self.send_bye(key, context),
            Frame::Error(code, text) => {
                let text = sanitise(text.as_bytes());
                let message = format_args!(
                    "link from {}: the inside node closed it: {code}: {text}",
                    entry.peer
                );
                self.warnings.links.warning(&context.report, now, message);
                if let Some(dialled) = &mut entry.dialled {
                    dialled.unwanted |= code.lasts();
                }
                self.part(key, "the inside node closed it", context);
            }
            // BYE of a busy link is remembered by the protocol; an answer lets the pending session go on.
            _ => {}
        }
    }

    pub(super) fn hello(&mut self, key: Key, hello: &Hello, context: &mut Context) {
        let serves = match self.match_services(hello) {
            Ok(serves) => serves,
            Err((code, text)) => return self.fail_link(key, code, &text, context),
        };
        let links = self.pairing.links_of(hello.node);
        if links >= self.sessions_max + LINKS_SPARE {
            return self.fail_link(key, ErrorCode::TooMany, "", context);
        }
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        if links == 0 {
            let missing = self.services.iter().zip(&serves);
            let missing = missing.filter(|(_, serves)| !**serves);
            let missing = called_all(missing.map(|(service, _)| &*service.name));
            let but = if missing.is_empty() { "" } else { ", without " };
            context.report.info(format_args!(
                "inside node {} linked from {}{but}{missing}",
                hello.node, entry.peer
            ));
        }
        self.unauthenticated.welcome(key, entry.origin);
        if let (Some(four_ways), Some(dialled)) = (&mut self.four_ways, &mut entry.dialled) {
            four_ways.welcomed(key, dialled, hello.node, context.now());
        }
        entry.node = Some(hello.node);
        entry.driver.stage = Stage::Idle;
        entry.driver.link.protocol.welcome(self.node);
        // WELCOME is on its way before an OPEN can follow it; a failure shows at the next read.
        let _ = entry.driver.link.flush(&mut context.resources);
        self.pairing.link_up(key, hello.node, &serves);
        // The key file was read again meanwhile.
        if !self.is_welcome(key) {
            self.send_bye(key, context);
        }
    }

    /// For each of our services, whether the inside node serves it.
    pub(super) fn match_services(&self, hello: &Hello) -> Result<Vec<bool>, (ErrorCode, String)> {
        let mut serves = Vec::with_capacity(self.services.len());
        for service in &self.services {
            let offered = hello
                .services
                .iter()
                .find(|offered| offered.name == service.name);
            if let Some(offered) = offered
                && offered.width != 1
                && offered.width != service.width
            {
                return Err((
                    ErrorCode::Width,
                    format!(
                        "{} has {} ports outside and {} inside",
                        called(&service.name),
                        service.width,
                        offered.width
                    ),
                ));
            }
            serves.push(offered.is_some());
        }
        if serves.contains(&true) {
            Ok(serves)
        } else {
            let ours = called_all(self.services.iter().map(|service| &*service.name));
            let theirs = called_all(hello.services.iter().map(|service| &*service.name));
            Err((
                ErrorCode::NoService,
                format!(
                    "outside there is {ours}, inside {}",
                    sanitise(theirs.as_bytes())
                ),
            ))
        }
    }

    /// The inside node reached no server. Another node may; if none can, the client is reset.
    pub(super) fn refused(&mut self, key: Key, why: String, context: &mut Context) {
        let Some(Entry::Link(entry)) = self.entries.get_mut(key) else {
            return;
        };
        let node = entry.node;
        let Some(opening) = entry.driver.take_pending() else {
            return;
        };
        let (client, mut ticket) = opening.into_client(&mut entry.driver.link);
        if node.is_some_and(|node| self.pairing.refused(node, &mut ticket, context.now())) {
            self.wait_again(client, ticket, context);
        } else {
            self.end_client(client, &CloseReason::Unreached(why), context);
        }
    }
}

/// A service in messages.
pub(super) fn called(name: &str) -> String {
    match name {
        "" => "the nameless service".to_owned(),
        name => format!("service {name}"),
    }
}

fn called_all<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(called).collect::<Vec<_>>().join(", ")
}

//! The plan of `tcpfwd`.

use super::checks::{WordsSeen, check_families, check_four_way_bind, dials_itself};
use super::error::PlanError;
use super::proxies::{Proxies, check_ways};
use super::words::{dial_targets, listen_points};
use crate::config::address::{ListenPoint, Target, split_service, without_password};
use crate::config::options::RouteLine;
use crate::config::settings::{Admission, Settings};

/// What `tcpfwd` does: each point's clients go to the target beside it.
#[derive(Debug)]
pub struct RoutePlan {
    /// What holds for every session.
    pub settings: Settings,
    /// Where clients come in, and where they are taken.
    pub routes: Vec<(ListenPoint, Target)>,
    /// Which clients may come in.
    pub admission: Admission,
}

impl RoutePlan {
    /// Reads `LISTEN TARGET [LISTEN TARGET]...`.
    pub fn new(line: &RouteLine) -> Result<Self, PlanError> {
        let RouteLine {
            words,
            dialing,
            common,
            clients,
            ..
        } = line;
        if let Some(word) = words.iter().find(|word| split_service(word).0.is_some()) {
            return Err(PlanError::NameWithoutNodes(without_password(word)));
        }
        let mut routes = Vec::new();
        let mut proxies = Proxies::new(common);
        let mut words_seen = WordsSeen::default();
        let mut once = common.once;
        for (at, pair) in words.chunks(2).enumerate() {
            let next = |extra: usize| words.get(2 * at + extra).map(String::as_str);
            let mut points = listen_points(&pair[0], next(1))?;
            proxies.complete_points(&mut points)?;
            let [listen, target] = pair else {
                return Err(PlanError::TargetMissing(without_password(&pair[0])));
            };
            let targets = dial_targets(target, next(2))?;
            once |= words_seen.add_clients(&points)? | words_seen.add_targets(&targets)?;
            if targets.len() != 1 && targets.len() != points.len() {
                return Err(PlanError::ListsDiffer {
                    listen: without_password(listen),
                    points: points.len(),
                    target: target.clone(),
                    targets: targets.len(),
                });
            }
            for (point, target) in points.into_iter().zip(targets.into_iter().cycle()) {
                if dialing.via.is_empty() && dials_itself(&point.at, &target.at) {
                    return Err(PlanError::DialsItself {
                        listen: point.word,
                        target: target.word,
                    });
                }
                routes.push((point, target));
            }
        }
        words_seen.check_options(common)?;
        check_four_way_bind(routes.iter().map(|(_, target)| target), dialing.bind)?;
        let points = routes.iter().map(|(point, _)| point);
        let targets = routes.iter().map(|(_, target)| target);
        check_families(common.family(), points, targets.clone(), dialing.bind)?;
        let via = proxies.chain("--via", &dialing.via)?;
        proxies.finish()?;
        check_ways("--via", common.family(), &via, targets)?;
        Ok(Self {
            settings: Settings {
                via,
                ..Settings::new(common, dialing, once)
            },
            routes,
            admission: Admission::of(clients),
        })
    }
}

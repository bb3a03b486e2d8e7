//! The descriptors of a process: its limit is raised, and the number of sessions is cut to what it allows.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::settings::{SESSIONS_MAX_DEFAULT, Settings};
use crate::limits::{DESCRIPTORS_SPARE, PIPES_MAX};
use crate::report::Report;

/// Descriptors that a tool needs beside those of its sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtraDescriptors {
    /// Sockets that listen, without which it does not start.
    pub listeners: usize,
    /// What it would like to have; of few descriptors no more than a fourth.
    pub spare: usize,
}

/// Raises the limit of descriptors as far as it goes, and cuts the number of sessions to what it allows; returns how many
/// pipes may be used.
pub fn fit_descriptors(settings: &mut Settings, extra: ExtraDescriptors, report: &Report) -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return PIPES_MAX;
    };
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        hard
    } else {
        soft
    };
    let descriptors = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(DESCRIPTORS_SPARE + extra.listeners);
    let descriptors = descriptors - extra.spare.min(descriptors / 4);
    // A pipe has two descriptors, and so has a session.
    let pipes = (descriptors / 32).clamp(1, PIPES_MAX);
    let sessions = (descriptors.saturating_sub(2 * pipes) / 2).max(1);
    if sessions < settings.sessions_max {
        let cut = format!(
            "--max-sessions cut from {} to {sessions}: {limit} descriptors allow no more",
            settings.sessions_max
        );
        // The default was not asked for: near it no warning is needed. One session has room in any case.
        let by_default = settings.sessions_max == SESSIONS_MAX_DEFAULT;
        if by_default && settings.once {
            report.debug(cut);
        } else if by_default && sessions > SESSIONS_MAX_DEFAULT / 2 {
            report.info(cut);
        } else {
            report.warning(cut);
        }
        settings.sessions_max = sessions;
    }
    pipes
}

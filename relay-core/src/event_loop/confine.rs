//! Gives up privileges before the first peer is accepted: the user, the sandbox, core dumps.

use std::fs::File;
use std::sync::Arc;

use super::context::Context;
use super::tool::Tool;
use crate::config::options::Switch;
use crate::linux::privileges::{change_to, keep_secrets};
use crate::linux::sandbox;
use crate::report;

/// Everything is bound: gives up what is needed no more, before anybody is let in. Up to here there is one thread.
pub(super) fn confine(tool: &impl Tool, context: &mut Context) -> Result<(), String> {
    let Context {
        settings,
        report,
        listeners,
        resolver,
        ..
    } = context;
    let mut needs = listeners.add_needs(tool.needs());
    needs.syslog = !report.is_on_stderr();
    if let Some(user) = &settings.user {
        let unable = |fault| format!("unable to become {user}: {fault}");
        change_to(user).map_err(unable)?;
    }
    if settings.user.is_some() || needs.secrets {
        keep_secrets()?;
    }
    let mut opened = Ok(());
    let mut open = |enter| opened = resolver.open(needs.names.len(), &enter);
    if settings.sandbox == Some(Switch::Off) {
        open(Arc::new(|| {}));
    } else {
        let entered = sandbox::enter(&needs, report.program(), report.is_on_stderr(), open);
        if let (Some(Switch::On), Some(fault)) = (settings.sandbox, entered.faults.first()) {
            return Err(fault.clone());
        }
        for fault in entered.faults {
            report.warning(fault);
        }
        report.info(format_args!("sandbox: {}", entered.layers.join(", ")));
    }
    opened.map_err(|error| {
        let reason = report::reason(&error);
        format!("unable to start a thread that resolves names: {reason}")
    })?;
    for file in &needs.files {
        let unable = |error| {
            let (file, reason) = (file.display(), report::reason(&error));
            match &settings.user {
                Some(user) => format!(
                    "unable to read {file} on SIGHUP, as {user}: {reason}; make it theirs, or a group's that they are in"
                ),
                None => format!("unable to read {file} again: {reason}"),
            }
        };
        File::open(file).map_err(unable)?;
    }
    Ok(())
}

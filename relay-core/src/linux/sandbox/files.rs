//! Which files may be opened (landlock(7)).
//!
//! A rule is about a file or a directory as it is when the rule is made. A file that others replace, by renaming a new one into its
//! place as editors and configuration tools do, is a new file: what is to be read again after that is let through by its directory.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
    RulesetStatus, Scope,
};

use super::Needs;

/// Lets this thread open what it needs and nothing else; says how far the kernel sees to that.
pub fn confine(needs: &Needs) -> Result<&'static str, String> {
    let status = restrict(needs).map_err(|error| format!("unable to confine files: {error}"))?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => "files by landlock",
        RulesetStatus::PartiallyEnforced => "files by landlock, in part: the kernel is older",
        RulesetStatus::NotEnforced => "no files: the kernel has no landlock",
    })
}

fn restrict(needs: &Needs) -> Result<RestrictionStatus, landlock::RulesetError> {
    let mut scope = BitFlags::from(Scope::Signal);
    if !needs.abstract_sockets {
        scope |= Scope::AbstractUnixSocket;
    }
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(scope)?
        .create()?;
    // Puts it in the place of descriptors that it closes.
    rules = allow(rules, "/dev/null", AccessFs::ReadFile | AccessFs::WriteFile)?;
    for file in &needs.files {
        rules = allow(rules, directory_of(file), AccessFs::ReadFile.into())?;
        // Where its name is a link.
        if let Some(place) = place_of(file) {
            rules = allow(rules, place, AccessFs::ReadFile.into())?;
        }
    }
    for socket in &needs.sockets {
        let access = AccessFs::RemoveFile | AccessFs::MakeSock;
        rules = allow(rules, directory_of(socket), access)?;
    }
    if needs.names {
        for place in NAME_SERVICE {
            rules = allow(rules, place, AccessFs::ReadFile.into())?;
        }
        if let Some(place) = place_of("/etc/resolv.conf") {
            rules = allow(rules, place, AccessFs::ReadFile.into())?;
        }
    }
    if needs.syslog {
        rules = allow(rules, "/etc/localtime", AccessFs::ReadFile.into())?;
    }
    rules.restrict_self()
}

/// What is not there needs no rule.
fn allow(
    rules: RulesetCreated,
    path: impl AsRef<Path>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    match PathFd::new(path) {
        Ok(opened) => rules.add_rule(PathBeneath::new(opened, access)),
        Err(_) => Ok(rules),
    }
}

/// The directory that a file is really in.
fn place_of(file: impl AsRef<Path>) -> Option<PathBuf> {
    Some(std::fs::canonicalize(file).ok()?.parent()?.to_owned())
}

fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

/// Linux 6.12. What a later one can forbid on top is of no use to a program that was not tested with it.
const KNOWN: ABI = ABI::V6;

/// What getaddrinfo(3) of the C libraries reads: hosts, resolv.conf, nsswitch.conf and more in /etc, any of which may be replaced;
/// the modules that nsswitch.conf names; what name services leave elsewhere.
const NAME_SERVICE: [&str; 9] = [
    "/etc",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/run/NetworkManager",
    "/run/nscd",
    "/run/resolvconf",
    "/run/systemd/resolve",
];

//! Which files may be opened (landlock(7)).
//!
//! A rule is about a file or a directory as it is when the rule is made. A file that others replace, by renaming a new one into its
//! place as editors and configuration tools do, is a new file: what is to be read again after that is let through by its directory.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

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
        for place in places_of(file) {
            rules = allow(rules, place, AccessFs::ReadFile.into())?;
        }
    }
    for socket in &needs.sockets {
        let access = AccessFs::RemoveFile | AccessFs::MakeSock;
        rules = allow(rules, directory_of(socket), access)?;
    }
    if !needs.names.is_empty() {
        for place in NAME_SERVICE {
            rules = allow(rules, place, AccessFs::ReadFile.into())?;
        }
        for place in places_of(Path::new("/etc/resolv.conf")) {
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

/// The directories that a file may be in whose name leads over links: where it is; where it will be, as far as there is anything on
/// the way there; and where a link on the way leads to a place beside itself, and so may lead to another one later. Never the root:
/// that would be everything.
fn places_of(file: &Path) -> BTreeSet<PathBuf> {
    let mut places = BTreeSet::new();
    let Ok(absolute) = std::path::absolute(file) else {
        return places;
    };
    let mut at = PathBuf::from("/");
    let mut ahead = steps(&absolute);
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        if step == ".." {
            at.pop();
            continue;
        }
        let next = at.join(step);
        if let Ok(target) = std::fs::read_link(&next) {
            links += 1;
            if links > LINKS_MAX {
                return places;
            }
            if is_below(&target, &at) {
                places.insert(at.clone());
            }
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            ahead.extend(steps(&target));
        } else if next.is_dir() {
            at = next;
        } else {
            break;
        }
    }
    places.insert(at);
    places.remove(Path::new("/"));
    places
}

/// The parts of a path, the last one first.
fn steps(path: &Path) -> Vec<OsString> {
    let mut steps: Vec<_> = path
        .components()
        .filter(|step| matches!(step, Component::Normal(_) | Component::ParentDir))
        .map(|step| step.as_os_str().to_owned())
        .collect();
    steps.reverse();
    steps
}

fn is_below(target: &Path, directory: &Path) -> bool {
    let goes_up = target.components().any(|step| step == Component::ParentDir);
    !goes_up && directory.join(target).starts_with(directory)
}

fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

/// Linux 6.12. What a later one can forbid on top is of no use to a program that was not tested with it.
const KNOWN: ABI = ABI::V6;

/// As many links as the kernel follows (path_resolution(7)).
const LINKS_MAX: usize = 40;

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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn places_are_where_a_file_is_and_where_links_beside_it_may_lead() {
        let scratch = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(scratch.path()).unwrap();
        let of = |name: &str| places_of(&root.join(name));
        let places = |names: &[&str]| names.iter().map(|name| root.join(name)).collect();
        for directory in ["conf", "kept/gen.1"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("kept/gen.1/key"), "").unwrap();
        symlink("gen.1", root.join("kept/gen")).unwrap();
        symlink("../kept/gen/key", root.join("conf/key")).unwrap();
        symlink("../kept/to/come", root.join("conf/missing")).unwrap();
        symlink("loop", root.join("conf/loop")).unwrap();
        symlink(root.join("kept"), root.join("conf/elsewhere")).unwrap();
        let cases: [(_, BTreeSet<PathBuf>); 5] = [
            ("kept/gen.1/key", places(&["kept/gen.1"])),
            ("conf/key", places(&["kept", "kept/gen.1"])),
            ("conf/missing", places(&["kept"])),
            ("conf/loop", places(&["conf"])),
            ("conf/elsewhere/gen.1/key", places(&["kept/gen.1"])),
        ];
        for (name, expected) in cases {
            assert_eq!(of(name), expected, "{name}");
        }
        assert_eq!(places_of(Path::new("/nothing/of/this")), BTreeSet::new());
    }
}

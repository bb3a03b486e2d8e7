//! `--user`: what a process that was started as root gives up once everything is bound.
//!
//! All of it is given up for good: the user and the groups, every capability, and the right to get any back from a set-user-id
//! program. If one step fails, the process does not run on.
//!
//! Capabilities and no_new_privs belong to a thread. There is only one when this is called: the threads that resolve names are
//! started later, and have what their maker has.

use std::ffi::CString;
use std::fmt;

use caps::CapSet;
use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{
    Gid, Group, Uid, User as Account, getgroups, getresgid, getresuid, setgroups, setresgid,
    setresuid,
};

/// Whom to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As typed.
    word: String,
    uid: Uid,
    gid: Gid,
    /// Supplementary groups: those of the user's, or none where a group was named.
    groups: Vec<Gid>,
}

/// Reads `USER[:GROUP]`, each a name or a number.
pub fn parse_user(text: &str) -> Result<User, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let account = find_account(user)?;
    let uid = match (&account, user.parse()) {
        (Some(account), _) => account.uid,
        (None, Ok(number)) => Uid::from_raw(number),
        (None, Err(_)) => return Err(format!("there is no user {user}")),
    };
    if uid.is_root() {
        return Err("expected a user who is not root".to_owned());
    }
    let (gid, groups) = match (group, account) {
        (Some(group), _) => (find_group(group)?, Vec::new()),
        (None, Some(account)) => (account.gid, groups_of(&account)?),
        (None, None) => return Err(format!("user {user} has no group: write {user}:GROUP")),
    };
    Ok(User {
        word: text.to_owned(),
        uid,
        gid,
        groups,
    })
}

/// Becomes the user, for good.
///
/// # Errors
/// Which step failed, and why. Some steps are done then: the process must end.
pub fn change_to(user: &User) -> Result<(), String> {
    // While there is the capability for it; what is out of the bounding set cannot be had from a file either.
    step("bound capabilities", caps::clear(None, CapSet::Bounding))?;
    step("set its groups", setgroups(&user.groups))?;
    step("set its group", setresgid(user.gid, user.gid, user.gid))?;
    step("set its user", setresuid(user.uid, user.uid, user.uid))?;
    for set in [
        CapSet::Ambient,
        CapSet::Effective,
        CapSet::Permitted,
        CapSet::Inheritable,
    ] {
        step("drop capabilities", caps::clear(None, set))?;
    }
    step("renounce privileges", set_no_new_privs())?;
    verify(user)
}

/// Keeps secrets out of cores, and of the sight of other processes of the same user. A change of the user undoes that: it comes before.
pub fn keep_secrets() -> Result<(), String> {
    step("forbid a core", setrlimit(Resource::RLIMIT_CORE, 0, 0))?;
    step("forbid to be traced", set_dumpable(false))
}

/// Calls can succeed and do less: a security module may have had a say.
fn verify(user: &User) -> Result<(), String> {
    let uids = step("ask for its user", getresuid())?;
    let gids = step("ask for its group", getresgid())?;
    let groups = step("ask for its groups", getgroups())?;
    let is_user = [uids.real, uids.effective, uids.saved] == [user.uid; 3];
    let is_group = [gids.real, gids.effective, gids.saved] == [user.gid; 3];
    let has_groups = groups
        .iter()
        .all(|gid| user.groups.contains(gid) || *gid == user.gid);
    let permitted = step("ask for capabilities", caps::read(None, CapSet::Permitted))?;
    if is_user && is_group && has_groups && permitted.is_empty() {
        Ok(())
    } else {
        Err("privileges remain".to_owned())
    }
}

fn step<T, E: fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| {
        let text = error.to_string().to_lowercase();
        // The name of the call in front of the reason means nothing to a user.
        let reason = text.rsplit(": ").next().unwrap_or_default();
        let reason = reason.split(" (os error ").next().unwrap_or_default();
        format!("unable to {what}: {reason}")
    })
}

fn find_account(user: &str) -> Result<Option<Account>, String> {
    let found = match user.parse() {
        Ok(number) => Account::from_uid(Uid::from_raw(number)),
        Err(_) => Account::from_name(user),
    };
    step("look users up", found)
}

fn find_group(group: &str) -> Result<Gid, String> {
    if let Ok(number) = group.parse() {
        return Ok(Gid::from_raw(number));
    }
    step("look groups up", Group::from_name(group))?
        .map(|group| group.gid)
        .ok_or_else(|| format!("there is no group {group}"))
}

fn groups_of(account: &Account) -> Result<Vec<Gid>, String> {
    let name = step("look groups up", CString::new(account.name.as_str()))?;
    step(
        "look groups up",
        nix::unistd::getgrouplist(&name, account.gid),
    )
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_nobody_knows_is_told() {
        for (text, expected) in [
            ("", "there is no user "),
            ("no such user", "there is no user no such user"),
            ("root", "expected a user who is not root"),
            ("0:65534", "expected a user who is not root"),
            ("65533:no such group", "there is no group no such group"),
            (
                "4000000000",
                "user 4000000000 has no group: write 4000000000:GROUP",
            ),
        ] {
            assert_eq!(parse_user(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn numbers_need_no_account() {
        let user = parse_user("4000000000:4000000001").unwrap();
        assert_eq!(user.uid.as_raw(), 4_000_000_000);
        assert_eq!(user.gid.as_raw(), 4_000_000_001);
        assert!(user.groups.is_empty());
        assert_eq!(user.to_string(), "4000000000:4000000001");
    }
}

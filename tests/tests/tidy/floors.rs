//! The floors of `relay-core/src`: a file uses its own folder and the floors below it, and no two files use each other.
//!
//! The test reads `use` declarations and paths that begin with `crate::`, `self::` or `super::`. It does not read unit tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use relay_tests::workspace::{ProductFile, product_files, top};

#[test]
fn a_file_uses_its_own_floor_and_those_below() {
    let mut found = Vec::new();
    for (file, uses) in &uses() {
        found.extend(
            uses.iter()
                .filter(|used| floor(used) < floor(file))
                .map(|used| format!("{file} uses {used}")),
        );
    }
    expect_none(&found, "move what both need to a lower floor");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let uses = uses();
    let reach = |from: &str| -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<&str> = uses[from].iter().map(String::as_str).collect();
        while let Some(file) = todo.pop() {
            if seen.insert(file.to_owned()) {
                todo.extend(uses[file].iter().map(String::as_str));
            }
        }
        seen
    };
    let circles: Vec<String> = uses
        .keys()
        .filter(|file| reach(file).contains(*file))
        .map(|file| {
            let others: Vec<String> = uses[file]
                .iter()
                .filter(|used| reach(used).contains(file))
                .cloned()
                .collect();
            format!("{file} uses {}, and is used by it", others.join(", "))
        })
        .collect();
    expect_none(&circles, "move what both need to a file of its own");
}

#[test]
fn the_crate_has_few_entries() {
    let entries = fs::read_dir(top().join(CRATE)).expect("the crate has a directory");
    let count = entries.count();
    assert!(
        count <= ENTRIES_MAX,
        "{CRATE} has {count} entries; put the file into the folder of its floor"
    );
}

#[test]
fn a_file_holds_one_idea() {
    let files = product_files();
    let long: Vec<String> = files
        .iter()
        .filter(|file| !LONG_FOR_A_REASON.iter().any(|(name, _)| *name == file.name))
        .map(|file| (file.code.lines().count(), &file.name))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, name)| format!("{name}: {lines} lines"))
        .collect();
    expect_none(&long, "give each idea a file of its own");
    for (name, _) in LONG_FOR_A_REASON {
        let file = files.iter().find(|file| file.name == name);
        let lines = file.map_or(0, |file| file.code.lines().count());
        assert!(
            lines > LINES_MAX,
            "{name} has {lines} lines and needs no exception"
        );
    }
}

/// Returns the place of a file's floor in [`FLOORS`], the top floor first.
fn floor(file: &str) -> usize {
    let entry = file.split('/').next().unwrap_or_default();
    FLOORS
        .iter()
        .position(|floor| floor.contains(&entry))
        .unwrap_or_else(|| panic!("{file} is on no floor: add {entry} to FLOORS"))
}

/// Returns the files of the crate and the files that each one uses, by their paths below `relay-core/src`.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let files: Vec<ProductFile> = product_files()
        .into_iter()
        .filter(|file| file.name.starts_with(CRATE))
        .collect();
    let modules: BTreeMap<Vec<String>, String> = files
        .iter()
        .map(|file| below_crate(&file.name))
        .map(|file| (module(file), file.to_owned()))
        .collect();
    let uses = files
        .iter()
        .map(|file| {
            let name = below_crate(&file.name);
            let used = paths(&file.code)
                .iter()
                .filter_map(|path| resolve(path, &module(name), &modules))
                .filter(|used| used != name)
                .collect();
            (name.to_owned(), used)
        })
        .collect::<BTreeMap<String, BTreeSet<String>>>();
    assert!(
        uses.values().any(|used| !used.is_empty()),
        "no `use` line was understood"
    );
    uses
}

fn below_crate(name: &str) -> &str {
    &name[CRATE.len() + 1..]
}

/// Returns the module that a file is: `config/address/mod.rs` is `config::address`.
fn module(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") || path == "lib" {
        parts.pop();
    }
    parts
}

/// Returns the file that holds what `path` names, if it is one of the crate's.
fn resolve(
    path: &[String],
    from: &[String],
    modules: &BTreeMap<Vec<String>, String>,
) -> Option<String> {
    let mut at = from.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {}
        first => {
            // A path that begins with a module of this file.
            let child: Vec<String> = from.iter().cloned().chain([first.to_owned()]).collect();
            modules.get(&child)?;
        }
    }
    while rest.first().is_some_and(|part| part == "super") {
        at.pop();
        rest = &rest[1..];
    }
    for part in rest {
        at.push(part.clone());
        if !modules.contains_key(&at) {
            at.pop();
            break;
        }
    }
    modules.get(&at).cloned()
}

/// Returns the paths that the code names: those of `use`, without braces, and those that begin in the crate.
fn paths(code: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = lines.join("\n");
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find("use ") {
        let starts_word = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        rest = &rest[at + "use ".len()..];
        if let Some((tree, _)) = rest.split_once(';')
            && starts_word
            && !tree.contains(['(', '='])
        {
            let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
            expand(&[], &tree, &mut found);
        }
    }
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let text = code[at..].split(|c| !is_path(c)).next().unwrap_or_default();
            found.push(segments(text));
        }
    }
    found
}

/// Writes the paths of a `use` tree out: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let Some((head, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        found.push(before.iter().cloned().chain(segments(path)).collect());
        return;
    };
    let before: Vec<String> = before.iter().cloned().chain(segments(head)).collect();
    let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
    let mut depth = 0;
    for branch in inner.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    }) {
        if !branch.trim().is_empty() {
            expand(&before, branch, found);
        }
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split("::")
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn expect_none(found: &[String], instead: &str) {
    assert!(found.is_empty(), "{instead}:\n{}", found.join("\n"));
}

const CRATE: &str = "relay-core/src";
const ENTRIES_MAX: usize = 14;
const LINES_MAX: usize = 400;

/// The floors from the top; a line is one floor.
const FLOORS: [&[&str]; 11] = [
    &["lib.rs"],
    &["tools"],
    &["session"],
    &["event_loop"],
    &["sockets"],
    &["config"],
    &["keyed"],
    &["linux"],
    &["policy"],
    &["protocol"],
    &["token.rs", "ids.rs", "limits.rs", "report"],
];

/// Files that hold one idea in more than [`LINES_MAX`] lines, and why.
const LONG_FOR_A_REASON: [(&str, &str); 0] = [];

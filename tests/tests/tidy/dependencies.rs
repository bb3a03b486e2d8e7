//! What a dependency may bring along. The rules are in deny.toml, where cargo-deny reads them too. This test needs cargo alone.

#![allow(
    clippy::expect_used,
    reason = "this is test code: a broken expectation is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::process::{Command, Stdio};

use relay_tests::workspace;
use serde_json::Value;

#[test]
fn each_licence_is_allowed() {
    let allowed = allowed_licences();
    let denied = packages().into_iter().filter(|package| {
        let licence = package["license"].as_str().unwrap_or("none");
        !Licence::of(licence).met_by(&allowed)
    });
    expect_none(
        denied.map(|package| format!("{}: {}", name(&package), package["license"])),
        "take another crate, or allow the licence in deny.toml and say why",
    );
}

#[test]
fn no_crate_comes_in_two_versions() {
    let skipped = skipped_versions();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages() {
        let version = text(&package["version"]);
        let (major, _) = version.split_once('.').expect("a version has parts");
        if !skipped.contains(&format!("{}@{major}", name(&package))) {
            versions
                .entry(name(&package))
                .or_default()
                .push(version.clone());
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    expect_none(
        versions
            .iter()
            .map(|(name, versions)| format!("{name}: {}", versions.join(", "))),
        "take one version, or skip the other in deny.toml and say why",
    );
}

#[test]
fn no_required_version_is_a_wildcard() {
    let all = packages();
    let wildcards = all.iter().flat_map(|package| {
        let dependencies = package["dependencies"].as_array().expect("a list");
        // A dependency by path has the version of that path.
        let wildcards = dependencies
            .iter()
            .filter(|dependency| dependency["req"] == "*" && dependency["path"].is_null());
        wildcards.map(|dependency| format!("{} requires any {}", name(package), dependency["name"]))
    });
    expect_none(wildcards, "name the version that was tested");
}

#[test]
fn each_dependency_is_from_the_one_registry() {
    let foreign = packages()
        .into_iter()
        .filter(|package| !package["source"].is_null() && package["source"] != REGISTRY);
    expect_none(
        foreign.map(|package| format!("{}: {}", name(&package), package["source"])),
        "take what is published on crates.io",
    );
}

#[test]
fn licences_are_read_as_spdx_says() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "ISC".to_owned()]);
    for (expression, is_met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("ISC AND GPL-3.0", false),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("ISC AND GPL-3.0 OR MIT", true),
        ("(ISC OR GPL-3.0) AND GPL-3.0", false),
        ("MIT WITH some-exception", false),
        ("MIT WITH some-exception OR ISC", true),
        ("none", false),
    ] {
        assert_eq!(
            Licence::of(expression).met_by(&allowed),
            is_met,
            "{expression}"
        );
    }
}

/// The crates that are built for one of the targets of deny.toml, for tests and build scripts too.
fn packages() -> Vec<Value> {
    // The metadata lists more: crates that a feature nobody asks for would bring.
    let tree = cargo(
        &["tree", "--workspace", "--prefix=none", "--format={p}"],
        "--target",
    );
    let built: BTreeSet<String> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some(format!("{} {}", words.next()?, words.next()?))
        })
        .collect();
    let metadata = cargo(&["metadata", "--format-version=1"], "--filter-platform");
    let mut metadata: Value = serde_json::from_str(&metadata).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array_mut().expect("a list");
    packages.retain(|package| {
        let version = text(&package["version"]);
        built.contains(&format!("{} v{version}", name(package)))
    });
    assert_eq!(packages.len(), built.len(), "{built:?}");
    std::mem::take(packages)
}

/// Runs a command of cargo about every feature and each target of deny.toml, and returns what it prints.
fn cargo(command: &[&str], target_option: &str) -> String {
    let targets = strings_of("targets = ");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(command)
        .args(["--quiet", "--locked", "--all-features"])
        .args(targets.iter().flat_map(|target| [target_option, target]))
        .current_dir(workspace::top())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "cargo {} failed", command[0]);
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

fn allowed_licences() -> BTreeSet<String> {
    strings_of("allow = ").into_iter().collect()
}

/// The versions that may stand beside another of the same crate, as `NAME@MAJOR`.
fn skipped_versions() -> BTreeSet<String> {
    let rules = rules();
    let crates = rules.split("crate = \"").skip(1);
    crates
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .collect()
}

/// The list of strings behind `key` in deny.toml. On one line it is JSON as well.
fn strings_of(key: &str) -> Vec<String> {
    let rules = rules();
    let list = rules.lines().find_map(|line| line.strip_prefix(key));
    serde_json::from_str(list.expect("deny.toml has the key"))
        .expect("a list of strings on one line")
}

fn rules() -> String {
    fs::read_to_string(workspace::top().join("deny.toml")).expect("deny.toml can be read")
}

/// A licence expression, split into words (SPDX 2.3, annex D). `/` is an older way to write `OR`.
struct Licence(Vec<String>);

impl Licence {
    fn of(expression: &str) -> Licence {
        let spaced = expression
            .replace('/', " OR ")
            .replace('(', " ( ")
            .replace(')', " ) ");
        Licence(spaced.split_whitespace().rev().map(str::to_owned).collect())
    }

    fn met_by(mut self, allowed: &BTreeSet<String>) -> bool {
        let is_met = self.any(allowed);
        assert!(self.0.is_empty(), "not a licence expression: {:?}", self.0);
        is_met
    }

    fn any(&mut self, allowed: &BTreeSet<String>) -> bool {
        let mut is_met = self.all(allowed);
        while self.skip("OR") {
            is_met |= self.all(allowed);
        }
        is_met
    }

    fn all(&mut self, allowed: &BTreeSet<String>) -> bool {
        let mut is_met = self.one(allowed);
        while self.skip("AND") {
            is_met &= self.one(allowed);
        }
        is_met
    }

    fn one(&mut self, allowed: &BTreeSet<String>) -> bool {
        if self.skip("(") {
            let is_met = self.any(allowed);
            assert!(self.skip(")"), "a parenthesis is not closed");
            return is_met;
        }
        let mut licence = self.0.pop().expect("a licence has a name");
        if self.skip("WITH") {
            licence = format!(
                "{licence} WITH {}",
                self.0.pop().expect("an exception has a name")
            );
        }
        allowed.contains(&licence)
    }

    fn skip(&mut self, word: &str) -> bool {
        self.0.pop_if(|next| next == word).is_some()
    }
}

fn name(package: &Value) -> String {
    text(&package["name"])
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn expect_none(found: impl Iterator<Item = String>, instead: &str) {
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{instead}:\n{}", found.join("\n"));
}

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

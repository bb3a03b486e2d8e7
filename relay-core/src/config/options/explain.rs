//! Why a command line is wrong, in one sentence of ours.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _};

use super::lines::{InsideLine, OutsideLine, RouteLine};
use crate::config::address::without_password;

/// What clap found, in one sentence of ours.
pub(super) fn explain(error: &clap::Error, tool: &Command) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" and "),
        _ => String::new(),
    };
    let argument = without_password(&text(ContextKind::InvalidArg));
    let option = option_alone(&argument);
    let value = without_password(&text(ContextKind::InvalidValue));
    match error.kind() {
        ErrorKind::UnknownArgument if !option.starts_with('-') => {
            format!("unable to use {option}: one word too many")
        }
        // Of `-v=1`; no short option takes a value.
        ErrorKind::UnknownArgument if option == "-=" => {
            "unable to use = behind a short option: it takes no value".to_owned()
        }
        ErrorKind::UnknownArgument => {
            let why = explain_option(option, &text(ContextKind::SuggestedArg), tool);
            format!("unable to use {option}: {why}")
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("unable to use {option}: it needs a value: write {argument}")
                .replace(['<', '>'], "")
        }
        ErrorKind::InvalidValue => {
            format!(
                "unable to use {option} {value}: expected {}",
                text(ContextKind::ValidValue).replace(" and ", " or ")
            )
        }
        ErrorKind::ValueValidation => {
            let source = std::error::Error::source(error)
                .map(ToString::to_string)
                .unwrap_or_default();
            format!("unable to use {option} {value}: {source}")
        }
        ErrorKind::TooManyValues => format!("unable to use {option}={value}: it takes no value"),
        ErrorKind::ArgumentConflict if text(ContextKind::PriorArg) == argument => {
            format!("unable to use {option} twice")
        }
        ErrorKind::ArgumentConflict => {
            format!(
                "unable to use {option} with {}",
                option_alone(&text(ContextKind::PriorArg))
            )
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(places)) => places.len(),
                _ => 1,
            };
            format!("too few words: {} missing", last_places(tool, missing))
        }
        ErrorKind::InvalidUtf8 => "unable to use a word that is not utf-8".to_owned(),
        _ => error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    }
}

/// Words fill the places from the left, so that the last ones are missing; clap gives `LINK` its word before `CLIENTS`.
fn last_places(tool: &Command, missing: usize) -> String {
    let places: Vec<String> = tool
        .get_positionals()
        .flat_map(|place| place.get_value_names().unwrap_or_default())
        .map(ToString::to_string)
        .collect();
    places[places.len().saturating_sub(missing)..].join(" and ")
}

/// Why there is no such option, and what was expected: the habits of netcat's users first, then what clap suggests.
fn explain_option(option: &str, suggested: &str, tool: &Command) -> String {
    let has = |name: &str| tool.get_opts().any(|arg| arg.get_long() == Some(name));
    let first = last_places(tool, usize::MAX);
    let listens = first.starts_with("LISTEN") || first.starts_with("CLIENTS");
    let hint = match option {
        "-l" if listens => "the first word is where to listen",
        "-l" => "this tool dials, listen-listen listens",
        "-p" => "the port is part of the word, as in 8080 or srv:80",
        "-k" => "clients are served until the end, unless --once is given",
        "-e" | "-c" => "no program is run: expected an address",
        "-u" => "udp is not relayed: expected tcp or a unix stream socket",
        "-w" if has("connect-timeout") => "expected --connect-timeout or --idle-timeout",
        "-w" => "expected --idle-timeout",
        _ => {
            let name = option.trim_start_matches('-');
            return match (owners_of_option(name), owners_of_word(name)) {
                (owners, _) if !owners.is_empty() => {
                    format!("this is an option of {}", owners.join(" and "))
                }
                (_, owners) if !owners.is_empty() => format!(
                    "no such option: {} is a word of {}",
                    name.to_ascii_uppercase(),
                    owners.join(" and ")
                ),
                _ if is_close(option, suggested) => {
                    format!("no such option: did you mean {suggested}")
                }
                _ => "no such option".to_owned(),
            };
        }
    };
    format!("no such option: {hint}")
}

/// The tools that have an option which not all of them have.
fn owners_of_option(name: &str) -> Vec<&'static str> {
    let all = [
        ("tcpfwd", RouteLine::command()),
        ("listen-listen", OutsideLine::command()),
        ("connect-connect", InsideLine::command()),
    ];
    let has = |tool: &Command| tool.get_opts().any(|arg| arg.get_long() == Some(name));
    if all.iter().all(|(_, tool)| has(tool)) {
        return Vec::new();
    }
    let owners = all.iter().filter(|(_, tool)| has(tool));
    owners.map(|(name, _)| *name).collect()
}

/// The tools that have a word in the place of this name.
fn owners_of_word(name: &str) -> &'static [&'static str] {
    match name {
        "listen" | "target" => &["tcpfwd"],
        "clients" => &["listen-listen"],
        "link" => &["listen-listen", "connect-connect"],
        "server" => &["connect-connect"],
        _ => &[],
    }
}

/// Whether one is the beginning of the other, or two slips of the finger make the other of it.
fn is_close(typed: &str, meant: &str) -> bool {
    if meant.is_empty() {
        return false;
    }
    let begun = typed.len() > "--xx".len() && meant.starts_with(typed);
    begun || slips(typed.as_bytes(), meant.as_bytes()) <= 2
}

/// How many characters are to be put in, taken out or replaced (the distance of Levenshtein).
fn slips(typed: &[u8], meant: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=meant.len()).collect();
    for (at, byte) in typed.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, other) in meant.iter().enumerate() {
            let replaced = diagonal + usize::from(byte != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[meant.len()]
}

/// clap shows an option with the placeholder of its value, or with dots where it may be repeated.
fn option_alone(argument: &str) -> &str {
    let end = argument.find(" <").or_else(|| argument.find("[="));
    argument[..end.unwrap_or(argument.len())].trim_end_matches("...")
}

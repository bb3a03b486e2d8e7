//! The manual pages: the options they name, and the examples in them that are run.

use std::collections::BTreeSet;
use std::fs;

use crate::launch::Launch;
use crate::workspace;

/// An example of a manual page: a literal block behind a comment `.\" test: NAME`.
#[derive(Debug)]
pub struct Example {
    /// Its name, unique over all pages.
    pub name: String,
    /// The page that has it.
    pub page: String,
    /// Its lines, as they are shown to the reader.
    pub lines: Vec<String>,
}

/// The files of all pages, as `tcpfwd.1`.
pub fn pages() -> BTreeSet<String> {
    let directory = workspace::top().join("man");
    let entries =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let names = entries.map(|entry| entry.expect("a directory can be read").file_name());
    names
        .map(|name| name.into_string().expect("the name of a page is text"))
        .collect()
}

/// The source of a page.
pub fn source(page: &str) -> String {
    let file = workspace::top().join("man").join(page);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A section of a page as a reader sees it, from its heading to the next.
pub fn section(page: &str, heading: &str) -> String {
    let file = workspace::top().join("man").join(page);
    let rendered = Launch::new("mandoc -T utf8 -O width=200").word(&file).run();
    assert!(rendered.code == 0, "{page}: {}", rendered.stderr);
    let text = without_overstrikes(&String::from_utf8(rendered.stdout).expect("a page is UTF-8"));
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let section: Vec<&str> = lines
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .collect();
    assert!(!section.is_empty(), "{page} has no section {heading}");
    section.join("\n")
}

/// The long options that a text names, as `--verbose`.
pub fn long_options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let options = words.filter(|word| {
        word.strip_prefix("--")
            .is_some_and(|name| name.starts_with(is_letter))
    });
    options
        .map(|option| option.trim_end_matches('-').to_owned())
        .collect()
}

/// The examples of a page that are to be run.
pub fn examples(page: &str) -> Vec<Example> {
    let source = source(page);
    let mut lines = source.lines();
    let mut examples = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix(MARK) {
            let opening = lines.next().unwrap_or_default();
            assert!(
                opening.starts_with(".Bd -literal"),
                "{page}: no literal block behind {line}"
            );
            let block = lines.by_ref().take_while(|line| *line != ".Ed");
            let name = name.trim().to_owned();
            examples.push(Example {
                name,
                page: page.to_owned(),
                lines: block.map(shown).collect(),
            });
        }
    }
    examples
}

/// A line of source as the reader sees it, as far as literal blocks need that.
fn shown(line: &str) -> String {
    line.replace("\\&", "")
        .replace("\\-", "-")
        .replace("\\(aq", "'")
        .replace("\\(dq", "\"")
        .replace("\\e", "\\")
}

/// Bold and underlined characters are printed twice, with a backspace between.
fn without_overstrikes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{8}' => drop(plain.pop()),
            _ => plain.push(character),
        }
    }
    plain
}

fn is_letter(character: char) -> bool {
    character.is_ascii_lowercase()
}

const MARK: &str = ".\\\" test:";

//! The text of the workspace, for tests that read it as a reviewer does.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file of the programs and their library, without its unit tests.
pub struct ProductFile {
    /// Its path from the top of the workspace.
    pub name: String,
    /// The text before `#[cfg(test)]`.
    pub code: String,
}

/// The top of the workspace.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a member of a workspace")
}

/// The source files of what is installed.
pub fn product_files() -> Vec<ProductFile> {
    let mut files = Vec::new();
    for crate_name in PRODUCT {
        collect(&top().join(crate_name).join("src"), &mut files);
    }
    assert!(
        !files.is_empty(),
        "no source was found below {}",
        top().display()
    );
    files
        .into_iter()
        .filter(|file| !is_test(file))
        .map(|file| product_file(&file))
        .collect()
}

impl ProductFile {
    /// The lines that hold `needle` outside of comments, as `file:line: text`.
    pub fn lines_with(&self, needle: &str) -> Vec<String> {
        let numbered = self.code.lines().enumerate();
        let found = numbered.filter(|(_, line)| without_comment(line).contains(needle));
        found
            .map(|(index, line)| format!("{}:{}: {}", self.name, index + 1, line.trim()))
            .collect()
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("a directory can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Whether a whole file is unit tests: `tests.rs`, or below a directory `tests`.
fn is_test(file: &Path) -> bool {
    file.strip_prefix(top()).is_ok_and(|path| {
        path.iter()
            .any(|part| part == "tests" || part == "tests.rs")
    })
}

fn product_file(file: &Path) -> ProductFile {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let code = text
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .to_owned();
    let name = file
        .strip_prefix(top())
        .unwrap_or(file)
        .display()
        .to_string();
    ProductFile { name, code }
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

const PRODUCT: [&str; 4] = ["relay-core", "tcpfwd", "listen-listen", "connect-connect"];

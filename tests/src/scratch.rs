//! A directory for the files and sockets of one test.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that is removed, with all in it, when the guard is dropped.
pub struct Scratch(TempDir);

impl Scratch {
    /// An empty directory.
    pub fn new() -> Scratch {
        Scratch(TempDir::new().expect("a temporary directory can be had"))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where a file called `name` is, or would be.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file called `name`.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let file = self.file(name);
        fs::write(&file, content).expect("a temporary file can be written");
        file
    }

    /// Reads the file called `name`.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

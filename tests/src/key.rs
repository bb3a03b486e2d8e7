//! A key file.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::scratch::Scratch;

/// A file that only its owner can read. It is removed after the test. Its `Display` is its path.
pub struct KeyFile {
    path: PathBuf,
    _directory: Scratch,
}

impl KeyFile {
    /// A file with these keys, each named by a number.
    pub fn of(keys: &[u8]) -> KeyFile {
        let directory = Scratch::new();
        let path = directory.write("link.key", b"");
        let file = KeyFile {
            path,
            _directory: directory,
        };
        file.allow(0o600);
        file.put(keys);
        file
    }

    /// Replaces its content by these keys.
    pub fn put(&self, keys: &[u8]) {
        let lines = keys.iter().map(|&key| STANDARD.encode([key; 32]) + "\n");
        self.write(&lines.collect::<String>());
    }

    /// Replaces its content by this text.
    pub fn write(&self, text: &str) {
        fs::write(&self.path, text).expect("a key file can be written");
    }

    /// Sets its permissions.
    pub fn allow(&self, mode: u32) {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode))
            .expect("a file of ours can be changed");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

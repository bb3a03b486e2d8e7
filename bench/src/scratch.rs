//! A directory for the configuration files and the logs of a trial.

use std::fs;
use std::path::{Path, PathBuf};

use crate::result::Result;

/// A directory that is removed with its contents when the value is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a new directory in `parent`.
    pub(crate) fn create(parent: &Path) -> Result<Scratch> {
        let path = parent.join(format!("relay-bench-{}", std::process::id()));
        fs::create_dir(&path)
            .map_err(|error| format!("unable to create {}: {error}", path.display()))?;
        Ok(Scratch(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

//! A directory for the configuration files and the logs of a trial.

use std::fs;
use std::path::{Path, PathBuf};

use crate::result::Result;

/// Dropped, it is removed with all that is in it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new directory in `parent`.
    pub(crate) fn create(parent: &Path) -> Result<Scratch> {
        let path = parent.join(format!("relay-bench-{}", std::process::id()));
        fs::create_dir(&path)
            .map_err(|error| format!("unable to make {}: {error}", path.display()))?;
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

//! Where programs are: ours are in the directory of the build, others are on the path.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The file of the program `name`.
pub fn path(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("{name} is on no path of {:?}", search_path()))
}

/// The file of the program `name`, if there is one; a path is its own.
pub fn find(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(PathBuf::from(name));
    }
    let is_ours = OURS.contains(&name);
    let directories = if is_ours {
        vec![build_directory().to_owned()]
    } else {
        directories()
    };
    directories
        .into_iter()
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// The path that children search: first our programs, last the directories for administrators, which are not on the path of
/// an ordinary user.
pub fn search_path() -> OsString {
    env::join_paths(directories()).expect("no directory of a path holds a colon")
}

fn directories() -> Vec<PathBuf> {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let ours = [build_directory().to_owned()].into_iter();
    ours.chain(env::split_paths(&inherited))
        .chain(ADMINISTRATION.map(PathBuf::from))
        .collect()
}

/// The directory of our programs: `RELAY_BIN_DIR`, otherwise the directory of this executable. In the second case cargo first
/// brings them up to date, because building a test does not build the programs of other packages.
pub fn build_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| match env::var_os("RELAY_BIN_DIR") {
        Some(directory) => {
            fs::canonicalize(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"))
        }
        None => built(),
    })
}

fn built() -> PathBuf {
    let executable = env::current_exe().expect("the kernel knows what it runs");
    let directory = executable
        .ancestors()
        .skip(1)
        .find(|directory| !directory.ends_with("deps"));
    let directory = directory.expect("an executable is in a directory");
    if let Some(cargo) = env::var_os("CARGO") {
        build(Path::new(&cargo), directory);
    }
    directory.to_owned()
}

fn build(cargo: &Path, directory: &Path) {
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{} is no directory of cargo", directory.display()),
    };
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bins",
            "--profile",
            profile,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(
        status.expect("cargo can be run").success(),
        "cargo did not build the programs under test"
    );
}

const OURS: [&str; 3] = ["tcpfwd", "listen-listen", "connect-connect"];
const ADMINISTRATION: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

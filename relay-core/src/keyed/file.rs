//! The file of `--key-file`: one secret, or two while it is being changed.
//!
//! A line is a secret in base64; blank lines and those that begin with `#` are skipped. What others may read or write is no secret,
//! so it is refused; the file's group may read it.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::limits::{KEY_BYTES_MIN, KEY_FILE_BYTES_MAX, KEYS_MAX};
use crate::report::reason;

/// What was read.
pub struct KeyFile {
    path: PathBuf,
    secrets: Vec<Zeroizing<Vec<u8>>>,
}

/// Why a file is not taken.
#[derive(Debug)]
pub struct KeyError {
    path: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    System(io::Error),
    NotAFile,
    OthersRead,
    OthersWrite,
    TooLong,
    Empty,
    TooMany,
    Twice,
    NotBase64 { line: usize },
    Short { line: usize, bytes: usize },
    Underivable(String),
}

impl KeyFile {
    /// Reads and checks it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let secrets = read(path).and_then(|text| parse(&text));
        Self::of(path, secrets)
    }

    /// As if this were in it.
    pub fn with_text(path: &Path, text: &[u8]) -> Result<Self, KeyError> {
        Self::of(path, parse(text))
    }

    fn of(path: &Path, secrets: Result<Vec<Zeroizing<Vec<u8>>>, Why>) -> Result<Self, KeyError> {
        let path = path.to_owned();
        match secrets {
            Ok(secrets) => Ok(Self { path, secrets }),
            Err(why) => Err(KeyError { path, why }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        self.secrets.iter().map(|secret| secret.as_slice())
    }

    pub(super) fn without_secrets(mut self) -> Self {
        self.secrets = Vec::new();
        self
    }
}

/// Says nothing of the secrets.
impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyFile").field(&self.path).finish()
    }
}

/// The bytes of the file. The permissions are those of what was opened, not of what the name leads to a moment later.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Why> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe without a writer shall not keep the program from starting.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(Why::System)?;
    let metadata = file.metadata().map_err(Why::System)?;
    if !metadata.is_file() {
        return Err(Why::NotAFile);
    }
    if metadata.mode() & libc::S_IROTH != 0 {
        return Err(Why::OthersRead);
    }
    if metadata.mode() & libc::S_IWOTH != 0 {
        return Err(Why::OthersWrite);
    }
    // It does not grow while it is filled: what it left behind would not be zeroed.
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX + 1));
    file.take(KEY_FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut text)
        .map_err(Why::System)?;
    if text.len() > KEY_FILE_BYTES_MAX {
        return Err(Why::TooLong);
    }
    Ok(text)
}

fn parse(text: &[u8]) -> Result<Vec<Zeroizing<Vec<u8>>>, Why> {
    let mut secrets: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let secret = decode(line).ok_or(Why::NotBase64 { line: at + 1 })?;
        if secret.len() < KEY_BYTES_MIN {
            let bytes = secret.len();
            return Err(Why::Short {
                line: at + 1,
                bytes,
            });
        }
        if secrets.contains(&secret) {
            return Err(Why::Twice);
        }
        secrets.push(secret);
    }
    match secrets.len() {
        0 => Err(Why::Empty),
        count if count > KEYS_MAX => Err(Why::TooMany),
        _ => Ok(secrets),
    }
}

fn decode(line: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(line.len())]);
    let count = BASE64.decode_slice(line, &mut bytes).ok()?;
    bytes.truncate(count);
    Some(bytes)
}

/// Whether it ends in `=` or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl KeyError {
    pub(super) fn underivable(path: &Path, why: String) -> Self {
        Self {
            path: path.to_owned(),
            why: Why::Underivable(why),
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "unable to use the key file {path}: ")?;
        match &self.why {
            Why::System(error) => f.write_str(&reason(error)),
            Why::NotAFile => f.write_str("this is not a regular file"),
            Why::OthersRead => write!(f, "others can read it: chmod o= {path}"),
            Why::OthersWrite => write!(f, "others can write to it: chmod o= {path}"),
            Why::TooLong => write!(f, "expected at most {KEY_FILE_BYTES_MAX} bytes"),
            Why::Empty => f.write_str("there is no key in it"),
            Why::TooMany => write!(f, "expected at most {KEYS_MAX} keys, each in a line"),
            Why::Twice => f.write_str("the same key is in it twice"),
            Why::NotBase64 { line } => write!(f, "line {line} is not base64"),
            Why::Short { line, bytes } => write!(
                f,
                "the key in line {line} has {bytes} bytes: expected {KEY_BYTES_MIN} or more, in one line"
            ),
            Why::Underivable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(text: &str) -> Result<Vec<Vec<u8>>, String> {
        match parse(text.as_bytes()) {
            Ok(secrets) => Ok(secrets.iter().map(|secret| secret.to_vec()).collect()),
            Err(why) => {
                let path = PathBuf::from("link.key");
                let text = KeyError { path, why }.to_string();
                Err(text
                    .trim_start_matches("unable to use the key file link.key: ")
                    .to_owned())
            }
        }
    }

    fn line(byte: u8, bytes: usize) -> String {
        base64::engine::general_purpose::STANDARD.encode(vec![byte; bytes])
    }

    #[test]
    fn a_line_is_a_key_and_two_are_two() {
        let (old, new) = (line(1, 32), line(2, 57));
        assert_eq!(secrets(&old), Ok(vec![vec![1; 32]]));
        let both = format!("# since monday\n\n  {new}\r\n{old}\n");
        assert_eq!(secrets(&both), Ok(vec![vec![2; 57], vec![1; 32]]));
        assert_eq!(secrets(old.trim_end_matches('=')), Ok(vec![vec![1; 32]]));
    }

    #[test]
    fn what_is_no_key_is_told_by_its_line() {
        let good = line(1, 32);
        assert_eq!(
            secrets("\n# nothing\n"),
            Err("there is no key in it".to_owned())
        );
        assert_eq!(
            secrets(&format!("{good}\nsecret words\n")),
            Err("line 2 is not base64".to_owned())
        );
        assert_eq!(
            secrets(&format!("{good}\n{}\n", line(2, 31))),
            Err("the key in line 2 has 31 bytes: expected 32 or more, in one line".to_owned())
        );
        assert_eq!(
            secrets(&format!("{good}\n{good}\n")),
            Err("the same key is in it twice".to_owned())
        );
        assert_eq!(
            secrets(&format!("{good}\n{}\n{}\n", line(2, 32), line(3, 32))),
            Err("expected at most 2 keys, each in a line".to_owned())
        );
    }

    #[test]
    fn a_key_shows_itself_to_nobody() {
        let file = KeyFile {
            path: PathBuf::from("link.key"),
            secrets: parse(line(7, 32).as_bytes()).unwrap(),
        };
        assert_eq!(format!("{file:?}"), "KeyFile(\"link.key\")");
    }
}

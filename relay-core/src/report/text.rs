//! Text that is safe to print: from the system, and from a peer.

use std::io;

/// What the system says of an error: strerror(3) in lower case.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error().and_then(|_| text.rfind(" (os error ")) {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// Text from a peer, made fit for a message: printable ASCII, at most [`PEER_TEXT_BYTES_MAX`] bytes of it.
pub fn sanitise(text: &[u8]) -> String {
    let mut clean = String::new();
    for &byte in text {
        let escaped = match byte {
            b'\\' => "\\\\".to_owned(),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        };
        if clean.len() + escaped.len() > PEER_TEXT_BYTES_MAX {
            return clean + "...";
        }
        clean += &escaped;
    }
    clean
}

/// The text with its control characters escaped.
pub(super) fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// The text, cut at a character's boundary to at most `bytes_max` bytes.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// Of a peer's text in a message, escapes included.
pub const PEER_TEXT_BYTES_MAX: usize = 200;

/// A pipe that polls writable takes PIPE_BUF (4096) bytes at once (pipe(7)). JSON may double a text and tells a session
/// twice, so that a quarter leaves the whole line below that.
pub(super) const TEXT_BYTES_MAX: usize = 1000;

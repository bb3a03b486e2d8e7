//! What the text of a word looks like.

/// Whether a text is `PORT` or `PORT-PORT` by its form.
pub(super) fn is_ports(text: &str) -> bool {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    is_digits(first) && is_digits(last)
}

/// Whether a text is a range that lacks its first or its last port.
pub(super) fn is_half_range(text: &str) -> bool {
    match text.split_once('-') {
        Some(("", port)) | Some((port, "")) => is_digits(port),
        _ => false,
    }
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the last label is a number. The resolver would read such a host as an address in one of the old
/// spellings (`127.1`, `0x7f000001`, `2130706433`), which nobody means.
pub(super) fn looks_numeric(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    match last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => is_digits(&last.replace('-', "")),
    }
}

/// Whether a text can be a host's name (RFC 1123 §2.1, and the underscore that local networks use).
pub(super) fn is_name(host: &str) -> bool {
    let relative = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
    };
    relative.len() <= NAME_BYTES_MAX && relative.split('.').all(is_label)
}

/// `sun_path` holds 108 bytes, one of them for the NUL (before the name if it is abstract, else behind it; unix(7)).
pub(super) const UNIX_NAME_BYTES_MAX: usize = 107;

/// RFC 1035 §2.3.4, less the root's length byte and the first label's.
pub(super) const NAME_BYTES_MAX: usize = 253;

/// RFC 1035 §2.3.4.
pub(super) const LABEL_BYTES_MAX: usize = 63;

/// A typed text as it may be repeated: where it looks like a URL with a password, without that.
pub fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((login, place)) => {
            let user = login.split(':').next().unwrap_or(login);
            format!("{scheme}://{user}@{place}")
        }
        None => text.to_owned(),
    }
}

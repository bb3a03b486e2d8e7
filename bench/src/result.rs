//! The error type of this program.

/// A result whose error is only shown to a person.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

//! The URL of a proxy, as typed.

use std::convert::Infallible;
use std::fmt;

use crate::config::address::without_password;

/// A URL that is read where the plan is made. It may hold a password, and shows itself without.
#[derive(Clone, PartialEq, Eq)]
pub struct TypedUrl(pub String);

pub(super) fn parse_url(text: &str) -> Result<TypedUrl, Infallible> {
    Ok(TypedUrl(text.to_owned()))
}

impl fmt::Debug for TypedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        without_password(&self.0).fmt(f)
    }
}

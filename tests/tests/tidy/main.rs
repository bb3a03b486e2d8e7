//! The rules of style that can be read from the source.

mod dependencies;
mod style;

//! The rules that can be read from the source and its dependencies, and the helpers of these tests.

mod dependencies;
mod floors;
mod helpers;
mod style;

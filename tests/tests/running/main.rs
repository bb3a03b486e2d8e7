//! A program while it runs: signals, log, privileges, limits, exit statuses.

mod limits;
mod log;
mod once;
mod privileges;
mod signals;

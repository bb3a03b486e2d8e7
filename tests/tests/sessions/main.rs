//! One session: the bytes arrive, the session ends in the same way at both ends, and each timeout closes it.

mod back_pressure;
mod delivery;
mod downloads;
mod endings;
mod splice;
mod timeouts;

//! What to do with links: decisions without sockets and clocks, so that what is simulated is what runs.
//!
//! Each decider takes what happened, with the time, by named methods, and is then asked by `next` until it has nothing more to say.

pub mod access_list;
pub mod backoff;
pub mod idle;
pub mod keeper;
pub mod name_cache;
pub mod pairing;
mod passed_over;
pub mod ticks;
pub mod unauthenticated;

//! What each program does with its loop.

pub mod inside;
pub mod outside;
pub mod raw_inside;
pub mod raw_outside;
pub mod route;

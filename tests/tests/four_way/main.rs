//! `4way:` addresses, and the NAT laboratory in which they are tested.

mod laboratory;
mod meeting;

//! One pair of ends, from accept to close.

pub mod account;
pub mod authenticating;
pub mod awaiting_header;
pub mod close_reason;
pub mod dialling;
pub mod link_close;
pub mod link_driver;
pub mod link_end;
pub mod plain;
pub mod pump;
pub mod relay;
pub mod timeouts;
pub mod transfer;

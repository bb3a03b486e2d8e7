//! What was typed and what it means.

pub mod address;
pub mod family;
pub mod needs;
pub mod options;
pub mod plan;
pub mod settings;

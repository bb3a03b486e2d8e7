//! The documents are true: manual pages, usage and fatal messages, and the demonstration.

mod demo;
mod golden;
mod manual;

//! The relay.
pub mod address;
pub mod cli;
pub mod dialling;
pub mod entries;
pub mod event_loop;
pub mod ids;
pub mod limits;
pub mod link;
pub mod link_end;
pub mod linux;
pub mod listeners;
pub mod plan;
pub mod proto;
pub mod pump;
pub mod report;
pub mod route;
pub mod session;
pub mod socket;
pub mod token;
pub mod window;

pub use route::run_route;
pub fn run_outside(_: plan::OutsidePlan, _: report::Report) -> report::Exit { report::Exit::Done }
pub fn run_inside(_: plan::InsidePlan, _: report::Report) -> report::Exit { report::Exit::Done }

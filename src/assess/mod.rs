//! Policy + history + sample → findings and conditions (hysteresis, windows). Pure.
//!
//! Must not touch: the clock, the host, incidents, or what is done about a finding.

mod condition;
mod fields;
mod filesystems;
mod forks;
mod host_fields;
mod host_news;
mod kernel_log;
mod room;
mod stalls;
mod unit_facts;
mod view;

pub use condition::{Change, advance};
pub use fields::{describe, read_field};
pub use filesystems::FilesystemFacts;
pub use kernel_log::KernelLogFacts;
pub use room::RoomFacts;
pub use stalls::StallFacts;
pub use unit_facts::{ProbeLimits, ProbeState, UnitFacts};
pub use view::{AgentFacts, View};

#[cfg(test)]
mod tests;

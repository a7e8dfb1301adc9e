//! Policy + history + sample → findings and conditions (hysteresis, windows). Pure.
//!
//! Must not touch: the clock, the host, incidents, or what is done about a finding.

mod condition;
mod fields;
mod host_fields;
mod kernel_log;
mod view;

pub use condition::{Change, advance};
pub use fields::{describe, read_field};
pub use kernel_log::KernelLogFacts;
pub use view::{AgentFacts, ProbeLimits, ProbeState, UnitFacts, View};

#[cfg(test)]
mod tests;

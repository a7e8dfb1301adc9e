//! `prunella doctor`: what this host allows the agent to do, each line with its consequence.
//!
//! [`gather`] reads facts; [`assess`] is pure and judges them. What could not be seen is said to be unknown,
//! never to be well.

mod assess;
mod gather;

use std::path::PathBuf;

use serde::Serialize;

use crate::model::{HistoryStatus, Reading, Resource, SenseNews, StallWatch, UnitStall};
use crate::serve::{AgentInfo, Processes};

use super::page::{Page, Terminal, Tone, safe};

pub use assess::assess;
pub(super) use gather::gather;

/// How the control groups are mounted (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupLayout {
    Unified,
    /// v2 for systemd's own tree, the controllers in v1.
    Hybrid,
    Legacy,
}

/// Control groups of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    pub layout: CgroupLayout,
    /// `cgroup.controllers` of the v2 root; empty in v1.
    pub controllers: Vec<String>,
}

/// What the host runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surroundings {
    BareMetal,
    /// The hypervisor's name, where it tells.
    Virtual(String),
    /// The container manager's name.
    Container(String),
}

/// The folder of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFolder {
    pub path: PathBuf,
    /// `ext4`, `xfs` …, or its magic number.
    pub filesystem: String,
    /// Absent when this user's right says nothing of the agent's.
    pub writable: Reading<bool>,
}

/// What came of asking the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentSeen {
    Answers(AgentInfo),
    /// Nobody is there.
    Silent(String),
    /// It is there, and did not tell.
    Declines(String),
}

/// What the agent says of the kernel's triggers on pressure; none where it does not answer.
pub(super) type StallWatches = Vec<(Resource, Reading<StallWatch>)>;

/// What the agent says of its own sight, beside [`StallWatches`]; nothing where it does not answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct AgentSight {
    /// Triggers on the control groups of units.
    pub units: Vec<UnitStall>,
    /// Senses that are not at work.
    pub broken: Vec<SenseNews>,
}

/// Everything that was found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub agent: AgentSeen,
    /// The agent's process table, with one process of it.
    pub processes: Reading<Processes>,
    pub socket: PathBuf,
    /// sd_booted(3).
    pub systemd: Reading<bool>,
    /// Name of process 1.
    pub init: Reading<String>,
    /// systemd's version, asked for over the system bus.
    pub bus: Reading<String>,
    pub cgroups: Reading<Cgroups>,
    /// Pressure files that can be read, of `cpu`, `memory`, `io`.
    pub pressure: Reading<Vec<String>>,
    pub stall_watches: StallWatches,
    pub(super) sight: AgentSight,
    /// As the agent tells.
    pub history: Reading<HistoryStatus>,
    /// Major and minor.
    pub kernel: Reading<(u32, u32)>,
    /// `pidfd_open(2)`, tried.
    pub pidfd: Reading<bool>,
    /// `openat2(2)`, tried.
    pub openat2: Reading<bool>,
    /// `CapEff` of the agent.
    pub capabilities: Reading<u64>,
    pub journalctl: Reading<bool>,
    /// A journal that is kept: `/var/log/journal` or `/run/log/journal`.
    pub journal: Reading<String>,
    /// Of `prunella` and `prunella-admin`, those that exist.
    pub groups: Reading<Vec<String>>,
    pub state: Reading<StateFolder>,
    /// Sound, and in words.
    pub ledger: Reading<(bool, String)>,
    pub time_synchronised: Reading<bool>,
    /// Lock files of package managers that are known here.
    pub package_locks: Vec<String>,
    pub surroundings: Reading<Surroundings>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    Ok,
    /// The agent works, with less.
    Limited,
    /// The agent can't do its work.
    Missing,
    /// It could not be found out.
    Unknown,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub state: CheckState,
    /// What was found.
    pub found: String,
    /// What follows from it.
    pub consequence: String,
    /// What to do about it, where something can be done.
    pub remedy: Option<String>,
}

/// The page.
pub(super) fn render(checks: &[Check], terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    for check in checks {
        let (tone, label) = match check.state {
            CheckState::Ok => (Tone::Good, "ok"),
            CheckState::Limited => (Tone::Busy, "limited"),
            CheckState::Missing => (Tone::Bad, "MISSING"),
            CheckState::Unknown => (Tone::Faint, "unknown"),
        };
        page.labelled(tone, label, &format!("{}: {}", check.name, safe(&check.found)));
        page.under(&check.consequence);
        if let Some(remedy) = &check.remedy {
            page.next(remedy);
        }
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    page.blank();
    let text = format!(
        "{} ok, {} limited, {} missing, {} unknown.",
        count(CheckState::Ok),
        count(CheckState::Limited),
        count(CheckState::Missing),
        count(CheckState::Unknown)
    );
    page.line(Tone::Strong, &text);
    page.finish()
}

#[cfg(test)]
mod tests;

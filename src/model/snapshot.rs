//! What the engine shows of itself: the read-only picture that the socket serves.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Absence, Condition, FilesystemView, HostNumbers, HostVitals, InForce, Incident, OwnUse, PauseId,
    PauseScope, Proposal, Reading, Refusal, Resource, RuleName, SenseNews, StallWatch, Subject, Timestamp,
    UnitName, UnitStall, UnitStatus,
};

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    pub id: PauseId,
    pub scope: PauseScope,
    pub until: Timestamp,
    pub by: String,
    pub reason: String,
}

/// Counts since the chain began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub incidents: u64,
    pub repaired: u64,
    pub cleared_by_themselves: u64,
    pub escalated: u64,
    /// Escalations and proposals that no hook would take.
    #[serde(default)]
    pub undeliverable: u64,
    pub actions: u64,
    pub confirmed: u64,
    pub refuted: u64,
    pub inconclusive: u64,
}

/// A rule over a subject that is not at rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionView {
    pub rule: RuleName,
    pub subject: Subject,
    pub condition: Condition,
}

/// A unit with what the agent makes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitView {
    pub status: UnitStatus,
    /// Why it is left alone, when it is down and is left alone.
    pub left_alone: Option<String>,
}

/// The engine at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub at: Timestamp,
    pub policy_digest: String,
    /// The newest policy that was refused, until one is taken.
    pub policy_error: Option<String>,
    /// Records can't be made durable at present; they wait in memory.
    #[serde(default)]
    pub ledger_degraded: bool,
    /// What the agent itself takes of the host.
    #[serde(default = "no_own_use")]
    pub own: Reading<OwnUse>,
    pub units_seen: usize,
    /// Why nothing is known of units, when nothing is.
    pub units_lost: Option<String>,
    /// Units that are not at rest, have an incident, or are left alone on purpose.
    pub units: Vec<UnitView>,
    /// Every unit that an operator stopped on purpose.
    pub operator_stopped: Vec<UnitName>,
    pub host: Reading<HostVitals>,
    /// Of memory, io and cpu: whether the kernel tells at once of tasks that wait for it, and in which window.
    #[serde(default)]
    pub stall_watches: Vec<(Resource, Reading<StallWatch>)>,
    /// The same of the control groups of units that are protected or probed.
    #[serde(default)]
    pub unit_stall_watches: Vec<UnitStall>,
    /// Senses that broke off, and are begun anew or stay off.
    #[serde(default)]
    pub senses_broken: Vec<SenseNews>,
    #[serde(default = "not_observed")]
    pub numbers: Reading<Arc<HostNumbers>>,
    #[serde(default)]
    pub filesystems: Vec<FilesystemView>,
    /// Why nothing is known of file systems, when nothing is.
    #[serde(default)]
    pub filesystems_lost: Option<String>,
    /// A no that holds for every unit at present (paused, warming up, shutting down …).
    pub held: Option<Refusal>,
    pub pauses: Vec<Pause>,
    pub proposals: Vec<Proposal>,
    /// Units that are held back.
    pub restraints: Vec<InForce>,
    pub conditions: Vec<ConditionView>,
    /// Open ones first, then the latest that ended; bounded.
    pub incidents: Vec<Incident>,
    pub counts: Counts,
}

const fn no_own_use() -> Reading<OwnUse> {
    Reading::Absent(Absence::TooEarly)
}

const fn not_observed() -> Reading<Arc<HostNumbers>> {
    Reading::Absent(Absence::NotObserved)
}

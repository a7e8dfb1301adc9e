//! An incident: one fault of one subject from the first finding to its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ActionId, Evidence, Finding, IncidentId, Mode, ProposalId, Refusal, Remedy, RuleName, Severity, Subject,
    Timestamp, Verification,
};

/// Where an incident stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum IncidentState {
    /// Found; the next step has not been permitted.
    Open,
    /// The step was decided and waits for a guard.
    Planned,
    /// An intent is recorded and its act under way.
    Acting { action: ActionId },
    /// Acted; watching whether it helped.
    Verifying { action: ActionId },
    /// Over.
    Resolved { how: Resolution },
    /// A person has been told; slow retries go on.
    Escalated,
    /// Held back under a root cause, or by a guard that does not change by itself.
    Suppressed,
}

impl IncidentState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Planned => "planned",
            Self::Acting { .. } => "acting",
            Self::Verifying { .. } => "verifying",
            Self::Resolved { .. } => "resolved",
            Self::Escalated => "escalated",
            Self::Suppressed => "suppressed",
        }
    }
}

/// How an incident ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// An action of the agent, verified.
    Repaired,
    /// The fault went without the agent.
    ClearedByItself,
    /// The subject no longer exists, or a person took it out of service.
    SubjectGone,
    /// The rule left the policy.
    RuleGone,
}

/// An incident with what happened in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    pub rule: RuleName,
    pub subject: Subject,
    pub severity: Severity,
    pub mode: Mode,
    /// Free words from the policy that say whose it is.
    pub owner: Option<String>,
    pub finding: Finding,
    pub state: IncidentState,
    pub opened: Timestamp,
    pub closed: Option<Timestamp>,
    /// Taken before the first action.
    pub evidence: Option<Evidence>,
    /// The ladder as it was when the incident opened.
    pub ladder: Vec<Remedy>,
    /// Attempts so far in this incident, since it last opened.
    pub attempts: u32,
    /// How often each remedy was among them; one that was withdrawn counts in neither.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tried: BTreeMap<Remedy, u32>,
    /// The latest answer of the guards, when it was no.
    pub held: Option<Refusal>,
    /// The open question to a person.
    pub proposal: Option<ProposalId>,
    /// When a person was told, and how often the fault came back after a repair.
    pub escalated: Option<Timestamp>,
    pub recurrences: u32,
    /// Oldest first, bounded by [`TIMELINE_MAX`]; the ledger has everything.
    pub timeline: Vec<TimelineEntry>,
}

/// Entries kept in the timeline of an incident in memory.
pub const TIMELINE_MAX: usize = 64;

/// One step in an incident's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    pub at: Timestamp,
    /// One sentence, for people.
    pub what: String,
    /// The remedy tried, with the verdict on it, where the entry is about one.
    pub tried: Option<Tried>,
}

/// One remedy that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    pub action: ActionId,
    pub remedy: Remedy,
    pub verification: Option<Verification>,
}

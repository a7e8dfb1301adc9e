//! A question to a person, and the answer.

use serde::{Deserialize, Serialize};

use super::{IncidentId, InvocationId, ProposalId, Reading, Remedy, Subject, Timestamp, UnitName};

/// What the agent would do if a person agreed. An answer is for this proposal alone, and expires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    pub id: ProposalId,
    pub incident: IncidentId,
    pub remedy: Remedy,
    pub subject: Subject,
    /// Units that would be touched for a subject that is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<UnitName>,
    /// The run of the unit that was judged; another run needs another proposal.
    pub invocation: Reading<InvocationId>,
    pub expires: Timestamp,
}

/// Who sent a command over the local socket (`SO_PEERCRED`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    pub uid: u32,
    pub pid: i32,
    /// The user's name, or the uid where it has none.
    pub name: String,
}

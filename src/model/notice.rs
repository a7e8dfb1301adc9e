//! What a person is told beyond the ledger: an escalation, or a question that waits for an answer.

use serde::{Deserialize, Serialize};

use super::{Incident, IncidentId, Proposal, ProposalId};

/// One thing to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum NoticeId {
    /// The `count`-th escalation of the incident, from 1.
    Escalation { incident: IncidentId, count: u32 },
    /// The agent wants to act, and must be allowed to.
    Proposal { incident: IncidentId, proposal: ProposalId },
}

impl NoticeId {
    /// The incident that it is about.
    #[must_use]
    pub const fn incident(self) -> IncidentId {
        match self {
            Self::Escalation { incident, .. } | Self::Proposal { incident, .. } => incident,
        }
    }

    /// The word for it, as in JSON.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Escalation { .. } => "escalation",
            Self::Proposal { .. } => "proposal",
        }
    }
}

/// What a hook gets, as one JSON object.
///
/// `id.kind` is `escalation` or `proposal`, `incident` the incident as it stands, `proposal` the question and until when
/// it waits.
///
/// It is told at least once: recorded before, and recorded again once every channel took it. What ends in between leaves
/// a record without its second half, and is told again; so is what a hook failed to take. `key` is the same each time,
/// and never that of anything else: a receiver that must not act twice drops the keys that it has seen. The rest may
/// differ, because the incident goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub key: String,
    pub id: NoticeId,
    pub incident: Incident,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
}

impl Notice {
    /// A count of escalations of an incident. The numbers alone do not do as a key: where records could not be kept, on
    /// a full disk, they may be given again.
    #[must_use]
    pub fn escalation(incident: Incident, count: u32) -> Self {
        let id = NoticeId::Escalation { incident: incident.id, count };
        let key = format!("escalation/{}/{count}/{}", incident.id, incident.opened.wall.unix_millis());
        Self { key, id, incident, proposal: None }
    }

    /// A question about an incident.
    #[must_use]
    pub fn proposal(incident: Incident, proposal: Proposal) -> Self {
        let id = NoticeId::Proposal { incident: incident.id, proposal: proposal.id };
        let expires = proposal.expires.wall.unix_millis();
        let key = format!("proposal/{}/{}/{expires}", incident.id, proposal.id);
        Self { key, id, incident, proposal: Some(proposal) }
    }
}

/// A way in which people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// A line is appended to a file.
    File,
    /// A command is run.
    Exec,
}

impl Channel {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::File, Self::Exec];

    /// The key in the policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Exec => "exec",
        }
    }
}

/// What came of telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum Delivery {
    /// Every channel of the policy took it.
    Taken,
    /// The policy names no channel: the ledger, the journal and the socket tell.
    NoChannel,
    /// Tried as often as it is worth; a sentence with what failed last.
    Undeliverable { tries: u32, why: String },
}

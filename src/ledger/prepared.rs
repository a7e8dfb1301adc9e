//! An entry in its stored form: canonical JSON, and the columns by which it is found.

use crate::model::{
    ActionId, Durability, Entry, IncidentId, Intent, NoticeId, Proposal, ProposalId, RecordBody,
};

use super::Unwritable;

/// Longest stored entry, bytes. Evidence, the longest, is bounded to some 50 KiB by its own limits.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;

/// An entry that is known to be readable again, ready to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    json: String,
    durability: Durability,
    keys: Keys,
}

impl Prepared {
    /// Takes the stored form of an entry, with the durability that its body asks for.
    ///
    /// The JSON is read back at once: a record that can't be read would make the next start take the whole
    /// ledger for damaged.
    ///
    /// # Errors
    /// The entry can't be read back, or is longer than [`ENTRY_BYTES_MAX`].
    pub fn new(entry: &Entry) -> Result<Self, Unwritable> {
        let json = serde_json::to_string(entry)?;
        if json.len() > ENTRY_BYTES_MAX {
            return Err(Unwritable::TooLong { bytes: json.len() });
        }
        serde_json::from_str::<Entry>(&json)?;
        Ok(Self { json, durability: entry.body.durability(), keys: Keys::of(&entry.body) })
    }

    /// The same entry, at least as durable as `durability`.
    #[must_use]
    pub fn at_least(mut self, durability: Durability) -> Self {
        self.durability = self.durability.max(durability);
        self
    }

    /// The exact text that is stored and hashed.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// How safe it asks to be.
    #[must_use]
    pub const fn durability(&self) -> Durability {
        self.durability
    }

    pub(super) const fn keys(&self) -> &Keys {
        &self.keys
    }
}

/// By what a record is found. Derived from its body; stored in columns for the indexes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// The body's tag in JSON.
    pub(super) kind: &'static str,
    pub(super) incident: Option<IncidentId>,
    pub(super) action: Option<ActionId>,
    pub(super) proposal: Option<ProposalId>,
}

impl Keys {
    /// The keys of a body. An action or proposal ties records that name no incident to the one that does.
    pub(super) const fn of(body: &RecordBody) -> Self {
        let (kind, action, proposal) = match body {
            RecordBody::ChainStarted { .. } => ("chain-started", None, None),
            RecordBody::AgentStarted { .. } => ("agent-started", None, None),
            RecordBody::AgentStopping { .. } => ("agent-stopping", None, None),
            RecordBody::PolicyLoaded { .. } => ("policy-loaded", None, None),
            RecordBody::PolicyRejected { .. } => ("policy-rejected", None, None),
            RecordBody::IncidentOpened { .. } => ("incident-opened", None, None),
            RecordBody::IncidentReopened { .. } => ("incident-reopened", None, None),
            RecordBody::EvidenceTaken { .. } => ("evidence-taken", None, None),
            RecordBody::Held { .. } => ("held", None, None),
            RecordBody::Proposed(Proposal { id, .. }) => ("proposed", None, Some(*id)),
            RecordBody::Approved { proposal, .. } => ("approved", None, Some(*proposal)),
            RecordBody::Denied { proposal, .. } => ("denied", None, Some(*proposal)),
            RecordBody::ProposalExpired { proposal } => ("proposal-expired", None, Some(*proposal)),
            RecordBody::Intended(Intent { action, approval, .. }) => ("intended", Some(*action), *approval),
            RecordBody::Removing { action, .. } => ("removing", Some(*action), None),
            RecordBody::Applied { action, .. } => ("applied", Some(*action), None),
            RecordBody::Released { action, .. } => ("released", Some(*action), None),
            RecordBody::Verified { action, .. } => ("verified", Some(*action), None),
            RecordBody::Escalated { .. } => ("escalated", None, None),
            RecordBody::Told { notice: NoticeId::Proposal { proposal, .. }, .. } => {
                ("told", None, Some(*proposal))
            }
            RecordBody::Told { notice: NoticeId::Escalation { .. }, .. } => ("told", None, None),
            RecordBody::Acknowledged { .. } => ("acknowledged", None, None),
            RecordBody::IncidentResolved { .. } => ("incident-resolved", None, None),
            RecordBody::Paused { .. } => ("paused", None, None),
            RecordBody::Resumed { .. } => ("resumed", None, None),
            RecordBody::OperatorStopped { .. } => ("operator-stopped", None, None),
            RecordBody::OperatorStopEnded { .. } => ("operator-stop-ended", None, None),
            RecordBody::StartOwed { .. } => ("start-owed", None, None),
            RecordBody::StartNoLongerOwed { .. } => ("start-no-longer-owed", None, None),
            RecordBody::StabilityProven { .. } => ("stability-proven", None, None),
            RecordBody::ClockStepped { .. } => ("clock-stepped", None, None),
            RecordBody::LedgerRecovered { .. } => ("ledger-recovered", None, None),
            RecordBody::Pruned { .. } => ("pruned", None, None),
        };
        Self { kind, incident: body.incident(), action, proposal }
    }
}

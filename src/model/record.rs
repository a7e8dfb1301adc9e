//! The ledger's entries: the one stream that is audit trail, recovery log and the relay's spool at once.
//!
//! Every change of decision state is one of these; the state is what comes of folding them in order. The
//! JSON form is the on-disk format: a variant or field is added with a default, never renamed or reused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Absence, ActionId, Applied, BootId, Bytes, Delivery, Evidence, Finding, IncidentId, InvocationId, Mode,
    NoticeId, PauseId, PauseScope, Peer, Proposal, ProposalId, Reading, Refusal, ReleasedBy, Remedy, Removal,
    Resolution, RuleName, Seq, Severity, Subject, Timestamp, UnitName, Verification,
};

/// Version of the record's JSON form. A reader refuses a newer one and keeps the file.
pub const RECORD_FORMAT: u32 = 1;

/// What is expected of a repaired subject, fixed when the intent is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// The run before the act; a repair by start or restart must leave another one.
    pub invocation_before: Reading<InvocationId>,
    /// Restart counter before the act.
    pub restarts_before: Reading<u32>,
    /// How long it must hold.
    pub settle: Duration,
    /// By when, after the act was applied, it must have begun to hold.
    pub within: Duration,
    /// A probe watches the unit, and must be healthy too.
    pub probed: bool,
    /// Of a file system: what was free.
    #[serde(default = "not_applicable", skip_serializing_if = "is_not_applicable")]
    pub free_before: Reading<Bytes>,
}

fn not_applicable() -> Reading<Bytes> {
    Reading::Absent(Absence::NotApplicable)
}

fn is_not_applicable(free: &Reading<Bytes>) -> bool {
    matches!(free, Reading::Absent(Absence::NotApplicable))
}

/// A decision to act, durable before the act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub action: ActionId,
    pub incident: IncidentId,
    pub rule: RuleName,
    pub subject: Subject,
    pub remedy: Remedy,
    /// Units that are touched, in order: the subject last. Empty where it is no unit.
    pub targets: Vec<UnitName>,
    /// Counted from 1 within the incident.
    pub attempt: u32,
    pub expectation: Expectation,
    /// The permission of a person that it rests on.
    pub approval: Option<ProposalId>,
    /// Why, in one sentence.
    pub why: String,
    /// Of what holds a unit back: for how long at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
}

/// What happened. See the module's word on the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record")]
pub enum RecordBody {
    /// First record of a chain. `previous` names the chain that was set aside, if any.
    ChainStarted {
        format: u32,
        previous: Option<SetAside>,
    },
    /// The agent began to run.
    AgentStarted {
        version: String,
        boot: BootId,
        policy: String,
    },
    /// The agent ends on request. Its absence before the next start tells of a crash.
    AgentStopping {
        why: String,
    },
    /// A policy is in force from here.
    PolicyLoaded {
        digest: String,
        rules: usize,
    },
    /// A policy was offered and refused; the one before stays.
    PolicyRejected {
        error: String,
    },
    IncidentOpened {
        incident: IncidentId,
        rule: RuleName,
        subject: Subject,
        severity: Severity,
        mode: Mode,
        owner: Option<String>,
        ladder: Vec<Remedy>,
        finding: Finding,
    },
    /// The fault came back before the repair had proven stable.
    IncidentReopened {
        incident: IncidentId,
        finding: Finding,
    },
    EvidenceTaken {
        incident: IncidentId,
        evidence: Box<Evidence>,
    },
    /// A guard says no; recorded when the answer changes, not each time it is asked.
    Held {
        incident: IncidentId,
        remedy: Remedy,
        refusal: Refusal,
    },
    Proposed(Proposal),
    Approved {
        proposal: ProposalId,
        by: Peer,
    },
    Denied {
        proposal: ProposalId,
        by: Peer,
        reason: String,
    },
    ProposalExpired {
        proposal: ProposalId,
    },
    Intended(Intent),
    /// These files are about to be removed; which of them were, where the agent broke off, the disk shows.
    Removing {
        action: ActionId,
        removals: Vec<Removal>,
    },
    Applied {
        action: ActionId,
        applied: Applied,
    },
    /// What an act held back is as it was before.
    Released {
        action: ActionId,
        by: ReleasedBy,
        why: String,
    },
    Verified {
        action: ActionId,
        verification: Verification,
        /// No further attempt on this subject before then: the backoff, with its jitter, as decided.
        not_before: Timestamp,
    },
    Escalated {
        incident: IncidentId,
        severity: Severity,
        why: String,
        tried: Vec<String>,
        /// Which escalation of the incident it is, from 1. 0 in ledgers from before [`RecordBody::Told`] was recorded:
        /// these count as told.
        #[serde(default)]
        count: u32,
    },
    /// A person was told of an escalation or a proposal, or could not be.
    Told {
        notice: NoticeId,
        delivery: Delivery,
    },
    Acknowledged {
        incident: IncidentId,
        by: Peer,
    },
    IncidentResolved {
        incident: IncidentId,
        how: Resolution,
        why: String,
    },
    Paused {
        pause: PauseId,
        scope: PauseScope,
        until: Timestamp,
        by: Peer,
        reason: String,
    },
    Resumed {
        pause: PauseId,
        by: Option<Peer>,
    },
    /// Somebody stopped the unit on purpose; it stays down until somebody starts it.
    OperatorStopped {
        unit: UnitName,
        /// The run that was stopped, where it was known: a later one means that somebody started it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<InvocationId>,
    },
    /// It is up again, or was started and did not come up, by another hand.
    OperatorStopEnded {
        unit: UnitName,
    },
    /// The unit is down through no fault of its own and by nobody's order: it is to be started when its time comes. Ends
    /// the note of an operator's stop, when it was taken for one.
    StartOwed {
        unit: UnitName,
        because: Owed,
    },
    /// It is up, was stopped on purpose, or is gone.
    StartNoLongerOwed {
        unit: UnitName,
    },
    /// The unit has been well for long enough: its backoff and attempts are forgotten.
    StabilityProven {
        subject: Subject,
    },
    /// The wall clock moved against the boot clock.
    ClockStepped {
        forward: bool,
        by: Duration,
    },
    /// Records could not be made durable for a while; `lost` of them did not fit in memory.
    LedgerRecovered {
        queued: u64,
        lost: u64,
    },
    /// Old records were dropped by retention; the chain goes on from this hash.
    Pruned {
        through: Seq,
        records: u64,
        /// So many of them had no relay shipped, though there is one.
        #[serde(default, skip_serializing_if = "none")]
        unshipped: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn none(count: &u64) -> bool {
    *count == 0
}

/// Why a unit should be up that is down, without a fault of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Owed {
    /// The service manager stopped it because this one failed (`BindsTo=`), or along with one that was stopped so.
    StoppedAlong { with: UnitName },
    /// A start was asked for, and given up because something that it requires did not come up.
    StartGivenUp,
}

/// A ledger that could not be read to its end, kept under another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// File name within the state folder.
    pub file: String,
    /// The last record that could be proven, and its hash, when there was one.
    pub last: Option<(Seq, String)>,
    pub why: String,
}

/// How safe a record must be before what depends on it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// May be lost with the last moments before a power cut, never with a crash of the agent.
    Written,
    /// On the disk: survives a power cut.
    Synced,
}

impl RecordBody {
    /// What must not be lost: intents, outcomes, approvals, escalations, and what forbids to act.
    #[must_use]
    pub const fn durability(&self) -> Durability {
        match self {
            Self::ChainStarted { .. }
            // What is taken up from the life before is acted on: it must be as safe as it was asked to be.
            | Self::AgentStarted { .. }
            | Self::Approved { .. }
            | Self::Denied { .. }
            | Self::Intended(_)
            | Self::Removing { .. }
            | Self::Applied { .. }
            | Self::Released { .. }
            | Self::Verified { .. }
            | Self::Escalated { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            // A person is told its number: it must never mean another proposal.
            | Self::Proposed(_)
            | Self::OperatorStopped { .. }
            | Self::OperatorStopEnded { .. }
            // It ends what forbids to act.
            | Self::StartOwed { .. }
            // Without it, recovery would take the step for time that has passed.
            | Self::ClockStepped { .. }
            | Self::LedgerRecovered { .. }
            | Self::Pruned { .. } => Durability::Synced,
            Self::AgentStopping { .. }
            | Self::PolicyLoaded { .. }
            | Self::PolicyRejected { .. }
            | Self::IncidentOpened { .. }
            | Self::IncidentReopened { .. }
            | Self::EvidenceTaken { .. }
            | Self::Held { .. }
            | Self::ProposalExpired { .. }
            // Lost with the power, it is told once more.
            | Self::Told { .. }
            | Self::Acknowledged { .. }
            | Self::IncidentResolved { .. }
            | Self::StartNoLongerOwed { .. }
            | Self::StabilityProven { .. } => Durability::Written,
        }
    }

    /// The incident it belongs to, where it names one itself.
    #[must_use]
    pub const fn incident(&self) -> Option<IncidentId> {
        match self {
            Self::IncidentOpened { incident, .. }
            | Self::IncidentReopened { incident, .. }
            | Self::EvidenceTaken { incident, .. }
            | Self::Held { incident, .. }
            | Self::Escalated { incident, .. }
            | Self::Acknowledged { incident, .. }
            | Self::IncidentResolved { incident, .. }
            | Self::Proposed(Proposal { incident, .. })
            | Self::Intended(Intent { incident, .. }) => Some(*incident),
            Self::Told { notice, .. } => Some(notice.incident()),
            Self::ChainStarted { .. }
            | Self::AgentStarted { .. }
            | Self::AgentStopping { .. }
            | Self::PolicyLoaded { .. }
            | Self::PolicyRejected { .. }
            | Self::Approved { .. }
            | Self::Denied { .. }
            | Self::ProposalExpired { .. }
            | Self::Removing { .. }
            | Self::Applied { .. }
            | Self::Released { .. }
            | Self::Verified { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::OperatorStopped { .. }
            | Self::OperatorStopEnded { .. }
            | Self::StartOwed { .. }
            | Self::StartNoLongerOwed { .. }
            | Self::StabilityProven { .. }
            | Self::ClockStepped { .. }
            | Self::LedgerRecovered { .. }
            | Self::Pruned { .. } => None,
        }
    }
}

/// A record before the ledger gave it its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    /// The boot whose clock `at.boot` is on.
    pub boot: BootId,
    pub body: RecordBody,
}

/// A record in its place in the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub seq: Seq,
    pub entry: Entry,
}

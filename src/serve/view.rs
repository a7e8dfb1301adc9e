//! The JSON of the answers. The CLI reads the same types.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ledger::{Page, Proven};

use crate::model::{
    Absence, ConditionView, Counts, FilesystemView, HistoryStatus, HostNumbers, HostVitals, InForce,
    Incident, IncidentId, IncidentState, Mode, OwnUse, Pause, ProcessDetail, ProcessList, Proposal,
    ProposalId, Reading, Record, Refusal, Resource, RuleName, SenseNews, Seq, Severity, Snapshot, StallWatch,
    Subject, Timestamp, Tried, UnitName, UnitStall, UnitView,
};

/// The agent that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    pub version: String,
    pub pid: u32,
    pub started: Timestamp,
    /// The service manager in charge: `systemd 252`, `direct`.
    pub manager: String,
}

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// When this was answered.
    pub now: Timestamp,
    /// When the engine last moved.
    pub at: Timestamp,
    pub agent: AgentInfo,
    pub policy_digest: String,
    pub policy_error: Option<String>,
    pub ledger_degraded: bool,
    /// What the agent itself takes of the host.
    #[serde(default = "no_own_use")]
    pub own: Reading<OwnUse>,
    pub units_seen: usize,
    pub units_lost: Option<String>,
    pub held: Option<Refusal>,
    pub pauses: Vec<Pause>,
    pub proposals: Vec<Proposal>,
    /// Units that are held back for a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restraints: Vec<InForce>,
    pub conditions: Vec<ConditionView>,
    /// Those that are open.
    pub incidents: Vec<IncidentSummary>,
    pub counts: Counts,
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
    /// How the keeping of the history fares.
    #[serde(default)]
    pub history: HistoryStatus,
}

const fn no_own_use() -> Reading<OwnUse> {
    Reading::Absent(Absence::NotObserved)
}

/// `GET /v1/units`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Units {
    pub now: Timestamp,
    pub at: Timestamp,
    pub units_seen: usize,
    pub units_lost: Option<String>,
    pub units: Vec<UnitView>,
    pub operator_stopped: Vec<UnitName>,
}

/// `GET /v1/filesystems`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filesystems {
    pub now: Timestamp,
    pub at: Timestamp,
    /// Why nothing is known of them, when nothing is.
    pub filesystems_lost: Option<String>,
    pub filesystems: Vec<FilesystemView>,
}

/// `GET /v1/host`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    pub now: Timestamp,
    pub at: Timestamp,
    pub vitals: Reading<HostVitals>,
    pub numbers: Reading<Arc<HostNumbers>>,
}

/// `GET /v1/processes`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Processes {
    pub now: Timestamp,
    #[serde(flatten)]
    pub list: ProcessList,
}

/// `GET /v1/processes/{pid}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessLook {
    pub now: Timestamp,
    #[serde(flatten)]
    pub process: ProcessDetail,
}

/// `GET /v1/incidents`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incidents {
    pub now: Timestamp,
    pub at: Timestamp,
    pub incidents: Vec<IncidentSummary>,
}

/// An incident without its evidence and timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentSummary {
    pub id: IncidentId,
    pub rule: RuleName,
    pub subject: Subject,
    pub severity: Severity,
    pub mode: Mode,
    pub owner: Option<String>,
    /// What was found, one sentence.
    pub what: String,
    #[serde(flatten)]
    pub state: IncidentState,
    pub opened: Timestamp,
    pub closed: Option<Timestamp>,
    pub escalated: Option<Timestamp>,
    pub attempts: u32,
    pub recurrences: u32,
    /// What was tried, oldest first, each with its verdict where there is one.
    pub tried: Vec<Tried>,
    pub held: Option<Refusal>,
    pub proposal: Option<ProposalId>,
}

impl From<&Incident> for IncidentSummary {
    fn from(incident: &Incident) -> Self {
        let mut tried: Vec<Tried> = Vec::new();
        for latest in incident.timeline.iter().filter_map(|entry| entry.tried.as_ref()) {
            match tried.iter_mut().find(|seen| seen.action == latest.action) {
                Some(seen) => *seen = latest.clone(),
                None => tried.push(latest.clone()),
            }
        }
        Self {
            id: incident.id,
            rule: incident.rule.clone(),
            subject: incident.subject.clone(),
            severity: incident.severity,
            mode: incident.mode,
            owner: incident.owner.clone(),
            what: incident.finding.what.clone(),
            state: incident.state.clone(),
            opened: incident.opened,
            closed: incident.closed,
            escalated: incident.escalated,
            attempts: incident.attempts,
            recurrences: incident.recurrences,
            tried,
            held: incident.held.clone(),
            proposal: incident.proposal,
        }
    }
}

/// `GET /v1/incidents/{id}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentDetail {
    pub now: Timestamp,
    /// Gone from memory when it ended long ago; its records tell.
    pub incident: Option<Incident>,
    /// The open question to a person.
    pub proposal: Option<Proposal>,
    /// The newest of its records, oldest first.
    pub records: Vec<Record>,
    /// Why there are none, when they could not be read.
    pub records_error: Option<String>,
}

/// `GET /v1/records`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordPage {
    pub records: Vec<Record>,
    /// What to ask `after` next.
    pub next: Seq,
    /// The newest record there is.
    pub head: Seq,
}

/// `GET /v1/records?proof=true`
///
/// The hash of a record covers its number, the hash before it and its exact text: see [`crate::ledger::RecordHash::of`]. Whoever keeps
/// the texts can prove at any time that none is missing, and that none was changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProvenPage {
    /// Another one than before: the ledger was begun anew, and its records count from 1.
    pub chain: String,
    /// Hash of the record before the first one of the page.
    pub previous: String,
    pub records: Vec<ProvenRecord>,
    /// What to ask `after` next.
    pub next: Seq,
    /// The newest record there is.
    pub head: Seq,
    /// The last record that a relay has acknowledged.
    pub acknowledged: Seq,
}

/// A record with its proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProvenRecord {
    pub seq: Seq,
    pub hash: String,
    /// The stored text, byte for byte.
    pub entry: Box<RawValue>,
}

/// The answer to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// What the ledger will remember as shipped.
    pub acknowledged: Seq,
}

impl From<Page> for ProvenPage {
    fn from(page: Page) -> Self {
        let Page { extent, before, records } = page;
        let next = records.last().map_or(before.seq, |last| last.place.seq);
        Self {
            chain: extent.chain.to_string(),
            previous: before.hash.to_string(),
            next,
            head: extent.head.seq.max(next),
            acknowledged: extent.acknowledged,
            // What is no JSON was not written by the ledger, which reads back all that it writes.
            records: records.into_iter().filter_map(|record| ProvenRecord::of(record).ok()).collect(),
        }
    }
}

impl ProvenRecord {
    fn of(record: Proven) -> Result<Self, serde_json::Error> {
        let Proven { place, json } = record;
        Ok(Self { seq: place.seq, hash: place.hash.to_string(), entry: RawValue::from_string(json)? })
    }
}

/// The answer to a command that was obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// One sentence.
    pub done: String,
}

/// The answer to a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    pub done: String,
    /// The digest of the policy now in force.
    pub policy_digest: String,
}

/// Whether it still needs anybody's attention.
#[must_use]
pub const fn is_open(state: &IncidentState) -> bool {
    !matches!(state, IncidentState::Resolved { .. })
}

impl Status {
    /// Of a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot, agent: &AgentInfo, now: Timestamp) -> Self {
        let open = snapshot.incidents.iter().filter(|incident| is_open(&incident.state));
        Self {
            now,
            at: snapshot.at,
            agent: agent.clone(),
            policy_digest: snapshot.policy_digest.clone(),
            policy_error: snapshot.policy_error.clone(),
            ledger_degraded: snapshot.ledger_degraded,
            own: snapshot.own.clone(),
            units_seen: snapshot.units_seen,
            units_lost: snapshot.units_lost.clone(),
            held: snapshot.held.clone(),
            pauses: snapshot.pauses.clone(),
            proposals: snapshot.proposals.clone(),
            restraints: snapshot.restraints.clone(),
            conditions: snapshot.conditions.clone(),
            incidents: open.map(IncidentSummary::from).collect(),
            counts: snapshot.counts,
            host: snapshot.host.clone(),
            stall_watches: snapshot.stall_watches.clone(),
            unit_stall_watches: snapshot.unit_stall_watches.clone(),
            senses_broken: snapshot.senses_broken.clone(),
            history: HistoryStatus::default(),
        }
    }
}

impl Host {
    /// Of a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        Self { now, at: snapshot.at, vitals: snapshot.host.clone(), numbers: snapshot.numbers.clone() }
    }
}

impl Filesystems {
    /// Of a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        Self {
            now,
            at: snapshot.at,
            filesystems_lost: snapshot.filesystems_lost.clone(),
            filesystems: snapshot.filesystems.clone(),
        }
    }
}

impl Units {
    /// Of a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        Self {
            now,
            at: snapshot.at,
            units_seen: snapshot.units_seen,
            units_lost: snapshot.units_lost.clone(),
            units: snapshot.units.clone(),
            operator_stopped: snapshot.operator_stopped.clone(),
        }
    }
}

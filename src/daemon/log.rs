//! The records that an operator wants to read in the journal as they happen. The ledger has them all.

use super::journal;
use crate::model::{Applied, Delivery, Entry, Owed, RecordBody, Verification};

/// One line for a record that matters to a person.
pub(super) fn record(entry: &Entry) {
    match &entry.body {
        RecordBody::IncidentOpened { incident, subject, finding, .. } => {
            tracing::warn!(target: journal::OPENED, %incident, %subject, "found: {}", finding.what);
        }
        RecordBody::IncidentReopened { incident, finding } => {
            tracing::warn!(target: journal::REOPENED, %incident, subject = %finding.subject, "came back: {}", finding.what);
        }
        RecordBody::Held { incident, remedy, refusal } => {
            tracing::info!(%incident, %remedy, guard = %refusal.guard, "held back: {}", refusal.why);
        }
        RecordBody::Proposed(proposal) => {
            tracing::warn!(target: journal::PROPOSED, incident = %proposal.incident, proposal = %proposal.id, "waits for approval: {} {}",
                proposal.remedy, proposal.subject);
        }
        RecordBody::Intended(intent) => {
            tracing::warn!(target: journal::ACTING, incident = %intent.incident, action = %intent.action, subject = %intent.subject,
                "{} (attempt {})", intent.remedy, intent.attempt);
        }
        RecordBody::Removing { action, removals } => {
            tracing::info!(%action, files = removals.len(), "removes");
        }
        RecordBody::Applied { action, applied } => match applied {
            Applied::Removed { files, freed, inodes_freed, why } => {
                tracing::warn!(%action, files, %freed, inodes_freed, "removed: {why}");
            }
            Applied::Archived { logs, content, freed, why } => {
                tracing::warn!(%action, logs, %content, %freed, "archived: {why}");
            }
            Applied::Restrained { what, until } => {
                tracing::warn!(%action, until = %until.wall, "held back: {what}");
            }
            Applied::Changed => tracing::info!(%action, "carried out"),
            Applied::AlreadySo => tracing::info!(%action, "there was nothing to do"),
            Applied::Withdrawn { why } => tracing::info!(%action, "withdrawn: {why}"),
            Applied::Failed { why } => tracing::warn!(%action, "failed: {why}"),
            Applied::Unknown { why } => tracing::warn!(%action, "outcome unknown: {why}"),
        },
        RecordBody::Released { action, by, why } => tracing::warn!(%action, ?by, "undone: {why}"),
        RecordBody::Verified { action, verification, .. } => match verification {
            Verification::Confirmed { why } => tracing::info!(%action, "confirmed: {why}"),
            Verification::Refuted { why } => {
                tracing::warn!(target: journal::REFUTED, %action, "refuted: {why}");
            }
            Verification::Inconclusive { why } => tracing::warn!(%action, "inconclusive: {why}"),
        },
        RecordBody::Escalated { incident, severity, why, .. } => {
            tracing::error!(target: journal::ESCALATED, %incident, ?severity, "escalated: {why}");
        }
        RecordBody::Told { notice, delivery: Delivery::Undeliverable { tries, why } } => {
            tracing::error!(target: journal::UNTOLD, incident = %notice.incident(), kind = notice.kind(), tries,
                "nobody could be told: {why}");
        }
        RecordBody::IncidentResolved { incident, why, .. } => {
            tracing::info!(target: journal::RESOLVED, %incident, "resolved: {why}");
        }
        RecordBody::Paused { pause, until, by, reason, .. } => {
            tracing::warn!(target: journal::PAUSED, %pause, by = by.name, until = %until.wall, "paused: {reason}");
        }
        RecordBody::Resumed { pause, .. } => tracing::warn!(%pause, "resumed"),
        RecordBody::OperatorStopped { unit, .. } => {
            tracing::info!(%unit, "an operator stopped it; it stays down");
        }
        RecordBody::StartOwed { unit, because } => match because {
            Owed::StoppedAlong { with } => {
                tracing::info!(%unit, %with, "stopped along; it is started when that is back");
            }
            Owed::StartGivenUp => tracing::info!(%unit, "its start was given up because of a dependency"),
        },
        RecordBody::Approved { proposal, by } => tracing::warn!(%proposal, by = by.name, "approved"),
        RecordBody::Denied { proposal, by, reason } => {
            tracing::warn!(%proposal, by = by.name, "denied: {reason}");
        }
        RecordBody::ChainStarted { .. }
        | RecordBody::AgentStarted { .. }
        | RecordBody::AgentStopping { .. }
        | RecordBody::PolicyLoaded { .. }
        | RecordBody::PolicyRejected { .. }
        | RecordBody::EvidenceTaken { .. }
        | RecordBody::ProposalExpired { .. }
        | RecordBody::Told { delivery: Delivery::Taken | Delivery::NoChannel, .. }
        | RecordBody::Acknowledged { .. }
        | RecordBody::OperatorStopEnded { .. }
        | RecordBody::StartNoLongerOwed { .. }
        | RecordBody::StabilityProven { .. }
        | RecordBody::ClockStepped { .. }
        | RecordBody::LedgerRecovered { .. }
        | RecordBody::Pruned { .. } => {}
    }
}

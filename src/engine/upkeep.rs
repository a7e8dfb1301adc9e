//! What ends by time alone: pauses, proposals, evidence that does not come, backoff after proven stability.

use crate::model::{BootTime, Evidence, IncidentId, PauseId, ProposalId, RecordBody, Subject};

use super::Engine;

impl Engine {
    pub(super) fn expire(&mut self) {
        let now = self.now.boot;
        let mut next: Vec<BootTime> = Vec::new();
        let over: Vec<PauseId> =
            self.memory.pauses.values().filter(|it| it.until.boot <= now).map(|it| it.id).collect();
        for pause in over {
            self.record(RecordBody::Resumed { pause, by: None });
        }
        let proposals = self.memory.proposals.values().map(|(proposal, _)| proposal);
        let over: Vec<ProposalId> =
            proposals.filter(|proposal| proposal.expires.boot <= now).map(|proposal| proposal.id).collect();
        for proposal in over {
            self.record(RecordBody::ProposalExpired { proposal });
        }
        let over: Vec<IncidentId> =
            self.evidence.iter().filter(|(_, until)| **until <= now).map(|(incident, _)| *incident).collect();
        for incident in over {
            self.take_evidence(
                incident,
                Evidence::missing("it did not come in time, and a repair does not wait"),
            );
        }
        next.extend(self.memory.pauses.values().map(|it| it.until.boot));
        next.extend(self.memory.proposals.values().map(|(proposal, _)| proposal.expires.boot));
        for moment in next {
            self.wake_at(moment);
        }
        let limits = &self.setup.policy.limits;
        let longest = limits
            .attempts_per_host
            .window
            .max(limits.attempts_per_rule.window)
            .max(limits.attempts_per_subject.window);
        self.memory.forget_attempts_before(now - longest);
    }

    /// A subject that stayed well for long enough after its repairs starts again with a clean history.
    pub(super) fn prove_stability(&mut self) {
        let stable_after = self.setup.policy.limits.stable_after;
        let repaired: Vec<Subject> = self.memory.histories.keys().cloned().collect();
        for subject in repaired {
            if self.is_gone(&subject) {
                self.well_since.remove(&subject);
                self.forget_vanished(subject);
                continue;
            }
            self.gone_since.remove(&subject);
            let busy = self.memory.open_incidents().any(|it| it.subject == subject)
                || self.memory.actions.values().any(|action| action.intent.subject == subject);
            if busy || !self.is_well(&subject) {
                self.well_since.remove(&subject);
                continue;
            }
            let since = *self.well_since.entry(subject.clone()).or_insert(self.now.boot);
            let proven = since + stable_after;
            if proven <= self.now.boot {
                self.well_since.remove(&subject);
                self.record(RecordBody::StabilityProven { subject });
            } else {
                self.wake_at(proven);
            }
        }
        self.well_since.retain(|subject, _| self.memory.histories.contains_key(subject));
        self.gone_since.retain(|subject, _| self.memory.histories.contains_key(subject));
    }

    /// Whether the service manager is heard and does not know the subject.
    fn is_gone(&self, subject: &Subject) -> bool {
        self.view.heard().is_ok() && subject.unit().is_some_and(|unit| self.view.unit(unit).is_none())
    }

    /// A unit that has been gone for so long that nothing in its history would hold back an act on its return.
    fn forget_vanished(&mut self, subject: Subject) {
        let limits = &self.setup.policy.limits;
        let nothing_holds =
            limits.stable_after.max(limits.attempts_per_subject.window).max(limits.backoff.cap);
        let since = *self.gone_since.entry(subject.clone()).or_insert(self.now.boot);
        let forgotten = since + nothing_holds + limits.backoff.cap.mul_f64(limits.backoff.jitter);
        if forgotten > self.now.boot {
            self.wake_at(forgotten);
        } else if !self.memory.actions.values().any(|action| action.intent.subject == subject) {
            self.gone_since.remove(&subject);
            self.record(RecordBody::StabilityProven { subject });
        }
    }
}

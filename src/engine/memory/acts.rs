//! How records of acts change the state: budgets, backoff and what is left half done.

use crate::model::{
    ActionId, Applied, Bytes, IncidentState, Intent, Remedy, Removal, Timestamp, Tried, Verification,
};

use super::Memory;

/// An act that is not verified yet.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Action {
    pub(in crate::engine) intent: Intent,
    pub(in crate::engine) begun: Timestamp,
    /// What the actuator said, once it did.
    pub(in crate::engine) applied: Option<Applied>,
    /// Files that it was to remove so far.
    pub(in crate::engine) removing: u64,
}

impl Memory {
    pub(super) fn intend(&mut self, intent: &Intent, at: Timestamp) {
        self.last_action = self.last_action.max(intent.action.0);
        self.counts.actions += 1;
        let history = self.histories.entry(intent.subject.clone()).or_default();
        history.attempts.add(at.boot);
        history.level += 1;
        history.waived = false;
        self.rule_attempts.entry(intent.rule.clone()).or_default().add(at.boot);
        self.host_attempts.add(at.boot);
        if let Some(proposal) = intent.approval {
            // An approval is used up by the act that it allowed.
            self.proposals.remove(&proposal);
            self.proposal_is_settled(proposal);
        }
        self.actions
            .insert(intent.action, Action { intent: intent.clone(), begun: at, applied: None, removing: 0 });
        self.restraint_intended(intent, at);
        let tried = Tried { action: intent.action, remedy: intent.remedy, verification: None };
        let what = format!("{} (attempt {}): {}", intent.remedy, intent.attempt, intent.why);
        self.note(intent.incident, at, what, Some(tried));
        if let Some(it) = self.incident_mut(intent.incident) {
            it.state = IncidentState::Acting { action: intent.action };
            it.attempts += 1;
            *it.tried.entry(intent.remedy).or_insert(0) += 1;
            it.held = None;
            // What a file system's ladder does while a person is asked is another thing.
            if intent.approval.is_some() || intent.subject.unit().is_some() {
                it.proposal = None;
            }
        }
    }

    /// They count as removed from here on, whatever becomes of the act.
    pub(super) fn removing(&mut self, action: ActionId, removals: &[Removal], at: Timestamp) {
        // What is in an archive is not lost.
        let gone = || removals.iter().filter(|it| it.fate.is_gone());
        let bytes = gone().fold(0_u64, |sum, it| sum.saturating_add(it.allocated.0));
        let files = u64::try_from(gone().count()).unwrap_or(u64::MAX);
        self.removed.add(at.boot, files, Bytes(bytes));
        if let Some(act) = self.actions.get_mut(&action) {
            act.removing = act.removing.saturating_add(u64::try_from(removals.len()).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn applied(&mut self, action: ActionId, applied: &Applied, at: Timestamp) {
        let Some(act) = self.actions.get_mut(&action) else { return };
        act.applied = Some(applied.clone());
        let (incident, subject, rule, begun) =
            (act.intent.incident, act.intent.subject.clone(), act.intent.rule.clone(), act.begun.boot);
        let remedy = act.intent.remedy;
        match applied {
            Applied::Failed { .. } | Applied::Unknown { .. }
                if act.intent.remedy == Remedy::ResetAndStart =>
            {
                self.half_done.insert(incident);
            }
            Applied::Changed
            | Applied::Removed { .. }
            | Applied::Archived { .. }
            | Applied::Restrained { .. }
            | Applied::AlreadySo => {
                self.half_done.remove(&incident);
            }
            // It is as the act before left it.
            Applied::Withdrawn { .. } | Applied::Failed { .. } | Applied::Unknown { .. } => {}
        }
        self.restraint_applied(action, applied);
        let withdrawn = matches!(applied, Applied::Withdrawn { .. });
        if withdrawn {
            // Nothing was done: it does not count against any budget.
            if let Some(history) = self.histories.get_mut(&subject) {
                history.attempts.take_back(begun);
                history.level = history.level.saturating_sub(1);
            }
            if let Some(attempts) = self.rule_attempts.get_mut(&rule) {
                attempts.take_back(begun);
            }
            self.host_attempts.take_back(begun);
        }
        let what = match applied {
            Applied::Changed => "carried out".to_owned(),
            Applied::Removed { files, freed, inodes_freed, why } => {
                format!("{files} files removed, {freed} and {inodes_freed} inodes freed: {why}")
            }
            Applied::Archived { logs, content, freed, why } => {
                format!("{content} of {logs} logs archived, {freed} freed: {why}")
            }
            Applied::Restrained { what, until } => format!("{what}, until {} at the latest", until.wall),
            Applied::AlreadySo => "there was nothing to do".to_owned(),
            Applied::Withdrawn { why } => format!("withdrawn: {why}"),
            Applied::Failed { why } => format!("failed: {why}"),
            Applied::Unknown { why } => format!("outcome unknown: {why}"),
        };
        self.change(incident, at, what, |it| {
            it.state = IncidentState::Verifying { action };
            if withdrawn {
                it.attempts = it.attempts.saturating_sub(1);
                if let Some(times) = it.tried.get_mut(&remedy) {
                    *times = times.saturating_sub(1);
                }
            }
        });
    }

    pub(super) fn verified(
        &mut self,
        action: ActionId,
        verification: &Verification,
        not_before: Timestamp,
        at: Timestamp,
    ) {
        let Some(act) = self.actions.remove(&action) else { return };
        let history = self.histories.entry(act.intent.subject.clone()).or_default();
        history.not_before = Some(not_before);
        let what = match verification {
            Verification::Confirmed { why } => {
                self.half_done.remove(&act.intent.incident);
                self.counts.confirmed += 1;
                format!("confirmed: {why}")
            }
            Verification::Refuted { why } => {
                self.counts.refuted += 1;
                format!("refuted: {why}")
            }
            Verification::Inconclusive { why } => {
                self.counts.inconclusive += 1;
                format!("inconclusive: {why}")
            }
        };
        if let Some(it) = self.incident_mut(act.intent.incident) {
            let entry = it.timeline.iter_mut().rev().filter_map(|entry| entry.tried.as_mut());
            if let Some(tried) = entry.into_iter().find(|tried| tried.action == action) {
                tried.verification = Some(verification.clone());
            }
        }
        self.change(act.intent.incident, at, what, |it| {
            it.state = if it.escalated.is_some() { IncidentState::Escalated } else { IncidentState::Open };
        });
    }
}

//! The engine's picture of itself for the socket.

use std::time::Duration;

use crate::guard::{ApprovalState, standing_refusal};
use crate::model::{
    ActiveState, BootTime, ConditionView, Incident, LoadState, Owed, PAUSE_MAX, Refusal, Snapshot, Subject,
    UnitStatus, UnitView, WallTime,
};

use super::Engine;

/// Units shown in one snapshot: on a host where everything is broken, the first thousand say enough.
const UNITS_SHOWN: usize = 1000;

/// How much the engine keeps, for the metrics and for whoever doubts that it is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub incidents: usize,
    pub histories: usize,
    pub conditions: usize,
    pub looks: usize,
    /// Watches, permits, what people are being told, replies and evidence that wait for something.
    pub waiting: usize,
}

impl Engine {
    /// Records from before this moment are not needed to find back to the present state.
    #[must_use]
    pub fn needed_since(&self) -> WallTime {
        let back = |length: Duration| {
            let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
            WallTime::from_unix_millis(self.now.wall.unix_millis().saturating_sub(millis))
        };
        let incidents = self.memory.incidents.values();
        let untold = |id| self.memory.untold.iter().any(|notice| notice.incident() == id);
        let current = incidents.filter(|it| {
            it.closed.is_none() || self.memory.histories.contains_key(&it.subject) || untold(it.id)
        });
        let mut moments: Vec<WallTime> = current.map(|it| it.opened.wall).collect();
        let attempts = self.memory.histories.values().filter_map(|history| history.attempts.first());
        moments.extend(attempts.map(|at| back(self.now.boot.since(at))));
        // When a pause began is not kept; it can't have begun earlier than this.
        moments.extend(self.memory.pauses.values().map(|_| back(PAUSE_MAX)));
        if !self.memory.operator_stopped.is_empty() || !self.memory.owed.is_empty() {
            // Stops by hand are of this boot.
            moments.push(back(self.now.boot.since(BootTime::ZERO)));
        }
        moments.into_iter().min().unwrap_or(self.now.wall)
    }

    /// How much is kept.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            incidents: self.memory.incidents.len(),
            histories: self.memory.histories.len(),
            conditions: self.conditions.len(),
            looks: self.looks.len(),
            waiting: self.sought.len()
                + self.watches.len()
                + self.permits.len()
                + self.tellings.len()
                + self.replies.len()
                + self.evidence.len(),
        }
    }

    /// Whether `other`, folded from records alone, is what this engine remembers; the difference where it is not.
    ///
    /// # Errors
    /// Names what differs.
    pub fn same_memory(&self, other: &super::Memory) -> Result<(), String> {
        self.memory.same_as(other, self.now.boot)
    }

    /// What is so right now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (mut open, mut ended): (Vec<Incident>, Vec<Incident>) =
            self.memory.incidents.values().map(|it| it.as_ref().clone()).partition(|it| it.closed.is_none());
        ended.sort_by_key(|it| std::cmp::Reverse(it.closed.map(|at| at.boot)));
        open.append(&mut ended);
        Snapshot {
            at: self.now,
            policy_digest: self.setup.policy.digest.clone(),
            policy_error: self.view.agent.policy_error.clone(),
            ledger_degraded: self.view.agent.ledger_degraded,
            own: self.view.agent.own.clone(),
            units_seen: self.view.unit_count(),
            units_lost: self.view.heard().err().map(str::to_owned),
            units: self.unit_views(),
            operator_stopped: self.memory.operator_stopped.iter().cloned().collect(),
            host: self.view.vitals.clone(),
            stall_watches: self.view.stalls.watches().collect(),
            unit_stall_watches: self.view.unit_stall_watches().collect(),
            senses_broken: self.view.agent.senses_broken(),
            numbers: self.view.numbers.clone(),
            filesystems: self.view.filesystems.views(),
            filesystems_lost: self.view.filesystems.points().err().map(str::to_owned),
            held: self.standing(),
            pauses: self.memory.pauses.values().cloned().collect(),
            proposals: self.memory.proposals.values().map(|(proposal, _)| proposal.clone()).collect(),
            restraints: self.memory.restraints.values().cloned().collect(),
            conditions: self
                .conditions
                .iter()
                .map(|((rule, subject), condition)| ConditionView {
                    rule: rule.clone(),
                    subject: subject.clone(),
                    condition: condition.clone(),
                })
                .collect(),
            incidents: open,
            counts: self.memory.counts,
        }
    }

    fn standing(&self) -> Option<Refusal> {
        let rule = self.setup.policy.rules.first()?;
        self.with_circumstances(&Subject::Host, rule, ApprovalState::NotAsked, standing_refusal)
    }

    fn unit_views(&self) -> Vec<UnitView> {
        let has_incident = |status: &UnitStatus| {
            self.memory.open_incidents().any(|it| it.subject.unit() == Some(&status.name))
        };
        let worth_showing = |status: &UnitStatus| {
            !matches!(status.active, ActiveState::Active | ActiveState::Inactive)
                || self.memory.operator_stopped.contains(&status.name)
                || self.memory.owed.contains_key(&status.name)
                || has_incident(status)
        };
        self.view
            .units()
            .map(|facts| &facts.status)
            .filter(|status| worth_showing(status))
            .take(UNITS_SHOWN)
            .map(|status| UnitView { status: status.clone(), left_alone: self.left_alone(status) })
            .collect()
    }

    /// Why a unit that is down is left so, when that is on purpose.
    fn left_alone(&self, status: &UnitStatus) -> Option<String> {
        if status.active.is_up() {
            return None;
        }
        if self.memory.operator_stopped.contains(&status.name) {
            return Some("an operator stopped it; it stays down until somebody starts it".into());
        }
        match self.view.owed.get(&status.name) {
            Some(Owed::StoppedAlong { with }) if !self.view.is_up(with) => {
                return Some(format!(
                    "the service manager stopped it along with {with}; it is started once that is up again"
                ));
            }
            Some(Owed::StoppedAlong { .. } | Owed::StartGivenUp) | None => {}
        }
        if status.load == LoadState::Masked {
            return Some("it is masked".into());
        }
        if status.restart_is_pending() {
            return Some("the service manager is about to restart it itself (Restart=)".into());
        }
        self.memory
            .open_incidents()
            .filter(|it| it.subject.unit() == Some(&status.name))
            .find_map(|it| it.held.as_ref().map(|held| format!("{}: {}", held.guard, held.why)))
    }
}

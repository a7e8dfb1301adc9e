//! What is particular to incidents of file systems: who holds deleted files on them, and that several rules speak of one.

use std::time::Duration;

use crate::decide::{Holders, unknown_holders};
use crate::model::{GuardName, Incident, IncidentId, Refusal, Remedy, SPACE_FIELDS, Subject, SubjectKind};
use crate::policy::Rule;

use super::Engine;
use super::memory::Answer;

/// After a guard had something against asking them, or they were not as they were judged.
const PASSED_OVER_FOR: Duration = Duration::from_mins(5);
/// Who holds deleted files is looked at anew after this, before anybody is asked to let go.
const HOLDERS_KNOWN_FOR: Duration = Duration::from_secs(30);

/// What is looked at anew is there by then, or it is done without.
const UNSURE_FOR: Duration = Duration::from_secs(10);
/// A look at a unit is two questions to the service manager.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(2);
/// What could not be told then is asked again after this.
const LOOKED_AT_EACH: Duration = Duration::from_mins(1);

/// What a rule says of the room of a file system: of its bytes, of its inodes. None speaks of damage, or of one that hangs.
fn room(rule: &Rule) -> (bool, bool) {
    let fields = rule.when.fields();
    let [used, available, inodes, full_in] = SPACE_FIELDS;
    let bytes = [used, available, full_in].iter().any(|field| fields.contains(field));
    (bytes, fields.contains(&inodes))
}

/// Whether the guard may say no because of whom an act would touch, and yes to one that touches nobody.
pub(super) const fn is_about_targets(guard: GuardName) -> bool {
    match guard {
        GuardName::Pause
        | GuardName::Mode
        | GuardName::OperatorIntent
        | GuardName::Freshness
        | GuardName::Protected
        | GuardName::Maintenance
        | GuardName::Ownership
        | GuardName::RootCause
        | GuardName::BlastRadius => true,
        GuardName::Shutdown
        | GuardName::WarmUp
        | GuardName::PackageManager
        | GuardName::Backoff
        | GuardName::Attempts
        | GuardName::Cost
        | GuardName::Approval => false,
    }
}

impl Engine {
    pub(super) fn holders(&self, incident: &Incident) -> Holders {
        let answer = incident.proposal.and_then(|proposal| self.memory.proposals.get(&proposal));
        let passed_over = self.passed_over.get(&incident.id).is_some_and(|until| self.now.boot < *until);
        match answer {
            Some((_, Answer::Approved)) if !passed_over => Holders::Agreed,
            Some((_, Answer::Open)) => Holders::Waiting,
            Some((_, Answer::Approved)) | None if passed_over => Holders::PassedOver,
            Some((_, Answer::Approved)) | None => Holders::MayBeAsked,
        }
    }

    /// Whether services that hold deleted files are being looked at, so that it can be told whether they may be asked. What
    /// is not told in time is done without.
    pub(super) fn waits_for_holders(&mut self, incident: &Incident, rule: &Rule) -> bool {
        let asks =
            rule.ladder.iter().any(|remedy| remedy.asks_users_of_a_disk()) && incident.escalated.is_none();
        let Some(evidence) = incident.evidence.as_ref().filter(|_| asks) else { return false };
        let unknown = unknown_holders(evidence, &self.setup.policy, &self.view);
        if unknown.is_empty() {
            return false;
        }
        let looked = self.holder_looks.get(&incident.id).copied();
        let since = looked.map(|at| self.now.boot.since(at));
        if since.is_none_or(|since| since >= LOOKED_AT_EACH) {
            self.holder_looks.insert(incident.id, self.now.boot);
            for unit in unknown {
                self.look(Subject::Unit(unit));
            }
        }
        let until = self.holder_looks.get(&incident.id).map(|at| *at + LOOKED_AT_WITHIN);
        match until.filter(|until| self.now.boot < *until) {
            Some(until) => {
                self.wake_at(until);
                true
            }
            None => false,
        }
    }

    /// What is not known about them is looked at, and mostly known a moment later: that much is waited for.
    pub(super) fn is_unsure_for_now(&mut self, incident: IncidentId, refusal: &Refusal) -> bool {
        if refusal.guard != GuardName::Freshness {
            return false;
        }
        let until = *self.unsure_since.entry(incident).or_insert(self.now.boot) + UNSURE_FOR;
        self.wake_at(until);
        self.now.boot < until
    }

    /// The rest of the ladder goes on meanwhile.
    pub(super) fn pass_over_holders(&mut self, incident: IncidentId) {
        let until = self.now.boot + PASSED_OVER_FOR;
        self.passed_over.insert(incident, until);
        self.wake_at(until);
    }

    /// Whether who is to be touched may have changed since the look: it is some time ago, or something was done.
    pub(super) fn look_is_old(&self, incident: &Incident, remedy: Remedy) -> bool {
        let evidence = incident.evidence.as_ref();
        let at = match (remedy.asks_users_of_a_disk(), remedy.works_on()) {
            (true, _) => evidence.and_then(|it| it.space.value()).map(|look| look.at),
            (false, SubjectKind::Host) => evidence.and_then(|it| it.culprits.value()).map(|look| look.at),
            (false, SubjectKind::Unit | SubjectKind::Filesystem | SubjectKind::Agent) => None,
        };
        let Some(at) = at else { return false };
        let acted = incident.timeline.iter().rev().find(|entry| entry.tried.is_some());
        at > self.now.wall
            || self.now.wall.since(at) > HOLDERS_KNOWN_FOR
            || acted.is_some_and(|entry| entry.at.wall > at)
    }

    /// Another incident of the same room, of which people know, as loud at least, and where no less was tried: one disk that
    /// fills is found by several rules, and is one thing to be told of.
    pub(super) fn told_by_another(&self, incident: &Incident) -> Option<IncidentId> {
        let Subject::Filesystem(_) = &incident.subject else { return None };
        let kind = |it: &Incident| Self::rule_of(&self.setup.policy, &it.rule).map(room);
        let mine = kind(incident).filter(|room| *room != (false, false))?;
        let others = self.memory.open_incidents().filter(|it| it.id != incident.id);
        let told = others.filter(|it| it.subject == incident.subject && it.escalated.is_some());
        let mut enough = told.filter(|it| {
            let no_less = it.severity >= incident.severity && (it.attempts > 0 || incident.attempts == 0);
            no_less && kind(it) == Some(mine)
        });
        enough.next().map(|it| it.id)
    }
}

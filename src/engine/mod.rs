//! The core: composes assess, decide, guard and verify; sole owner of the decision state.
//!
//! `handle(Input, now)` returns effects; [`Engine::next_deadline`] says when to be called again at the latest.
//! Pure: no clock, no I/O, no entropy. What the ledger holds, folded through [`Memory::recover`], is the state;
//! everything else in here is rebuilt from the first samples after a restart.
//!
//! Order within one call: take the input in, assess, end what is over, verify what was done, move every open
//! incident one step. An act is released only when the record of its intent is on the disk.

mod assessment;
mod commands;
mod evidence;
mod io;
mod memory;
mod removal;
mod repair;
mod restraint;
mod room;
mod snapshot;
mod standstill;
mod stops;
mod telling;
mod upkeep;
mod verification;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::assess::View;
use crate::guard::Permit;
use crate::model::{
    ActionId, Applied, BootId, BootTime, Condition, Entry, FilesystemsUpdate, IncidentId, NoticeId, Reading,
    RecordBody, Reply, RuleName, Sample, Subject, Timestamp, UnitName, UnitsUpdate,
};
use crate::policy::{Openings, Policy};
use crate::verify::Watch;

pub use io::*;
pub use memory::Memory;
pub use snapshot::Sizes;

/// What the engine is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub policy: Arc<Policy>,
    /// For jitter: differs between hosts, stays the same on one.
    pub seed: u64,
    pub boot: BootId,
    /// The program's version, for the record of its start.
    pub version: String,
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    setup: Setup,
    now: Timestamp,
    started: BootTime,
    stepped: Option<BootTime>,
    stopping: bool,
    memory: Memory,
    view: View,
    conditions: BTreeMap<(RuleName, Subject), Condition>,
    /// Units that an act of the agent's left at rest and unloaded, and until when they are looked for.
    sought: BTreeMap<IncidentId, BootTime>,
    /// When it was last looked who is to blame for it.
    looked: BTreeMap<IncidentId, BootTime>,
    /// Verifications under way.
    watches: BTreeMap<ActionId, Watch>,
    /// Stops that were noted as an operator's and may have another cause.
    stops: BTreeMap<UnitName, stops::UnexplainedStop>,
    /// Units that a look did not find, in this call.
    gone_for_good: BTreeSet<UnitName>,
    /// Permits whose intent is not durable yet.
    permits: BTreeMap<RecordTicket, Permit>,
    /// Acts that wait until what they are about to remove is on record.
    removals: BTreeMap<RecordTicket, ActionId>,
    /// Acts on file systems that were about to be full.
    urgent: BTreeSet<ActionId>,
    /// What people are being told.
    tellings: BTreeMap<NoticeId, telling::Telling>,
    /// Answers to commands whose record is not durable yet: what a person was told must not be forgotten.
    replies: BTreeMap<RecordTicket, (CommandTicket, Reply)>,
    /// Evidence that was asked for, and until when it is waited for.
    evidence: BTreeMap<IncidentId, BootTime>,
    /// Subjects that the shell was asked to read again.
    looks: BTreeMap<Subject, Look>,
    /// Since when a subject with a history of repairs has been well.
    well_since: BTreeMap<Subject, BootTime>,
    /// Since when the unit of a history is not known to the service manager.
    gone_since: BTreeMap<Subject, BootTime>,
    /// Acts of an open incident that were withdrawn, in a row.
    withdrawn: BTreeMap<IncidentId, u32>,
    /// Whose holders of deleted files are not asked, and until when.
    passed_over: BTreeMap<IncidentId, BootTime>,
    /// When services that hold deleted files were looked at for it.
    holder_looks: BTreeMap<IncidentId, BootTime>,
    /// Since when too little is known about them to ask them.
    unsure_since: BTreeMap<IncidentId, BootTime>,
    /// What is being let go, and what is known of the rest.
    releases: restraint::Releases,
    /// Of the policy, in this minute.
    openings: Openings,
    /// Subjects to assess in this call.
    touched: BTreeSet<Subject>,
    /// The earliest moment at which something happens by itself.
    deadline: Option<BootTime>,
    next_ticket: u64,
    effects: Vec<Effect>,
}

impl Engine {
    /// Takes up the work: with an empty memory on a new host, or with what recovery folded.
    ///
    /// Acts that were under way when the agent ended are not begun again: their outcome is unknown, and
    /// verification will tell.
    #[must_use]
    pub fn start(setup: Setup, mut memory: Memory, now: Timestamp) -> (Self, Vec<Effect>) {
        let same_boot = memory.is_of(setup.boot);
        memory.move_to(setup.boot, now);
        let mut engine = Self {
            now,
            started: now.boot,
            stepped: None,
            stopping: false,
            memory,
            view: View::default(),
            conditions: BTreeMap::new(),
            sought: BTreeMap::new(),
            looked: BTreeMap::new(),
            watches: BTreeMap::new(),
            stops: BTreeMap::new(),
            gone_for_good: BTreeSet::new(),
            permits: BTreeMap::new(),
            removals: BTreeMap::new(),
            urgent: BTreeSet::new(),
            tellings: BTreeMap::new(),
            replies: BTreeMap::new(),
            evidence: BTreeMap::new(),
            looks: BTreeMap::new(),
            well_since: BTreeMap::new(),
            gone_since: BTreeMap::new(),
            withdrawn: BTreeMap::new(),
            passed_over: BTreeMap::new(),
            holder_looks: BTreeMap::new(),
            unsure_since: BTreeMap::new(),
            releases: restraint::Releases::default(),
            openings: Openings::at(&setup.policy, now.wall),
            touched: BTreeSet::new(),
            deadline: None,
            next_ticket: 1,
            effects: Vec::new(),
            setup,
        };
        engine.note_probe_limits();
        let started = engine.record(RecordBody::AgentStarted {
            version: engine.setup.version.clone(),
            boot: engine.setup.boot,
            policy: engine.setup.policy.digest.clone(),
        });
        engine.take_up_untold(started);
        engine.take_up_open_actions();
        engine.take_up_open_conditions();
        engine.take_up_restraints(same_boot);
        engine.settle();
        let effects = std::mem::take(&mut engine.effects);
        (engine, effects)
    }

    /// Takes in one thing that happened and returns what is to be done, in order.
    ///
    /// `now` never runs backwards on the boot clock; a caller that breaks this gets the latest time used instead.
    #[must_use = "effects that are dropped are records and acts that are lost"]
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        self.now = Timestamp::new(now.boot.max(self.now.boot), now.wall);
        if !self.openings.are_of(self.now.wall) {
            self.openings = Openings::at(&self.setup.policy, self.now.wall);
        }
        match input {
            Input::Sample(sample) => {
                self.take_sample(&sample);
                if self.is_as_before(&sample) {
                    return Vec::new();
                }
            }
            Input::Recorded(ticket) => self.recorded(ticket),
            Input::RecordRefused(ticket) => {
                if let Some(permit) = self.permits.remove(&ticket) {
                    let why = "its intent could not be recorded".to_owned();
                    self.acted(permit.action(), Applied::Withdrawn { why });
                }
                self.removal_unrecorded(ticket);
                self.tell_unrecorded(ticket);
                if let Some((command, _)) = self.replies.remove(&ticket) {
                    let reply = Reply::Refused("it could not be recorded".into());
                    self.effects.push(Effect::Reply { ticket: command, reply });
                }
            }
            Input::Removing { action, usage, removals } => self.removing(action, usage, removals),
            Input::Acted { action, applied } => self.acted(action, applied),
            Input::Released { action, result } => self.released(action, &result),
            Input::Told { notice, failed } => self.told(notice, &failed),
            Input::EvidenceTaken { incident, evidence } => self.take_evidence(incident, *evidence),
            Input::Command { ticket, by, command } => {
                let before = self.next_ticket;
                let reply = self.command(by, command);
                if self.next_ticket == before {
                    self.effects.push(Effect::Reply { ticket, reply });
                } else {
                    self.replies.insert(RecordTicket(self.next_ticket - 1), (ticket, reply));
                }
            }
            Input::PolicyLoaded(policy) => self.take_policy(policy),
            Input::PolicyRejected(error) => self.reject_policy(error),
            Input::OwnUse(own) => {
                self.view.agent.own = Reading::Value(*own);
                self.touched.insert(Subject::Agent);
            }
            Input::LedgerDegraded(degraded) => {
                self.view.agent.ledger_degraded = degraded;
                self.touched.insert(Subject::Agent);
            }
            Input::ClockStepped { forward, by } => {
                self.stepped = Some(self.now.boot);
                self.record(RecordBody::ClockStepped { forward, by });
            }
            Input::Stopping { why } => {
                self.stopping = true;
                self.withdraw_permits("the agent is stopping");
                self.end_removals("the agent is stopping");
                self.record(RecordBody::AgentStopping { why });
            }
            Input::Tick => {}
        }
        self.settle();
        std::mem::take(&mut self.effects)
    }

    /// When something happens by itself: call `handle(Input::Tick, …)` then, if nothing comes before.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<BootTime> {
        self.deadline
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.setup.policy
    }

    fn settle(&mut self) {
        self.deadline = None;
        self.expire();
        self.explain_stops();
        self.settle_what_is_owed();
        self.assess();
        self.verify();
        self.advance_incidents();
        self.advance_restraints();
        self.prove_stability();
        self.tell_again();
    }

    /// Wants to be called at `moment`, or before.
    fn wake_at(&mut self, moment: BootTime) {
        self.deadline = Some(self.deadline.map_or(moment, |deadline| deadline.min(moment)));
    }

    fn record(&mut self, body: RecordBody) -> RecordTicket {
        let ticket = RecordTicket(self.next_ticket);
        self.next_ticket += 1;
        let durability = body.durability();
        let entry = Entry { at: self.now, boot: self.setup.boot, body };
        self.memory.apply(&entry);
        self.effects.push(Effect::Record { ticket, durability, entry });
        ticket
    }

    fn take_sample(&mut self, sample: &Sample) {
        let touched = self.view.take(sample);
        self.answer_looks(sample);
        if sample.units.is_some() {
            // Whether the service manager is heard is a fact about the agent's own work.
            self.touched.insert(Subject::Agent);
        }
        if matches!(sample.units, Some(UnitsUpdate::Complete(_))) {
            // A subject that is not listed any more shows only here, and windows move on without any change.
            self.touched.extend(self.conditions.keys().map(|(_, subject)| subject.clone()));
            self.touched.extend(self.memory.operator_stopped.iter().cloned().map(Subject::Unit));
        }
        if let Some(UnitsUpdate::NoSuchUnit(unit)) = &sample.units {
            self.gone_for_good.insert(unit.clone());
        }
        self.touch_owed(&touched, matches!(sample.units, Some(UnitsUpdate::Complete(_))));
        self.touched.extend(touched);
        self.note_operator_stops(sample);
    }

    /// Whether answers of probes say what was known, no act waits for one, and nothing is due: nothing is to be decided
    /// anew. Most of what a healthy host tells is of this kind.
    fn is_as_before(&self, sample: &Sample) -> bool {
        sample.has_probes_alone()
            && self.touched.is_empty()
            && self.memory.actions.is_empty()
            && self.deadline.is_none_or(|deadline| self.now.boot < deadline)
    }

    /// Everything up to `ticket` is on the disk: what waited for it may go on.
    fn recorded(&mut self, ticket: RecordTicket) {
        let later = RecordTicket(ticket.0 + 1);
        let waiting = self.permits.split_off(&later);
        for permit in std::mem::replace(&mut self.permits, waiting).into_values() {
            match self.still_permitted(&permit) {
                Ok(()) => self.effects.push(Effect::Act(permit)),
                Err(why) => self.acted(permit.action(), Applied::Withdrawn { why }),
            }
        }
        self.go_on_with_removals(ticket);
        let waiting = self.replies.split_off(&later);
        for (ticket, reply) in std::mem::replace(&mut self.replies, waiting).into_values() {
            self.effects.push(Effect::Reply { ticket, reply });
        }
        self.tell_what_is_recorded(ticket);
    }

    fn withdraw_permits(&mut self, why: &str) {
        for permit in std::mem::take(&mut self.permits).into_values() {
            self.acted(permit.action(), Applied::Withdrawn { why: why.to_owned() });
        }
    }

    /// Asks the shell to read a subject again, once until it has answered or a moment has passed.
    fn look(&mut self, subject: Subject) {
        let now = self.now.boot;
        let asked = self.looks.get(&subject).copied();
        match asked {
            Some(look) if now < look.last + LOOK_AGAIN => self.wake_at(look.last + LOOK_AGAIN),
            Some(_) | None => {
                let waiting_since = asked.and_then(|look| look.waiting_since).or(Some(now));
                self.looks.insert(subject.clone(), Look { waiting_since, last: now });
                self.effects.push(Effect::Look(subject));
                self.wake_at(now + LOOK_AGAIN);
            }
        }
    }

    /// A reading that began after the request is its answer, whether it says anything new or not. The moment of
    /// asking is kept for a while: an answer that does not help must not lead to asking again at once.
    fn answer_looks(&mut self, sample: &Sample) {
        let at = sample.at.boot;
        let read: BTreeSet<&UnitName> = match &sample.units {
            Some(UnitsUpdate::Complete(statuses)) => statuses.iter().map(|it| &it.name).collect(),
            Some(UnitsUpdate::Changed { statuses, removed }) => {
                statuses.iter().map(|it| &it.name).chain(removed).collect()
            }
            Some(UnitsUpdate::NoSuchUnit(unit)) => BTreeSet::from([unit]),
            Some(UnitsUpdate::Alive | UnitsUpdate::Lost { .. }) | None => BTreeSet::new(),
        };
        for (subject, look) in &mut self.looks {
            let answered = match subject {
                Subject::Unit(unit) => read.contains(unit),
                Subject::Host => sample.activity.is_some(),
                Subject::Filesystem(point) => match &sample.filesystems {
                    Some(FilesystemsUpdate::Again(some)) => some.iter().any(|it| it.mount_point == *point),
                    Some(FilesystemsUpdate::Complete(_) | FilesystemsUpdate::Failed { .. }) => true,
                    None => false,
                },
                Subject::Agent => true,
            };
            if answered && at >= look.last {
                look.waiting_since = None;
            }
        }
        let now = self.now.boot;
        self.looks.retain(|_, look| look.waiting_since.is_some() || now < look.last + LOOK_AGAIN);
    }

    /// Whether a look has gone unanswered for longer than it should take.
    fn looked_in_vain(&self) -> bool {
        let in_vain = |since: BootTime| self.now.boot >= since + LOOK_AGAIN;
        self.looks.values().any(|look| look.waiting_since.is_some_and(in_vain))
    }
}

/// An open request to read a subject.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Since when no answer has come; none when the last request was answered.
    waiting_since: Option<BootTime>,
    last: BootTime,
}

/// The same subject is not looked at again sooner than this, answered or not: a D-Bus call takes milliseconds, and
/// what is waited for (a package manager) takes longer.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

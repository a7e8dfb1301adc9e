//! Why a unit is down: by a person's order, along with another, or because its start was given up.
//!
//! A stop job says nothing of who is behind it. It counts as an operator's, which holds everything back, unless it shows
//! within moments that the service manager handed it on from another unit. In doubt it stays an operator's.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{
    BootTime, HostActivity, JobEvent, JobKind, JobOrigin, JobResult, Owed, Reading, RecordBody, Sample,
    Subject, SystemState, UnitFileState, UnitKind, UnitName,
};

use super::Engine;

/// The news of one transaction of systemd come within milliseconds of each other, and on a busy host within seconds.
/// What is not explained by then stays an operator's order.
const EXPLAIN_WITHIN: Duration = Duration::from_secs(10);

/// A stop that takes longer than this (TimeoutStopSec= is 90 s by default) explains nothing.
const STOP_TAKES: Duration = Duration::from_mins(2);
/// Units that are owed a start at one time: on a host with more, somebody is at work on all of it.
const OWED_MAX: usize = 1000;

/// A stop that was noted as an operator's, and may yet turn out to be handed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnexplainedStop {
    at: BootTime,
    /// systemd numbers the jobs of a transaction in the order in which they are made: what causes, before what is caused.
    job: u32,
    /// Since when the unit was seen to be stopped. Once it is unloaded, nobody knows any more.
    since: Option<BootTime>,
}

impl Engine {
    /// A stop by another hand is an order: the unit stays down.
    pub(super) fn note_operator_stops(&mut self, sample: &Sample) {
        if self.host_is_stopping() {
            return;
        }
        for job in &sample.jobs {
            // A start that got nowhere because of a dependency leaves no new run behind, and is an order all the same.
            let started = job.job.origin == JobOrigin::Other && job.asked_for_a_start();
            if started && self.memory.operator_stopped.contains(&job.unit) {
                self.record(RecordBody::OperatorStopEnded { unit: job.unit.clone() });
                self.touched.insert(Subject::Unit(job.unit.clone()));
            }
            self.note_given_up(job);
            let by_hand = job.job.origin == JobOrigin::Other && job.stopped_the_unit();
            // Only services are started by the agent, and one that is gone with its stop needs no note: sessions
            // and transient jobs come and go by the hundred.
            let vanishes = self.is_transient(&job.unit) && !self.view.is_failed(&job.unit);
            let cared_for = job.unit.kind() == UnitKind::Service && !vanishes;
            if !by_hand || !cared_for || self.view.is_up(&job.unit) {
                continue;
            }
            if !self.memory.operator_stopped.contains(&job.unit) {
                // What was stopped along and is stopped once more, is stopped on purpose.
                if !self.memory.owed.contains_key(&job.unit) {
                    let since = self.view.unit(&job.unit).and_then(|facts| facts.stopping_since);
                    let stop = UnexplainedStop { at: sample.at.boot, job: job.job.id, since };
                    self.stops.insert(job.unit.clone(), stop);
                }
                // Where it was unloaded at once, the run before the job is the one that was stopped.
                let run = job.invocation_after.value().or(job.invocation_before.value()).copied();
                self.record(RecordBody::OperatorStopped { unit: job.unit.clone(), run });
            }
            let why = format!("an operator stopped {}", job.unit);
            self.end_incidents_of(&Subject::Unit(job.unit.clone()), &why);
        }
    }

    fn is_transient(&self, unit: &UnitName) -> bool {
        let details = self.view.unit(unit).and_then(|facts| facts.status.details.value());
        details.is_some_and(|details| details.file_state == UnitFileState::Transient)
    }

    fn host_is_stopping(&self) -> bool {
        matches!(
            &self.view.activity,
            Reading::Value(HostActivity { system_state: Reading::Value(SystemState::Stopping), .. })
        )
    }

    /// A unit that is up again, or in another run than the one that was stopped, was started by somebody: what
    /// becomes of that start is the agent's business again.
    pub(super) fn note_operator_start(&mut self, unit: &UnitName) {
        let Some(facts) = self.view.unit(unit) else { return };
        let invocation = facts.status.invocation();
        // What was read before the stop was noted may be of the run before.
        let stopped = self.memory.stopped_runs.get(unit).filter(|(_, noted)| facts.read_at >= *noted);
        let anew = matches!((stopped, &invocation), (Some((run, _)), Reading::Value(now)) if now != run);
        // A start makes another run: what says that this one is up was read before it was stopped, and told late.
        let late = matches!((self.memory.stopped_runs.get(unit), &invocation),
            (Some((run, _)), Reading::Value(now)) if now == run);
        if self.memory.operator_stopped.contains(unit) && (anew || (facts.status.active.is_up() && !late)) {
            self.record(RecordBody::OperatorStopEnded { unit: unit.clone() });
        }
    }

    /// A start that was asked for and given up because of a dependency leaves nothing behind: systemd unloads the unit
    /// again, and forgets that anybody wanted it.
    fn note_given_up(&mut self, job: &JobEvent) {
        let start = match job.job.kind {
            JobKind::Start | JobKind::Restart | JobKind::Other => true,
            JobKind::Stop | JobKind::Reload => false,
        };
        let service = job.unit.kind() == UnitKind::Service;
        if !start || job.result != JobResult::Dependency || !service {
            return;
        }
        let unit = job.unit.clone();
        if self.memory.owed.get(&unit).is_none_or(|(owed, _)| *owed != Owed::StartGivenUp)
            && !self.memory.operator_stopped.contains(&unit)
            && self.memory.owed.len() < OWED_MAX
        {
            self.record(RecordBody::StartOwed { unit: unit.clone(), because: Owed::StartGivenUp });
        }
        if self.view.unit(&unit).is_none() {
            self.look(Subject::Unit(unit));
        }
    }

    /// Takes back what was noted as an operator's stop, where another unit shows to be the cause.
    pub(super) fn explain_stops(&mut self) {
        let now = self.now.boot;
        let stops: Vec<(UnitName, UnexplainedStop)> =
            self.stops.iter().map(|(unit, stop)| (unit.clone(), *stop)).collect();
        for (unit, stop) in stops {
            if now > stop.at + EXPLAIN_WITHIN || !self.memory.operator_stopped.contains(&unit) {
                self.stops.remove(&unit);
                continue;
            }
            let known = self.view.unit(&unit).is_some_and(|facts| facts.status.details.value().is_some());
            if !known {
                self.look(Subject::Unit(unit));
            } else if self.memory.owed.len() < OWED_MAX
                && let Some(with) = self.handed_on_by(&unit, stop)
            {
                self.stops.remove(&unit);
                self.touched.insert(Subject::Unit(unit.clone()));
                self.record(RecordBody::StartOwed { unit, because: Owed::StoppedAlong { with } });
            }
        }
    }

    /// The unit whose end took this one down, if that is beyond doubt: it went down, or was itself taken down by such an
    /// end, at the same time, by a job that systemd made before, and the relation between them hands that on.
    ///
    /// A stop that somebody ordered is not such an end, for whoever stops a unit stops what hangs on it, and means it:
    /// `systemctl stop db app` can't be told from `systemctl stop db`.
    fn handed_on_by(&self, unit: &UnitName, stop: UnexplainedStop) -> Option<UnitName> {
        let relations = &self.view.unit(unit)?.status.details.value()?.relations;
        let since = stop.since.filter(|since| stop.at.since(*since) <= STOP_TAKES)?;
        let around = |at: BootTime| at + EXPLAIN_WITHIN >= since && stop.at + EXPLAIN_WITHIN >= at;
        let in_turn = relations.requires.iter().chain(&relations.part_of).chain(&relations.binds_to);
        let taken_down = in_turn.filter_map(|other| {
            let cause = self.view.unit(other)?;
            let along = matches!(self.memory.owed.get(other), Some((Owed::StoppedAlong { .. }, _)));
            let ended = cause.stop_job.filter(|(at, _)| along && around(*at)).map(|(_, job)| job);
            Some((ended.filter(|job| *job < stop.job)?, other.clone()))
        });
        // The first of them is nearest to the cause.
        if let Some((_, with)) = taken_down.min() {
            return Some(with);
        }
        let fell = |other: &&UnitName| {
            let ordered = self.memory.operator_stopped.contains(*other);
            !ordered && self.view.unit(other).is_some_and(|cause| cause.fell.is_some_and(around))
        };
        let mut fallen: BTreeSet<&UnitName> = relations.binds_to.iter().filter(fell).collect();
        // Two at once, with one on the other or not: either will do, because both must be up for a start.
        fallen.pop_first().cloned()
    }

    /// A unit that is owed a start is owed none once it was seen up, or is gone for good.
    pub(super) fn settle_what_is_owed(&mut self) {
        let heard = self.view.heard().is_ok();
        let settled: Vec<UnitName> = self
            .memory
            .owed
            .iter()
            .filter(|(unit, (_, noted))| match self.view.unit(unit) {
                Some(facts) => facts.status.active.is_up() && facts.read_at >= *noted,
                None => heard && self.gone_for_good.contains(*unit),
            })
            .map(|(unit, _)| unit.clone())
            .collect();
        for unit in settled {
            self.record(RecordBody::StartNoLongerOwed { unit });
        }
        self.gone_for_good.clear();
        self.view.owed =
            self.memory.owed.iter().map(|(unit, (owed, _))| (unit.clone(), owed.clone())).collect();
    }

    /// Those that wait for another are looked at when that one has changed. Those that systemd has unloaded are on no
    /// list: they are read along with each full one, because their files may be gone for good.
    pub(super) fn touch_owed(&mut self, touched: &BTreeSet<Subject>, complete: bool) {
        let mut unseen = Vec::new();
        for (unit, (owed, _)) in &self.memory.owed {
            let waits_for = match owed {
                Owed::StoppedAlong { with } => touched.contains(&Subject::Unit(with.clone())),
                Owed::StartGivenUp => false,
            };
            if waits_for {
                self.touched.insert(Subject::Unit(unit.clone()));
            }
            let unseen_now = self.view.unit(unit).is_none_or(|facts| facts.unloaded && complete);
            if self.view.heard().is_ok() && unseen_now {
                unseen.push(Subject::Unit(unit.clone()));
            }
        }
        unseen.into_iter().for_each(|unit| self.look(unit));
    }
}

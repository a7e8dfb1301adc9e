//! What is known from signals alone: the last announced state of each unit, and the jobs under way. A pure state
//! machine, fed in the order of the wire.
//!
//! systemd announces a unit's properties just before `JobNew`, at each change, and once more just before `JobRemoved`
//! (`bus_job_send_change_signal`, `bus_job_send_removed_signal` in its sources), and every announcement carries the
//! state, the `InvocationID` and the job together. So what a job found and what it left behind need no further
//! question, which would come too late for a job of a millisecond:
//!
//! * the run *before* a job is the one announced last without the job; when nothing was announced before, it is the
//!   one of the first announcement with the job, unless the unit is down in it: a start may have begun by then;
//! * the run and state *after* it are those of the last announcement before `JobRemoved`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::{
    Absence, ActiveState, InvocationId, JobEvent, JobKind, JobOrigin, JobResult, MainExit, Reading, UnitJob,
    UnitName,
};

/// Most units remembered. Three times what the largest known hosts have; a unit beyond it is read at every signal.
const UNITS_MAX: usize = 1 << 16;
/// Most jobs under way that are remembered; one beyond it ends with its history not observed.
const JOBS_MAX: usize = 1 << 14;
/// Most jobs of ours remembered as ours. The agent runs one at a time; this is hours of them.
const OWN_MAX: usize = 1 << 10;

/// What an announcement of the Unit interface says, as far as it has consequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) active: ActiveState,
    pub(super) sub: String,
    /// The job on the unit, 0 for none.
    pub(super) job: u32,
    /// The present or last run; `None` when it never ran, or is not known yet.
    pub(super) invocation: Option<InvocationId>,
}

/// What an announcement of the Service interface says, as far as it has consequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceAnnounced {
    pub(super) result: String,
    pub(super) exit: MainExit,
    pub(super) restarts: u32,
    pub(super) main_pid: u32,
}

#[derive(Debug)]
struct Known {
    announced: Announced,
    service: Option<ServiceAnnounced>,
    /// The service part changed since the last announcement of the Unit interface.
    service_changed: bool,
    /// Signals were missed since: good for comparing, not for telling what a job found.
    stale: bool,
}

impl Known {
    fn new(announced: Announced) -> Self {
        Self { announced, service: None, service_changed: false, stale: false }
    }
}

/// What follows from an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Consequence {
    /// The unit is to be read.
    pub(super) read: bool,
    /// A job is on the unit that was not known.
    pub(super) new_job: bool,
}

#[derive(Debug)]
struct Job {
    unit: UnitName,
    kind: Option<JobKind>,
    before: Reading<InvocationId>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    units: BTreeMap<UnitName, Known>,
    jobs: BTreeMap<u32, Job>,
    own: BTreeSet<u32>,
    own_order: VecDeque<u32>,
}

impl Tracker {
    /// There was a gap in the signals. The states before it stay for comparing, so that the announcement of every
    /// unit after a re-execution is no change of every unit. Which jobs are ours stays true.
    pub(super) fn gap(&mut self) {
        self.jobs.clear();
        for known in self.units.values_mut() {
            known.stale = true;
        }
    }

    /// The rows of a list: what is not known better from signals since. A unit that was announced before a gap, and
    /// is in no list after it, is gone.
    pub(super) fn seed(&mut self, rows: impl Iterator<Item = (UnitName, Announced)>) {
        for (unit, row) in rows {
            let room = self.units.len() < UNITS_MAX;
            match self.units.get_mut(&unit) {
                Some(known) if known.stale => *known = Known::new(row),
                Some(_) => {}
                None if room => {
                    self.units.insert(unit, Known::new(row));
                }
                None => {}
            }
        }
        self.units.retain(|_, known| !known.stale);
    }

    /// The run of a unit without a job, read together with its state; counts where signals have not told it.
    pub(super) fn learn_run(&mut self, unit: &UnitName, active: ActiveState, run: InvocationId) {
        if let Some(known) = self.units.get_mut(unit)
            && known.announced.invocation.is_none()
            && !known.stale
            && known.announced.active == active
            && known.announced.job == 0
        {
            known.announced.invocation = Some(run);
        }
    }

    /// Properties of the Service interface changed. systemd sends them just before those of the Unit interface, which
    /// decide whether the unit is to be read again.
    pub(super) fn service_announced(&mut self, unit: &UnitName, service: ServiceAnnounced) {
        if let Some(known) = self.units.get_mut(unit)
            && known.service.as_ref() != Some(&service)
        {
            known.service = Some(service);
            known.service_changed = true;
        }
    }

    /// Properties of the Unit interface changed.
    pub(super) fn announced(&mut self, unit: &UnitName, new: Announced) -> Consequence {
        let new_job = new.job != 0 && !self.jobs.contains_key(&new.job) && self.jobs.len() < JOBS_MAX;
        if new_job {
            let before = run_before(self.fresh(unit), Some(&new));
            self.jobs.insert(new.job, Job { unit: unit.clone(), kind: None, before });
        }
        let read = match self.units.get_mut(unit) {
            Some(known) => {
                let same = known.announced.active == new.active
                    && known.announced.sub == new.sub
                    && known.announced.job == new.job
                    && (known.announced.invocation.is_none() || known.announced.invocation == new.invocation);
                known.announced = new;
                known.stale = false;
                let service_changed = std::mem::take(&mut known.service_changed);
                service_changed || !same
            }
            None => {
                if self.units.len() < UNITS_MAX {
                    self.units.insert(unit.clone(), Known::new(new));
                }
                true
            }
        };
        Consequence { read, new_job }
    }

    /// The last announcement of a unit, unless signals were missed since.
    fn fresh(&self, unit: &UnitName) -> Option<&Announced> {
        self.units.get(unit).filter(|known| !known.stale).map(|known| &known.announced)
    }

    /// `JobNew`. True when the job was not known yet.
    pub(super) fn job_new(&mut self, id: u32, unit: &UnitName) -> bool {
        let new = !self.jobs.contains_key(&id) && self.jobs.len() < JOBS_MAX;
        if new {
            let before = run_before(self.fresh(unit), None);
            self.jobs.insert(id, Job { unit: unit.clone(), kind: None, before });
        }
        new
    }

    /// The answer to what a job does, if it is still under way.
    pub(super) fn kind_told(&mut self, id: u32, kind: JobKind) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.kind = Some(kind);
        }
    }

    /// Whether this job is under way and its kind not known.
    pub(super) fn kind_is_open(&self, id: u32) -> bool {
        self.jobs.get(&id).is_some_and(|job| job.kind.is_none())
    }

    /// `JobRemoved`.
    pub(super) fn job_removed(&mut self, id: u32, unit: UnitName, result: JobResult) -> JobEvent {
        let not_observed = Reading::Absent(Absence::NotObserved);
        let job = self.jobs.remove(&id);
        let known = self.fresh(&unit);
        let invocation_after =
            known.and_then(|known| known.invocation).map_or(not_observed.clone(), Reading::Value);
        let active_after =
            known.map_or(Reading::Absent(Absence::NotObserved), |known| Reading::Value(known.active));
        let kind = job.as_ref().and_then(|job| job.kind).unwrap_or(JobKind::Other);
        JobEvent {
            unit,
            job: UnitJob { id, kind, origin: self.origin(id) },
            result,
            invocation_before: job.map_or(not_observed, |job| job.before),
            invocation_after,
            active_after,
        }
    }

    /// The jobs under way on a unit.
    pub(super) fn jobs_on(&self, unit: &UnitName) -> BTreeSet<u32> {
        self.jobs.iter().filter(|(_, job)| job.unit == *unit).map(|(id, _)| *id).collect()
    }

    /// A job of this agent.
    pub(super) fn is_ours(&mut self, id: u32) {
        if self.own.insert(id) {
            self.own_order.push_back(id);
            if self.own_order.len() > OWN_MAX
                && let Some(oldest) = self.own_order.pop_front()
            {
                self.own.remove(&oldest);
            }
        }
    }

    /// Who asked for a job.
    pub(super) fn origin(&self, id: u32) -> JobOrigin {
        if self.own.contains(&id) { JobOrigin::Agent } else { JobOrigin::Other }
    }

    /// What a job under way does, where that is known.
    pub(super) fn kind(&self, id: u32) -> Option<JobKind> {
        self.jobs.get(&id).and_then(|job| job.kind)
    }

    /// `UnitRemoved`. True when the unit had been told of before.
    pub(super) fn removed(&mut self, unit: &UnitName) -> bool {
        self.units.remove(unit).is_some()
    }
}

/// The run that a new job found: see the module. `first` is the first announcement that carries the job.
fn run_before(known: Option<&Announced>, first: Option<&Announced>) -> Reading<InvocationId> {
    let is_down = |announced: &Announced| {
        matches!(announced.active, ActiveState::Inactive | ActiveState::Failed | ActiveState::Maintenance)
    };
    let of_first =
        |first: &Announced| first.invocation.map_or(Reading::Absent(Absence::NotObserved), Reading::Value);
    match (known, first) {
        (Some(Announced { invocation: Some(run), .. }), _) => Reading::Value(*run),
        // Known from a list, which has no runs: the first announcement counts while it shows the same state. Not when
        // that is down: a start announces its new run before it announces that the unit is up.
        (Some(known), Some(first)) if known.active == first.active && !is_down(first) => of_first(first),
        (None, Some(first)) if !is_down(first) => of_first(first),
        (Some(_) | None, _) => Reading::Absent(Absence::NotObserved),
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;

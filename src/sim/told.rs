//! What the agent has been told, kept apart from what it made of it: the ground on which the checkers judge.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    ActiveState, BootTime, HostActivity, InvocationId, JobOrigin, Reading, Sample, UnitName, UnitStatus,
    UnitsUpdate,
};

/// What the senses have delivered in this life of the agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) units: BTreeMap<UnitName, (BootTime, UnitStatus)>,
    /// Stopped by an operator, and the agent has been told of the stop.
    pub(super) operator_stopped: BTreeSet<UnitName>,
    /// The runs in which they were stopped.
    pub(super) stopped_runs: BTreeMap<UnitName, InvocationId>,
    /// The service manager was last heard then; `None` while it is lost.
    pub(super) heard: Option<BootTime>,
    pub(super) activity: Option<(BootTime, HostActivity)>,
    pub(super) started: Option<BootTime>,
    pub(super) stepped: Option<BootTime>,
    pub(super) stopping: bool,
}

impl Told {
    /// One sample, as it is handed to the engine. `kept_down` says whom an operator really wants down.
    pub(super) fn take(&mut self, sample: &Sample, kept_down: impl Fn(&UnitName) -> bool) {
        let at = sample.at.boot;
        match &sample.units {
            None => {}
            Some(UnitsUpdate::Complete(statuses)) => {
                let listed: BTreeSet<&UnitName> = statuses.iter().map(|it| &it.name).collect();
                self.units.retain(|name, (read, _)| listed.contains(name) || *read > at);
                statuses.iter().for_each(|status| self.take_unit(status, at));
                self.heard = Some(self.heard.map_or(at, |heard| heard.max(at)));
            }
            Some(UnitsUpdate::Changed { statuses, removed }) => {
                statuses.iter().for_each(|status| self.take_unit(status, at));
                for name in removed {
                    self.units.remove(name);
                }
                self.heard = self.heard.map(|heard| heard.max(at));
            }
            Some(UnitsUpdate::NoSuchUnit(name)) => {
                self.units.remove(name);
                self.heard = self.heard.map(|heard| heard.max(at));
            }
            Some(UnitsUpdate::Alive) => self.heard = self.heard.map(|heard| heard.max(at)),
            Some(UnitsUpdate::Lost { .. }) => self.heard = None,
        }
        for job in &sample.jobs {
            if job.job.origin == JobOrigin::Other && job.asked_for_a_start() {
                self.operator_stopped.remove(&job.unit);
                self.stopped_runs.remove(&job.unit);
            }
            let stop = job.job.origin == JobOrigin::Other && job.stopped_the_unit();
            if stop && kept_down(&job.unit) && !self.is_up(&job.unit) {
                self.operator_stopped.insert(job.unit.clone());
                if let Reading::Value(run) = job.invocation_after {
                    self.stopped_runs.insert(job.unit.clone(), run);
                }
            }
        }
        if let Some(activity) = &sample.activity
            && self.activity.as_ref().is_none_or(|(before, _)| *before <= at)
        {
            self.activity = Some((at, activity.clone()));
        }
    }

    fn take_unit(&mut self, status: &UnitStatus, at: BootTime) {
        if self.units.get(&status.name).is_some_and(|(before, _)| *before > at) {
            return;
        }
        // In another run than the one that was stopped: somebody started it, whatever came of it.
        let anew = match (self.stopped_runs.get(&status.name), status.invocation()) {
            (Some(run), Reading::Value(now)) => *run != now,
            (Some(_) | None, Reading::Value(_) | Reading::Absent(_) | Reading::Failed(_)) => false,
        };
        if anew || status.active.is_up() {
            self.operator_stopped.remove(&status.name);
            self.stopped_runs.remove(&status.name);
        }
        self.units.insert(status.name.clone(), (at, status.clone()));
    }

    /// The unit as it was last told of.
    #[must_use]
    pub(super) fn unit(&self, name: &UnitName) -> Option<&UnitStatus> {
        self.units.get(name).map(|(_, status)| status)
    }

    /// Whether it was last told to be up.
    #[must_use]
    pub(super) fn is_up(&self, name: &UnitName) -> bool {
        self.unit(name).is_some_and(|status| status.active.is_up())
    }

    /// Whether it was last told to have failed.
    #[must_use]
    pub(super) fn is_failed(&self, name: &UnitName) -> bool {
        self.unit(name).is_some_and(|status| status.active == ActiveState::Failed)
    }

    /// What it was told to require.
    #[must_use]
    pub(super) fn requires(&self, name: &UnitName) -> Vec<UnitName> {
        match self.unit(name).map(|status| &status.details) {
            Some(Reading::Value(details)) => details.relations.requires.clone(),
            Some(Reading::Absent(_) | Reading::Failed(_)) | None => Vec::new(),
        }
    }
}

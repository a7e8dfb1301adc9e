//! What is known of one unit: its state, its restarts, who stopped it, what its probe says.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{
    Absence, ActiveState, BootTime, Health, JobEvent, JobKind, MainExit, Reading, ServiceResult, UnitKind,
    UnitStatus,
};

/// The window of the field `restarts_10m`.
pub(super) const RESTARTS_WINDOW: Duration = Duration::from_secs(600);
/// Restarts remembered a unit: more in ten minutes than this says nothing new.
const RESTARTS_KEPT: usize = 64;

/// The answers of a unit's probe so far.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeState {
    /// Failures in a row, up to the latest answer.
    pub failures: u32,
    /// The latest answer, and when it came; a probe that could not run is a failed reading.
    pub latest: Reading<Health>,
    pub at: BootTime,
    /// It was healthy at least once in the present run.
    pub answered: bool,
}

impl ProbeState {
    fn says_more_than(&self, before: &Self) -> bool {
        let same = match (&self.latest, &before.latest) {
            (Reading::Value(Health::Healthy { .. }), Reading::Value(Health::Healthy { .. })) => true,
            (new, old) => new == old,
        };
        !same || (self.failures, self.answered) != (before.failures, before.answered)
    }
}

/// What the policy says of a unit's probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeLimits {
    /// Failures in a row that make the unit unresponsive.
    pub failures: u32,
    /// So long after its start a unit need not answer.
    pub grace: Duration,
}

/// One unit, with what only time can tell.
#[derive(Clone, Debug)]
pub struct UnitFacts {
    pub status: UnitStatus,
    /// When the status was read. The view as a whole says whether it is still true.
    pub read_at: BootTime,
    pub probe: Option<ProbeState>,
    /// When the present run was first seen: no earlier than it began.
    pub run_since: BootTime,
    /// systemd has unloaded it since: what is known of it is from before, and has to be read again.
    pub unloaded: bool,
    /// When it was last seen to fail, or a device to vanish, while nobody was stopping it.
    pub fell: Option<BootTime>,
    /// Since when it is being stopped, or was; none when it went down by itself. A unit that has failed and is then told
    /// to stop was not taken down by that.
    pub stopping_since: Option<BootTime>,
    /// The last job that stopped it, and when its end was told.
    pub stop_job: Option<(BootTime, u32)>,
    /// When the service manager restarted it by itself, oldest first.
    pub(super) restarts: VecDeque<BootTime>,
    /// CPU time at an earlier reading, and the use since.
    cpu_before: Option<(BootTime, Duration)>,
    pub(super) cpu_percent: Reading<f64>,
}

impl UnitFacts {
    pub(super) fn new(status: UnitStatus, read_at: BootTime) -> Self {
        Self {
            status,
            read_at,
            probe: None,
            run_since: read_at,
            unloaded: false,
            fell: None,
            stopping_since: None,
            stop_job: None,
            restarts: VecDeque::new(),
            cpu_before: None,
            cpu_percent: Reading::Absent(Absence::TooEarly),
        }
    }

    pub(super) fn take(&mut self, status: UnitStatus, at: BootTime) {
        let before = self.restart_counter();
        let another = status.invocation() != self.status.invocation();
        if another {
            self.run_since = at;
        }
        if let Some(probe) = &mut self.probe
            && (!status.active.is_up() || another)
        {
            // Failures in a row are those of one run: a new one is not judged by the end of the one before.
            probe.failures = 0;
            probe.answered = false;
        }
        if self.status.active.is_up() && !status.active.is_up() {
            self.stopping_since = (status.active == ActiveState::Deactivating).then_some(at);
        }
        if status.active.is_up() || status.active == ActiveState::Activating {
            self.stopping_since = None;
        }
        if falls(&self.status, &status) {
            self.fell = Some(at);
        }
        self.status = status;
        self.read_at = at;
        self.unloaded = false;
        if let (Some(before), Some(after)) = (before, self.restart_counter()) {
            let new =
                usize::try_from(after.saturating_sub(before)).unwrap_or(RESTARTS_KEPT).min(RESTARTS_KEPT);
            self.restarts.extend(std::iter::repeat_n(at, new));
        }
        while self.restarts.len() > RESTARTS_KEPT
            || self.restarts.front().is_some_and(|first| at.since(*first) > RESTARTS_WINDOW)
        {
            self.restarts.pop_front();
        }
        self.take_cpu(at);
    }

    pub(super) fn take_cpu(&mut self, at: BootTime) {
        let now = match self.status.service() {
            Reading::Value(service) => service.cpu_time.clone(),
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(error) => Reading::Failed(error),
        };
        let now = match now {
            Reading::Value(now) => now,
            Reading::Absent(reason) => {
                self.cpu_percent = Reading::Absent(reason);
                return;
            }
            Reading::Failed(error) => {
                self.cpu_percent = Reading::Failed(error);
                return;
            }
        };
        self.cpu_percent = match self.cpu_before {
            // A counter that ran backwards belongs to another run: no rate, never a spike.
            Some((then, before)) if now >= before && at > then => {
                Reading::Value((now - before).as_secs_f64() / at.since(then).as_secs_f64() * 100.0)
            }
            Some(_) | None => Reading::Absent(Absence::TooEarly),
        };
        self.cpu_before = Some((at, now));
    }

    fn restart_counter(&self) -> Option<u32> {
        self.status.service().value().map(|service| service.restarts)
    }

    /// Whether it says anything that the answer before did not.
    pub(super) fn take_probe(&mut self, health: Reading<Health>, at: BootTime) -> bool {
        let failures = self.probe.as_ref().map_or(0, |probe| probe.failures);
        let failures = match &health {
            Reading::Value(Health::Healthy { .. }) => 0,
            // Nobody expects an answer of a unit that is down.
            Reading::Value(Health::Unhealthy { .. }) if !self.status.active.is_up() => 0,
            Reading::Value(Health::Unhealthy { .. }) => failures.saturating_add(1),
            // It could not run: that says nothing about the unit, neither way.
            Reading::Absent(_) | Reading::Failed(_) => failures,
        };
        let answered = match &health {
            Reading::Value(Health::Healthy { .. }) => true,
            Reading::Value(Health::Unhealthy { .. }) | Reading::Absent(_) | Reading::Failed(_) => {
                self.probe.as_ref().is_some_and(|probe| probe.answered)
            }
        };
        let new = ProbeState { failures, latest: health, at, answered };
        let says_more = self.probe.as_ref().is_none_or(|before| new.says_more_than(before));
        self.probe = Some(new);
        says_more
    }

    /// The end of a stop is told before the unit is read again, and one that is unloaded with its stop is never read
    /// again: the run that was known as up is over. A run that began since stays.
    pub(super) fn take_stop(&mut self, job: &JobEvent, at: BootTime) {
        let Reading::Value(after) = job.active_after else { return };
        if !job.stopped_the_unit() || after.is_up() || !self.status.active.is_up() {
            return;
        }
        if let (Reading::Value(known), Reading::Value(ended)) =
            (self.status.invocation(), &job.invocation_after)
            && known != *ended
        {
            return;
        }
        self.stopping_since = Some(at);
        self.status.active = after;
        after.as_str().clone_into(&mut self.status.sub);
    }

    pub(super) fn take_job(&mut self, job: &JobEvent, at: BootTime) {
        if job.stopped_the_unit() {
            self.stop_job = Some((at, job.job.id));
        }
        self.take_stop(job, at);
    }

    /// systemd has unloaded it: it is at rest, and what was of its last run is forgotten.
    pub(super) fn unload(&mut self) {
        self.unloaded = true;
        self.status.active = ActiveState::Inactive;
        "dead".clone_into(&mut self.status.sub);
        self.status.job = Reading::Absent(Absence::NotApplicable);
        if let Reading::Value(details) = &mut self.status.details {
            details.invocation = Reading::Absent(Absence::NotApplicable);
            if let Reading::Value(service) = &mut details.service {
                service.result = ServiceResult::Success;
                service.exit = MainExit::None;
                service.restarts = 0;
            }
        }
    }
}

/// Whether a unit went down by itself between these two. One that ended in good order may have been ended by a person
/// without a job: umount(8), kill(1).
pub(super) fn falls(before: &UnitStatus, after: &UnitStatus) -> bool {
    let stopping =
        |status: &UnitStatus| matches!(&status.job, Reading::Value(job) if job.kind == JobKind::Stop);
    let failed = before.active != ActiveState::Failed && after.active == ActiveState::Failed;
    // With Restart=, it is on its way up again before anybody could see it down.
    let failed = failed || (before.active.is_up() && after.restart_is_pending());
    let vanished = after.name.kind() == UnitKind::Device && before.active.is_up() && !after.active.is_up();
    (failed || vanished) && !stopping(before) && !stopping(after)
}

//! What is known of the host right now, folded from samples. Nothing in here survives a restart of the agent:
//! the first reconciliation builds it again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::kernel_log::KernelLogFacts;
use crate::model::{
    Absence, ActiveState, BootTime, FilesystemStatus, FilesystemsUpdate, Health, HostActivity, HostNumbers,
    HostVitals, JobEvent, JobKind, MainExit, MountPoint, Owed, ProbeResult, Reading, Sample, ServiceResult,
    Subject, UnitKind, UnitName, UnitStatus, UnitsUpdate,
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
    fn new(status: UnitStatus, read_at: BootTime) -> Self {
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

    fn take(&mut self, status: UnitStatus, at: BootTime) {
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

    fn take_cpu(&mut self, at: BootTime) {
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

    fn take_probe(&mut self, health: Reading<Health>, at: BootTime) {
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
        self.probe = Some(ProbeState { failures, latest: health, at, answered });
    }

    /// The end of a stop is told before the unit is read again, and one that is unloaded with its stop is never read
    /// again: the run that was known as up is over. A run that began since stays.
    fn take_stop(&mut self, job: &JobEvent, at: BootTime) {
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

    fn take_job(&mut self, job: &JobEvent, at: BootTime) {
        if job.stopped_the_unit() {
            self.stop_job = Some((at, job.job.id));
        }
        self.take_stop(job, at);
    }

    /// systemd has unloaded it: it is at rest, and what was of its last run is forgotten.
    fn unload(&mut self) {
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
fn falls(before: &UnitStatus, after: &UnitStatus) -> bool {
    let stopping =
        |status: &UnitStatus| matches!(&status.job, Reading::Value(job) if job.kind == JobKind::Stop);
    let failed = before.active != ActiveState::Failed && after.active == ActiveState::Failed;
    // With Restart=, it is on its way up again before anybody could see it down.
    let failed = failed || (before.active.is_up() && after.restart_is_pending());
    let vanished = after.name.kind() == UnitKind::Device && before.active.is_up() && !after.active.is_up();
    (failed || vanished) && !stopping(before) && !stopping(after)
}

/// What the agent knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentFacts {
    pub policy_error: Option<String>,
    pub ledger_degraded: bool,
}

/// The known state of the host.
#[derive(Clone, Debug)]
pub struct View {
    units: BTreeMap<UnitName, UnitFacts>,
    /// The service manager was last heard then; the reason when it is not heard, or was never.
    heard: Result<BootTime, String>,
    pub vitals: Reading<HostVitals>,
    pub numbers: Reading<Arc<HostNumbers>>,
    pub kernel: KernelLogFacts,
    filesystems: BTreeMap<MountPoint, FilesystemStatus>,
    /// When they were last listed, or why what is known of them can't be relied on.
    filesystems_seen: Result<BootTime, String>,
    pub activity: Reading<HostActivity>,
    /// When the activity was read.
    pub activity_at: Option<BootTime>,
    pub agent: AgentFacts,
    /// What the policy in force says of probed units.
    pub probe_limits: BTreeMap<UnitName, ProbeLimits>,
    /// Units that should be up. They are kept in view when systemd unloads them: at rest, and not gone.
    pub owed: BTreeMap<UnitName, Owed>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            units: BTreeMap::new(),
            heard: Err("the service manager was not heard yet".into()),
            vitals: Reading::Absent(Absence::NotObserved),
            numbers: Reading::Absent(Absence::NotObserved),
            kernel: KernelLogFacts::default(),
            filesystems: BTreeMap::new(),
            filesystems_seen: Err("they were not looked at yet".into()),
            activity: Reading::Absent(Absence::NotObserved),
            activity_at: None,
            agent: AgentFacts::default(),
            probe_limits: BTreeMap::new(),
            owed: BTreeMap::new(),
        }
    }
}

impl View {
    /// One unit.
    #[must_use]
    pub fn unit(&self, name: &UnitName) -> Option<&UnitFacts> {
        self.units.get(name)
    }

    /// Every unit, by name.
    pub fn units(&self) -> impl Iterator<Item = &UnitFacts> {
        self.units.values()
    }

    /// How many units are known.
    #[must_use]
    pub fn unit_count(&self) -> usize {
        self.units.len()
    }

    /// When the service manager was last heard, or why it is not.
    ///
    /// # Errors
    /// The sentence for people, when nothing that is known of units can be relied on.
    pub fn heard(&self) -> Result<BootTime, &str> {
        self.heard.as_ref().copied().map_err(String::as_str)
    }

    /// Takes in a sample; returns the subjects about which something may have changed.
    pub fn take(&mut self, sample: &Sample) -> BTreeSet<Subject> {
        let at = sample.at.boot;
        let mut touched = BTreeSet::new();
        if let Some(update) = &sample.units {
            self.take_units(update, at, &mut touched);
        }
        for job in &sample.jobs {
            if let Some(facts) = self.units.get_mut(&job.unit) {
                facts.take_job(job, at);
            }
            touched.insert(Subject::Unit(job.unit.clone()));
        }
        for ProbeResult { unit, health, .. } in &sample.probes {
            if let Some(facts) = self.units.get_mut(unit) {
                facts.take_probe(health.clone(), at);
                touched.insert(Subject::Unit(unit.clone()));
            }
        }
        if let Some(vitals) = &sample.host {
            self.vitals = Reading::Value(vitals.clone());
            touched.insert(Subject::Host);
        }
        if let Some(numbers) = &sample.numbers {
            self.numbers = Reading::Value(Arc::clone(numbers));
            touched.insert(Subject::Host);
        }
        self.kernel.pass_time(at);
        if let Some(update) = &sample.kernel {
            self.kernel.take(update);
            touched.insert(Subject::Host);
        }
        if let Some(update) = &sample.filesystems {
            self.take_filesystems(update, at, &mut touched);
        }
        if let Some(activity) = &sample.activity
            && self.activity_at.is_none_or(|before| before <= at)
        {
            self.activity = Reading::Value(activity.clone());
            self.activity_at = Some(at);
        }
        touched
    }

    fn take_units(&mut self, update: &UnitsUpdate, at: BootTime, touched: &mut BTreeSet<Subject>) {
        match update {
            UnitsUpdate::Complete(statuses) => {
                let listed: BTreeSet<&UnitName> = statuses.iter().map(|status| &status.name).collect();
                let gone: Vec<UnitName> = self
                    .units
                    .iter()
                    .filter(|(name, facts)| !listed.contains(name) && facts.read_at <= at)
                    .map(|(name, _)| name.clone())
                    .collect();
                for status in statuses {
                    self.take_unit(status, at, touched);
                }
                self.forget(&gone, touched);
                self.heard = Ok(self.heard.as_ref().map_or(at, |heard| at.max(*heard)));
            }
            UnitsUpdate::Changed { statuses, removed } => {
                for status in statuses {
                    self.take_unit(status, at, touched);
                }
                self.forget(removed, touched);
                self.hear(at);
            }
            UnitsUpdate::NoSuchUnit(name) => {
                if self.units.remove(name).is_some() {
                    touched.insert(Subject::Unit(name.clone()));
                }
                self.hear(at);
            }
            UnitsUpdate::Alive => self.hear(at),
            UnitsUpdate::Lost { why } => self.heard = Err(why.clone()),
        }
    }

    fn take_filesystems(
        &mut self,
        update: &FilesystemsUpdate,
        at: BootTime,
        touched: &mut BTreeSet<Subject>,
    ) {
        let subject = |point: &MountPoint| Subject::Filesystem(point.clone());
        match update {
            FilesystemsUpdate::Complete(statuses) => {
                let before = std::mem::take(&mut self.filesystems);
                for status in statuses {
                    if before.get(&status.mount_point) != Some(status) {
                        touched.insert(subject(&status.mount_point));
                    }
                    self.filesystems.insert(status.mount_point.clone(), status.clone());
                }
                touched
                    .extend(before.keys().filter(|point| !self.filesystems.contains_key(point)).map(subject));
                if self.filesystems_seen.is_err() {
                    touched.extend(self.filesystems.keys().map(subject));
                }
                self.filesystems_seen = Ok(at);
            }
            FilesystemsUpdate::Failed { why } => {
                touched.extend(self.filesystems.keys().map(subject));
                self.filesystems_seen = Err(why.clone());
            }
        }
    }

    /// One file system: failed when what is mounted can't be found out, absent when it is not mounted.
    #[must_use]
    pub fn filesystem(&self, point: &MountPoint) -> Reading<&FilesystemStatus> {
        match (&self.filesystems_seen, self.filesystems.get(point)) {
            (Err(why), _) => Reading::Failed(why.clone()),
            (Ok(_), Some(status)) => Reading::Value(status),
            (Ok(_), None) => Reading::Absent(Absence::NotObserved),
        }
    }

    /// Every file system, by mount point; why there are none, when they could not be listed.
    ///
    /// # Errors
    /// The sentence for people.
    pub fn filesystems(&self) -> Result<impl Iterator<Item = &FilesystemStatus>, &str> {
        match &self.filesystems_seen {
            Ok(_) => Ok(self.filesystems.values()),
            Err(why) => Err(why),
        }
    }

    /// News after a silence do not tell what was missed: only a full reconciliation ends a loss.
    fn hear(&mut self, at: BootTime) {
        if let Ok(heard) = &mut self.heard {
            *heard = at.max(*heard);
        }
    }

    fn take_unit(&mut self, status: &UnitStatus, at: BootTime, touched: &mut BTreeSet<Subject>) {
        match self.units.get_mut(&status.name) {
            // A pass over everything takes a while; what it read may be older than what a signal told since.
            Some(facts) if at < facts.read_at => {}
            Some(facts) => {
                if facts.status != *status {
                    touched.insert(Subject::Unit(status.name.clone()));
                }
                facts.take(status.clone(), at);
            }
            None => {
                touched.insert(Subject::Unit(status.name.clone()));
                self.units.insert(status.name.clone(), UnitFacts::new(status.clone(), at));
            }
        }
    }

    fn forget(&mut self, gone: &[UnitName], touched: &mut BTreeSet<Subject>) {
        for name in gone {
            if self.owed.contains_key(name) {
                if let Some(facts) = self.units.get_mut(name) {
                    facts.unload();
                    touched.insert(Subject::Unit(name.clone()));
                }
            } else if self.units.remove(name).is_some() {
                touched.insert(Subject::Unit(name.clone()));
            }
        }
    }

    /// Whether the unit does its work, as far as is known.
    #[must_use]
    pub fn is_up(&self, name: &UnitName) -> bool {
        self.units.get(name).is_some_and(|facts| facts.status.active.is_up())
    }

    /// Whether the unit is up, coming up or going down, as far as is known: not at rest.
    #[must_use]
    pub fn is_in_motion_or_up(&self, name: &UnitName) -> bool {
        self.units.get(name).is_some_and(|facts| match facts.status.active {
            ActiveState::Active
            | ActiveState::Reloading
            | ActiveState::Refreshing
            | ActiveState::Activating
            | ActiveState::Deactivating => true,
            ActiveState::Inactive | ActiveState::Failed | ActiveState::Maintenance => false,
        })
    }

    /// Whether the unit is known to be failed.
    #[must_use]
    pub fn is_failed(&self, name: &UnitName) -> bool {
        self.units.get(name).is_some_and(|facts| facts.status.active == ActiveState::Failed)
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;

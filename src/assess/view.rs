//! What is known of the host right now, folded from samples. Nothing in here survives a restart of the agent:
//! the first reconciliation builds it again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::filesystems::FilesystemFacts;
use super::forks::ForkFacts;
use super::kernel_log::KernelLogFacts;
use super::stalls::StallFacts;
use super::unit_facts::{ProbeLimits, UnitFacts};
use crate::model::{
    Absence, ActiveState, BootTime, FilesystemsUpdate, HostActivity, HostNews, HostNumbers, HostVitals,
    KernelLogUpdate, Owed, OwnUse, ProbeResult, ProcessCounts, Reading, Resource, Sample, Sense, SenseNews,
    SenseState, Subject, UnitName, UnitStall, UnitStatus, UnitsUpdate,
};

/// What the agent knows of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentFacts {
    pub policy_error: Option<String>,
    pub ledger_degraded: bool,
    /// Those that are not at work.
    senses: BTreeMap<Sense, SenseState>,
    /// What it takes of the host.
    pub own: Reading<OwnUse>,
}

impl Default for AgentFacts {
    fn default() -> Self {
        Self {
            policy_error: None,
            ledger_degraded: false,
            senses: BTreeMap::new(),
            own: Reading::Absent(Absence::TooEarly),
        }
    }
}

impl AgentFacts {
    /// Senses that are not at work, each with the reason.
    #[must_use]
    pub fn senses_broken(&self) -> Vec<SenseNews> {
        let news = |(sense, state): (&Sense, &SenseState)| SenseNews { sense: *sense, state: state.clone() };
        self.senses.iter().map(news).collect()
    }

    /// How many senses stay off.
    #[must_use]
    pub fn senses_off(&self) -> usize {
        self.senses.values().filter(|state| matches!(state, SenseState::Off { .. })).count()
    }
}

/// The known state of the host.
#[derive(Clone, Debug)]
pub struct View {
    units: BTreeMap<UnitName, UnitFacts>,
    /// The service manager was last heard then; the reason when it is not heard, or was never.
    heard: Result<BootTime, String>,
    pub vitals: Reading<HostVitals>,
    pub processes: Reading<ProcessCounts>,
    /// When the last whole pass over the host began.
    pub(super) vitals_at: BootTime,
    pub stalls: StallFacts,
    /// Of the units that somebody follows: the shell bounds how many these are.
    unit_stalls: BTreeMap<UnitName, StallFacts>,
    pub numbers: Reading<Arc<HostNumbers>>,
    pub kernel: KernelLogFacts,
    pub forks: ForkFacts,
    pub filesystems: FilesystemFacts,
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
            processes: Reading::Absent(Absence::NotObserved),
            vitals_at: BootTime::ZERO,
            stalls: StallFacts::default(),
            unit_stalls: BTreeMap::new(),
            numbers: Reading::Absent(Absence::NotObserved),
            kernel: KernelLogFacts::default(),
            forks: ForkFacts::default(),
            filesystems: FilesystemFacts::default(),
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
            if let Some(facts) = self.units.get_mut(unit)
                && facts.take_probe(health.clone(), at)
            {
                touched.insert(Subject::Unit(unit.clone()));
            }
        }
        if let Some(vitals) = &sample.host {
            self.vitals = Reading::Value(vitals.clone());
            self.vitals_at = at;
            touched.insert(Subject::Host);
        }
        if let Some(counts) = &sample.processes {
            self.processes = counts.clone();
            touched.insert(Subject::Host);
        }
        if let Some(numbers) = &sample.numbers {
            self.forks.take(&numbers.tasks, at);
            self.numbers = Reading::Value(Arc::clone(numbers));
            touched.insert(Subject::Host);
        }
        self.kernel.pass_time(at);
        self.stalls.pass_time(at);
        self.let_unit_stalls_pass(at, &mut touched);
        for news in &sample.host_news {
            match news {
                HostNews::Unit(stall) => self.take_unit_stall(stall, at, &mut touched),
                HostNews::Sense(news) => self.take_sense(news, at, &mut touched),
                HostNews::Memory(_) | HostNews::Pressure { .. } => {
                    self.take_host_news(news, at);
                    touched.insert(Subject::Host);
                }
            }
        }
        if let Some(update) = &sample.kernel {
            self.kernel.take(update);
            touched.insert(Subject::Host);
        }
        if let Some(update) = &sample.filesystems {
            self.filesystems.take(update, at, &mut touched);
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

    /// What a sense told that broke off is as if it could not be read: nobody would tell of a change.
    fn take_sense(&mut self, news: &SenseNews, at: BootTime, touched: &mut BTreeSet<Subject>) {
        touched.insert(Subject::Agent);
        let why = match &news.state {
            SenseState::Working => {
                self.agent.senses.remove(&news.sense);
                if news.sense == Sense::UnitPressure {
                    // It tells anew whom it follows. Those that it no longer does would stay failed for ever.
                    self.forget_unit_stalls(touched);
                }
                return;
            }
            SenseState::Broken { why } => format!("{} broke off: {why}", news.sense.as_str()),
            SenseState::Off { why } => {
                format!("{} stays off, for it broke off time and again: {why}", news.sense.as_str())
            }
        };
        self.agent.senses.insert(news.sense, news.state.clone());
        touched.insert(Subject::Host);
        match news.sense {
            Sense::Processes => self.processes = Reading::Failed(why),
            Sense::Pressure => {
                for resource in Resource::ALL {
                    self.stalls.take(resource, &Reading::Failed(why.clone()), at);
                }
            }
            Sense::UnitPressure => {
                let watched: Vec<UnitStall> = self.unit_stall_watches().collect();
                for stall in watched {
                    let failed = UnitStall { watch: Reading::Failed(why.clone()), ..stall };
                    self.take_unit_stall(&failed, at, touched);
                }
            }
            // The pass over the host reads it too. Groups are on a board of the shell's own.
            Sense::Memory | Sense::ControlGroups => {}
            Sense::Filesystems => self.filesystems.take(&FilesystemsUpdate::Failed { why }, at, touched),
            Sense::KernelLog => self.kernel.take(&KernelLogUpdate::Unreadable { why }),
        }
    }

    fn forget_unit_stalls(&mut self, touched: &mut BTreeSet<Subject>) {
        touched.extend(std::mem::take(&mut self.unit_stalls).into_keys().map(Subject::Unit));
    }

    /// A wait ends by nobody telling of another: what rules say of the unit may change with time alone.
    fn let_unit_stalls_pass(&mut self, at: BootTime, touched: &mut BTreeSet<Subject>) {
        for (unit, stalls) in &mut self.unit_stalls {
            if !stalls.is_calm() {
                touched.insert(Subject::Unit(unit.clone()));
            }
            stalls.pass_time(at);
        }
    }

    fn take_unit_stall(&mut self, stall: &UnitStall, at: BootTime, touched: &mut BTreeSet<Subject>) {
        let UnitStall { unit, resource, watch } = stall;
        touched.insert(Subject::Unit(unit.clone()));
        if let Reading::Absent(Absence::NotObserved) = watch {
            self.unit_stalls.remove(unit);
        } else {
            self.unit_stalls.entry(unit.clone()).or_default().take(*resource, watch, at);
        }
    }

    /// How long tasks of a unit waited lately; none when nobody follows it.
    pub(super) fn stalls_of(&self, unit: &UnitName) -> Option<&StallFacts> {
        self.unit_stalls.get(unit)
    }

    /// Which units are followed, by unit and resource, and why not.
    pub fn unit_stall_watches(&self) -> impl Iterator<Item = UnitStall> {
        self.unit_stalls.iter().flat_map(|(unit, stalls)| {
            stalls.watches().map(|(resource, watch)| UnitStall { unit: unit.clone(), resource, watch })
        })
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

//! How the world's news reach the agent: late, out of order, not at all.

use crate::engine::Input;
use crate::model::{
    Evidence, Health, HostActivity, IncidentId, JobEvent, ProbeName, ProbeResult, Reading, Sample, Subject,
    UnitStatus, UnitsUpdate,
};

use super::hazard::Weather;
use super::policy::PROBE_INTERVAL;
use super::run::{Event, Run};
use super::world::{Moment, UnitIndex};

/// The slow interval at which everything is listed again.
const RECONCILE: Moment = 20_000;
/// When nothing at all happens on the host, listing it again every twenty seconds shows nothing new; the
/// simulation looks away for this long and lives more hours in the same time.
const QUIET: Moment = 600_000;

impl Run {
    /// Sends on what changed in the world since the last event.
    pub(super) fn report_world(&mut self) {
        self.world.now = self.t;
        for (unit, epoch, moment, step) in std::mem::take(&mut self.world.upcoming) {
            self.at(moment, Event::Step(unit, epoch, step));
        }
        let done = std::mem::take(&mut self.world.done);
        for (job, result) in done {
            self.job_done(job, result);
        }
        // What the acts above have set in motion.
        for (unit, epoch, moment, step) in std::mem::take(&mut self.world.upcoming) {
            self.at(moment, Event::Step(unit, epoch, step));
        }
        self.world.disturbed.clear();
        if self.world.changed.is_empty() && self.world.ended.is_empty() {
            return;
        }
        self.stir();
        let changed = std::mem::take(&mut self.world.changed);
        let jobs = std::mem::take(&mut self.world.ended);
        for unit in &changed {
            self.hurry_probe(*unit, 2000);
        }
        self.hurry_reconciliation(RECONCILE);
        let lost = self.in_weather(Weather::LostBus)
            || (self.in_weather(Weather::LossySignals) && self.rng.per_mille(400));
        if lost || self.agent.is_none() {
            return;
        }
        let statuses = changed.iter().copied().filter(|unit| !self.world.units[*unit].gone);
        let statuses: Vec<UnitStatus> = statuses.map(|unit| self.world.status(unit)).collect();
        let removed = changed.iter().filter(|unit| self.world.is_unloaded(**unit));
        let removed: Vec<_> = removed.map(|unit| self.world.units[*unit].name.clone()).collect();
        self.send_news(UnitsUpdate::Changed { statuses, removed: Vec::new() }, jobs);
        if !removed.is_empty() {
            // A unit is unloaded after its job has ended.
            self.send_news(UnitsUpdate::Changed { statuses: Vec::new(), removed }, Vec::new());
        }
    }

    /// Signals of one bus keep their order.
    fn send_news(&mut self, units: UnitsUpdate, jobs: Vec<JobEvent>) {
        let wait = if self.scripted { 5 } else { self.rng.range(1, 15) };
        let sample = Sample { units: Some(units), jobs, ..Sample::empty(self.now()) };
        let (t, life) = (self.t, self.life);
        let Some(agent) = &mut self.agent else { return };
        agent.news_at = agent.news_at.max(t + wait);
        let moment = agent.news_at;
        self.at(moment, Event::Deliver(life, Box::new(sample)));
    }

    /// The next full listing comes within `wait`.
    pub(super) fn hurry_reconciliation(&mut self, wait: Moment) {
        self.reconcile_generation += 1;
        let event = Event::Reconcile(self.life, self.reconcile_generation);
        self.later(wait, event);
    }

    pub(super) fn reconcile(&mut self) {
        let restless = self.restless_until > self.t || self.scripted;
        self.hurry_reconciliation(if restless { RECONCILE } else { QUIET });
        if self.in_weather(Weather::LostBus) {
            return;
        }
        let failing = self.in_weather(Weather::FailedReadings);
        let units = 0..self.world.units.len();
        let listed: Vec<UnitIndex> = units.filter(|unit| !self.world.is_unloaded(*unit)).collect();
        let mut statuses = Vec::with_capacity(listed.len());
        for unit in listed {
            let mut status = self.world.status(unit);
            if failing && self.rng.per_mille(300) {
                status.details = Reading::Failed("the call timed out".into());
            }
            statuses.push(status);
        }
        let units = Some(UnitsUpdate::Complete(statuses));
        let sample = Sample { units, activity: Some(self.activity()), ..Sample::empty(self.now()) };
        self.send_later(sample, 40);
    }

    fn send_later(&mut self, sample: Sample, usual: Moment) {
        let wait = match (self.scripted, self.in_weather(Weather::Slow)) {
            (true, _) => 3,
            (false, true) => self.rng.range(1, 4000),
            (false, false) => self.rng.range(1, usual),
        };
        self.later(wait, Event::Deliver(self.life, Box::new(sample)));
    }

    fn activity(&self) -> HostActivity {
        let failing = self.in_weather(Weather::FailedReadings);
        let why = || "the reading failed".to_owned();
        HostActivity {
            system_state: match self.world.system_state {
                Some(state) if !failing => Reading::Value(state),
                Some(_) | None => Reading::Failed(why()),
            },
            package_manager: self.world.package_lock(),
            manager_reloading: self.world.reloading,
        }
    }

    pub(super) fn look(&mut self, subject: Subject) {
        let failing = self.in_weather(Weather::FailedReadings) && self.rng.per_mille(300);
        if failing {
            return;
        }
        let mut sample = Sample::empty(self.now());
        match subject {
            Subject::Host => sample.activity = Some(self.activity()),
            Subject::Unit(name) => {
                if self.in_weather(Weather::LostBus) {
                    return;
                }
                let statuses = |unit| vec![self.world.status(unit)];
                sample.units = Some(match self.world.index_of(&name) {
                    Some(unit) => UnitsUpdate::Changed { statuses: statuses(unit), removed: Vec::new() },
                    None => UnitsUpdate::NoSuchUnit(name),
                });
            }
            Subject::Agent | Subject::Filesystem(_) => return,
        }
        self.send_later(sample, 10);
    }

    pub(super) fn hurry_probe(&mut self, unit: UnitIndex, wait: Moment) {
        if self.world.units[unit].probed && !self.world.units[unit].gone {
            self.probe_generation[unit] += 1;
            self.later(wait, Event::Probe(unit, self.probe_generation[unit]));
        }
    }

    pub(super) fn probe(&mut self, unit: UnitIndex) {
        let found = &self.world.units[unit];
        let up = found.is_up();
        let troubled = found.hung || !up || found.changed_at + 60_000 > self.t || self.scripted;
        let interval = u64::try_from(PROBE_INTERVAL.as_millis()).unwrap_or(RECONCILE);
        self.hurry_probe(unit, if troubled { interval } else { QUIET });
        if self.agent.is_none() {
            return;
        }
        let found = &self.world.units[unit];
        let health = if self.in_weather(Weather::FailedReadings) && self.rng.per_mille(300) {
            Reading::Failed("no file descriptors left".into())
        } else if found.hung {
            Reading::Value(Health::Unhealthy { why: "no answer within 2s".into() })
        } else if up && self.t >= found.began + found.answers_after {
            Reading::Value(Health::Healthy { latency: std::time::Duration::from_millis(1) })
        } else {
            Reading::Value(Health::Unhealthy { why: "connection refused".into() })
        };
        let name = found.name.clone();
        let result = ProbeResult { probe: ProbeName(name.as_str().to_owned()), unit: name, health };
        let sample = Sample { probes: vec![result], ..Sample::empty(self.now()) };
        self.send_later(sample, 10);
    }

    pub(super) fn evidence(&mut self, incident: IncidentId) {
        self.feed(Input::EvidenceTaken { incident, evidence: Evidence::missing("simulated").into() });
    }

    pub(super) fn lose_bus(&mut self) {
        if self.agent.is_some() {
            self.told.heard = None;
            self.send_news(UnitsUpdate::Lost { why: "the bus closed".into() }, Vec::new());
        }
    }
}

//! Lets trouble befall the host, and takes it away again.

use crate::engine::Input;
use crate::model::{
    Command, LoadState, MainExit, PauseScope, RestartSetting, ServiceResult, SystemState, UnitFileState,
};

use super::hazard::{Hazard, Kind, Weather};
use super::policy::policy;
use super::run::{Event, HOUR, Run};
use super::world::{Ailment, Hand, Moment, UnitIndex};

const WEATHERS: [Weather; 9] = [
    Weather::LossySignals,
    Weather::FailedReadings,
    Weather::LostBus,
    Weather::Slow,
    Weather::Lying,
    Weather::Echo,
    Weather::SlowDisk,
    Weather::FullDisk,
    Weather::DeafHook,
];

impl Run {
    /// Something random, and the moment of the next.
    pub(super) fn next_hazard(&mut self) {
        if self.calm {
            return;
        }
        let wait = self.rng.about(self.every);
        self.later(wait, Event::NextHazard);
        let hazard = self.draw();
        self.befall(hazard);
    }

    fn some_unit(&mut self) -> UnitIndex {
        self.rng.index(self.world.units.len())
    }

    fn draw(&mut self) -> Hazard {
        let kind = self.weights.pick(&mut self.rng);
        let unit = self.some_unit();
        let minutes = |run: &mut Self, mean: u64| run.rng.about(mean * 60_000);
        match kind {
            Kind::Crash => {
                let results = [
                    ServiceResult::Signal,
                    ServiceResult::ExitCode,
                    ServiceResult::OomKill,
                    ServiceResult::CoreDump,
                    ServiceResult::Watchdog,
                ];
                let result = results[self.rng.index(results.len())].clone();
                Hazard::Crash { unit, result }
            }
            Kind::Hang => Hazard::Hang { unit, for_good: self.rng.per_mille(250) },
            Kind::Ailment => {
                let after = self.rng.range(20, 20_000);
                let ailment = match self.rng.below(4) {
                    0 => Ailment::StartHangs,
                    1 => Ailment::FallsOver { after },
                    _ => Ailment::StartFails,
                };
                let length = (!self.rng.per_mille(150)).then(|| minutes(self, 15));
                Hazard::Ail { unit, ailment, length, restarts: self.rng.per_mille(300) }
            }
            Kind::Dependency => {
                let other = self.some_unit();
                Hazard::Ail { unit, ailment: Ailment::Needs(other), length: None, restarts: false }
            }
            Kind::Operator => match self.rng.below(5) {
                0 | 1 => Hazard::OperatorStop { unit, fails: self.rng.per_mille(400) },
                2 | 3 => Hazard::OperatorStart { unit },
                _ => Hazard::OperatorRestart { unit },
            },
            Kind::Mask => Hazard::Mask { unit, masked: self.rng.per_mille(400) },
            Kind::Packages => Hazard::PackageManager { length: minutes(self, 5) },
            Kind::Reload => Hazard::ManagerReload { length: self.rng.about(3000) },
            Kind::Weather => {
                let what = WEATHERS[self.rng.index(WEATHERS.len())];
                Hazard::Weather { what, length: minutes(self, 8) }
            }
            Kind::Pause => {
                if self.rng.per_mille(400) {
                    return Hazard::Command(Command::Resume { pause: None });
                }
                let scope = match self.rng.below(3) {
                    0 => PauseScope::Agent,
                    1 => PauseScope::Unit(self.world.units[unit].name.clone()),
                    _ => PauseScope::Rule(crate::model::RuleName::new("unit-failed")),
                };
                let length = std::time::Duration::from_millis(minutes(self, 20));
                Hazard::Command(Command::Pause { scope, length, reason: "testing".into() })
            }
            Kind::Agent => Hazard::Kill { down: self.rng.range(100, 60_000) },
            Kind::Power => {
                if self.rng.per_mille(600) {
                    Hazard::PowerCut
                } else {
                    Hazard::Reboot
                }
            }
            Kind::Clock => {
                let by = self.rng.about(HOUR);
                match self.rng.below(3) {
                    0 => Hazard::Suspend { length: by },
                    forward => Hazard::WallStep { forward: forward == 1, by },
                }
            }
            Kind::Policy => {
                if self.rng.per_mille(700) {
                    Hazard::Policy { variant: self.rng.next() }
                } else {
                    Hazard::BadPolicy
                }
            }
            Kind::Vanish => Hazard::Vanish { unit },
            Kind::Mass => Hazard::MassCrash,
        }
    }

    pub(super) fn befall(&mut self, hazard: Hazard) {
        self.stir();
        self.hurry_reconciliation(20_000);
        self.say(|| format!("HAPPENS {hazard:?}"));
        match hazard {
            Hazard::Crash { unit, result } => self.crash(unit, result),
            Hazard::Hang { unit, for_good } => {
                let it = &mut self.world.units[unit];
                if it.is_up() {
                    it.hung = true;
                    it.hung_for_good = for_good;
                    self.hurry_probe(unit, 3000);
                }
            }
            Hazard::Ail { unit, ailment, length, restarts } => {
                let until = length.map(|length| self.t + length);
                if ailment == Ailment::Needs(unit) || self.world.units[unit].gone {
                    return;
                }
                let it = &mut self.world.units[unit];
                it.ailment = ailment;
                it.ails_until = until;
                it.restart = if restarts { RestartSetting::OnFailure } else { RestartSetting::No };
                it.restart_wait = if self.rng.per_mille(500) { 100 } else { 15_000 };
                self.crash(unit, ServiceResult::ExitCode);
                if let Ailment::Needs(other) = ailment {
                    self.crash(other, ServiceResult::Signal);
                }
            }
            Hazard::Heal { unit } => {
                self.world.units[unit].ailment = Ailment::None;
                self.world.units[unit].hung = false;
                self.hurry_probe(unit, 3000);
            }
            Hazard::OperatorStop { unit, fails } => {
                if !self.world.units[unit].gone {
                    self.world.units[unit].fails_on_stop = fails;
                    self.world.units[unit].kept_down = true;
                    self.world.stop(unit, Hand::Operator);
                }
            }
            Hazard::OperatorStart { unit } => self.operator_starts(unit),
            Hazard::OperatorRestart { unit } => {
                if !self.world.units[unit].gone {
                    self.world.units[unit].kept_down = false;
                    let _ = self.world.restart(unit, Hand::Operator);
                }
            }
            Hazard::Mask { unit, masked } => {
                let it = &mut self.world.units[unit];
                it.load = if masked { LoadState::Masked } else { LoadState::Loaded };
                it.file_state = if masked { UnitFileState::Masked } else { UnitFileState::Enabled };
                self.world.changed.insert(unit);
            }
            Hazard::PackageManager { length } => {
                self.world.package_manager = true;
                self.later(length, Event::PackagesDone);
            }
            Hazard::ManagerReload { length } => {
                self.world.reloading = true;
                self.later(length, Event::ReloadDone);
                self.hurry_reconciliation(1);
            }
            Hazard::Weather { what, length } => {
                self.weather.insert(what, self.t + length);
                self.later(length, Event::WeatherEnds(what));
                if what == Weather::LostBus {
                    self.lose_bus();
                }
                if what == Weather::FullDisk {
                    self.feed(Input::LedgerDegraded(true));
                }
            }
            Hazard::Command(command) => self.command(command),
            Hazard::Kill { down } => {
                self.restart_after = down;
                if self.agent.is_some() {
                    self.agent_dies(false);
                }
            }
            Hazard::PowerCut => self.agent_dies(true),
            Hazard::Reboot => {
                self.world.system_state = Some(SystemState::Stopping);
                self.told.stopping = self.agent.is_some();
                self.feed(Input::Stopping { why: "SIGTERM".into() });
                for unit in 0..self.world.units.len() {
                    self.world.stop(unit, Hand::Manager);
                }
                self.later(5000, Event::PowerOff);
            }
            Hazard::WallStep { forward, by } => self.step_wall(forward, by),
            Hazard::Suspend { length } => self.suspend(length),
            Hazard::Policy { variant } => {
                let mut rng = super::rng::Rng::new(variant);
                self.wishes = super::scenario::wishes(&self.world, &mut rng);
                self.policy = policy(&self.wishes, &format!("sim-{variant:x}"));
                self.feed(Input::PolicyLoaded(std::sync::Arc::clone(&self.policy)));
            }
            Hazard::BadPolicy => self.feed(Input::PolicyRejected("line 3: unknown key".into())),
            Hazard::Vanish { unit } => {
                self.world.units[unit].gone = true;
                self.world.units[unit].active = crate::model::ActiveState::Inactive;
                self.world.changed.insert(unit);
            }
            Hazard::MassCrash => {
                for unit in 0..self.world.units.len() {
                    self.crash(unit, ServiceResult::Signal);
                }
            }
        }
    }

    fn crash(&mut self, unit: UnitIndex, result: ServiceResult) {
        if self.world.units[unit].is_up() && !self.world.units[unit].gone {
            let exit =
                if result == ServiceResult::ExitCode { MainExit::Code(1) } else { MainExit::Signal(9) };
            self.world.crash(unit, result, exit);
        }
    }

    fn operator_starts(&mut self, unit: UnitIndex) {
        if self.world.units[unit].load == LoadState::Loaded && !self.world.units[unit].gone {
            self.world.units[unit].kept_down = false;
            let _ = self.world.start(unit, Hand::Operator);
        }
    }

    pub(super) fn weather_ends(&mut self, what: Weather) {
        if self.in_weather(what) {
            return;
        }
        match what {
            Weather::LostBus => self.hurry_reconciliation(5),
            Weather::FullDisk => {
                // What the disk owes is on it before the engine hears that it takes records again.
                let through = self.disk.waiting().map(|(ticket, _)| ticket);
                if let Some(ticket) = through {
                    self.disk.commit(ticket);
                }
                self.owed = false;
                // A commit that was under way may have been of less.
                if let Some(ticket) = through {
                    self.feed(Input::Recorded(ticket));
                }
                self.feed(Input::LedgerDegraded(false));
            }
            Weather::LossySignals
            | Weather::FailedReadings
            | Weather::Slow
            | Weather::Lying
            | Weather::Echo
            | Weather::SlowDisk
            | Weather::DeafHook => {}
        }
    }

    /// All trouble that is not for good stops, and every hold is lifted.
    pub(super) fn calm_down(&mut self) {
        self.say(|| "CALM: no further trouble".into());
        self.calm = true;
        let now = self.t;
        for what in WEATHERS {
            if self.weather.remove(&what).is_some() {
                self.weather_ends(what);
            }
        }
        for unit in &mut self.world.units {
            if unit.ails_until.is_some_and(|until: Moment| until > now) {
                unit.ails_until = Some(now);
            }
        }
        self.world.package_manager = false;
        self.world.reloading = false;
        if self.agent.is_none() && self.world.system_state != Some(SystemState::Stopping) {
            self.agent_starts();
        }
        self.command(Command::Resume { pause: None });
        self.hurry_reconciliation(5);
        self.stir();
    }
}

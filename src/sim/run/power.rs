//! Starts and ends: of the agent, of the power; and what becomes of the clocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::{Engine, Input, Memory, Setup};
use crate::model::{RecordBody, SystemState};
use crate::sim::check::Seen;
use crate::sim::disk::Disk;
use crate::sim::options::Sabotage;
use crate::sim::told::Told;
use crate::sim::world::Moment;

use super::{Agent, Event, Run};

impl Run {
    pub(in crate::sim) fn agent_starts(&mut self) {
        if self.agent.is_some() || self.world.system_state == Some(SystemState::Stopping) {
            return;
        }
        let now = self.now();
        let mut memory = Memory::new();
        for entry in self.disk.entries() {
            memory.recover(entry);
        }
        self.told = Told { started: Some(now.boot), ..Told::default() };
        self.remember_stops();
        self.life += 1;
        let setup = Setup {
            policy: Arc::clone(&self.policy),
            seed: self.options.seed,
            boot: self.boot_id(),
            version: "sim".into(),
        };
        self.say(|| "the agent starts".into());
        self.set_unseen &= self.boots != self.last_boot;
        self.see(&Seen::Born);
        self.set_unseen = false;
        let shadow = memory.clone();
        let (engine, effects) = Engine::start(setup, memory, now);
        let news_at = self.t;
        let running = BTreeMap::new();
        self.agent = Some(Agent { engine, running, news_at, committing: false, shadow });
        self.carry_out(effects);
        if self.agent.is_none() {
            return;
        }
        self.world.changed.clear();
        self.world.ended.clear();
        self.hurry_reconciliation(5);
        for unit in 0..self.world.units.len() {
            self.hurry_probe(unit, 100);
        }
        if self.options.sabotage == Some(Sabotage::SecondAct) {
            for running in std::mem::take(&mut self.unfinished) {
                self.again(running);
            }
        }
    }

    /// Units that the surviving records of this boot say an operator stopped.
    fn remember_stops(&mut self) {
        let boot = self.boot_id();
        let mut stopped = BTreeSet::new();
        let mut runs = BTreeMap::new();
        for entry in self.disk.entries().filter(|entry| entry.boot == boot) {
            if let RecordBody::OperatorStopped { unit, run } = &entry.body {
                stopped.insert(unit.clone());
                runs.extend(run.map(|run| (unit.clone(), run)));
            }
            if let RecordBody::OperatorStopEnded { unit } | RecordBody::StartOwed { unit, .. } = &entry.body {
                stopped.remove(unit);
                runs.remove(unit);
            }
        }
        self.told.operator_stopped = stopped;
        self.told.stopped_runs = runs;
    }

    /// The engine's memory must be what its records say and nothing else.
    pub(super) fn check_fold(&mut self) {
        let Some(agent) = &self.agent else { return };
        if let Err(what) = agent.engine.same_memory(&agent.shadow) {
            self.see(&Seen::FoldDiffers { what: &what });
        }
        if let Some(agent) = &self.agent {
            let sizes = agent.engine.sizes();
            self.see(&Seen::Sizes { sizes });
        }
    }

    /// The agent's process ends, or the power goes.
    pub(in crate::sim) fn agent_dies(&mut self, power: bool) {
        if !std::mem::take(&mut self.between_effects) {
            self.check_fold();
        }
        let agent = self.agent.take();
        let down = self.restart_after;
        if agent.is_some() {
            self.stats.crashes += 1;
            self.last_boot = self.boots;
            self.say(|| if power { "POWER CUT".into() } else { "the agent is KILLED".into() });
            self.see(&Seen::Died);
        }
        if let Some(agent) = agent {
            self.unfinished = agent.running.into_values().filter(|it| it.begun).collect();
        }
        self.life += 1;
        self.commands.clear();
        if power && self.options.sabotage == Some(Sabotage::ForgetfulDisk) {
            self.disk = Disk::default();
        }
        let mut rng = self.rng.clone();
        self.disk.crash(power, &mut rng);
        self.rng = rng;
        self.see(&Seen::Survived);
        self.owed = false;
        if power {
            self.power_on();
        } else {
            self.world.orphan_jobs();
            self.later(down, Event::AgentStarts);
        }
    }

    /// A new boot.
    fn power_on(&mut self) {
        self.t += 20_000;
        self.world.now = self.t;
        self.boots += 1;
        self.boot_started = self.t;
        self.unfinished.clear();
        self.world.boot();
        self.told = Told::default();
        self.world.system_state = Some(SystemState::Starting);
        let wait = self.rng.range(5_000, 40_000);
        self.later(wait, Event::SystemRuns(self.boots));
        let wait = self.rng.range(4_000, 15_000);
        self.later(wait, Event::AgentStarts);
    }

    pub(super) fn power_off(&mut self) {
        self.restart_after = 1000;
        self.agent_dies(true);
    }

    pub(in crate::sim) fn step_wall(&mut self, forward: bool, by: Moment) {
        let by = i64::try_from(by).unwrap_or(0);
        self.wall_base += if forward { by } else { -by };
        self.told.stepped = Some(self.now().boot);
        let by = std::time::Duration::from_millis(by.unsigned_abs());
        self.feed(Input::ClockStepped { forward, by });
        // It was not there, or ended before it had written that down.
        self.set_unseen |= self.agent.is_none();
    }

    pub(in crate::sim) fn suspend(&mut self, length: Moment) {
        self.t += length;
        self.world.now = self.t;
        self.told.stepped = Some(self.now().boot);
        let by = std::time::Duration::from_millis(length);
        self.feed(Input::ClockStepped { forward: true, by });
        self.hurry_reconciliation(50);
    }
}

//! One life of one simulated host: the queue of events, the clocks, and the agent in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::{CommandTicket, Effect, Engine, Input, Memory, RecordTicket, Setup};
use crate::guard::Permit;
use crate::model::{
    ActionId, Applied, BootId, BootTime, Command, Durability, Entry, Id128, IncidentId, Peer, ProposalId,
    RecordBody, Sample, SystemState, Timestamp, WallTime,
};
use crate::policy::Policy;

use super::check::{Checkers, Facts, Seen, Violation};
use super::disk::Disk;
use super::hazard::{Hazard, Weather, Weights};
use super::policy::{Wishes, policy};
use super::rng::Rng;
use super::told::Told;
use super::transcript::{Transcript, effect_line};
use super::world::{Moment, Step, UnitIndex, World};

/// One hour.
pub(super) const HOUR: Moment = 3_600_000;
/// At the end of a run all trouble stops, and for so long the agent may bring everything in order: the longest
/// backoff with its jitter, a few times, and proven stability after it.
const CALM: Moment = 3 * HOUR;
/// Wall clock at the beginning: 2026-01-01T00:00Z.
const WALL_START: i64 = 1_767_225_600_000;
/// A crash at every this-manieth effect boundary, in lives that are prone to it.
const CRASH_SHARE: u64 = 400;

/// What is broken in the shell on purpose, to see that a checker notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Says that a record is durable before it is.
    EarlyRecorded,
    /// Carries out again after a crash what was under way, without the last look: that alone would stop it.
    SecondAct,
    /// Does not look whether the subject is still in the run that was judged.
    BlindActuator,
    /// Loses synced records in a power cut.
    ForgetfulDisk,
}

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Simulated time in all.
    pub length: Moment,
    /// What befalls the host; drawn from the seed when not given.
    pub weights: Option<Weights>,
    /// Mean time between two troubles; drawn when not given.
    pub every: Option<Moment>,
    pub sabotage: Option<Sabotage>,
    /// The agent ends at this effect boundary, once; with the power or without.
    pub crash_at: Option<(u64, bool)>,
    pub transcript: bool,
    /// What is to befall the host, and when; nothing befalls it by chance then.
    pub script: Option<Script>,
}

impl Options {
    /// A random life of so many hours.
    #[must_use]
    pub const fn random(seed: u64, hours: u64) -> Self {
        Self {
            seed,
            length: hours * HOUR,
            weights: None,
            every: None,
            sabotage: None,
            crash_at: None,
            transcript: false,
            script: None,
        }
    }
}

/// A story told by hand.
#[derive(Clone, Debug)]
pub struct Script {
    pub world: World,
    pub wishes: Wishes,
    pub events: Vec<(Moment, Hazard)>,
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub simulated: Moment,
    pub handled: u64,
    pub effects: u64,
    pub acts: u64,
    pub crashes: u64,
    pub incidents: u64,
    pub repaired: u64,
    pub pages: u64,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    pub transcript: Transcript,
    pub stats: Stats,
    /// Effect boundaries that were passed: where a crash could have been.
    pub boundaries: u64,
}

/// What waits in the queue. A number of a life makes what belongs to a dead agent void.
#[derive(Debug)]
pub(super) enum Event {
    Step(UnitIndex, u32, Step),
    Deliver(u32, Box<Sample>),
    Reconcile(u32, u32),
    Probe(UnitIndex, u32),
    Commit(u32, RecordTicket),
    Begin(u32, ActionId),
    Overdue(u32, ActionId),
    Report(u32, ActionId, Applied),
    Evidence(u32, IncidentId),
    Hook(super::hook::Call),
    Answer(ProposalId, bool),
    Hazard(Box<Hazard>),
    NextHazard,
    AgentStarts,
    SystemRuns(u32),
    PackagesDone,
    ReloadDone,
    WeatherEnds(Weather),
    PowerOff,
    Calm,
}

/// An act on its way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) action: ActionId,
    pub(super) remedy: crate::model::Remedy,
    pub(super) targets: Vec<UnitIndex>,
    pub(super) invocation: crate::model::Reading<crate::model::InvocationId>,
    pub(super) expires: BootTime,
    pub(super) deadline: Moment,
    pub(super) at: usize,
    pub(super) job: Option<u32>,
    pub(super) begun: bool,
}

/// The agent while it runs.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) engine: Engine,
    pub(super) running: BTreeMap<ActionId, Running>,
    pub(super) news_at: Moment,
    committing: bool,
    /// Folded from the records alone; must equal the engine's own.
    shadow: Memory,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) options: Options,
    pub(super) rng: Rng,
    pub(super) t: Moment,
    end: Moment,
    boot_started: Moment,
    pub(super) boots: u32,
    wall_base: i64,
    /// The wall clock was set while no agent ran.
    set_unseen: bool,
    /// The boot that the last agent lived in.
    last_boot: u32,
    pub(super) world: World,
    queue: BTreeMap<(Moment, u64), Event>,
    queued: u64,
    pub(super) agent: Option<Agent>,
    pub(super) life: u32,
    pub(super) disk: Disk,
    pub(super) told: Told,
    pub(super) weather: BTreeMap<Weather, Moment>,
    /// The engine was told that records are kept which a full disk has not taken yet.
    pub(super) owed: bool,
    pub(super) calm: bool,
    pub(super) policy: Arc<Policy>,
    pub(super) wishes: Wishes,
    pub(super) weights: Weights,
    pub(super) every: Moment,
    pub(super) scripted: bool,
    crash_prone: bool,
    boundaries: u64,
    /// Effects are being carried out: the engine is ahead of its records.
    between_effects: bool,
    pub(super) restart_after: Moment,
    pub(super) reconcile_generation: u32,
    pub(super) probe_generation: Vec<u32>,
    pub(super) restless_until: Moment,
    commands: BTreeMap<CommandTicket, Command>,
    next_command: u64,
    checkers: Checkers,
    pub(super) transcript: Transcript,
    pub(super) stats: Stats,
    /// Acts that an agent had under way when it died; only for [`Sabotage::SecondAct`].
    pub(super) unfinished: Vec<Running>,
}

/// Simulates one life.
#[must_use]
pub fn run(options: Options) -> Outcome {
    Run::new(options).go()
}

impl Run {
    fn new(options: Options) -> Self {
        let mut rng = Rng::new(options.seed);
        let (world, wishes) = match &options.script {
            Some(script) => (script.world.clone(), script.wishes.clone()),
            None => super::scenario::host(&mut rng),
        };
        let weights = Weights::draw(&mut rng);
        let weights = options.weights.clone().unwrap_or(weights);
        let every = [2, 5, 15, 40, 120][rng.index(5)] * 60_000;
        let every = options.every.unwrap_or(every);
        let scripted = options.script.is_some();
        let crash_prone = rng.per_mille(300) && !scripted;
        let units = world.units.len();
        let transcript = if options.transcript { Transcript::default() } else { Transcript::off() };
        Self {
            rng,
            t: 0,
            end: options.length.max(if scripted { 0 } else { CALM + HOUR }),
            boot_started: 0,
            boots: 0,
            wall_base: WALL_START,
            set_unseen: false,
            last_boot: 0,
            world,
            queue: BTreeMap::new(),
            queued: 0,
            agent: None,
            life: 0,
            disk: Disk::default(),
            told: Told::default(),
            weather: BTreeMap::new(),
            owed: false,
            calm: false,
            policy: policy(&wishes, "sim-0"),
            wishes,
            weights,
            every,
            scripted,
            crash_prone,
            boundaries: 0,
            between_effects: false,
            restart_after: 1000,
            reconcile_generation: 0,
            probe_generation: vec![0; units],
            restless_until: 0,
            commands: BTreeMap::new(),
            next_command: 1,
            checkers: Checkers::new(),
            transcript,
            stats: Stats::default(),
            unfinished: Vec::new(),
            options,
        }
    }

    fn go(mut self) -> Outcome {
        self.world.boot();
        self.boots = 1;
        self.world.system_state = Some(SystemState::Running);
        self.later(12_000, Event::AgentStarts);
        match self.options.script.take() {
            Some(script) => {
                for (moment, hazard) in script.events {
                    self.at(moment, Event::Hazard(Box::new(hazard)));
                }
            }
            None => {
                self.later(60_000, Event::NextHazard);
                self.at(self.end - CALM, Event::Calm);
            }
        }
        while self.checkers.violations().is_empty() && self.turn() {}
        if self.checkers.violations().is_empty() && self.calm {
            self.see(&Seen::TheEnd);
        }
        if self.checkers.violations().is_empty() {
            self.see(&Seen::Over);
        }
        self.check_fold();
        self.stats.simulated = self.t;
        if let Some(agent) = &self.agent {
            let counts = agent.engine.snapshot().counts;
            self.stats.incidents = counts.incidents;
            self.stats.repaired = counts.repaired;
        }
        Outcome {
            violations: self.checkers.violations().to_vec(),
            transcript: self.transcript,
            stats: self.stats,
            boundaries: self.boundaries,
        }
    }

    /// The next event or deadline; false at the end.
    fn turn(&mut self) -> bool {
        let event = self.queue.first_key_value().map(|((moment, _), _)| *moment);
        let deadline = self.agent.as_ref().and_then(|agent| agent.engine.next_deadline());
        let deadline = deadline.map(|deadline| {
            let since_boot = u64::try_from(deadline.millis()).unwrap_or(0);
            self.boot_started + since_boot
        });
        let next = match (event, deadline) {
            (None, None) => return false,
            (Some(event), None) => event,
            (None, Some(deadline)) => deadline,
            (Some(event), Some(deadline)) => event.min(deadline),
        };
        if next.max(self.t) > self.end {
            self.t = self.end;
            return false;
        }
        self.t = self.t.max(next);
        self.world.now = self.t;
        if event == Some(next) {
            if let Some((_, event)) = self.queue.pop_first() {
                self.dispatch(event);
            }
        } else {
            self.feed(Input::Tick);
        }
        self.report_world();
        true
    }

    pub(super) fn at(&mut self, moment: Moment, event: Event) {
        self.queued += 1;
        self.queue.insert((moment.max(self.t), self.queued), event);
    }

    pub(super) fn later(&mut self, wait: Moment, event: Event) {
        self.at(self.t + wait, event);
    }

    /// Both clocks now.
    pub(super) fn now(&self) -> Timestamp {
        let signed = |moment: Moment| i64::try_from(moment).unwrap_or(i64::MAX);
        Timestamp::new(
            BootTime::from_millis(signed(self.t) - signed(self.boot_started)),
            WallTime::from_unix_millis(self.wall_base + signed(self.t)),
        )
    }

    pub(super) fn boot_id(&self) -> BootId {
        BootId(Id128::from_bytes(u128::from(self.boots).to_be_bytes()))
    }

    pub(super) fn in_weather(&self, what: Weather) -> bool {
        self.weather.get(&what).is_some_and(|until| *until > self.t)
    }

    pub(super) fn say(&mut self, what: impl FnOnce() -> String) {
        let now = self.now();
        self.transcript.say(now, what);
    }

    pub(super) fn see(&mut self, seen: &Seen<'_>) {
        let facts = Facts {
            now: self.now(),
            t: self.t,
            told: &self.told,
            world: &self.world,
            policy: &self.policy,
            wishes: &self.wishes,
            disk: &self.disk,
            full_disk: self.in_weather(Weather::FullDisk) || self.owed,
            set_unseen: self.set_unseen,
        };
        if self.checkers.see(seen, &facts)
            && let Some(violation) = self.checkers.violations().last()
        {
            let line = violation.to_string();
            self.transcript.say(facts.now, || format!("VIOLATION {line}"));
        }
    }

    /// Something may follow from this: the senses stay awake for a while.
    pub(super) fn stir(&mut self) {
        self.restless_until = self.restless_until.max(self.t + 90_000);
    }

    pub(super) fn dispatch(&mut self, event: Event) {
        match event {
            Event::Step(unit, epoch, step) => self.world.step(unit, epoch, step),
            Event::Deliver(life, sample) if life == self.life => self.deliver(*sample),
            Event::Reconcile(life, generation)
                if life == self.life && generation == self.reconcile_generation =>
            {
                self.reconcile();
            }
            Event::Probe(unit, generation) if generation == self.probe_generation[unit] => self.probe(unit),
            Event::Commit(life, ticket) if life == self.life => self.commit(ticket),
            Event::Begin(life, action) if life == self.life => self.begin_act(action),
            Event::Overdue(life, action) if life == self.life => self.overdue(action),
            Event::Report(life, action, applied) if life == self.life => {
                self.see(&Seen::Reported { action });
                self.feed(Input::Acted { action, applied });
            }
            Event::Evidence(life, incident) if life == self.life => self.evidence(incident),
            Event::Deliver(..)
            | Event::Reconcile(..)
            | Event::Probe(..)
            | Event::Commit(..)
            | Event::Begin(..)
            | Event::Overdue(..)
            | Event::Report(..)
            | Event::Evidence(..) => {}
            Event::Hook(call) => self.hook_ends(call),
            Event::Answer(proposal, yes) => {
                let reason = "not now".to_owned();
                let command =
                    if yes { Command::Approve { proposal } } else { Command::Deny { proposal, reason } };
                self.command(command);
            }
            Event::Hazard(hazard) => self.befall(*hazard),
            Event::NextHazard => self.next_hazard(),
            Event::AgentStarts => self.agent_starts(),
            Event::SystemRuns(boot) => {
                if boot == self.boots {
                    self.world.system_state = Some(SystemState::Running);
                }
            }
            Event::PackagesDone => self.world.package_manager = false,
            Event::ReloadDone => {
                self.world.reloading = false;
                self.hurry_reconciliation(5);
            }
            Event::WeatherEnds(what) => self.weather_ends(what),
            Event::PowerOff => self.power_off(),
            Event::Calm => self.calm_down(),
        }
    }

    /// Hands an input to the engine and carries out what it says.
    pub(super) fn feed(&mut self, input: Input) {
        let now = self.now();
        let Some(agent) = &mut self.agent else { return };
        let effects = agent.engine.handle(input, now);
        let next = agent.engine.next_deadline();
        self.stats.handled += 1;
        self.stats.effects += effects.len() as u64;
        self.see(&Seen::Handled { effects: effects.len(), next });
        self.carry_out(effects);
    }

    pub(super) fn command(&mut self, command: Command) {
        if self.agent.is_none() {
            return;
        }
        let ticket = CommandTicket(self.next_command);
        self.next_command += 1;
        self.commands.insert(ticket, command.clone());
        self.see(&Seen::Asked { command: &command });
        let by = Peer { uid: 1000, pid: 77, name: "kim".into() };
        self.say(|| format!("kim asks: {command:?}"));
        self.feed(Input::Command { ticket, by, command });
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if self.boundary() {
                return;
            }
            if let Some(line) = effect_line(&effect) {
                self.say(|| line);
            }
            self.carry_out_one(effect);
        }
        let _ = self.boundary();
    }

    /// Between two effects the agent may end.
    fn boundary(&mut self) -> bool {
        self.boundaries += 1;
        self.between_effects = true;
        let planned = self.options.crash_at.filter(|(at, _)| *at == self.boundaries);
        if let Some((_, power)) = planned {
            self.restart_after = 1000;
            self.agent_dies(power);
            return true;
        }
        if self.crash_prone && !self.calm && self.rng.below(CRASH_SHARE) == 0 {
            self.restart_after = self.rng.range(100, 30_000);
            let power = self.rng.per_mille(400);
            self.agent_dies(power);
            return true;
        }
        self.between_effects = false;
        false
    }

    fn carry_out_one(&mut self, effect: Effect) {
        match effect {
            Effect::Record { ticket, durability, entry } => self.take_record(ticket, durability, entry),
            Effect::Act(permit) => self.take_permit(&permit),
            Effect::TakeEvidence { incident, .. } => {
                let slow = self.in_weather(Weather::Slow);
                let wait = if slow { self.rng.range(1, 2000) } else { self.rng.range(1, 80) };
                self.later(wait, Event::Evidence(self.life, incident));
            }
            Effect::Look(subject) => self.look(subject),
            Effect::Tell { notice, .. } => self.call_hook(notice),
            Effect::Reply { ticket, reply } => {
                if let Some(command) = self.commands.remove(&ticket) {
                    self.see(&Seen::Replied { command: &command, reply: &reply });
                }
            }
        }
    }

    fn take_permit(&mut self, permit: &Permit) {
        self.stats.acts += 1;
        self.see(&Seen::Released { permit });
        self.stir();
        self.start_act(permit);
    }

    fn take_record(&mut self, ticket: RecordTicket, durability: Durability, entry: Entry) {
        self.stir();
        self.see(&Seen::Recorded { ticket, entry: &entry });
        if let RecordBody::Proposed(proposal) = &entry.body
            && !self.scripted
        {
            let wait = self.rng.about(600_000);
            match self.rng.below(3) {
                0 => {}
                answer => self.later(wait, Event::Answer(proposal.id, answer == 1)),
            }
        }
        if let Some(agent) = &mut self.agent {
            agent.shadow.recover(&entry);
        }
        let early = self.options.sabotage == Some(Sabotage::EarlyRecorded);
        self.disk.push(entry, ticket, durability);
        if early {
            return self.later(0, Event::Commit(self.life, RecordTicket(0)));
        }
        self.commit_soon();
    }

    fn commit_soon(&mut self) {
        let Some((ticket, sync)) = self.disk.waiting() else { return };
        let slow = self.in_weather(Weather::SlowDisk);
        let full = self.in_weather(Weather::FullDisk);
        let wait = match (sync, slow) {
            (_, _) if full => 1,
            (true, true) => self.rng.range(500, 8000),
            (true, false) => self.rng.range(1, 20),
            (false, _) => self.rng.range(1, 5),
        };
        let life = self.life;
        let Some(agent) = &mut self.agent else { return };
        if !std::mem::replace(&mut agent.committing, true) {
            self.later(wait, Event::Commit(life, ticket));
        }
    }

    fn commit(&mut self, ticket: RecordTicket) {
        if self.options.sabotage == Some(Sabotage::EarlyRecorded) {
            if let Some((newest, _)) = self.disk.waiting() {
                self.feed(Input::Recorded(newest));
            }
            return;
        }
        if self.in_weather(Weather::FullDisk) {
            self.owed = true;
        } else {
            self.disk.commit(ticket);
        }
        if let Some(agent) = &mut self.agent {
            agent.committing = false;
        }
        self.feed(Input::Recorded(ticket));
        if self.disk.waiting().is_some_and(|(newest, _)| newest > ticket) {
            self.commit_soon();
        }
    }

    pub(super) fn agent_starts(&mut self) {
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
    fn check_fold(&mut self) {
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
    pub(super) fn agent_dies(&mut self, power: bool) {
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

    fn power_off(&mut self) {
        self.restart_after = 1000;
        self.agent_dies(true);
    }

    pub(super) fn step_wall(&mut self, forward: bool, by: Moment) {
        let by = i64::try_from(by).unwrap_or(0);
        self.wall_base += if forward { by } else { -by };
        self.set_unseen |= self.agent.is_none();
        self.told.stepped = Some(self.now().boot);
        let by = std::time::Duration::from_millis(by.unsigned_abs());
        self.feed(Input::ClockStepped { forward, by });
    }

    pub(super) fn suspend(&mut self, length: Moment) {
        self.t += length;
        self.world.now = self.t;
        self.told.stepped = Some(self.now().boot);
        let by = std::time::Duration::from_millis(length);
        self.feed(Input::ClockStepped { forward: true, by });
        self.hurry_reconciliation(50);
    }

    /// A sample arrives.
    pub(super) fn deliver(&mut self, sample: Sample) {
        if self.agent.is_none() {
            return;
        }
        let now = self.now();
        self.transcript.say_seen(now, &sample);
        let world = &self.world;
        let kept_down = |name: &crate::model::UnitName| {
            world.index_of(name).is_some_and(|index| world.units[index].kept_down)
        };
        self.told.take(&sample, kept_down);
        self.feed(Input::Sample(sample));
    }
}

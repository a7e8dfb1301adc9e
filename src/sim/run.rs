//! One life of one simulated host: the queue of events, the clocks, and the agent in the middle.

mod effects;
mod power;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::{CommandTicket, Engine, Input, Memory, RecordTicket};
use crate::model::{
    ActionId, Applied, BootId, BootTime, Command, Id128, IncidentId, ProposalId, Sample, SystemState,
    Timestamp, WallTime,
};
use crate::policy::Policy;

use super::check::{Checkers, Facts, Seen};
use super::disk::Disk;
use super::hazard::{Hazard, Weather, Weights};
use super::options::{Options, Outcome, Stats};
use super::policy::{Wishes, policy};
use super::rng::Rng;
use super::told::Told;
use super::transcript::Transcript;
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
}

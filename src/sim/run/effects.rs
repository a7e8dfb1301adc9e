//! What goes into the engine, and what becomes of its effects. Between any two of them the agent may end.

use crate::engine::{CommandTicket, Effect, Input, RecordTicket};
use crate::guard::Permit;
use crate::model::{Command, Durability, Entry, Peer, RecordBody, Sample};
use crate::sim::check::Seen;
use crate::sim::hazard::Weather;
use crate::sim::options::Sabotage;
use crate::sim::transcript::effect_line;

use super::{CRASH_SHARE, Event, Run};

impl Run {
    /// Hands an input to the engine and carries out what it says.
    pub(in crate::sim) fn feed(&mut self, input: Input) {
        let now = self.now();
        let Some(agent) = &mut self.agent else { return };
        let effects = agent.engine.handle(input, now);
        let next = agent.engine.next_deadline();
        self.stats.handled += 1;
        self.stats.effects += effects.len() as u64;
        self.see(&Seen::Handled { effects: effects.len(), next });
        self.carry_out(effects);
    }

    pub(in crate::sim) fn command(&mut self, command: Command) {
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

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
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
            // The simulated host has no file systems, and nobody harms it: nothing asks to remove a file, or is held back.
            Effect::GoOn { .. } | Effect::Release { .. } => {}
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

    pub(super) fn commit(&mut self, ticket: RecordTicket) {
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

    /// A sample arrives.
    pub(in crate::sim) fn deliver(&mut self, sample: Sample) {
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

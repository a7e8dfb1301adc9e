//! Whoever exhausts the host's processes is held back, and let go when the harm is gone, its time is over, or a person
//! wants it.

use serde_json::json;

use super::*;
use crate::engine::CommandTicket;
use crate::model::{
    Bytes, CULPRIT_LOOK_FOR, Command, CulpritLook, Evidence, InForce, Peer, Percent, Reading, ReleasedBy,
    Remedy, UnitUse, release_units,
};

const QUIET: u64 = 5;
const WILD: u64 = 900;
const LASTS: i64 = 600;

/// A host on which one unit makes processes, second by second.
struct Host {
    life: Life,
    second: i64,
    forks: u64,
    /// Tasks of each unit.
    tasks: Vec<(&'static str, u64)>,
    /// Timers that systemd has.
    timers: Vec<ActionId>,
    acts: usize,
    releases: usize,
    /// A release can't be carried out.
    stuck: bool,
}

fn policy() -> Policy {
    let mut policy = Policy::builtin().unwrap();
    policy.rules.retain(|rule| rule.name.as_str() == "process-storm");
    policy.rules[0].ladder = vec![Remedy::LimitTasks, Remedy::Freeze];
    policy.rules[0].mode = crate::model::Mode::Auto;
    policy.rules[0].verify_within = std::time::Duration::from_secs(10);
    policy
}

fn named(name: &str) -> UnitStatus {
    UnitStatus { name: UnitName::parse(name).unwrap(), ..status("active") }
}

fn look(tasks: &[(&str, u64)], second: i64) -> CulpritLook {
    let used = |(unit, tasks): &(&str, u64)| UnitUse {
        unit: (*unit).to_owned(),
        held: Bytes(0),
        growth: Bytes(0),
        cpu: Percent(1.0),
        tasks: *tasks,
    };
    CulpritLook {
        at: at(second).wall,
        over: CULPRIT_LOOK_FOR,
        units: 9,
        left_out: 0,
        growth: Bytes(0),
        cpu: Percent(1.0),
        tasks: tasks.iter().map(|(_, tasks)| tasks).sum(),
        largest: tasks.iter().map(used).collect(),
    }
}

impl Host {
    fn new(tasks: &[(&'static str, u64)]) -> Self {
        let life = Life::under(policy(), Memory::new());
        let (timers, tasks) = (Vec::new(), tasks.to_vec());
        Self { life, second: 10, forks: WILD, tasks, timers, acts: 0, releases: 0, stuck: false }
    }

    fn live(&mut self, seconds: i64) -> &mut Self {
        for _ in 0..seconds {
            self.step();
            self.second += 1;
        }
        self
    }

    /// Until so many acts were done.
    fn until_done(&mut self, acts: usize) -> &mut Self {
        while self.done().len() < acts {
            assert!(self.second < 1000, "nothing is done: {:?}", self.life.records);
            self.live(1);
        }
        self
    }

    fn step(&mut self) {
        let second = self.second;
        let timers = self.timers.iter().map(|action| named(release_units(*action).unwrap().0.as_str()));
        let units = self.tasks.iter().map(|(unit, _)| named(unit)).chain(timers).collect();
        self.life.see(UnitsUpdate::Complete(units), second);
        if second % 10 == 0 {
            self.life.handle(Input::Sample(storms::sample(second, self.forks)), second);
        }
        for incident in self.life.engine.snapshot().incidents {
            let evidence = Evidence::of_culprits(Reading::Value(look(&self.tasks, second)));
            let input = Input::EvidenceTaken { incident: incident.id, evidence: evidence.into() };
            self.life.handle(input, second);
        }
        while self.acts < self.life.permits.len() {
            let permit = &self.life.permits[self.acts];
            let action = permit.action();
            let until = at(second) + permit.lasts().expect("it holds back");
            let applied = Applied::Restrained { what: format!("{}", permit.remedy()), until };
            self.acts += 1;
            self.timers.push(action);
            self.life.handle(Input::Acted { action, applied }, second);
        }
        while self.releases < self.life.releases.len() {
            let action = self.life.releases[self.releases];
            self.releases += 1;
            let result = if self.stuck { Err("systemd is silent".into()) } else { Ok(()) };
            if result.is_ok() {
                self.timers.retain(|it| *it != action);
            }
            self.life.handle(Input::Released { action, result }, second);
        }
    }

    fn done(&self) -> Vec<String> {
        let told = self.life.permits.iter().map(|it| format!("{} {}", it.remedy(), it.targets()[0]));
        told.collect()
    }

    fn held_back(&self) -> Vec<InForce> {
        self.life.engine.snapshot().restraints
    }

    fn released(&self) -> Vec<ReleasedBy> {
        let by =
            |it: &RecordBody| if let RecordBody::Released { by, .. } = it { Some(by.clone()) } else { None };
        self.life.records.iter().filter_map(by).collect()
    }

    fn escalated(&self) -> Vec<String> {
        let why = |it: &RecordBody| {
            if let RecordBody::Escalated { why, .. } = it { Some(why.clone()) } else { None }
        };
        self.life.records.iter().filter_map(why).collect()
    }

    fn undo(&mut self, action: ActionId) -> &mut Self {
        let by = Peer { uid: 0, pid: 1, name: "root".into() };
        let input = Input::Command { ticket: CommandTicket(1), by, command: Command::Undo { action } };
        self.life.handle(input, self.second);
        self
    }
}

const BOMB: [(&str, u64); 2] = [("bomb.service", 3000), ("web.service", 40)];

#[test]
fn the_culprit_is_held_back_and_let_go_when_the_harm_is_gone() {
    let mut host = Host::new(&BOMB);
    host.until_done(1);
    assert_eq!(host.done(), ["limit-tasks bomb.service"]);
    host.forks = QUIET;
    host.live(30);
    assert!(host.life.resolved(), "{:?}", host.life.records);
    assert_eq!(host.held_back().len(), 1, "it is not let go at once");
    host.live(60);
    assert_eq!(host.released(), [ReleasedBy::Agent]);
    assert!(host.held_back().is_empty());
    host.live(100);
    assert_eq!(host.done().len(), 1);
}

#[test]
fn what_does_not_help_is_followed_by_the_next_rung_and_then_by_a_person() {
    let mut host = Host::new(&BOMB);
    host.live(120);
    assert_eq!(host.done(), ["limit-tasks bomb.service", "freeze bomb.service"]);
    assert_eq!(host.escalated().len(), 1, "{:?}", host.escalated());
    assert!(host.escalated()[0].contains("bomb.service has 3000 of 3040 tasks"), "{:?}", host.escalated());
    assert_eq!(host.held_back().len(), 2);
    // The last that came is the first to go.
    host.forks = QUIET;
    host.live(75);
    assert_eq!(host.held_back().iter().map(|it| it.remedy).collect::<Vec<_>>(), [Remedy::LimitTasks]);
    host.live(30);
    assert_eq!(host.released(), [ReleasedBy::Agent, ReleasedBy::Agent]);
}

#[test]
fn harm_that_comes_back_is_held_back_again_and_let_go_later() {
    let mut host = Host::new(&BOMB);
    host.until_done(1);
    host.forks = QUIET;
    host.live(100);
    assert_eq!(host.released().len(), 1);
    host.forks = WILD;
    host.until_done(2);
    assert_eq!(host.done(), ["limit-tasks bomb.service", "limit-tasks bomb.service"]);
    host.forks = QUIET;
    host.live(100);
    assert_eq!(host.released().len(), 1, "it must be gone for twice as long now");
    host.live(60);
    assert_eq!(host.released().len(), 2);
}

#[test]
fn nobody_is_held_back_who_does_not_stand_out_or_is_protected() {
    for (tasks, named) in [
        (&[("a.service", 900), ("b.service", 900), ("c.service", 900)][..], "no unit stands out"),
        (
            &[("ssh.service", 3000), ("web.service", 40)][..],
            "ssh.service has 3000 of 3040 tasks, and it is protected",
        ),
        (&[("session-3.scope", 3000)][..], "most are had by session-3.scope (3000 of 3000)"),
        (&[("a.service", 60)][..], "no unit stands out"),
    ] {
        let mut host = Host::new(tasks);
        host.live(120);
        assert_eq!(host.done(), [""; 0]);
        assert!(host.escalated().iter().all(|why| why.contains(named)), "{:?}", host.escalated());
        assert_eq!(host.escalated().len(), 1);
    }
}

#[test]
fn what_a_person_undid_is_not_done_again_to_that_fault() {
    let mut host = Host::new(&BOMB);
    host.live(35);
    let action = host.held_back()[0].action;
    host.undo(action).live(5);
    assert!(matches!(host.released()[..], [ReleasedBy::Operator { .. }]), "{:?}", host.released());
    host.live(200);
    assert_eq!(host.done(), ["limit-tasks bomb.service", "freeze bomb.service"]);
    host.undo(host.held_back()[0].action).live(1000);
    assert_eq!(host.done().len(), 2, "{:?}", host.done());
    let replies = host.released().len();
    host.undo(ActionId(99)).live(2);
    assert_eq!(host.released().len(), replies);
}

#[test]
fn its_time_ends_it_whatever_the_agent_sees() {
    let mut host = Host::new(&BOMB);
    host.live(35);
    // The timer has done its work.
    host.timers.clear();
    host.live(2);
    assert_eq!(host.released().first(), Some(&ReleasedBy::Itself));
    // Nothing is heard of systemd: it is over when its time is.
    let mut host = Host::new(&BOMB);
    host.live(35);
    let acts = host.done().len();
    host.life.handle(
        Input::Sample(Sample {
            units: Some(UnitsUpdate::Lost { why: "gone".into() }),
            ..Sample::empty(at(host.second))
        }),
        host.second,
    );
    host.second += LASTS + 60;
    host.life.handle(Input::Tick, host.second);
    assert_eq!(host.released(), [], "whether it is over, systemd alone can say");
    assert!(!host.life.releases.is_empty(), "it is asked to end it");
    host.life.handle(Input::Tick, host.second + 31);
    host.live(60);
    assert_eq!(host.released(), vec![ReleasedBy::Agent; acts]);
}

#[test]
fn a_release_that_fails_is_tried_again() {
    let mut host = Host::new(&BOMB);
    host.until_done(1);
    host.forks = QUIET;
    host.stuck = true;
    host.live(200);
    assert!(host.life.releases.len() > 2, "{:?}", host.life.releases);
    assert!(host.life.releases.len() < 8, "{:?}", host.life.releases);
    assert_eq!(host.released(), []);
    host.stuck = false;
    host.live(40);
    assert_eq!(host.released(), [ReleasedBy::Agent]);
}

/// The agent died between the intent and what the actuator said, or after.
#[test]
fn what_is_held_back_outlives_the_agent_and_ends_with_the_boot() {
    let mut host = Host::new(&BOMB);
    host.until_done(1);
    let fold = |records: &[RecordBody]| {
        let mut memory = Memory::new();
        for body in records {
            memory.recover(&Entry { at: at(30), boot: boot(), body: body.clone() });
        }
        memory
    };
    let intended = host.life.records.iter().position(|it| matches!(it, RecordBody::Intended(_))).unwrap();
    for end in [intended + 1, host.life.records.len()] {
        let memory = fold(&host.life.records[..end]);
        let mut again = Life::under(policy(), memory.clone());
        let known = again.engine.snapshot().restraints;
        assert_eq!(known.len(), 1);
        let first = known[0].action;
        // In the same boot systemd has let go of it when the agent ended; what is left of it is taken away.
        let timer = named("prunella-release-act-1.timer");
        again.see(UnitsUpdate::Complete(vec![named("bomb.service"), timer]), 40);
        assert_eq!(again.releases, [first]);
        again.handle(Input::Released { action: first, result: Err("systemd is busy".into()) }, 41);
        again.see(UnitsUpdate::Complete(vec![named("bomb.service")]), 72);
        // It may have been tried anew meanwhile; what the timer ended is over.
        let left = again.engine.snapshot().restraints;
        assert!(left.iter().all(|it| it.action != first), "{end}: {:?}", again.records);
        // Another boot has none of it.
        let other = serde_json::from_value(json!("99b783042e614bf686259026cb88d05d")).unwrap();
        let setup = Setup { policy: policy().into(), seed: 1, boot: other, version: "test".into() };
        let (engine, _) = Engine::start(setup, memory, at(1));
        assert!(engine.snapshot().restraints.is_empty());
    }
}

//! Services that hold deleted files open on a disk that is full: asked to let go; restarted only when a person agrees.

use std::collections::BTreeSet;

use super::*;
use crate::engine::CommandTicket;
use crate::model::{DeletedFiles, ProposalId};

/// What a look finds at that moment: so many GiB are deleted and open, by these units.
fn held_by(units: &[(&str, u64)], second: i64) -> Evidence {
    let file = |(unit, gib): &(&str, u64)| {
        json!({"path": "/var/log/app.log.1", "bytes": gib * GIB, "pid": 812, "fd": 7, "name": "app",
               "unit": {"value": unit}})
    };
    let files: Vec<Value> = units.iter().map(file).collect();
    let deleted: DeletedFiles = serde_json::from_value(json!({
        "bytes": 30 * GIB, "count": files.len(), "largest": files, "hidden": 0, "complete": true,
    }))
    .unwrap();
    let mut evidence = look();
    evidence.space = evidence.space.map(|look| SpaceLook {
        at: at(second).wall,
        deleted: Reading::Value(deleted),
        ..look
    });
    evidence
}

fn service(name: &str, can_reload: bool) -> UnitStatus {
    let mut status = serde_json::to_value(status("active")).unwrap();
    status["name"] = json!(name);
    status["details"]["value"]["service"]["value"]["can_reload"] = json!(can_reload);
    serde_json::from_value(status).unwrap()
}

/// A disk that stays full whatever is done.
struct Full {
    life: Life,
    second: i64,
    units: Vec<UnitStatus>,
    held: Vec<(&'static str, u64)>,
    /// What the next acts come to; after that they are carried out.
    answers: Vec<Applied>,
    acts: usize,
}

impl Full {
    fn new(ladder: &[Remedy], units: &[(&'static str, bool)], held: &[(&'static str, u64)]) -> Full {
        let mut policy = Policy::builtin().unwrap();
        for rule in &mut policy.rules {
            if rule.subject == SubjectKind::Filesystem {
                let full = rule.name.as_str() == "filesystem-full";
                rule.ladder = if full { ladder.to_vec() } else { Vec::new() };
            }
        }
        let units = units.iter().map(|(name, can_reload)| service(name, *can_reload)).collect();
        let life = Life::under(policy, Memory::new());
        Full { life, second: 10, units, held: held.to_vec(), answers: Vec::new(), acts: 0 }
    }

    fn live(&mut self, until: i64) -> &mut Self {
        while self.second < until {
            let second = self.second;
            self.life.see(UnitsUpdate::Complete(self.units.clone()), second);
            tell(&mut self.life, disk("/var/log", FULL), second);
            for incident in self.life.engine.snapshot().incidents {
                let evidence = held_by(&self.held, second);
                self.life.handle(
                    Input::EvidenceTaken { incident: incident.id, evidence: evidence.into() },
                    second,
                );
            }
            while self.acts < self.life.permits.len() {
                let action = self.life.permits[self.acts].action();
                let applied = if self.answers.is_empty() { Applied::Changed } else { self.answers.remove(0) };
                self.acts += 1;
                self.life.handle(Input::Acted { action, applied }, second);
            }
            self.second += 1;
        }
        self
    }

    /// The steps that were taken, and whom they touched; what is done again and again is named once.
    fn steps(&self) -> Vec<String> {
        let told = self.life.permits.iter().map(|permit| {
            let units: Vec<&str> = permit.targets().iter().map(UnitName::as_str).collect();
            format!("{} {}", permit.remedy(), units.join(" ")).trim_end().to_owned()
        });
        let mut told: Vec<String> = told.collect();
        told.dedup();
        told
    }

    fn proposed(&self) -> Option<(ProposalId, Vec<String>)> {
        self.life.records.iter().rev().find_map(|it| {
            let RecordBody::Proposed(it) = it else { return None };
            assert_eq!(it.remedy, Remedy::RestartHolders);
            Some((it.id, it.targets.iter().map(ToString::to_string).collect()))
        })
    }

    fn approve(&mut self) -> &mut Self {
        let (proposal, _) =
            self.proposed().unwrap_or_else(|| panic!("nobody was asked: {:?}", self.life.records));
        let by = Peer { uid: 0, pid: 1, name: "root".into() };
        let command = Command::Approve { proposal };
        self.life.handle(Input::Command { ticket: CommandTicket(1), by, command }, self.second);
        self
    }
}

const LADDER: [Remedy; 3] = [Remedy::ReloadHolders, Remedy::PruneRotatedLogs, Remedy::RestartHolders];
const UNITS: [(&str, bool); 3] = [("web.service", true), ("db.service", false), ("mq.service", true)];

#[test]
fn who_holds_most_is_asked_first_and_restarted_only_when_a_person_agrees() {
    let mut full = Full::new(&LADDER, &UNITS, &[("web.service", 25), ("db.service", 20), ("mq.service", 6)]);
    while full.life.permits.is_empty() {
        full.live(full.second + 1);
    }
    assert_eq!(full.steps(), ["reload-holders web.service mq.service"]);
    // Who has let go by then is not who a person is asked about.
    full.held = vec![("db.service", 20)];
    full.live(140);
    assert_eq!(full.steps()[1], "prune-rotated-logs");
    let (_, targets) =
        full.proposed().unwrap_or_else(|| panic!("a person is asked: {:?}", full.life.records));
    assert_eq!(targets, ["db.service"]);
    assert!(!full.steps().iter().any(|step| step.contains("restart")), "{:?}", full.steps());
    // While nobody answers, what the agent does itself goes on.
    let before = full.life.permits.len();
    full.live(1200);
    assert!(full.life.permits.len() > before, "nothing is done while it waits: {:?}", full.life.records);
    full.approve().live(3000);
    assert!(full.steps().contains(&"restart-holders db.service".to_owned()), "{:?}", full.steps());
}

#[test]
fn what_was_agreed_is_done_when_what_stood_in_its_way_is_over() {
    let mut full = Full::new(&LADDER, &UNITS, &[("db.service", 20)]);
    full.live(100);
    let busy = json!({"value": {"lock": "/var/lib/dpkg/lock", "pid": {"value": 7}}});
    for second in full.second..full.second + 240 {
        full.life.see(UnitsUpdate::Complete(full.units.clone()), second);
        tell_with(&mut full.life, vec![disk("/var/log", FULL)], &busy, second);
        if second == 101 {
            full.approve();
        }
    }
    assert!(!full.steps().iter().any(|step| step.contains("restart")), "{:?}", full.steps());
    full.second += 240;
    full.live(full.second + 400);
    assert!(full.steps().contains(&"restart-holders db.service".to_owned()), "{:?}", full.life.records);
}

/// Of a unit that runs as it should no details are read, until somebody looks at it.
#[test]
fn a_holder_of_which_little_is_known_is_looked_at_first() {
    let mut full = Full::new(&LADDER, &[("web.service", true)], &[("web.service", 25)]);
    let known = full.units.clone();
    full.units[0].details = serde_json::from_value(json!({"absent": "not-observed"})).unwrap();
    while full.life.looked == 0 {
        assert!(full.second < 100, "nobody looks: {:?}", full.life.records);
        full.live(full.second + 1);
    }
    assert!(full.life.permits.is_empty(), "{:?}", full.steps());
    full.units = known;
    assert_eq!(full.live(full.second + 10).steps()[0], "reload-holders web.service");
}

/// A list of the units tells little of those that run: the run that was asked about is looked for before the act.
#[test]
fn what_was_agreed_counts_for_one_run_also_when_little_is_known_of_it() {
    let asked = || {
        let mut full = Full::new(&LADDER, &UNITS[1..2], &[("db.service", 25)]);
        while full.proposed().is_none() {
            assert!(full.second < 300, "nobody is asked: {:?}", full.life.records);
            full.live(full.second + 1);
        }
        let known = full.units.clone();
        full.units[0].details = serde_json::from_value(json!({"absent": "not-observed"})).unwrap();
        full.live(full.second + 2).approve();
        full.units = known;
        full
    };
    let restarts = |full: &Full| full.steps().iter().any(|step| step == "restart-holders db.service");
    let mut full = asked();
    assert!(!restarts(&full), "{:?}", full.steps());
    let second = full.second;
    assert!(restarts(full.live(second + 120)), "{:?}", full.life.records);
    let mut full = asked();
    let anew = serde_json::from_value(json!({"value": "c3b783042e614bf686259026cb88d05d"})).unwrap();
    if let Reading::Value(details) = &mut full.units[0].details {
        details.invocation = anew;
    }
    let second = full.second;
    assert!(!restarts(full.live(second + 120)), "{:?}", full.life.records);
}

/// A pause of the unit, here, or that it was not as it was judged.
#[test]
fn what_stands_against_a_holder_holds_up_nothing_else() {
    let mut full = Full::new(&LADDER, &UNITS, &[("web.service", 25)]);
    let by = Peer { uid: 0, pid: 1, name: "root".into() };
    let command = Command::Pause {
        scope: PauseScope::Unit(UnitName::parse("web.service").unwrap()),
        reason: "a look at it".into(),
        length: std::time::Duration::from_secs(7200),
    };
    full.live(12).life.handle(Input::Command { ticket: CommandTicket(1), by, command }, 12);
    assert_eq!(full.live(200).steps(), ["prune-rotated-logs"]);
    let told = full.life.records.iter().filter(|it| matches!(it, RecordBody::Escalated { .. })).count();
    assert!(told > 0, "people are told all the same: {:?}", full.life.records);
    let held = full.life.records.iter().filter(|it| matches!(it, RecordBody::Held { .. })).count();
    assert!(held < 10, "{held} times");

    let mut full = Full::new(&LADDER, &UNITS, &[("web.service", 25)]);
    full.answers = vec![Applied::Withdrawn { why: "web.service is deactivating".into() }];
    assert_eq!(full.live(100).steps(), ["reload-holders web.service", "prune-rotated-logs"]);
}

#[test]
fn what_may_not_be_touched_is_passed_over() {
    let units = [("systemd-journald.service", true), ("user@1000.service", true), ("web.service", true)];
    let held = [
        ("systemd-journald.service", 20),
        ("user@1000.service", 20),
        ("session-3.scope", 20),
        ("gone.service", 20),
        ("web.service", 0),
    ];
    assert_eq!(Full::new(&LADDER, &units, &held).live(140).steps(), ["prune-rotated-logs"]);
}

#[test]
fn when_people_know_the_pace_is_that_of_the_backoff() {
    let ladder = [Remedy::PruneRotatedLogs, Remedy::CleanPackageCache];
    let mut full = Full::new(&ladder, &[], &[]);
    full.live(400);
    let acts = full.life.permits.len();
    let removed: BTreeSet<Remedy> = full.life.permits.iter().map(Permit::remedy).collect();
    assert!(removed.contains(&Remedy::PruneRotatedLogs));
    assert!(acts <= 6, "{acts} acts in six minutes: {:?}", full.steps());
}

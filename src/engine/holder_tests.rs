//! Services that hold deleted files open on a disk that is full: asked to let go; restarted only when a person agrees.

use super::*;
use crate::engine::CommandTicket;
use crate::model::DeletedFiles;

/// What a look finds: this much is deleted and open, by these units.
fn held_by(units: &[(&str, u64)]) -> Evidence {
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
    evidence.space = evidence.space.map(|look| SpaceLook { deleted: Reading::Value(deleted), ..look });
    evidence
}

fn service(name: &str, can_reload: bool) -> UnitStatus {
    let mut status = serde_json::to_value(status("active")).unwrap();
    status["name"] = json!(name);
    status["details"]["value"]["service"]["value"]["can_reload"] = json!(can_reload);
    serde_json::from_value(status).unwrap()
}

/// A disk that stays full whatever is done, and these rungs. The steps that were taken, and whom they touched.
fn steps(ladder: &[Remedy], units: &[UnitStatus], evidence: &Evidence) -> (Life, Vec<String>) {
    let mut policy = Policy::builtin().unwrap();
    for rule in &mut policy.rules {
        if rule.subject == SubjectKind::Filesystem {
            let full = rule.name.as_str() == "filesystem-full";
            rule.ladder = if full { ladder.to_vec() } else { Vec::new() };
        }
    }
    let mut life = Life::under(policy, Memory::new());
    let (mut acts, mut answered) = (0, std::collections::BTreeSet::new());
    for second in 10..140 {
        life.see(UnitsUpdate::Complete(units.to_vec()), second);
        tell(&mut life, disk("/var/log", FULL), second);
        for incident in life.engine.snapshot().incidents {
            if answered.insert(incident.id) {
                life.handle(
                    Input::EvidenceTaken { incident: incident.id, evidence: evidence.clone() },
                    second,
                );
            }
        }
        while acts < life.permits.len() {
            let action = life.permits[acts].action();
            acts += 1;
            life.handle(Input::Acted { action, applied: Applied::Changed }, second);
        }
    }
    let told = life.permits.iter().map(|permit| {
        let units: Vec<&str> = permit.targets().iter().map(UnitName::as_str).collect();
        format!("{} {}", permit.remedy(), units.join(" ")).trim_end().to_owned()
    });
    let mut told: Vec<String> = told.collect();
    // What the agent does itself is done again, slowly.
    told.dedup();
    (life, told)
}

const LADDER: [Remedy; 3] = [Remedy::ReloadHolders, Remedy::PruneRotatedLogs, Remedy::RestartHolders];

#[test]
fn who_holds_most_is_asked_first_and_restarted_only_when_a_person_agrees() {
    let units = [service("web.service", true), service("db.service", false), service("mq.service", true)];
    let held = held_by(&[("web.service", 5), ("db.service", 20), ("mq.service", 6), ("web.service", 4)]);
    let (mut life, steps) = steps(&LADDER, &units, &held);
    assert_eq!(steps, ["reload-holders web.service mq.service", "prune-rotated-logs"], "{:?}", life.records);
    let proposed =
        life.records.iter().find_map(|it| if let RecordBody::Proposed(it) = it { Some(it) } else { None });
    let proposed = proposed.unwrap_or_else(|| panic!("a person is asked: {:?}", life.records)).clone();
    assert_eq!((proposed.remedy, proposed.targets.len()), (Remedy::RestartHolders, 1));
    assert_eq!(proposed.targets[0].as_str(), "db.service");
    assert_eq!(Some(&proposed.invocation), Some(&units[1].invocation()));
    let by = Peer { uid: 0, pid: 1, name: "root".into() };
    let command = Command::Approve { proposal: proposed.id };
    life.handle(Input::Command { ticket: CommandTicket(1), by, command }, 140);
    let last = life.permits.last().unwrap();
    assert_eq!((last.remedy(), last.targets()), (Remedy::RestartHolders, proposed.targets.as_slice()));
}

#[test]
fn what_may_not_be_touched_holds_up_nothing() {
    let units = [
        service("systemd-journald.service", true),
        service("user@1000.service", true),
        service("web.service", true),
    ];
    let held = held_by(&[
        ("systemd-journald.service", 20),
        ("user@1000.service", 20),
        ("session-3.scope", 20),
        ("gone.service", 20),
    ]);
    let (_, steps) = steps(&LADDER, &units, &held);
    assert_eq!(steps, ["prune-rotated-logs"]);
}

#[test]
fn what_would_make_no_difference_is_left_alone() {
    let units = [service("web.service", true)];
    let (_, steps) = steps(&LADDER, &units, &held_by(&[("web.service", 0)]));
    assert_eq!(steps, ["prune-rotated-logs"]);
}

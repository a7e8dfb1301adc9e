//! Disks that fill: told while there is time left, whatever the speed, and told no more when it is over.

use std::time::Duration;

use prunella::model::{BootTime, Bytes, IncidentId, RecordBody, Resolution, SpaceLook, Subject};
use serde_json::Value;

use crate::agent::{Agent, Ledger, boot_millis, figure, millis};
use crate::disks;
use crate::harness::{Host, NspawnShape, Suite};

const FILL: &str = include_str!("fill.py");
/// The shipped rule, that speaks of disks which are full within minutes.
const RULE: &str = "filesystem-filling-fast";
/// The writer goes on until there.
const PERCENT: u32 = 97;

/// Size of the disk and speed of the writer, MiB.
const DISKS: [(u32, u32); 3] = [(64, 1), (256, 20), (512, 100)];

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_disks("filling::is_told_in_time", || {
        let shape = NspawnShape { memory: Some("2G".to_owned()), ..NspawnShape::default() };
        let agent = Agent::install(Host::nspawn_shaped("filling", &shape));
        agent.write("/usr/lib/fill.py", FILL);
        disks::prepare(&agent, "1G");
        for (size, speed) in DISKS {
            fill(&agent, size, speed);
        }
        assert_eq!(agent.ok("systemctl show -P NRestarts prunellad"), "0");
        agent.check_ledger();
    });
}

/// The incident of this one, and when people were to be told of it.
fn told(ledger: &Ledger, point: &str) -> Option<(BootTime, IncidentId)> {
    let opened = ledger.records().find_map(|record| {
        if let RecordBody::IncidentOpened { incident, rule, subject: Subject::Filesystem(at), .. } =
            &record.entry.body
            && rule.as_str() == RULE
            && at.as_str() == point
        {
            Some(*incident)
        } else {
            None
        }
    })?;
    let escalated =
        |body: &RecordBody| matches!(body, RecordBody::Escalated { incident, .. } if *incident == opened);
    let record = ledger.records().find(|record| escalated(&record.entry.body))?;
    Some((record.entry.at.boot, opened))
}

/// It was told no more by itself.
fn is_over(ledger: &Ledger, of: IncidentId) -> bool {
    ledger.has(|body| {
        matches!(body, RecordBody::IncidentResolved { incident, how: Resolution::ClearedByItself, .. } if *incident == of)
    })
}

fn taken_by(ledger: &Ledger, of: IncidentId) -> Option<&SpaceLook> {
    ledger.records().find_map(|record| {
        if let RecordBody::EvidenceTaken { incident, evidence } = &record.entry.body
            && *incident == of
        {
            evidence.space.value()
        } else {
            None
        }
    })
}

fn fill(agent: &Agent, size: u32, speed: u32) {
    let point = format!("/mnt/fill-{size}");
    let result = format!("/run/fill-{size}.json");
    disks::make(agent, &size.to_string(), "ext4", size, "-m 0", &point);
    agent.until("the disk to be seen", || agent.ok("prunella filesystems --json").contains(&point));
    // Nobody finds this one by its name.
    agent.ok(&format!(
        "systemd-run -q --unit=holder-{size} sh -c 'exec 3>{point}/gone; rm {point}/gone; \
         head -c 6M /dev/zero >&3; exec sleep infinity'"
    ));
    agent.ok(&format!("systemd-run -q python3 /usr/lib/fill.py {point} {speed} {PERCENT} {result}"));
    let slowest = Duration::from_secs(u64::from(size / speed)) + agent.patience();
    agent.wait_until("the writer to end", slowest, || agent.sh(&format!("test -e {result}")).code == 0);
    let end: Value = serde_json::from_str(&agent.ok(&format!("cat {result}"))).expect("it says how it ended");
    assert_eq!(end["why"], "enough", "{end}");
    let (begun, ended) = (millis(&end["begun"]), millis(&end["ended"]));
    let ledger = agent.until_recorded("its filling to be found", |it| told(it, &point).is_some());
    let (at, incident) = told(&ledger, &point).expect("it was just there");
    let what = format!("a disk of {size} MiB, written to with {speed} MiB/s");
    let took = ended - begun;
    let at = boot_millis(at) - begun;
    figure(agent, &what, &format!("{PERCENT} % in use after {took:.0} ms, told after {at:.0} ms"));
    assert!(at < took, "told after {at} ms, and it took {took} ms");
    let ledger = agent.until_recorded("who fills it", |it| taken_by(it, incident).is_some());
    let look = taken_by(&ledger, incident).expect("it was just there");
    assert_eq!(look.files[0].path.to_string(), format!("{point}/log"), "{look:?}");
    let deleted = look.deleted.value().unwrap_or_else(|| panic!("{look:?}"));
    let path = format!("{point}/gone");
    let held = deleted.largest.iter().find(|it| it.path.to_string() == path);
    let held = held.unwrap_or_else(|| panic!("{look:?}"));
    assert_eq!(held.bytes, Bytes(6 << 20), "{look:?}");
    // Below a host with control groups of version 1 a container's units are not what their groups are called.
    let unit = held.unit.value();
    assert!(unit.is_none_or(|unit| *unit == format!("holder-{size}.service")), "{look:?}");
    // It stands still now: nothing is told any more.
    agent.until_recorded("its end", |it| is_over(it, incident));
    agent.ok(&format!("systemctl stop holder-{size}"));
    disks::discard(agent, &size.to_string(), &point);
    agent.until("it to be gone", || !agent.ok("prunella filesystems --json").contains(&point));
}

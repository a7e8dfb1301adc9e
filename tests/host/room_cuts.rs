//! The power goes while room is made, wherever that stands: nothing is gone that is not on record, no line is lost, and what
//! was begun is gone through with after the next boot.

use std::time::Duration;

use prunella::model::{Applied, RecordBody, Subject};

use crate::agent::{Agent, Ledger};
use crate::harness::{Host, Suite, VmShape, full_run};
use crate::room::{LOGS, POINT, check_what_is_left, files};

/// Both remedies have work for some seconds.
const RULE: &str = r#"
[[logs]]
name     = "system"
override = true
folder   = "/var/log"
keep     = 2
keep_for = "1m"

[[rule]]
name     = "shop-full"
subject  = "filesystem"
when     = "mount_point == '/var/log/shop' && used_percent > 50.0"
clear    = "used_percent < 20.0"
ladder   = ["archive-logs", "prune-rotated-logs"]
severity = "ticket"
mode     = "auto"

[limits.backoff]
first  = "1s"
factor = 1.0
cap    = "1s"
[limits.attempts_per_subject]
count  = 100
window = "10m"
[limits.flapping]
count  = 100
window = "1h"
"#;
const DISK: &str = "128M:/var/log/shop";
/// MiB of the live log, of lines that are numbered.
const LINES_MIB: u32 = 40;
/// From the first intent to the cut.
const CUTS: [Duration; 12] = [
    Duration::from_millis(400),
    Duration::from_millis(2500),
    Duration::from_millis(100),
    Duration::from_millis(9000),
    Duration::from_millis(5500),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(3500),
    Duration::from_millis(4500),
    Duration::from_millis(7000),
    Duration::from_millis(12_000),
    Duration::from_millis(16_000),
];
/// Otherwise.
const CUTS_IN_SHORT: usize = 3;
/// A boot, and all that there is to do, on an emulated processor.
const PATIENCE: Duration = Duration::from_secs(240);

/// Adds this trial; it needs `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.vm_with_package("room::power_cuts_while_room_is_made", || {
        let shape = VmShape { disks: vec![DISK.to_owned()], ..VmShape::default() };
        let agent = Agent::install(Host::vm("roomcuts", shape));
        agent.write("/usr/lib/room.py", LOGS);
        let cuts = if full_run() { CUTS.len() } else { CUTS_IN_SHORT };
        let mut reached = Vec::new();
        for (round, after) in CUTS.into_iter().take(cuts).enumerate() {
            reached.push(cut(&agent, round, after));
        }
        eprintln!("cuts, and what was on record by then (intents, steps, cut): {reached:?}");
        assert!(reached.iter().any(|(_, _, cut)| *cut > 0), "none fell into an act: {reached:?}");
    });
}

/// What the ledger says of this disk from a record on: intents, steps that were announced, acts of which nobody knows how
/// they ended: that were cut.
fn stages(ledger: &Ledger, from: usize) -> (usize, usize, usize) {
    let count = |is_one: fn(&RecordBody) -> bool| {
        ledger.records().skip(from).filter(|record| is_one(&record.entry.body)).count()
    };
    (
        count(
            |body| matches!(body, RecordBody::Intended(intent) if matches!(intent.subject, Subject::Filesystem(_))),
        ),
        count(|body| matches!(body, RecordBody::Removing { .. })),
        count(|body| matches!(body, RecordBody::Applied { applied: Applied::Unknown { .. }, .. })),
    )
}

/// The incident of the rule, opened from this record on, has ended.
fn is_over(ledger: &Ledger, from: usize) -> bool {
    let bodies = || ledger.records().skip(from).map(|record| &record.entry.body);
    let opened = bodies().find_map(|body| {
        if let RecordBody::IncidentOpened { incident, rule, .. } = body {
            (rule.as_str() == "shop-full").then_some(*incident)
        } else if let RecordBody::IncidentReopened { incident, finding } = body {
            (finding.rule.as_str() == "shop-full").then_some(*incident)
        } else {
            None
        }
    });
    opened.is_some_and(|opened| {
        bodies()
            .any(|body| matches!(body, RecordBody::IncidentResolved { incident, .. } if *incident == opened))
    })
}

fn cut(agent: &Agent, round: usize, after: Duration) -> (usize, usize, usize) {
    // Nothing is done while the files are made.
    agent.set_policy("");
    agent.ok(&format!("rm -rf {POINT}/*"));
    agent.ok(&format!("python3 /usr/lib/room.py {POINT} 4 10 1024"));
    agent.ok(&format!(
        "seq -f '%12.0f a line that somebody wrote, of no great length' 0 99999999 | head -c {LINES_MIB}M > {POINT}/shop.log; \
         echo >> {POINT}/shop.log; sync; date -s '+5 minutes'"
    ));
    let lines = agent.ok(&format!("wc -l < {POINT}/shop.log"));
    let digest = agent.ok(&format!("sha256sum < {POINT}/shop.log"));
    agent.until_ready();
    let before = files(agent);
    let known = agent.ledger().records().count();
    agent.write("/etc/prunella/policy.d/50-test.toml", RULE);
    agent.ok("sync");
    let strike = format!(
        "prunella reload; until test $(prunella records --json | tail -n +{} | grep -c '\"intended\"') -gt 0; do sleep 0.1; done; \
         echo now; exec sleep 600",
        known + 1
    );
    agent.powercut_after(after, &["bash", "-ec", &strike]);
    agent.boot_again();
    agent.until_ready();
    let at_boot = stages(&agent.ledger(), known);
    let mut ledger = agent.ledger();
    agent.wait_until("all to be done", PATIENCE, || {
        ledger = agent.ledger();
        is_over(&ledger, known)
    });
    agent.until_ready();
    // In the archives, then in the log, as the usual tools read them: byte by byte what was written.
    let read =
        format!("(cd {POINT}; zcat $(ls shop.log-*.gz 2>/dev/null) 2>/dev/null; tr -d '\\0' < shop.log)");
    assert_eq!(
        agent.ok(&format!("{read} | wc -l")),
        lines,
        "round {round}, cut {after:?} after: {at_boot:?}"
    );
    assert_eq!(
        agent.ok(&format!("{read} | sha256sum")),
        digest,
        "round {round}, cut {after:?} after: {at_boot:?}"
    );
    assert_eq!(agent.ok(&format!("find {POINT} -name '.prunella*'")), "", "nothing was left unfinished");
    // Of a live log the older part may be in an archive.
    let live = |line: &String| line.split(' ').next().is_some_and(|name| name.ends_with(".log"));
    check_what_is_left(&before.into_iter().filter(|line| !live(line)).collect(), agent, &ledger);
    agent.ok("prunella verify-ledger");
    at_boot
}

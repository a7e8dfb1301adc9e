//! Live logs are archived while they are written to: there is room again, and every line is there once.

use prunella::model::{Applied, RecordBody, Remedy, Resolution};

use crate::agent::{Agent, Ledger, figure};
use crate::harness::{Host, Suite};

const WRITER: &str = include_str!("archive.py");
const POINT: &str = "/var/log/shop";
/// A disk in memory, where a container can't have another: the shipped rules speak of real disks.
const RULE: &str = r#"
[[rule]]
name     = "memory-full"
subject  = "filesystem"
when     = "mount_point == '/var/log/shop' && used_percent > 60.0"
clear    = "used_percent < 40.0"
ladder   = ["archive-logs"]
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
/// Of the writer, KiB a second: a disk of 64 MiB is at the threshold within seconds, each time.
const RATE: u32 = 6144;
/// Where the agent is away each time for some seconds: it can't begin on a disk without a single free byte.
const SLOW_RATE: u32 = 2048;

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("archive::no_line_is_lost_to_who_appends", || {
        no_line_is_lost(&Agent::install(Host::nspawn("archive")), "append");
    });
    suite.nspawn_with_package("archive::no_line_is_lost_to_who_writes_at_his_own_place", || {
        no_line_is_lost(&Agent::install(Host::nspawn("archiveown")), "own");
    });
    suite.nspawn_with_package("archive::killed_while_it_archives", || {
        killed_while_it_archives(&Agent::install(Host::nspawn("archivekill")));
    });
}

/// A disk of 64 MiB with a writer on it, as a service.
fn begin(agent: &Agent, how: &str, rate: u32) {
    agent.write("/usr/lib/archive.py", WRITER);
    agent.ok(&format!("mkdir -p {POINT} && mount -t tmpfs -o size=64m,mode=755 none {POINT}"));
    agent.set_policy(RULE);
    agent.ok(&format!(
        "systemd-run -q --unit=shop python3 -S /usr/lib/archive.py {POINT}/app.log {rate} {how} /run/shop"
    ));
}

/// Lines that were written, and writes that failed.
fn end(agent: &Agent) -> (u64, u64) {
    agent.ok("touch /run/shop.stop");
    agent.until("the writer to end", || agent.sh("systemctl is-active -q shop").code != 0);
    let told = agent.ok("cat /run/shop");
    let mut numbers = told.split(' ').map(|it| it.parse().expect("a number"));
    (numbers.next().expect("lines"), numbers.next().expect("failures"))
}

/// Every number is there once, in its place: the archives, then the log, as the usual tools read them.
fn check_lines(agent: &Agent, lines: u64) {
    let read = format!("(cd {POINT}; zcat $(ls app.log-*.gz); tr -d '\\0' < app.log)");
    let wrong = agent.ok(&format!("{read} | awk '$1 != NR - 1 {{ print NR, $0; exit }}'"));
    assert_eq!(wrong, "", "the first line that is not in its place");
    assert_eq!(agent.ok(&format!("{read} | wc -l")), lines.to_string());
    assert_eq!(agent.ok(&format!("find {POINT} -name '.prunella*'")), "", "nothing was left unfinished");
}

fn archived(ledger: &Ledger) -> usize {
    let is_one =
        |body: &RecordBody| matches!(body, RecordBody::Applied { applied: Applied::Archived { .. }, .. });
    ledger.records().filter(|record| is_one(&record.entry.body)).count()
}

fn no_line_is_lost(agent: &Agent, how: &str) {
    begin(agent, how, RATE);
    let ledger = agent.until_recorded("three rotations", |ledger| archived(ledger) >= 3);
    let (lines, failed) = end(agent);
    check_lines(agent, lines);
    assert_eq!(failed, 0, "there was always room");
    assert!(
        ledger.has(|body| matches!(body, RecordBody::IncidentResolved { how: Resolution::Repaired, .. }))
    );
    let lost = |body: &RecordBody| matches!(body, RecordBody::Removing { removals, .. } if removals.iter().any(|it| it.fate.is_gone()));
    assert!(!ledger.has(lost), "nothing is lost");
    let about = agent.ok(&format!("stat -c '%s %b %U %a' {POINT}/app.log"));
    let archives = agent.ok(&format!("stat -c '%U %a' {POINT}/app.log-*.gz | sort -u"));
    assert_eq!(archives, "root 640");
    figure(agent, &format!("live log, {how}, {RATE} KiB/s"), &format!("{lines} lines; the log: {about}"));
    agent.until_explained(POINT, Remedy::ArchiveLogs.name());
    agent.check_ledger();
}

fn killed_while_it_archives(agent: &Agent) {
    begin(agent, "append", SLOW_RATE);
    let stages = || -> u32 {
        let count = agent.sh("prunella records --json | grep -c '\"removing\"'");
        count.stdout.trim().parse().unwrap_or(0)
    };
    for _ in 0..4 {
        let so_far = stages();
        agent.until("it to be at work", || stages() > so_far);
        agent.ok("kill -KILL $(systemctl show -P MainPID prunellad)");
        agent.until_ready();
    }
    let so_far = archived(&agent.ledger());
    agent.until_recorded("one that comes to its end", |ledger| archived(ledger) > so_far);
    let (lines, failed) = end(agent);
    // What was left unfinished by the last kill is finished by the next act.
    check_lines(agent, lines);
    assert_eq!(failed, 0, "there was always room");
    agent.check_ledger();
}

//! Live logs are archived while they are written to: there is room again, and every line is there once.

use std::time::Duration;

use prunella::model::{ActionId, Applied, RecordBody, Remedy, Resolution, Verification};

use crate::agent::{Agent, Ledger, figure};
use crate::harness::{Host, Suite};

const WRITER: &str = include_str!("archive.py");
const POINT: &str = "/var/log/shop";
/// A disk in memory, where a container can't have another: the shipped rules speak of real disks.
const RULE: &str = r#"
[[rule]]
name     = "memory-full"
subject  = "filesystem"
when     = "mount_point == '/var/log/shop' && used_percent > 40.0"
clear    = "used_percent < 30.0"
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
/// Rotations under load.
const MANY: usize = 10;
const FEW: usize = 3;
/// A cycle is the eight seconds or so until the disk is at the threshold, and what is done then.
const CYCLE: Duration = Duration::from_secs(30);
/// Of the writer, KiB a second: the disk is at the threshold within seconds, each time.
const RATE: u32 = 6144;
/// Where the agent is away each time for some seconds: it can't begin on a disk without a single free byte.
const SLOW_RATE: u32 = 4096;

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("archive::no_line_is_lost_to_who_appends", || {
        no_line_is_lost(&Agent::install(Host::nspawn("archive")), "append", MANY);
    });
    suite.nspawn_with_package("archive::no_line_is_lost_to_who_writes_at_his_own_place", || {
        no_line_is_lost(&Agent::install(Host::nspawn("archiveown")), "own", FEW);
    });
    suite.nspawn_with_package("archive::no_line_is_lost_to_who_reopens", || {
        no_line_is_lost_on_reopening(&Agent::install(Host::nspawn("reopen")));
    });
    suite.nspawn_with_package("archive::killed_while_it_archives", || {
        killed_while_it_archives(&Agent::install(Host::nspawn("archivekill")));
    });
}

/// A disk of 160 MiB with a writer on it, as a service.
fn begin(agent: &Agent, how: &str, rate: u32) {
    agent.write("/usr/lib/archive.py", WRITER);
    agent.ok(&format!("mkdir -p {POINT} && mount -t tmpfs -o size=160m,mode=755 none {POINT}"));
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

/// Until this is so of the ledger, for each of so many rotations.
fn until_rotated(agent: &Agent, times: usize, count: fn(&Ledger) -> usize) -> Ledger {
    let mut ledger = agent.ledger();
    let patience = CYCLE * u32::try_from(times).expect("a few");
    agent.wait_until(&format!("{times} rotations"), patience, || {
        std::thread::sleep(Duration::from_millis(500));
        ledger = agent.ledger();
        count(&ledger) >= times
    });
    ledger
}

fn no_line_is_lost(agent: &Agent, how: &str, times: usize) {
    begin(agent, how, RATE);
    let ledger = until_rotated(agent, times, archived);
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
    let what = format!("live log, {how}, {RATE} KiB/s, {times} rotations");
    figure(agent, &what, &format!("{lines} lines, none lost; the log: {about}"));
    agent.until_explained(POINT, Remedy::ArchiveLogs.name());
    agent.check_ledger();
}

fn logrotated(ledger: &Ledger) -> usize {
    let done = ledger.records().filter_map(|record| {
        if let RecordBody::Verified { action, verification: Verification::Confirmed { .. }, .. } =
            &record.entry.body
        {
            Some(*action)
        } else {
            None
        }
    });
    let is_one = |done: ActionId| {
        ledger.has(|body| matches!(body, RecordBody::Intended(intent) if intent.action == done && intent.remedy == Remedy::RotateLogs))
    };
    done.filter(|action| is_one(*action)).count()
}

/// Where logrotate owns a log, it is logrotate that rotates it, and its rules say how the writer is told.
fn no_line_is_lost_on_reopening(agent: &Agent) {
    let told = "kill -HUP $(systemctl show -P MainPID shop); sleep 0.5";
    agent.write(
        "/etc/logrotate.d/shop",
        &format!("{POINT}/app.log {{\n  rotate 50\n  compress\n  postrotate\n    {told}\n  endscript\n}}\n"),
    );
    begin(agent, "append", RATE);
    agent.set_policy(&RULE.replace("archive-logs", Remedy::RotateLogs.name()));
    until_rotated(agent, MANY, logrotated);
    let (lines, failed) = end(agent);
    let read = format!("(cd {POINT}; zcat $(ls app.log.*.gz | sort -t. -k3 -n -r); cat app.log)");
    let wrong = agent.ok(&format!("{read} | awk '$1 != NR - 1 {{ print NR, $0; exit }}'"));
    assert_eq!(wrong, "", "the first line that is not in its place");
    assert_eq!(agent.ok(&format!("{read} | wc -l")), lines.to_string());
    assert_eq!(failed, 0, "there was always room");
    figure(
        agent,
        &format!("logrotate, reopened, {RATE} KiB/s, {MANY} rotations"),
        &format!("{lines} lines, none lost"),
    );
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

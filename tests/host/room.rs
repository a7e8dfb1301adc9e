//! Disks that are nearly full: rotated logs go, oldest first, until there is room, and nothing else does.

use std::collections::BTreeSet;

use prunella::model::{Applied, RecordBody, Remedy, Resolution, Subject, Verification};

use crate::agent::{Agent, Ledger, figure};
use crate::harness::{Host, Suite, VmShape};

/// The tool that makes rotated logs; see its head.
pub(crate) const LOGS: &str = include_str!("room.py");
/// A disk in memory, where a container can't have another: the shipped rules speak of real disks.
const RULE: &str = r#"
[[logs]]
name     = "system"
override = true
folder   = "/var/log"
keep     = 2
keep_for = "1m"

[[rule]]
name     = "memory-full"
subject  = "filesystem"
when     = "mount_point == '/var/log/shop' && (used_percent > 90.0 || inodes_used_percent > 90.0)"
clear    = "used_percent < 60.0 && inodes_used_percent < 60.0"
ladder   = ["prune-rotated-logs"]
severity = "ticket"
mode     = "auto"
"#;
/// An act that was broken off is tried again at once.
const HURRY: &str = "\n[limits.backoff]\nfirst = \"1s\"\nfactor = 1.0\ncap = \"1s\"\n";
/// Where the disk is mounted.
pub(crate) const POINT: &str = "/var/log/shop";
/// Small rotated files on one disk.
const MANY: u32 = 20_000;
/// With `PRUNELLA_FULL_TESTS=1`.
const VERY_MANY: u32 = 100_000;

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("room::rotated_logs_go_and_nothing_else", || {
        rotated_logs_go(&Agent::install(Host::nspawn("room")));
    });
    suite.nspawn_with_package("room::killed_while_it_removes", || {
        killed_while_it_removes(&Agent::install(Host::nspawn("roomkill")));
    });
    suite.nspawn_with_package("room::logrotate_and_the_journal_do_their_part", || {
        others_do_their_part(&Agent::install(Host::nspawn("roomothers")));
    });
    suite.vm_with_package("room::a_disk_is_emptied_in_time", || {
        disk_is_emptied(&Agent::install(Host::vm("room", VmShape::default())));
    });
}

/// Every file there, with its length and the time it was written.
pub(crate) fn files(agent: &Agent) -> BTreeSet<String> {
    agent.ok(&format!("find {POINT} -type f -printf '%P %s %T@\\n'")).lines().map(str::to_owned).collect()
}

/// The names of all files that went on record as about to be removed.
fn on_record(ledger: &Ledger) -> BTreeSet<String> {
    let removals = ledger.records().filter_map(|record| {
        if let RecordBody::Removing { removals, .. } = &record.entry.body { Some(removals) } else { None }
    });
    let names = removals.flatten().map(|it| it.path.to_string());
    names
        .map(|path| path.strip_prefix(&format!("{POINT}/")).expect("of this disk alone").to_owned())
        .collect()
}

fn is_over(ledger: &Ledger) -> bool {
    ledger.has(|body| matches!(body, RecordBody::IncidentResolved { how: Resolution::Repaired, .. }))
}

/// Until nothing there was touched in the last minute: what was, may still be being rotated. Then the rule is in force.
/// The files as they were before.
fn settle(agent: &Agent, policy: &str) -> BTreeSet<String> {
    agent.wait_until("the logs to be old enough", std::time::Duration::from_secs(120), || {
        agent.ok(&format!("find {POINT} -newerct '61 seconds ago' | head -1")).is_empty()
    });
    let before = files(agent);
    agent.set_policy(policy);
    before
}

/// What is gone went on record first, was the oldest of each log but for what someone has open, and two of each are left.
pub(crate) fn check_what_went(
    before: &BTreeSet<String>,
    open: &[&str],
    agent: &Agent,
    ledger: &Ledger,
) -> usize {
    let (gone, kept) = check_what_is_left(before, agent, ledger);
    for name in &gone {
        let (log, number) = rotated(name).expect("it was looked at");
        let mut series = of_log(&kept, log).into_iter().filter(|it| !open.contains(&it.as_str()));
        let older = series.find(|it| rotated(it).is_some_and(|(_, other)| other > number));
        assert_eq!(older, None, "{name} is gone, and an older one is not");
    }
    gone.len()
}

/// The names of what is gone, all of which went on record first, and of what is not: two of each log. Which of them are the
/// oldest is another question: a file that was touched a moment ago stays, however old its name.
pub(crate) fn check_what_is_left(
    before: &BTreeSet<String>,
    agent: &Agent,
    ledger: &Ledger,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let name = |line: &String| line.split(' ').next().expect("a name").to_owned();
    let after = files(agent);
    let gone: BTreeSet<String> = before.difference(&after).map(name).collect();
    let recorded = on_record(ledger);
    assert!(
        gone.is_subset(&recorded),
        "gone without a record: {:?}",
        gone.difference(&recorded).collect::<Vec<_>>()
    );
    let kept: BTreeSet<String> = after.iter().map(name).collect();
    assert!(!kept.iter().any(|name| name.contains("prunella")), "{kept:?}");
    for name in &gone {
        let (log, _) = rotated(name).unwrap_or_else(|| panic!("{name} is no rotated log"));
        // What was archived meanwhile is of the same log.
        assert!(of_log(&kept, log).len() >= 2, "{name} is gone, and of {log} no two are left: {kept:?}");
    }
    (gone, kept)
}

/// The rotated files of a log.
fn of_log<'a>(names: &'a BTreeSet<String>, log: &str) -> Vec<&'a String> {
    let live = format!("{log}.log");
    names.iter().filter(|it| it.starts_with(&live) && **it != live).collect()
}

/// Of `app1.log.2` the log and the number.
fn rotated(name: &str) -> Option<(&str, u32)> {
    let (log, number) = name.strip_suffix(".gz").unwrap_or(name).split_once(".log.")?;
    Some((log, number.parse().ok()?))
}

fn rotated_logs_go(agent: &Agent) {
    agent.write("/usr/lib/room.py", LOGS);
    agent.ok(&format!("mkdir -p {POINT} && mount -t tmpfs -o size=64m none {POINT}"));
    agent.ok(&format!(
        "cd {POINT} && mkdir data && head -c 3M /dev/zero > shop.db && head -c 1M /dev/zero > data/mysql-bin.000001 \
         && touch -d '9 days ago' shop.db data/mysql-bin.000001 && ln -s /etc/passwd old.log.3 && touch -h -d '9 days ago' old.log.3"
    ));
    agent.ok(&format!("python3 /usr/lib/room.py {POINT} 3 18 1024"));
    // It is still written to, though its name says that it is done with.
    agent.ok(&format!("systemd-run -q --unit=late sh -c 'exec 3>>{POINT}/app0.log.18; exec sleep infinity'"));
    agent.until("the file to be open", || {
        agent
            .sh(&format!(
                "fuser -s {POINT}/app0.log.18 || ls -l /proc/*/fd 2>/dev/null | grep -q app0.log.18"
            ))
            .code
            == 0
    });
    let before = settle(agent, RULE);
    let passwd = agent.ok("sha256sum /etc/passwd");
    let ledger = agent.until_recorded("room to be made", is_over);
    let gone = check_what_went(&before, &["app0.log.18"], agent, &ledger);
    assert!(gone >= 15, "{gone} files went");
    for kept in [
        "shop.db",
        "data/mysql-bin.000001",
        "old.log.3",
        "app0.log",
        "app0.log.1",
        "app0.log.2",
        "app0.log.18",
    ] {
        assert_eq!(agent.sh(&format!("test -e {POINT}/{kept}")).code, 0, "{kept} is gone");
    }
    assert_eq!(agent.ok("sha256sum /etc/passwd"), passwd);
    let used: u32 =
        agent.ok(&format!("df --output=pcent {POINT} | tail -1 | tr -d ' %'")).parse().expect("a number");
    assert!((45..=60).contains(&used), "no more than is needed: {used} % in use");
    agent.until_explained(POINT, "prune-rotated-logs");
    agent.check_ledger();
}

fn killed_while_it_removes(agent: &Agent) {
    agent.write("/usr/lib/room.py", LOGS);
    agent.ok(&format!("mkdir -p {POINT} && mount -t tmpfs -o size=200m,nr_inodes=42k none {POINT}"));
    agent.ok(&format!("python3 /usr/lib/room.py {POINT} 130 300 1"));
    // Long enough to be killed three times.
    let before = settle(agent, &format!("{}{HURRY}", RULE.replace("60.0", "40.0")));
    let steps = || -> u32 {
        let count = agent.sh("prunella records --json | grep -c '\"removing\"'");
        count.stdout.trim().parse().unwrap_or(0)
    };
    for round in 1..=3 {
        let so_far = steps();
        agent.until("it to be at work", || steps() > so_far + 1);
        agent.ok("kill -KILL $(systemctl show -P MainPID prunellad)");
        agent.until_ready();
        let done =
            |body: &RecordBody| matches!(body, RecordBody::Applied { applied: Applied::Removed { .. }, .. });
        assert!(!agent.ledger().has(done), "round {round}: it had come to its end before it was killed");
    }
    let ledger = agent.until_recorded("room to be made", |ledger| {
        ledger.has(|body| matches!(body, RecordBody::IncidentResolved { .. }))
    });
    let gone = check_what_went(&before, &[], agent, &ledger);
    assert!(gone > 10_000, "{gone} files went");
    agent.check_ledger();
}

/// What the host has for it is used, and what came of it is measured.
fn others_do_their_part(agent: &Agent) {
    let rule = |name: &str, point: &str, step: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nsubject = \"filesystem\"\nmode = \"auto\"\nladder = [\"{step}\"]\n\
             when = \"mount_point == '{point}' && used_percent > 80.0\"\nclear = \"used_percent < 70.0\"\n"
        )
    };
    agent.write(
        "/etc/systemd/journald.conf.d/50-large.conf",
        "[Journal]\nStorage=persistent\nSystemMaxUse=120M\nSystemKeepFree=1M\nSystemMaxFileSize=8M\nRateLimitBurst=0\n",
    );
    // As the unit says that it is changed; what it keeps without this is more than the disk of this trial.
    agent.write(
        "/etc/systemd/system/prunella-vacuum-journal.service.d/50-less.conf",
        "[Service]\nExecStart=\nExecStart=/usr/bin/journalctl --rotate --vacuum-size=64M\n",
    );
    agent.ok("systemctl daemon-reload");
    agent.write("/etc/logrotate.d/shop", &format!("{POINT}/*.log {{\n  rotate 1\n  compress\n}}\n"));
    agent.ok(&format!(
        "mkdir -p {POINT} /var/log/journal && mount -t tmpfs -o size=64m,mode=755 none {POINT} \
         && mount -t tmpfs -o size=128m,mode=755 none /var/log/journal && systemctl restart systemd-journald && journalctl --flush \
         && yes a line of a log | head -c 56M > {POINT}/app.log \
         && (head -c 110M /dev/urandom | base64 -w 900 | systemd-cat -t noise) && journalctl --sync"
    ));
    agent.until("the journal to be long", || {
        let used = agent.ok("df --output=pcent /var/log/journal | tail -1 | tr -d ' %'");
        used.parse::<u32>().expect("a number") > 80
    });
    agent.set_policy(
        &[rule("journal", "/var/log/journal", "vacuum-journal"), rule("logs", POINT, "rotate-logs")]
            .join("\n"),
    );
    let confirmed = |ledger: &Ledger| {
        ledger.records().filter(|record| {
            matches!(&record.entry.body, RecordBody::Verified { verification: Verification::Confirmed { why }, .. }
                if why.contains("more are free than before"))
        }).count()
    };
    let ledger = agent.until_recorded("both to be emptied", |it| confirmed(it) == 2);
    assert_eq!(agent.sh(&format!("test -s {POINT}/app.log.1.gz")).code, 0);
    assert!(!agent.ok("journalctl -t noise -n 1 -o cat").is_empty(), "the newest of the journal is kept");
    assert_eq!(on_record(&ledger), BTreeSet::new(), "the agent itself removed nothing");
    agent.check_ledger();
}

/// The shipped policy, on a real disk without a free inode.
fn disk_is_emptied(agent: &Agent) {
    agent.write("/usr/lib/room.py", LOGS);
    agent.ok("modprobe loop");
    let many = if std::env::var_os("PRUNELLA_FULL_TESTS").is_some() { VERY_MANY } else { MANY };
    let (logs, of_each) = (many / 200, 199);
    agent.ok(&format!(
        "mkdir -p {POINT} && truncate -s 1G /var/tmp/room && mkfs.ext4 -q -N {} /var/tmp/room \
         && mount -o loop /var/tmp/room {POINT}",
        many + many / 100
    ));
    let made = agent.exec_within(
        std::time::Duration::from_secs(600),
        &["python3", "/usr/lib/room.py", POINT, &logs.to_string(), &of_each.to_string(), "1"],
    );
    assert_eq!(made.code, 0, "{made}");
    // What was renamed a moment ago is still being rotated, as far as can be told.
    agent.ok("date -s '+20 minutes'");
    let before = files(agent);
    let ledger = agent.until_recorded("room to be made", is_over);
    let gone = check_what_went(&before, &[], agent, &ledger);
    let (mut took, mut verdict) = (None, None);
    let mut began = None;
    for record in ledger.records() {
        let (body, at) = (&record.entry.body, record.entry.at.boot);
        if let RecordBody::Intended(intent) = body
            && intent.remedy == Remedy::PruneRotatedLogs
        {
            assert!(matches!(&intent.subject, Subject::Filesystem(_)));
            began = Some(at);
        } else if let RecordBody::Applied { applied: Applied::Removed { .. }, .. } = body {
            took = began.map(|began| at.since(began));
        } else if let RecordBody::Verified { verification: Verification::Confirmed { why }, .. } = body {
            verdict = Some(why.clone());
        }
    }
    figure(
        agent,
        &format!("{many} small rotated files"),
        &format!("{gone} removed in {took:?}: {verdict:?}"),
    );
    assert!(verdict.is_some());
    assert_eq!(agent.ok("systemctl show -P NRestarts prunellad"), "0");
    agent.check_ledger();
}

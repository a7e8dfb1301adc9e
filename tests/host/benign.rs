//! What hosts do all the time and is no fault, under the shipped policy: nothing is done, and nobody is told. And a
//! disk that data fills, of which nothing may go: a person is told once, and of whom. Who fills one within moments is slowed
//! down, and no more.

use std::time::Duration;

use prunella::model::{
    Applied, BootTime, FilesystemView, IncidentId, MountPoint, Outlook, RecordBody, Remedy, RoomAnswer,
    Subject, UnitName,
};
use prunella::serve::Filesystems;

use crate::agent::{Agent, Ledger, figure};
use crate::harness::{Host, Suite, VmShape};

const FILLER: &str = include_str!("benign.py");
/// Each case has a disk of its own, so that one can go on while another is looked at. Sparse: what is only allocated
/// takes nothing of the VM's own disk.
const BACKUP: &str = "/srv/backup";
const DATABASE: &str = "/srv/database";
const UPGRADE: &str = "/srv/upgrade";
/// Where logs may be removed, so that what protects the data is what it is called, and not where it lies.
const DATA: &str = "/var/log/shop";
/// Nothing on it may be removed by anybody, and it fills before everybody's eyes.
const GROWING: &str = "/srv/growing";
const DISKS: [&str; 5] = [BACKUP, DATABASE, UPGRADE, DATA, GROWING];
const MIB: u32 = 512;
/// The longest `for` of a shipped rule about what is in use, and some looks more (`LOOK_LATEST` is ten seconds). The
/// ten minutes of `filesystem-filling` are longer than anything here grows.
const LONG_ENOUGH: Duration = Duration::from_secs(80);
/// What is written in so many seconds from 78 to 89 percent would fill the disk in as many more: above the two minutes
/// of `filesystem-filling-fast`, which tells people, and is right to.
const BACKUP_SECONDS: u32 = 176;

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.vm_with_package("benign::nothing_is_done_and_data_is_told_of_once", || {
        let host = Host::vm("benign", VmShape::default());
        make_disks(&host);
        benign(&Agent::install(host));
    });
}

/// What is there before the agent is: it tells of what it saw grow.
fn make_disks(host: &Host) {
    host.write("/usr/lib/benign.py", FILLER);
    host.ok("modprobe loop");
    for point in DISKS {
        let disk = disk_of(point);
        host.ok(&format!(
            "mkdir -p {point} && truncate -s {MIB}M {disk} && mkfs.ext4 -q {disk} && mount -o loop {disk} {point}"
        ));
    }
    host.ok(&format!(
        "cd /usr/lib && python3 benign.py step {BACKUP}/photos 78 && python3 benign.py step {DATABASE}/tables 30 \
         && python3 benign.py step {UPGRADE}/usr 40 && python3 benign.py step {GROWING}/old 60 \
         && python3 benign.py data {DATA}/data 60 30"
    ));
    // What was made a moment ago is left alone as it is: it shall be the names that count.
    host.ok("date -s '+20 minutes'");
}

fn disk_of(point: &str) -> String {
    format!("/var/tmp{}", point.replace("/srv/", "/").replace("/var/log/", "/"))
}

/// As the agent knows it, and when it knew it.
fn seen(agent: &Agent, point: &str) -> Option<(BootTime, FilesystemView)> {
    let all: Filesystems =
        serde_json::from_str(&agent.ok("prunella filesystems --json")).expect("it tells them");
    let at = all.at.boot;
    all.filesystems.into_iter().find(|it| it.status.mount_point.as_str() == point).map(|view| (at, view))
}

fn used(view: &FilesystemView) -> f64 {
    let RoomAnswer::Usage(usage) = &view.status.room else { panic!("{view:?}") };
    usage.used().value().unwrap_or_else(|| panic!("{view:?}")).0
}

/// Until the agent itself tells that so much is in use; when it knew it.
fn until_used(agent: &Agent, point: &str, what: &str, is_so: impl Fn(f64) -> bool) -> BootTime {
    let mut found = None;
    agent.until(&format!("the agent to know that {what}"), || {
        found = seen(agent, point).filter(|(_, view)| is_so(used(view)));
        found.is_some()
    });
    let (at, view) = found.expect("it was just there");
    figure(agent, what, &format!("{point}: {:.1} % in use, {:?}", used(&view), view.outlook));
    at
}

/// Until the agent has judged this level for longer than any rule about it would take.
fn until_judged(agent: &Agent, point: &str, since: BootTime, is_so: impl Fn(f64) -> bool) {
    agent.until("it to have been like this for long enough", || {
        // Asked in a rush, the agent would look less often, for what its answers cost.
        agent.ok("sleep 5");
        let (at, view) = seen(agent, point).expect("it is still mounted");
        assert!(is_so(used(&view)), "it did not stay like this: {view:?}");
        at.since(since) > LONG_ENOUGH
    });
}

fn about(point: &str) -> Subject {
    Subject::Filesystem(MountPoint::from_bytes(point.as_bytes()).expect("a mount point"))
}

/// The incidents of it.
fn incidents(ledger: &Ledger, point: &str) -> Vec<IncidentId> {
    let of = about(point);
    let opened = ledger.records().filter_map(|record| {
        if let RecordBody::IncidentOpened { incident, subject, .. } = &record.entry.body
            && *subject == of
        {
            Some(*incident)
        } else {
            None
        }
    });
    opened.collect()
}

/// What people were told of it.
fn told<'a>(ledger: &'a Ledger, point: &str) -> Vec<&'a str> {
    let of = incidents(ledger, point);
    let told = ledger.records().filter_map(|record| {
        if let RecordBody::Escalated { incident, why, .. } = &record.entry.body
            && of.contains(incident)
        {
            Some(why.as_str())
        } else {
            None
        }
    });
    told.collect()
}

/// Every file of data, with all that would show a touch.
fn listing(agent: &Agent) -> String {
    agent.ok(&format!("find {DATA} -printf '%P %y %s %b %T@ %C@ %i\\n' | sort"))
}

fn start(agent: &Agent, unit: &str, args: &str) {
    agent.ok(&format!("systemd-run -q --unit={unit} -p Type=exec python3 /usr/lib/benign.py {args}"));
}

fn benign(agent: &Agent) {
    for point in DISKS {
        agent.until("the disk to be seen", || seen(agent, point).is_some());
    }
    // It takes its time, and so the others come and go meanwhile.
    start(agent, "backup", &format!("even {BACKUP}/backup.tar 89 {BACKUP_SECONDS}"));

    agent.ok(&format!("python3 /usr/lib/benign.py step {DATABASE}/redo 90"));
    let is_taken = |used: f64| (89.5..91.0).contains(&used);
    let taken = until_used(agent, DATABASE, "a database has taken its room", is_taken);

    agent.ok(&format!("python3 /usr/lib/benign.py data {DATA}/data/new 96 12"));
    let before = listing(agent);
    until_used(agent, DATA, "data fills the disk", |used| used > 95.5);

    start(agent, "upgrade", &format!("upgrade {UPGRADE}/new 72"));
    agent.until("the agent to see the upgrade grow", || {
        let (_, view) = seen(agent, UPGRADE).expect("it is still mounted");
        matches!(view.outlook, Outlook::Filling(_))
    });
    agent.until("the upgrade to be done", || agent.state("upgrade") == "inactive");
    let cleaned = until_used(agent, UPGRADE, "an upgrade has cleaned up", |used| used < 45.0);

    start(agent, "growing", &format!("even {GROWING}/new 96 40"));

    let ledger = agent.until_recorded("people to be told of the data", |it| !told(it, DATA).is_empty());
    let why = told(&ledger, DATA)[0].to_owned();
    figure(agent, "data fills the disk", &why);
    assert!(why.contains(&format!("{DATA}/data")), "it does not tell of whom: {why}");

    // To ask time and again would cost the agent more than its work does.
    let saved = Duration::from_secs(u64::from(BACKUP_SECONDS)) + agent.patience();
    let wait = "tail --pid=$(systemctl show -P MainPID backup) -f /dev/null";
    let waited = agent.exec_within(saved, &["sh", "-c", wait]);
    assert_eq!(waited.code, 0, "{waited}");
    let is_saved = |used: f64| (88.5..91.0).contains(&used);
    let saved = until_used(agent, BACKUP, "a backup is there", is_saved);
    until_judged(agent, BACKUP, saved, is_saved);
    until_judged(agent, DATABASE, taken, is_taken);
    until_judged(agent, UPGRADE, cleaned, |used| used < 45.0);
    agent.ok(&format!("rm {BACKUP}/backup.tar"));
    until_used(agent, BACKUP, "a backup has gone away", |used| used < 79.0);

    let ledger = agent.check_ledger();
    // What else is told is of the agent itself: built without optimisation, on an emulated processor, it takes much.
    for point in [BACKUP, DATABASE, UPGRADE] {
        assert_eq!(incidents(&ledger, point), [], "{point}");
    }
    assert_eq!(told(&ledger, DATA), [why], "and no more than once");
    assert_eq!(listing(agent), before);
    // Each rule that is true of it tells people: while it fills, and when it is nearly full.
    let growing = told(&ledger, GROWING);
    figure(agent, "data that grows to 96 % in 40 s", &format!("told {} times: {growing:?}", growing.len()));
    assert!(growing.iter().any(|why| why.contains(&format!("{GROWING}/old"))), "{growing:?}");
    check_acts(&ledger);
    assert_eq!(agent.ok("systemctl show -P NRestarts prunellad"), "0");
}

/// What was tried on the disk of data found nothing, who fills the other one is slowed down, and nothing else was tried.
fn check_acts(ledger: &Ledger) {
    let mut slowed = Vec::new();
    for record in ledger.records() {
        let body = &record.entry.body;
        if let RecordBody::Intended(intent) = body {
            if intent.subject == about(GROWING) {
                assert_eq!(intent.remedy, Remedy::SlowWriters, "{intent:?}");
                let targets: Vec<&str> = intent.targets.iter().map(UnitName::as_str).collect();
                assert_eq!(targets, ["growing.service"]);
                slowed.push(intent.action);
            } else {
                assert_eq!(intent.subject, about(DATA), "{intent:?}");
            }
        } else if let RecordBody::Applied { action, applied } = body
            && !slowed.contains(action)
        {
            assert!(
                !matches!(applied, Applied::Changed | Applied::Removed { files: 1.., .. }),
                "{applied:?}"
            );
        }
        assert!(!matches!(body, RecordBody::Removing { .. }), "{body:?}");
    }
}

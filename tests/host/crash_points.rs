//! `kill -9` of the agent, and the power cut, at many points of a repair: no action is done twice, no record that
//! somebody saw is lost, and what was learned (attempts, backoff) stays learned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prunella::model::{RecordBody, Seq, Subject, UnitName, Verification};

use crate::harness::{Host, Suite, VmShape, full_run};
use crate::ledger_facts::{
    COUNTED_UNITS, Facts, Proven, Witness, install_agent, open_incidents, step, until_at_work,
};

/// From the fault to the end of its incident, with a crash, a warm-up and one backoff (10 s) between.
const REPAIRED: Duration = Duration::from_secs(90);
/// From the first refuted attempt to the second, over a reboot with its warm-up.
const SECOND_ATTEMPT: Duration = Duration::from_secs(300);
/// Trials that share the points of the kill: each has a host of its own.
const PARTS: usize = 3;
/// When the agent is killed, milliseconds after the service was. A start takes some 60 ms from fault to `applied`
/// on a quiet machine, and 3 s more to be verified.
const QUICK_MS: [u32; 45] = [
    0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 43, 46, 50, 55, 60, 70,
    80, 90, 110, 130, 160, 200, 300, 500, 900, 1500, 2200, 2800, 2950, 3000, 3050, 3100, 3300, 4000,
];
/// The same for a service that takes a second to start: most fall between intent and outcome.
const SLOW_MS: [u32; 9] = [20, 60, 120, 250, 450, 700, 950, 1050, 1200];
/// Trials that share the points of the power cut in a full run (`PRUNELLA_FULL_TESTS=1`); otherwise the first makes
/// some of its own.
const CUT_PARTS: usize = 5;
const CUTS_IN_SHORT: usize = 4;
/// When the power goes, after the service was killed: in percent of the time from there to the outcome of the start,
/// as it was on this very host before, which may be emulated on a busy machine. Verified is 3 s later.
const CUT_QUICK_PERCENT: [u32; 30] = [
    0, 8, 15, 20, 25, 30, 34, 38, 42, 46, 50, 54, 58, 62, 66, 70, 74, 78, 82, 86, 90, 95, 100, 105, 110, 120,
    140, 180, 250, 350,
];
const CUT_SLOW_PERCENT: [u32; 20] =
    [4, 12, 20, 26, 32, 38, 44, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100, 115, 200];
/// What a boot after a power cut can do without: it takes half the time, emulated.
const LEAN_BOOT: &str = "systemctl mask -q systemd-networkd.service systemd-networkd.socket systemd-logind.service \
    systemd-user-sessions.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    systemd-random-seed.service systemd-sysctl.service systemd-fsck-root.service systemd-journal-flush.service \
    systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
    systemd-tmpfiles-clean.timer logrotate.timer && sync";
/// A VM has a settled snapshot, and boots again in good order within this.
const BOOTED: Duration = Duration::from_secs(180);

/// Kills the main process of $1, and the agent $2 seconds later; both found before, so that nothing is between.
const STRIKE: &str = r#"
unit=$(systemctl show -P MainPID "$1"); agent=$(systemctl show -P MainPID prunellad)
kill -KILL "$unit"; [ "$2" = 0 ] || sleep "$2"; kill -KILL "$agent""#;

/// Kills the main process of $1 and says when, for the power to be cut from outside.
const STRIKE_AND_SAY: &str =
    r#"unit=$(systemctl show -P MainPID "$1"); kill -KILL "$unit"; cut -d' ' -f1 /proc/uptime"#;

/// Adds these trials.
pub(crate) fn add(suite: &mut Suite) {
    for part in 0..PARTS {
        suite.nspawn_with_package(&format!("crash::agent_killed_in_a_repair_{part}"), move || killed(part));
    }
    suite.nspawn_with_package("crash::backoff_outlives_a_kill", backoff_over_a_kill);
    suite.vm_with_package("crash::power_cut_in_a_repair_0", || power_cuts(0));
    for part in 1..CUT_PARTS {
        suite.vm_in_full(&format!("crash::power_cut_in_a_repair_{part}"), move || power_cuts(part));
    }
    suite.vm_with_package("crash::backoff_outlives_a_power_cut", backoff_over_a_power_cut);
}

/// The points of one part of several: every n-th, so that each part goes from the fault to the end.
fn points<'a>(
    quick: &'a [u32],
    slow: &'a [u32],
    part: usize,
    of: usize,
) -> impl Iterator<Item = (usize, &'static str, u32)> + 'a {
    let all = quick.iter().map(|ms| ("quick", *ms)).chain(slow.iter().map(|ms| ("slow", *ms)));
    all.enumerate().map(|(index, (kind, ms))| (index, kind, ms)).skip(part).step_by(of)
}

/// What the ledger says of a unit's repair after this record, by the time that the agent, or the host, was ended: its
/// start of that number is the last one before.
fn reached(facts: &Facts, unit: &str, after: Seq, crash: usize) -> &'static str {
    let starts = |body: &RecordBody| matches!(body, RecordBody::AgentStarted { .. });
    let subject = Subject::Unit(UnitName::parse(unit).expect("a name of a unit"));
    let mut agents = 0;
    let (mut reached, mut action) = ("nothing", None);
    for record in facts.records() {
        let body = &record.entry.body;
        agents += usize::from(starts(body));
        if agents != crash || record.seq <= after {
            continue;
        }
        if let RecordBody::IncidentOpened { subject: of, .. } = body
            && *of == subject
        {
            reached = "opened";
        } else if let RecordBody::EvidenceTaken { .. } = body
            && reached == "opened"
        {
            reached = "evidence";
        } else if let RecordBody::Intended(intent) = body
            && intent.subject == subject
        {
            (reached, action) = ("intended", Some(intent.action));
        } else if let Some((of, what)) = step(body)
            && Some(of) == action
        {
            reached = what;
        }
    }
    reached
}

/// The starts of a unit, by boot.
fn starts(host: &Host, unit: &str) -> BTreeMap<String, usize> {
    let counter = unit.trim_end_matches(".service").replace('@', "-");
    let mut starts = BTreeMap::new();
    for boot in host.ok(&format!("cat /var/lib/starts/{counter}")).lines() {
        *starts.entry(boot.to_owned()).or_default() += 1;
    }
    starts
}

fn is_active(host: &Host, unit: &str) -> bool {
    host.sh(&format!("systemctl is-active {unit}")).stdout.trim() == "active"
}

fn killed(part: usize) {
    let host = Arc::new(Host::nspawn(&format!("crash{part}")));
    host.ok(COUNTED_UNITS);
    let named = |(index, kind, ms)| (format!("{kind}@{index}.service"), ms);
    let points: Vec<(String, u32)> = points(&QUICK_MS, &SLOW_MS, part, PARTS).map(named).collect();
    let units: Vec<&str> = points.iter().map(|(unit, _)| unit.as_str()).collect();
    host.ok(&format!("systemctl start {}", units.join(" ")));
    install_agent(&host);
    let witness = Witness::start(&host);
    for (unit, after_ms) in &points {
        let after = f64::from(*after_ms) / 1000.0;
        let struck = host.exec(&["bash", "-ec", STRIKE, "strike", unit, &after.to_string()]);
        assert!(struck.code == 0, "{unit}: {struck}");
        host.wait_until(
            &format!("{unit}, after {after_ms} ms, to be repaired and verified"),
            REPAIRED,
            || is_active(&host, unit) && open_incidents(&host) == Some(0),
        );
        until_at_work(&host);
    }
    let seen = witness.finish();
    let facts = Proven::of(&host);
    let shown = facts.hold_all_of(&seen);
    eprintln!("{shown} of {} records were shown, and are there with the same hashes", facts.last());
    for (unit, _) in &points {
        assert_eq!(seen.intents(unit).len(), facts.intents(unit).len(), "{unit}: not all was seen");
    }
    let mut stages: BTreeMap<&str, usize> = BTreeMap::new();
    for (crash, (unit, after_ms)) in (1..).zip(&points) {
        let stage = reached(&facts, unit, Seq(0), crash);
        *stages.entry(stage).or_default() += 1;
        let starts: usize = starts(&host, unit).values().sum();
        let intents = facts.intents(unit).len();
        eprintln!("{unit}: killed after {after_ms} ms, at {stage}: {intents} intents, {} starts", starts - 1);
        assert!(starts - 1 <= intents, "{unit}: a start that nobody intended, or one done again");
        assert_eq!(starts, 2, "{unit}: one start brings it back, and one was enough");
    }
    eprintln!("points reached: {stages:?}");
    let distinct: BTreeSet<_> = stages.keys().collect();
    assert!(distinct.len() >= 3, "the points are not spread over the repair: {stages:?}");
}

/// A refuted attempt, then a crash: the next one is the second, and not before its time.
fn check_second_attempt(host: &Arc<Host>, unit: &str, crash: impl FnOnce(&Host)) {
    host.wait_until("the first attempt to be refuted", REPAIRED, || {
        let facts = Facts::of(host);
        facts.intents(unit).first().is_some_and(|(_, intent)| facts.verdict(intent.action).is_some())
    });
    let before = Facts::of(host);
    crash(host);
    host.wait_until("a second attempt", SECOND_ATTEMPT, || Facts::of(host).intents(unit).len() > 1);
    let facts = Proven::of(host);
    assert!(facts.hold_synced_of(&before) > 0, "nothing was seen before the crash");
    let intents = facts.intents(unit);
    let (verdict, not_before) = facts.verdict(intents[0].1.action).expect("it was there before the crash");
    assert!(matches!(verdict, Verification::Refuted { .. }), "{verdict:?}");
    assert_eq!((intents[0].1.attempt, intents[1].1.attempt), (1, 2), "attempts are counted on");
    let (earliest, second) = (not_before.wall.unix_millis(), intents[1].0.wall.unix_millis());
    eprintln!("the second attempt came {} ms after the earliest time for it", second - earliest);
    assert!(second >= earliest, "{} ms too early", earliest - second);
}

fn backoff_over_a_kill() {
    let host = Arc::new(Host::nspawn("backoff"));
    host.ok(COUNTED_UNITS);
    install_agent(&host);
    host.sh("systemctl start broken@1.service");
    check_second_attempt(&host, "broken@1.service", |host| {
        host.ok("kill -KILL $(systemctl show -P MainPID prunellad)");
        until_at_work(host);
    });
}

/// Waits until the host's own start is over and the agent acts.
fn until_booted(host: &Host) {
    host.wait_until("the host to be up", BOOTED, || {
        host.sh("systemctl is-system-running").stdout.trim() == "running"
    });
    until_at_work(host);
}

/// How long it takes on this host from the kill of a service to the outcome of its start.
fn time_to_outcome(host: &Arc<Host>, unit: &str) -> Duration {
    host.ok(&format!("systemctl start {unit}"));
    // It has its share of the processor when the power is cut, too.
    let witness = Witness::start(host);
    let struck = host.exec(&["bash", "-ec", STRIKE_AND_SAY, "strike", unit]);
    let struck: f64 = struck.stdout.trim().parse().unwrap_or_else(|error| panic!("{error}: {struck}"));
    let mut applied = None;
    host.wait_until(&format!("{unit} to be repaired"), REPAIRED, || {
        let facts = Facts::of(host);
        applied = facts.intents(unit).last().and_then(|(_, intent)| facts.applied(intent.action));
        applied.is_some() && open_incidents(host) == Some(0)
    });
    let seen = witness.finish();
    assert_eq!(seen.intents(unit).len(), 1, "the witness sees what happens");
    let applied = applied.expect("it was just there").boot.millis();
    let applied = Duration::from_millis(applied.try_into().expect("after boot"));
    applied.saturating_sub(Duration::from_secs_f64(struck))
}

fn power_cuts(part: usize) {
    let host = Arc::new(Host::vm(&format!("powercut{part}"), VmShape::default()));
    host.ok(COUNTED_UNITS);
    install_agent(&host);
    host.ok(LEAN_BOOT);
    let whole = BTreeMap::from(
        ["quick", "slow"].map(|kind| (kind, time_to_outcome(&host, &format!("{kind}@whole.service")))),
    );
    eprintln!("from the kill to the outcome of the start: {whole:?}");
    let mut points: Vec<_> = points(&CUT_QUICK_PERCENT, &CUT_SLOW_PERCENT, part, CUT_PARTS).collect();
    if !full_run() {
        let apart = points.len().div_ceil(CUTS_IN_SHORT);
        points = points.into_iter().step_by(apart).collect();
    }
    let mut before = Proven::of(&host);
    let mut stages: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut cuts, mut fresh) = (0, 0);
    for (index, kind, percent) in points {
        // A unit of its own for each: one that failed before would have to wait for its backoff.
        let unit = format!("{kind}@{index}.service");
        let after = whole[kind] * percent / 100;
        // Enabled: after the power cut the boot starts it, and the agent has no business doing so.
        host.ok(&format!("systemctl enable -q --now {unit}; sync"));
        let boot = host.ok("cat /proc/sys/kernel/random/boot_id");
        let agents = count_agents(&before);
        let witness = Witness::start(&host);
        let strike = ["bash", "-ec", STRIKE_AND_SAY, "strike", &unit];
        host.powercut_after(after, &strike);
        let seen = witness.after_the_end();
        host.boot_again();
        until_booted(&host);
        host.wait_until("its incidents to end", REPAIRED, || open_incidents(&host) == Some(0));
        assert!(is_active(&host, &unit));
        let facts = Proven::of(&host);
        assert!(facts.hold_synced_of(&before) > 0, "nothing was seen before the fault");
        let shown = facts.hold_synced_of(&seen);
        assert!(shown > 0, "the witness saw nothing");
        let new = shown.saturating_sub(before.records().len());
        let stage = reached(&facts, &unit, before.last(), agents);
        *stages.entry(stage).or_default() += 1;
        let intents = facts.intents(&unit).len();
        let by_boot = starts(&host, &unit);
        let again = by_boot[&boot] - 1;
        let now = host.ok("cat /proc/sys/kernel/random/boot_id");
        eprintln!(
            "{unit}: cut after {after:?} ({percent} %), at {stage}: {intents} intents, {again} starts; {shown} records shown, \
             {new} of them since the fault"
        );
        assert!(again <= intents, "a start without an intent that outlived the cut");
        assert!(intents <= 1 && again <= 1, "an act done again");
        assert_eq!(by_boot[&now], 1, "the boot's own start, and none besides");
        host.ok(&format!("systemctl disable -q {unit}"));
        (cuts, fresh) = (cuts + 1, fresh + new);
        before = facts;
    }
    eprintln!(
        "{cuts} cuts; points reached: {stages:?}; {fresh} records shown between fault and cut, none lost"
    );
    assert!(fresh > 0, "nobody was shown anything between a fault and its cut");
    // Four cuts can't be sure to hit more; where they fall is the host's affair.
    let spread = if cuts > CUTS_IN_SHORT { 3 } else { 2 };
    assert!(stages.len() >= spread, "the points are not spread over the repair: {stages:?}");
}

fn backoff_over_a_power_cut() {
    let host = Arc::new(Host::vm("backoff-power", VmShape::default()));
    host.ok(COUNTED_UNITS);
    install_agent(&host);
    host.ok(LEAN_BOOT);
    host.sh("systemctl start broken@1.service");
    check_second_attempt(&host, "broken@1.service", |host| {
        host.powercut();
        host.boot_again();
        host.sh("systemctl start broken@1.service");
        until_booted(host);
    });
}

fn count_agents(facts: &Facts) -> usize {
    let starts = facts.records().iter().filter(|r| matches!(r.entry.body, RecordBody::AgentStarted { .. }));
    starts.count()
}

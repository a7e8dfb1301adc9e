//! Millions of files: a look at who fills their disk is told in part at once, and as a whole when it has come to its end,
//! within the same bounds all the time.

use std::time::Duration;

use prunella::model::{IncidentId, RecordBody, SpaceLook, Subject};

use crate::agent::{Agent, Ledger, figure};
use crate::disks;
use crate::harness::{Host, NspawnShape, Suite};

const RULE: &str = r#"
[[rule]]
name     = "crowded"
subject  = "filesystem"
when     = "mount_point == '/srv/crowd' && inodes_used_percent > 80.0"
severity = "ticket"
mode     = "auto"
"#;
/// Of that rule.
const NAME: &str = "crowded";
const POINT: &str = "/srv/crowd";
/// Makes so many empty files in as many folders, of which the last has most.
const CROWD: &str = r#"
import os, sys
point, many, folders = sys.argv[1], int(sys.argv[2]), 100
for folder in range(folders):
    os.mkdir("%s/%d" % (point, folder))
    here = os.open("%s/%d" % (point, folder), os.O_RDONLY | os.O_DIRECTORY)
    for number in range(many // folders // 2 + (many // 2 if folder == folders - 1 else 0)):
        os.close(os.open(str(number), os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here))
    os.close(here)
"#;
/// Thirty times what one look takes in.
const FILES: u32 = 5_000_000;
/// A part of three seconds passes a hundred thousand at the least, and the next begins 45 seconds after it.
const PART: Duration = Duration::from_secs(55);
const OF_A_PART: u32 = 100_000;
/// Beside the looking, of the agent alone: what it may take at the most.
const PSS_MAX_KIB: u64 = 64 << 10;

/// Adds this trial; it needs `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_disks_in_full("crowds::a_look_at_millions_goes_on_where_it_was_left", || {
        let shape = NspawnShape { memory: Some("6G".to_owned()), ..NspawnShape::default() };
        crowd(&Agent::install(Host::nspawn_shaped("crowd", &shape)));
    });
}

fn looks(ledger: &Ledger) -> Vec<&SpaceLook> {
    let opened = |incident: IncidentId| {
        ledger.has(|body| {
            matches!(body, RecordBody::IncidentOpened { incident: it, rule, subject: Subject::Filesystem(at), .. }
            if *it == incident && at.as_str() == POINT && rule.as_str() == NAME)
        })
    };
    let taken = ledger.records().filter_map(|record| {
        if let RecordBody::EvidenceTaken { incident, evidence } = &record.entry.body
            && opened(*incident)
        {
            evidence.space.value()
        } else {
            None
        }
    });
    taken.collect()
}

/// KiB of its own and of what it shares, and seconds of a processor.
fn price(agent: &Agent) -> (u64, f64) {
    let pid = agent.ok("systemctl show -P MainPID prunellad");
    let pss = agent.ok(&format!("awk '/^Pss:/ {{ print $2 }}' /proc/{pid}/smaps_rollup"));
    let ticks = agent.ok(&format!("awk '{{ print ($14 + $15) / 100 }}' /proc/{pid}/stat"));
    (pss.parse().expect("a number"), ticks.parse().expect("a number"))
}

fn crowd(agent: &Agent) {
    agent.write("/usr/lib/crowd.py", CROWD);
    disks::prepare(agent, "5G");
    // Few enough are in use in the end that no shipped rule speaks of it.
    let inodes = FILES + FILES / 10;
    disks::make(agent, "crowd", "ext4", 4096, &format!("-I 128 -N {inodes}"), POINT);
    let made = agent.exec_within(
        Duration::from_secs(1200),
        &["python3", "-S", "/usr/lib/crowd.py", POINT, &FILES.to_string()],
    );
    assert_eq!(made.code, 0, "{made}");
    agent.set_policy(RULE);
    let ledger = agent.until_recorded("the first part", |it| !looks(it).is_empty());
    let first = looks(&ledger)[0].entries;
    assert!(!looks(&ledger)[0].complete, "{first} at once");
    let (_, before) = price(agent);
    let begun = std::time::Instant::now();
    let mut most = 0;
    let within = PART * (FILES / OF_A_PART + 2);
    agent.wait_until("the whole", within, || {
        most = most.max(price(agent).0);
        std::thread::sleep(Duration::from_secs(1));
        looks(&agent.ledger()).iter().any(|look| look.complete)
    });
    let over = begun.elapsed().as_secs_f64();
    let ledger = agent.ledger();
    let looks = looks(&ledger);
    assert_eq!(looks.len(), 2, "told in part, and as a whole: {looks:?}");
    let whole = looks[1];
    // Each folder is one as well, and the file system has one of its own.
    assert_eq!(whole.entries, u64::from(FILES) + 101, "each was passed once");
    let crowded = &whole.crowded[0];
    assert_eq!(
        (crowded.path.to_string(), crowded.entries),
        (format!("{POINT}/99"), u64::from(FILES / 2 + FILES / 200))
    );
    let (_, after) = price(agent);
    figure(
        agent,
        &format!("{FILES} files"),
        &format!(
            "{first} told at once; the whole after {over:.0} s, of which it looked {:.0}; {:.1} s of a processor, {:.2} % of one; {most} KiB at the most",
            whole.over.as_secs_f64(),
            after - before,
            100.0 * (after - before) / over
        ),
    );
    assert!(most < PSS_MAX_KIB, "{most} KiB");
    agent.check_ledger();
}

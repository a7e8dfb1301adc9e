//! Disks that fill while a service writes on: how soon there is room again, what made it, and how many writes failed.
//!
//! What is told of a cell is what came of it, whether that is good or not. Those that are to hold say so in the table.

use std::fmt::Write as _;
use std::time::Duration;

use prunella::model::{ActionId, Applied, IncidentId, MountPoint, RecordBody, Subject};
use prunella::serve::Filesystems;
use serde_json::Value;

use crate::agent::{Agent, Ledger, millis};
use crate::disks;
use crate::harness::{Host, NspawnShape, Suite};

const FILLS: &str = include_str!("fills.py");
const LOGS: &str = include_str!("room.py");
const SHIPPED: &str = include_str!("../../config/policy.d/25-filesystems.toml");
/// What was renamed a moment ago is still being rotated; nobody waits ten minutes for it here.
const SOONER: &str = r#"
[[logs]]
name     = "system"
override = true
folder   = "/var/log"
keep     = 2
keep_for = "1m"
"#;
/// A little more than that.
const AGE: Duration = Duration::from_secs(62);
/// The disks of all cells are mounted below, each at a place of its own: what was tried on one counts for none other.
const LOGS_OF_SHOP: &str = "/var/log/shop";
/// Where rotated logs are made, before their disk is where the agent would act on it.
const BENCH: &str = "/mnt/bench";
/// From the crossing of the threshold: the longest `for` is a minute. Where people were told by then, and nothing is
/// under way, nothing more is waited for.
const PATIENCE: Duration = Duration::from_secs(90);
/// And nobody is asked for longer than that.
const CAP: Duration = Duration::from_secs(240);
/// Of the inodes that a disk which is to run out of them has.
const INODES: u32 = 4000;
/// Of all disks of one run, and of the host that has them in its memory.
const DISKS: &str = "5G";
const MEMORY: &str = "7G";
const KIB_OF_A_LOG: u32 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// One log, kept open, that grows.
    OpenLog,
    /// The same, and four fifths are rotated files of a quarter of a MiB.
    Rotated,
    /// Half is rotated logs, and the rest data: not a byte left, even to root.
    Full,
    /// Most inodes are rotated logs, and the rest data: not one left.
    NoInodes,
    /// The log, and a deleted file of half the disk that a program has open.
    Deleted,
    /// All of it: two fifths rotated, a fifth data, a seventh deleted and open.
    Mix,
}

use Case::{Deleted, Full, Mix, NoInodes, OpenLog, Rotated};

impl Case {
    fn name(self) -> &'static str {
        match self {
            OpenLog => "writer with an open log",
            Rotated => "many small rotated files",
            Full => "0 bytes free",
            NoInodes => "no inodes free",
            Deleted => "deleted but open",
            Mix => "a mix",
        }
    }

    /// What is rotated logs, in percent.
    fn rotated(self) -> u32 {
        match self {
            OpenLog | Deleted => 0,
            Rotated | NoInodes => 80,
            Full => 50,
            Mix => 40,
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Cell {
    kind: &'static str,
    mib: u32,
    /// MB a second.
    rate: u32,
    case: Case,
    extent: Extent,
    /// There must be room again.
    holds: bool,
}

/// When a cell is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// In each run.
    Each,
    /// `PRUNELLA_FULL_TESTS=1` asks for it.
    Whole,
}

const fn cell(kind: &'static str, mib: u32, rate: u32, case: Case, holds: bool) -> Cell {
    Cell { kind, mib, rate, case, extent: Extent::Whole, holds }
}

const fn each(kind: &'static str, mib: u32, rate: u32, case: Case, holds: bool) -> Cell {
    Cell { extent: Extent::Each, ..cell(kind, mib, rate, case, holds) }
}

/// Inodes of btrfs have no end.
const CELLS: [Cell; 34] = [
    each("ext4", 256, 5, Rotated, true),
    each("tmpfs", 64, 1, Rotated, true),
    each("ext4", 128, 20, NoInodes, true),
    cell("ext4", 64, 1, OpenLog, true),
    cell("ext4", 256, 20, OpenLog, false),
    cell("ext4", 256, 200, OpenLog, false),
    cell("ext4", 2048, 200, OpenLog, false),
    cell("ext4", 512, 20, Rotated, false),
    cell("ext4", 512, 200, Rotated, false),
    cell("ext4", 128, 1, Full, true),
    cell("ext4", 128, 20, Deleted, false),
    cell("ext4", 128, 1, Mix, true),
    cell("xfs", 300, 1, OpenLog, false),
    cell("xfs", 300, 20, OpenLog, false),
    cell("xfs", 300, 200, OpenLog, false),
    cell("xfs", 300, 1, Rotated, true),
    cell("xfs", 300, 1, Full, true),
    cell("xfs", 300, 20, NoInodes, true),
    cell("xfs", 300, 20, Deleted, false),
    cell("xfs", 300, 1, Mix, true),
    cell("btrfs", 512, 1, OpenLog, false),
    cell("btrfs", 512, 20, OpenLog, false),
    cell("btrfs", 512, 200, OpenLog, false),
    cell("btrfs", 512, 1, Rotated, true),
    cell("btrfs", 512, 1, Full, true),
    cell("btrfs", 512, 20, Deleted, false),
    cell("btrfs", 512, 1, Mix, true),
    cell("tmpfs", 64, 1, OpenLog, false),
    cell("tmpfs", 64, 20, OpenLog, false),
    cell("tmpfs", 128, 200, OpenLog, false),
    cell("tmpfs", 64, 20, Rotated, false),
    cell("tmpfs", 64, 20, NoInodes, true),
    cell("tmpfs", 64, 20, Deleted, false),
    cell("tmpfs", 64, 1, Mix, true),
];

/// Adds these trials; they need `PRUNELLA_DEB`. One host for a few cells, in a full run one for each kind.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_disks("fills::a_few_kinds_of_disks", || table(|it| it.extent == Extent::Each));
    for kind in ["ext4", "xfs", "btrfs", "tmpfs"] {
        suite
            .nspawn_with_disks_in_full(&format!("fills::all_of_{kind}"), move || table(|it| it.kind == kind));
    }
}

/// The shipped rules that can do something, for a disk in memory: they speak of real disks alone.
fn for_memory() -> String {
    let rules = SHIPPED.split("[[rule]]").skip(1).filter(|rule| rule.contains("\nladder"));
    let copies: String = rules
        .map(|rule| {
            let here = format!("class == 'memory' && mount_point.startsWith('{LOGS_OF_SHOP}/')");
            let copy = rule.replace("class == 'disk'", &here).replace("\"filesystem-", "\"memory-");
            format!("[[rule]]{copy}\n")
        })
        .collect();
    assert!(copies.contains("\"memory-nearly-full\"") && !copies.contains("'disk'"), "{copies}");
    copies
}

/// What came of a cell.
struct Outcome {
    /// Milliseconds from the threshold to below the one that clears.
    took: Option<f64>,
    row: String,
}

fn table(is_asked_for: impl Fn(&Cell) -> bool) {
    let shape = NspawnShape { memory: Some(MEMORY.to_owned()), ..NspawnShape::default() };
    let agent =
        Agent::install_with(Host::nspawn_shaped("fills", &shape), &format!("{SOONER}{}", for_memory()));
    agent.write("/usr/lib/fills.py", FILLS);
    agent.write("/usr/lib/room.py", LOGS);
    disks::prepare(&agent, DISKS);
    agent.ok(&format!("mkdir -p {LOGS_OF_SHOP}; install -d -o daemon /run/fills"));
    let mut rows =
        "| volume | asked for, reached MB/s | case | below again after, s | freed | writes failed \
                    | lines written / lost | done |\n\
                    |---|---|---|---|---|---|---|---|\n"
            .to_owned();
    let mut runs = Vec::new();
    for (number, cell) in CELLS.iter().enumerate().filter(|(_, cell)| is_asked_for(cell)) {
        if let Some(why) = disks::lacking(&agent, cell.kind) {
            skipped(&mut rows, cell, &why);
            continue;
        }
        let run = Run { agent: &agent, cell: *cell, name: number.to_string() };
        run.prepare();
        runs.push(run);
    }
    let rotated = runs.iter().any(|run| run.cell.case.rotated() > 0);
    agent.ok(&format!("sync; sleep {}", if rotated { AGE.as_secs() } else { 0 }));
    let mut broken = Vec::new();
    for run in runs {
        let outcome = run.run();
        rows.push_str(&outcome.row);
        if run.cell.holds && outcome.took.is_none() {
            broken.push(outcome.row);
        }
    }
    tell(&rows);
    assert!(broken.is_empty(), "no room again where there should be:\n{}", broken.concat());
    assert_eq!(agent.ok("systemctl show -P NRestarts prunellad"), "0");
    agent.check_ledger();
}

fn tell(text: &str) {
    eprintln!("\n{text}");
}

fn skipped(rows: &mut String, cell: &Cell, why: &str) {
    tell(&format!("SKIPPED: {} of {} MiB: {why}", cell.kind, cell.mib));
    writeln!(
        rows,
        "| {} {} MiB | {} | {} | skipped: {why} |||||",
        cell.kind,
        cell.mib,
        cell.rate,
        cell.case.name()
    )
    .expect("into a string");
}

/// One cell on its host.
struct Run<'a> {
    agent: &'a Agent,
    cell: Cell,
    name: String,
}

impl Run<'_> {
    fn run(&self) -> Outcome {
        let (agent, point, cell) = (self.agent, &self.point(), &self.cell);
        let bench = self.bench();
        if cell.kind == "tmpfs" {
            agent.ok(&format!("mkdir {point} && mount --bind {bench} {point}"));
            disks::unmount(agent, &bench);
        } else {
            disks::mount(agent, &self.name, point);
        }
        agent.until("the disk to be seen", || {
            let text = agent.ok("prunella filesystems --json");
            let all: Filesystems = serde_json::from_str(&text).expect("it tells them");
            all.filesystems.iter().any(|it| it.status.mount_point.as_str() == point)
        });
        let (what, raise, clear) = match cell.case {
            NoInodes => ("inodes", 97, 95),
            OpenLog | Rotated | Full | Deleted | Mix => ("space", 95, 92),
        };
        self.start("watch", "root", &format!("watch {point} {what} {raise} {clear} /run/fills/watch.json"));
        self.fill();
        let writer = match cell.case {
            NoInodes => format!("spool {point} /run/fills/write.json"),
            OpenLog | Rotated | Full | Deleted | Mix => {
                format!("write {point} {} /run/fills/write.json", cell.rate)
            }
        };
        // Not root, to whom the last twentieth of an ext4 belongs.
        agent.ok(&format!("chown daemon {point}"));
        self.start("write", "daemon", &writer);
        self.wait();
        let watched = self.stop("watch");
        let wrote = self.stop("write");
        let outcome = self.outcome(&watched, &wrote);
        agent.sh("systemctl stop fills-hold");
        disks::discard(agent, &self.name, point);
        outcome
    }

    fn point(&self) -> String {
        format!("{LOGS_OF_SHOP}/{}", self.name)
    }

    fn bench(&self) -> String {
        format!("{BENCH}/{}", self.name)
    }

    /// A disk with the rotated logs of the case. Made where no rule of the agent removes anything.
    fn prepare(&self) {
        let (agent, Cell { kind, mib, case, .. }) = (self.agent, self.cell);
        let (few, bench) = (case == NoInodes, self.bench());
        let options = match kind {
            "ext4" if few => format!("-N {INODES}"),
            // A share of the room, of which each inode takes 512 bytes.
            "xfs" if few => "-i maxpct=1".to_owned(),
            _ => String::new(),
        };
        if kind == "tmpfs" {
            let inodes = if few { format!(",nr_inodes={INODES}") } else { String::new() };
            agent.ok(&format!("mkdir -p {bench} && mount -t tmpfs -o size={mib}m{inodes} none {bench}"));
        } else {
            disks::make(agent, &self.name, kind, mib, &options, &bench);
        }
        let part = |column: &str| -> u64 {
            let of = agent.ok(&format!("df --output={column} {bench} | tail -1"));
            of.trim().parse::<u64>().expect("a number") * u64::from(case.rotated()) / 100
        };
        let (logs, of_each, kib) = if few {
            (10, part("iavail") / 10, 1)
        } else {
            (4, part("avail") / u64::from(KIB_OF_A_LOG) / 4, KIB_OF_A_LOG)
        };
        if case.rotated() > 0 {
            let args = [&bench, &logs.to_string(), &of_each.to_string(), &kib.to_string()];
            let argv = [&["python3", "/usr/lib/room.py"], &args.map(String::as_str)[..]].concat();
            let made = agent.exec_within(Duration::from_secs(300), &argv);
            assert_eq!(made.code, 0, "{made}");
        }
        if kind != "tmpfs" {
            disks::unmount(agent, &bench);
        }
    }

    /// What fills it besides the log.
    fn fill(&self) {
        let (agent, point, Cell { mib, rate, case, .. }) = (self.agent, self.point(), self.cell);
        let tool = "python3 /usr/lib/fills.py";
        let hold = |percent: u32| {
            let bytes = (u64::from(mib) * u64::from(percent) / 100) << 20;
            self.start("hold", "root", &format!("hold {point}/gone {bytes}"));
            agent.until("a deleted file to be held", || {
                agent.sh("ls -l /proc/$(systemctl show -P MainPID fills-hold)/fd | grep -q deleted").code == 0
            });
        };
        match case {
            // Data is there already, or a slow one would take minutes.
            OpenLog if rate == 1 => drop(agent.ok(&format!("{tool} data {point}/shop.db 60"))),
            OpenLog | Rotated => {}
            Full => drop(agent.ok(&format!("{tool} data {point}/shop.db 100"))),
            NoInodes => drop(agent.ok(&format!("{tool} crowd {point}/data"))),
            Deleted => hold(50),
            Mix => {
                agent.ok(&format!("{tool} data {point}/shop.db 60"));
                hold(15);
            }
        }
    }

    fn start(&self, what: &str, user: &str, args: &str) {
        self.agent.ok(&format!(
            "rm -f /run/fills/{what}.json; systemctl reset-failed fills-{what} 2>/dev/null || true; \
             systemd-run -q --unit=fills-{what} -p Type=exec -p User={user} python3 /usr/lib/fills.py {args}"
        ));
    }

    /// What it said at its end.
    fn stop(&self, what: &str) -> Value {
        self.agent.sh(&format!("systemctl stop fills-{what}"));
        let said =
            self.agent.ok(&format!("cat /run/fills/{what}.json || journalctl -n 20 -u fills-{what} >&2"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{what}: {error}: {said:?}"))
    }

    /// Until there is room again; or people were told, and no more is done.
    fn wait(&self) {
        // The host looks for itself: each question costs the agent something as well.
        let look = "for i in $(seq 20); do test -e /run/fills/watch.json && exit; sleep 0.1; done; exit 1";
        let begun = std::time::Instant::now();
        while self.agent.sh(look).code != 0 {
            let ledger = self.agent.ledger();
            let at_rest = self.acts(&ledger).iter().all(|(_, applied)| applied.is_some());
            let given_up =
                !self.told(&ledger).is_empty() && at_rest && begun.elapsed() > PATIENCE + self.growing();
            if given_up || begun.elapsed() > CAP + self.growing() {
                return;
            }
        }
    }

    /// How long it may take until it is full.
    fn growing(&self) -> Duration {
        match self.cell.case {
            Full | NoInodes => Duration::ZERO,
            OpenLog | Rotated | Deleted | Mix => {
                Duration::from_secs(u64::from(self.cell.mib) / u64::from(self.cell.rate))
            }
        }
    }

    fn incidents(&self, ledger: &Ledger) -> Vec<IncidentId> {
        let about =
            Subject::Filesystem(MountPoint::from_bytes(self.point().as_bytes()).expect("a mount point"));
        let opened = ledger.records().filter_map(|record| {
            if let RecordBody::IncidentOpened { incident, subject, .. } = &record.entry.body
                && *subject == about
            {
                Some(*incident)
            } else {
                None
            }
        });
        opened.collect()
    }

    /// Each act on it, and what came of it.
    fn acts(&self, ledger: &Ledger) -> Vec<(&'static str, Option<Applied>)> {
        let of = self.incidents(ledger);
        let applied = |id: ActionId| {
            ledger.records().find_map(|record| {
                if let RecordBody::Applied { action, applied } = &record.entry.body
                    && *action == id
                {
                    Some(applied.clone())
                } else {
                    None
                }
            })
        };
        let acts = ledger.records().filter_map(|record| {
            if let RecordBody::Intended(intent) = &record.entry.body
                && of.contains(&intent.incident)
            {
                Some((intent.remedy.name(), applied(intent.action)))
            } else {
                None
            }
        });
        acts.collect()
    }

    fn told(&self, ledger: &Ledger) -> Vec<String> {
        let of = self.incidents(ledger);
        let told = ledger.records().filter_map(|record| {
            if let RecordBody::Escalated { incident, why, tried, .. } = &record.entry.body
                && of.contains(incident)
            {
                Some(format!("{why} {tried:?}"))
            } else {
                None
            }
        });
        told.collect()
    }

    fn outcome(&self, watched: &Value, wrote: &Value) -> Outcome {
        let Cell { kind, mib, rate, case, .. } = self.cell;
        let ledger = self.agent.ledger();
        let (crossed, cleared) = (millis(&watched["crossed"]), millis(&watched["cleared"]));
        let took = (cleared >= 0.0).then_some(cleared - crossed);
        let told = self.told(&ledger);
        let after = match took {
            Some(took) => format!("{:.1}", took / 1000.0),
            None if crossed < 0.0 => format!("never above, {:.1} % at the most", millis(&watched["peak"])),
            None => format!(
                "not yet, in {:.0}; told {} times",
                (millis(&watched["ended"]) - crossed) / 1000.0,
                told.len()
            ),
        };
        let freed = if case == NoInodes {
            format!("{:.0} inodes", millis(&watched["inodes"]))
        } else {
            format!("{:.1} MiB", millis(&watched["freed"]) / f64::from(1 << 20))
        };
        let acts: Vec<&str> = self.acts(&ledger).iter().map(|(name, _)| *name).collect();
        let [failed, lines, lost, reached] =
            ["failed", "lines", "lost", "reached"].map(|name| millis(&wrote[name]));
        let rates = if case == NoInodes { "-".to_owned() } else { format!("{rate}, {reached:.0}") };
        let row = format!(
            "| {kind} {mib} MiB | {rates} | {} | {after} | {freed} | {failed:.0} | {lines:.0} / {lost:.0} | {} |\n",
            case.name(),
            acts.join(", "),
        );
        tell(&format!("{row}{}", told.join("\n")));
        Outcome { took, row }
    }
}

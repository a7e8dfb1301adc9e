//! The process table on this very host: it agrees with what rereading `/proc` says of children of this test, pass
//! after pass, and allocates nothing.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts children"
)]

mod allocation;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use prunella::model::{BootTime, ProcessSort, Reading, Ticks};
use prunella::sense::process::{Coverage, Moment, ProcessRow, ProcfsWay, Table, Way};
use prunella::sense::procfs::{ProcessStat, read_stat};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

const PROC: &str = "/proc";
/// CPU time that a busy child has when it is busy enough to be told from one at rest.
const BUSY_TICKS: u64 = 20;

/// A child that is ended and reaped with the test.
struct Killed(Child);

impl Killed {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    fn reread(&self) -> ProcessStat {
        read_stat(Path::new(PROC), self.pid()).unwrap().unwrap()
    }

    /// Until it is as it should be.
    fn until(self, done: impl Fn(&ProcessStat) -> bool) -> Self {
        while !done(&self.reread()) {
            std::thread::yield_now();
        }
        self
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for what it is not given.
fn sleeping() -> Killed {
    Killed::start(&mut Command::new("cat")).until(|stat| stat.comm == "cat" && stat.state == 'S')
}

/// Ended, and not reaped.
fn zombie() -> Killed {
    let child = Killed::start(&mut Command::new("true"));
    let pid = Pid::from_raw(child.pid()).unwrap();
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    child
}

fn busy() -> Killed {
    let shell = Killed::start(Command::new("sh").args(["-c", "while :; do :; done"]));
    shell.until(|stat| stat.comm == "sh" && stat.state == 'R' && stat.cpu_ticks > 0)
}

fn at(seconds: u64) -> Moment {
    let awake = Duration::from_secs(seconds);
    Moment { boot: BootTime::ZERO + awake, awake }
}

fn ticks(cpu: Duration) -> u64 {
    u64::try_from(cpu.as_nanos() * u128::from(rustix::param::clock_ticks_per_second()) / 1_000_000_000)
        .unwrap()
}

/// The same process, at a moment between the two rereadings.
fn agrees(row: &ProcessRow, before: &ProcessStat, after: &ProcessStat) {
    assert_eq!((row.pid, row.start), (before.pid, Ticks(before.start_ticks)));
    assert_eq!((row.parent, u64::from(row.threads)), (before.parent, before.threads));
    assert_eq!((row.name(), row.state.letter()), (before.comm.as_bytes(), before.state));
    assert!((before.cpu_ticks..=after.cpu_ticks).contains(&ticks(row.cpu)), "{row:?} {before:?} {after:?}");
    assert!(!row.kernel_thread);
    // One that rests takes no more; the kernel may take from it what it does not use.
    if matches!(row.state.letter(), 'S' | 'Z') {
        assert!((after.resident_pages..=before.resident_pages).contains(&row.resident.0), "{row:?}");
    }
}

#[test]
fn it_agrees_with_rereading() {
    let (sleeping, zombie, busy) = (sleeping(), zombie(), busy());
    let children = [&sleeping, &zombie, &busy];
    let (mut way, mut rows, mut table) = (ProcfsWay::new(Path::new(PROC)), Vec::new(), Table::default());
    let mut pass = |table: &mut Table, seconds| {
        let before = children.map(Killed::reread);
        let Reading::Value(coverage) = way.read(&mut rows) else { panic!("no pass") };
        table.take(&mut rows, at(seconds), coverage);
        let after = children.map(Killed::reread);
        for (before, after) in before.iter().zip(&after) {
            agrees(table.get(before.pid).unwrap().row, before, after);
        }
        coverage
    };
    assert_eq!(pass(&mut table, 10), Coverage::Complete);
    let began = busy.reread().cpu_ticks;
    let busy_for = |stat: &ProcessStat| stat.cpu_ticks > began + BUSY_TICKS;
    while !busy_for(&busy.reread()) {
        std::thread::yield_now();
    }
    pass(&mut table, 11);
    let change = |child: &Killed| table.get(child.pid()).unwrap().change.unwrap();
    assert!(ticks(change(&busy).cpu) >= BUSY_TICKS);
    assert_eq!(change(&sleeping).cpu, Duration::ZERO);
    assert_eq!(change(&zombie).cpu, Duration::ZERO);
    // Others may be busier: among the children the busy one is first.
    let top = table.top(ProcessSort::Cpu, usize::MAX);
    let first = top.iter().find(|known| children.iter().any(|child| child.pid() == known.row.pid));
    assert_eq!(first.unwrap().row.pid, busy.pid());
    let own = i32::try_from(std::process::id()).unwrap();
    let unreaped = table.iter().filter(|known| known.row.parent == own && known.row.state.letter() == 'Z');
    assert_eq!(unreaped.count(), 1);
    assert!(table.counts().zombies >= 1);
}

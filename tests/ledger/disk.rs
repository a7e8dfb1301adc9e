//! A disk that is full, for real: a tmpfs of a few megabytes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use libtest_mimic::Trial;
use prunella::engine::RecordTicket;
use prunella::ledger::{AppendError, Found, Writer, WriterEvent, WriterLimits, verify_report};
use prunella::model::{Durability, RecordBody};

use crate::support::{entry, number, open, options, prepared};

/// A small disk, unmounted when dropped.
struct Disk {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Disk {
    fn mount(bytes: u64) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(&path)
            .stderr(Stdio::null())
            .status();
        match mounted {
            Ok(status) if status.success() => Ok(Self { path, _folder: dir }),
            Ok(status) => Err(format!("mount says {status}")),
            Err(error) => Err(format!("mount can't run: {error}")),
        }
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.path.join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        let full = std::io::copy(&mut std::io::repeat(1), &mut file);
        assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        path
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _left_behind_when_busy = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

const SIZE: u64 = 16 << 20;
const RESERVE: u64 = 1 << 20;

pub(crate) fn trials() -> Vec<Trial> {
    let refused = Disk::mount(SIZE).err();
    let trial = |name: &str, test: fn()| {
        let name = match &refused {
            None => format!("disk::{name}"),
            Some(why) => format!("disk::{name} (IGNORED: needs to mount a tmpfs: {why})"),
        };
        Trial::test(name, move || {
            test();
            Ok(())
        })
        .with_ignored_flag(refused.is_some())
    };
    vec![
        trial("full_disk_uses_the_reserve_then_refuses_and_recovers", full_disk_uses_the_reserve),
        trial("writer_outlives_a_full_disk", writer_outlives_a_full_disk),
        trial("full_disk_at_the_first_start", full_disk_at_the_first_start),
        trial("killed_on_a_full_disk_keeps_the_synced", killed_on_a_full_disk_keeps_the_synced),
    ]
}

fn full_disk_uses_the_reserve() {
    let disk = Disk::mount(SIZE).unwrap();
    let (mut ledger, ..) = open(disk.path(), options(RESERVE));
    assert!(ledger.reserve_held());
    let ballast = disk.fill();
    let mut n = 0;
    loop {
        n += 1;
        match ledger.append(&[prepared(n)]) {
            Ok(_) => {}
            Err(AppendError::NoRoom(_)) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(n > 100, "the reserve was good for {n} records");
    assert!(!ledger.reserve_held());
    assert!(!ledger.refill_reserve().unwrap());
    std::fs::remove_file(ballast).unwrap();
    ledger.append(&[prepared(n)]).unwrap();
    assert!(ledger.refill_reserve().unwrap());
    drop(ledger);
    let (_, opened, records) = open(disk.path(), options(RESERVE));
    assert_eq!(opened.found, Found::Whole);
    assert!(records.iter().filter_map(number).eq(1..=n));
}

fn send(writer: &Writer, n: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(writer.append(RecordTicket(n), Durability::Written, entry(n))).unwrap();
}

fn start(ledger: prunella::ledger::Ledger, retry: Duration) -> (Writer, mpsc::Receiver<WriterEvent>) {
    let (events, seen) = mpsc::channel();
    let limits = WriterLimits { retry, ..WriterLimits::default() };
    let writer = Writer::start(ledger, limits, move |event| {
        let _the_trial_is_over = events.send(event);
    });
    (writer.unwrap(), seen)
}

/// Sends records until the writer says that the disk takes no more; says how many.
fn send_until_degraded(writer: &Writer, seen: &mpsc::Receiver<WriterEvent>) -> u64 {
    for n in 1.. {
        send(writer, n);
        let mut degraded = false;
        loop {
            match seen.recv_timeout(Duration::from_secs(60)).unwrap() {
                WriterEvent::Degraded { .. } => degraded = true,
                WriterEvent::Recorded(_) => break,
                WriterEvent::Reserve { held } => assert!(!held),
                event @ (WriterEvent::Recovered { .. }
                | WriterEvent::Reopened(_)
                | WriterEvent::Pruned { .. }
                | WriterEvent::Refused { .. }
                | WriterEvent::Postponed { .. }) => panic!("{event:?}"),
            }
        }
        if degraded {
            return n;
        }
    }
    0
}

/// The event that says that the disk takes records again.
fn recovery(seen: &mpsc::Receiver<WriterEvent>) -> Option<WriterEvent> {
    std::iter::from_fn(|| seen.recv_timeout(Duration::from_secs(20)).ok())
        .find(|event| matches!(event, WriterEvent::Recovered { .. }))
}

fn writer_outlives_a_full_disk() {
    let disk = Disk::mount(SIZE).unwrap();
    let (ledger, ..) = open(disk.path(), options(RESERVE));
    let ballast = disk.fill();
    let (writer, seen) = start(ledger, Duration::from_millis(20));
    let n = send_until_degraded(&writer, &seen);
    (n + 1..=n + 50).for_each(|n| send(&writer, n));
    std::fs::remove_file(ballast).unwrap();
    let recovered = recovery(&seen);
    let Some(WriterEvent::Recovered { lost: 0, .. }) = recovered else { panic!("{recovered:?}") };
    drop(writer.finish().unwrap());
    let (ledger, opened, records) = open(disk.path(), options(RESERVE));
    assert_eq!(opened.found, Found::Whole);
    assert!(ledger.reserve_held());
    let numbers: Vec<_> = records.iter().filter_map(number).filter(|n| *n > 0).collect();
    assert!(numbers.iter().copied().eq(1..=n + 50), "all, once, in order");
    assert!(records.iter().any(|record| matches!(record.entry.body, RecordBody::LedgerRecovered { .. })));
    assert!(verify_report(disk.path()).unwrap().sound);
}

fn full_disk_at_the_first_start() {
    let disk = Disk::mount(SIZE).unwrap();
    let state = disk.path().join("state");
    std::fs::create_dir(&state).unwrap();
    for name in ["ledger.lock", "ledger.head"] {
        std::fs::write(state.join(name), b"").unwrap();
    }
    let ballast = disk.fill();
    let (ledger, opened, records) = open(&state, options(RESERVE));
    assert!(matches!(opened.found, Found::NoRoom { .. }), "{opened:?}");
    assert_eq!(records.len(), 0);
    let (writer, seen) = start(ledger, Duration::from_millis(20));
    (1..=5).for_each(|n| send(&writer, n));
    // Freed only when all of them have met the full disk.
    let last = WriterEvent::Recorded(RecordTicket(5));
    assert!(seen.iter().any(|event| event == last));
    std::fs::remove_file(ballast).unwrap();
    let recovered = recovery(&seen);
    assert!(matches!(recovered, Some(WriterEvent::Recovered { lost: 0, .. })), "{recovered:?}");
    drop(writer.finish().unwrap());
    let (_, _, records) = open(&state, options(RESERVE));
    assert!(records.iter().filter_map(number).filter(|n| *n > 0).eq(1..=5));
}

fn killed_on_a_full_disk_keeps_the_synced() {
    let disk = Disk::mount(SIZE).unwrap();
    let run = tempfile::tempdir().unwrap();
    let with_overflow = || {
        let overflow = Some(run.path().join("ledger.overflow"));
        prunella::ledger::Options { overflow, ..options(RESERVE) }
    };
    let (ledger, ..) = open(disk.path(), with_overflow());
    let ballast = disk.fill();
    let (writer, seen) = start(ledger, Duration::from_secs(3600));
    let n = send_until_degraded(&writer, &seen);
    (n + 1..=n + 30).for_each(|n| send(&writer, n));
    // The queue in memory dies with the writer, which can't write it; what was spilled does not.
    drop(writer.finish().unwrap());
    std::fs::remove_file(ballast).unwrap();
    let (_, opened, records) = open(disk.path(), with_overflow());
    let synced = (n..=n + 30).filter(|n| n.is_multiple_of(3)).collect::<Vec<_>>();
    assert_eq!(opened.replayed, synced.len() as u64);
    assert!(records.iter().filter_map(number).eq((1..n).chain(synced)));
}

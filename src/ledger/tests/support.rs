//! What the tests of this room share.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use crate::model::{BootId, BootTime, Entry, Id128, PauseId, Peer, Record, RecordBody, Timestamp, WallTime};

use crate::ledger::{Ledger, Opened, Options, Prepared, Stamp};

/// The moment of every stamp of a test's clock.
pub(in crate::ledger) const NOW: i64 = 1_790_000_000_000;

pub(in crate::ledger) fn stamp(n: u64) -> Stamp {
    let millis = n.cast_signed();
    Stamp {
        at: Timestamp::new(BootTime::from_millis(millis), WallTime::from_unix_millis(NOW + millis)),
        boot: BootId(Id128::from_bytes([1; 16])),
    }
}

/// A record that need not be synced.
pub(in crate::ledger) fn written(n: u64) -> Prepared {
    prepared(&entry(n, RecordBody::PolicyRejected { error: format!("record {n}") }))
}

/// A record that must be synced.
pub(in crate::ledger) fn synced(n: u64) -> Prepared {
    let by = Peer { uid: 0, pid: 1, name: format!("record {n}") };
    prepared(&entry(n, RecordBody::Resumed { pause: PauseId(n), by: Some(by) }))
}

pub(in crate::ledger) fn entry(n: u64, body: RecordBody) -> Entry {
    stamp(n).entry(body)
}

fn prepared(entry: &Entry) -> Prepared {
    Prepared::new(entry).unwrap()
}

pub(in crate::ledger) fn options() -> Options {
    Options { chain_seed: [5; 16], clock: Arc::new(|| stamp(0)), reserve_bytes: 0, overflow: None }
}

/// Opens, and gives the stored text of every record handed out.
pub(in crate::ledger) fn open_with(dir: &Path, options: Options) -> (Ledger, Opened, Vec<Record>) {
    let mut records = Vec::new();
    let (ledger, opened) = Ledger::open(dir, options, &mut |record| records.push(record)).unwrap();
    (ledger, opened, records)
}

pub(in crate::ledger) fn open(dir: &Path) -> (Ledger, Opened, Vec<Record>) {
    open_with(dir, options())
}

/// The stored text of records, for comparing.
pub(in crate::ledger) fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| serde_json::to_string(&record.entry).unwrap()).collect()
}

/// A ledger with `n` records after its first, alternating between the two durabilities; and all their texts.
pub(in crate::ledger) fn filled(dir: &Path, n: u64) -> (Ledger, Vec<String>) {
    let (mut ledger, _, first) = open(dir);
    let entries: Vec<_> = (1..=n).map(|n| if n % 2 == 0 { synced(n) } else { written(n) }).collect();
    for batch in entries.chunks(7) {
        ledger.append(batch).unwrap();
    }
    let mut all = texts(&first);
    all.extend(entries.iter().map(|entry| entry.json().to_owned()));
    (ledger, all)
}

/// Every file of a folder with its content, but for what is not the chain.
pub(in crate::ledger) fn copy_ledger(from: &Path, to: &Path) {
    for name in ["ledger.db", "ledger.db-wal", "ledger.head"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

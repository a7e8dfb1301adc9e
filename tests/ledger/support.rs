//! What the trials share.

use std::path::Path;
use std::sync::Arc;

use prunella::ledger::{Ledger, Opened, Options, Prepared, Stamp};
use prunella::model::{
    BootId, BootTime, Entry, Id128, PauseId, Peer, Record, RecordBody, Timestamp, WallTime,
};

pub(crate) fn stamp(n: u64) -> Stamp {
    let millis = n.cast_signed();
    Stamp {
        at: Timestamp::new(
            BootTime::from_millis(millis),
            WallTime::from_unix_millis(1_790_000_000_000 + millis),
        ),
        boot: BootId(Id128::from_bytes([1; 16])),
    }
}

/// Record `n`; every third must be synced.
pub(crate) fn entry(n: u64) -> Entry {
    let body = if n.is_multiple_of(3) {
        let by = Peer { uid: 0, pid: 1, name: "root".to_owned() };
        RecordBody::Resumed { pause: PauseId(n), by: Some(by) }
    } else {
        RecordBody::PolicyRejected { error: format!("record {n}") }
    };
    Entry { at: stamp(n).at, boot: stamp(n).boot, body }
}

pub(crate) fn prepared(n: u64) -> Prepared {
    Prepared::new(&entry(n)).unwrap()
}

/// The number that [`entry`] was given, for records that it made.
pub(crate) fn number(record: &Record) -> Option<u64> {
    let n = record.entry.at.boot.millis().cast_unsigned();
    (record.entry == entry(n)).then_some(n)
}

pub(crate) fn options(reserve_bytes: u64) -> Options {
    Options { chain_seed: [5; 16], clock: Arc::new(|| stamp(0)), reserve_bytes, overflow: None }
}

pub(crate) fn open(dir: &Path, options: Options) -> (Ledger, Opened, Vec<Record>) {
    let mut records = Vec::new();
    let (ledger, opened) = Ledger::open(dir, options, &mut |record| records.push(record)).unwrap();
    (ledger, opened, records)
}

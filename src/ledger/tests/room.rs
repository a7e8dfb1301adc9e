//! No room. SQLite's own limit on the pages of a file stands in for the end of the disk.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the test looks at the files")]

use std::path::Path;

use super::support::{filled, open_with, options, synced, texts, written};
use crate::ledger::{AppendError, Ledger, Options};
use crate::model::Seq;

/// Lets the file grow no more, or again.
pub(super) fn set_full(ledger: &Ledger, full: bool) {
    let connection = &ledger.db.as_ref().unwrap().connection;
    let pages = if full { "1" } else { "1073741823" };
    let _: i64 =
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get(0)).unwrap();
}

/// Appends until there is no room; says how many were appended.
fn fill(ledger: &mut Ledger) -> u64 {
    for n in 0.. {
        match ledger.append(&[synced(n)]) {
            Ok(_) => {}
            Err(AppendError::NoRoom(_)) => return n,
            Err(error) => panic!("{error:?}"),
        }
    }
    0
}

#[test]
fn a_full_disk_appends_nothing_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = filled(dir.path(), 9);
    set_full(&ledger, true);
    let appended = fill(&mut ledger);
    let head = ledger.head();
    assert_eq!(head.seq.0, 10 + appended);
    assert!(ledger.append(&[written(1), written(2)]).is_err());
    assert_eq!(ledger.head(), head);
    set_full(&ledger, false);
    assert_eq!(ledger.append(&[written(1), written(2)]).unwrap().0, head.seq.0 + 2);
}

fn with_overflow(dir: &Path) -> Options {
    Options { overflow: Some(dir.join("run/ledger.overflow")), ..options() }
}

#[test]
fn overflow_is_replayed_once() {
    let dir = tempfile::tempdir().unwrap();
    let overflow = dir.path().join("run/ledger.overflow");
    let (mut ledger, ..) = open_with(dir.path(), with_overflow(dir.path()));
    ledger.append(&[synced(1)]).unwrap();
    for n in [2, 3, 4] {
        assert!(ledger.spill(&synced(n)).unwrap());
    }
    // One of them reached the ledger before the agent was killed.
    ledger.append(&[synced(2)]).unwrap();
    drop(ledger);
    let torn = std::fs::read(&overflow).unwrap();
    std::fs::write(&overflow, [&torn[..], &torn[..40]].concat()).unwrap();
    let (ledger, opened, records) = open_with(dir.path(), with_overflow(dir.path()));
    assert_eq!((opened.records, opened.replayed), (3, 2));
    let expected: Vec<_> = [1, 2, 3, 4].map(|n| synced(n).json().to_owned()).into();
    assert_eq!(texts(&records)[1..], expected);
    assert!(records.iter().map(|record| record.seq.0).eq(1..=5));
    assert!(!overflow.exists());
    assert_eq!(texts(&ledger.read_after(Seq(1), 9).unwrap()), expected);
    drop(ledger);
    assert_eq!(open_with(dir.path(), with_overflow(dir.path())).1.replayed, 0);
}

#[test]
fn overflow_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, ..) = open_with(dir.path(), with_overflow(dir.path()));
    let kept = (0..100_000).take_while(|n| ledger.spill(&synced(*n)).unwrap()).count();
    assert!(kept > 1_000);
    let length = std::fs::metadata(dir.path().join("run/ledger.overflow")).unwrap().len();
    assert!(length <= crate::ledger::OVERFLOW_BYTES_MAX);
}

#[test]
fn the_reserve_is_given_up_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { reserve_bytes: 1 << 20, ..options() };
    let (mut ledger, ..) = open_with(dir.path(), options);
    assert!(ledger.reserve_held());
    set_full(&ledger, true);
    fill(&mut ledger);
    assert!(!ledger.reserve_held());
    assert!(ledger.refill_reserve().unwrap());
    assert!(ledger.reserve_held());
}

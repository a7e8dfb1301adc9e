//! Files that are not what they should be: nothing wrong is believed, nothing is lost, nothing panics.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the test damages files")]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;
use tempfile::TempDir;

use super::support::{copy_ledger, filled, open, options, synced, texts};
use crate::ledger::{Found, LEDGER_FORMAT, Ledger, LedgerError, Verified};
use crate::model::{RecordBody, Seq};

/// A folder with a ledger that was closed (`wal` false) or is as a crash leaves it, and its texts.
fn sample(wal: bool) -> &'static (TempDir, Vec<String>) {
    static CLOSED: OnceLock<(TempDir, Vec<String>)> = OnceLock::new();
    static CRASHED: OnceLock<(TempDir, Vec<String>)> = OnceLock::new();
    if wal { &CRASHED } else { &CLOSED }.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let crashed = tempfile::tempdir().unwrap();
        let (ledger, all) = filled(dir.path(), 60);
        copy_ledger(dir.path(), crashed.path());
        drop(ledger);
        (if wal { crashed } else { dir }, all)
    })
}

/// Damages a copy of the sample, opens it, and holds the outcome against what was stored.
fn check(wal: bool, damage: impl FnOnce(&Path)) -> Found {
    let (sample, all) = sample(wal);
    let dir = tempfile::tempdir().unwrap();
    copy_ledger(sample.path(), dir.path());
    damage(dir.path());
    let before = fs::read(dir.path().join("ledger.db")).ok();
    let log_before = fs::read(dir.path().join("ledger.db-wal")).ok();
    let (ledger, opened, records) = open(dir.path());
    let proven = usize::try_from(opened.earlier).unwrap();
    match &opened.found {
        Found::Whole => assert_eq!(texts(&records), *all, "nothing is missing and nothing is wrong"),
        Found::SetAside(aside) => {
            assert_eq!(texts(&records[..proven]), all[..proven], "only what is true is handed out");
            assert_eq!(aside.last.as_ref().map_or(0, |(seq, _)| seq.0), proven as u64);
            assert_eq!(fs::read(dir.path().join(&aside.file)).ok(), before, "the file is kept as it was");
            if let Some(log) = log_before.filter(|log| !log.is_empty()) {
                let kept = fs::read(dir.path().join(format!("{}-wal", aside.file))).unwrap();
                assert!(kept == log, "and its log: {} bytes of {}", kept.len(), log.len());
            }
            let started = RecordBody::ChainStarted { format: 1, previous: Some(aside.clone()) };
            assert_eq!(records[proven].entry.body, started);
            assert_eq!(records.len(), proven + 1);
        }
        Found::Fresh | Found::NoRoom { .. } => panic!("{opened:?}"),
    }
    usable(dir.path(), ledger, proven);
    opened.found
}

/// The ledger works, and the next start hands out the same.
fn usable(dir: &Path, mut ledger: Ledger, proven: usize) {
    ledger.append(&[synced(1000)]).unwrap();
    let records = ledger.head().seq.0;
    drop(ledger);
    let (_, opened, _) = open(dir);
    assert_eq!(opened.found, Found::Whole);
    assert_eq!((opened.records, opened.earlier), (records, proven as u64));
}

fn set_aside(found: &Found) -> bool {
    matches!(found, Found::SetAside(_))
}

fn flip(path: &Path, at: usize, mask: u8) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= mask;
    fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_of_the_file(at in any::<usize>(), bit in 0..8_u8) {
        check(false, |dir| flip(&dir.join("ledger.db"), at, 1 << bit));
    }

    #[test]
    fn a_flipped_bit_of_the_log(at in any::<usize>(), bit in 0..8_u8) {
        check(true, |dir| flip(&dir.join("ledger.db-wal"), at, 1 << bit));
    }

    #[test]
    fn a_block_of_zeros(at in any::<usize>(), wal in any::<bool>()) {
        check(wal, |dir| {
            let path = dir.join(if wal { "ledger.db-wal" } else { "ledger.db" });
            let mut bytes = fs::read(&path).unwrap();
            let from = at % bytes.len() / 512 * 512;
            let to = (from + 512).min(bytes.len());
            bytes[from..to].fill(0);
            fs::write(&path, bytes).unwrap();
        });
    }
}

/// Every byte of the header, where the format is said.
#[test]
fn every_byte_of_the_header() {
    for at in 0..100 {
        for mask in [1, 0x80] {
            check(false, |dir| flip(&dir.join("ledger.db"), at, mask));
        }
    }
}

#[test]
fn cut_off_anywhere() {
    for wal in [false, true] {
        let name = if wal { "ledger.db-wal" } else { "ledger.db" };
        let length = fs::metadata(sample(wal).0.path().join(name)).unwrap().len();
        let pages = (0..length).step_by(1024);
        for length in pages.chain([1, 15, 16, 31, 32, 33, 99, 100, 101, length - 1]) {
            let found = check(wal, |dir| {
                fs::OpenOptions::new().write(true).open(dir.join(name)).unwrap().set_len(length).unwrap();
            });
            assert!(wal || set_aside(&found), "{name} cut to {length}");
        }
    }
}

#[test]
fn files_that_are_no_ledger() {
    let write = |bytes: &'static [u8]| move |dir: &Path| fs::write(dir.join("ledger.db"), bytes).unwrap();
    assert!(set_aside(&check(false, write(b""))));
    assert!(set_aside(&check(false, write(&[0; 8192]))));
    assert!(set_aside(&check(
        false,
        write(b"not a database, but long enough to be looked at as one, or is it?")
    )));
    assert!(set_aside(&check(false, |dir| {
        fs::remove_file(dir.join("ledger.db")).unwrap();
        let other = rusqlite::Connection::open(dir.join("ledger.db")).unwrap();
        other.execute_batch("CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 7;").unwrap();
    })));
}

#[test]
fn things_that_are_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("target"), b"precious").unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("target"), dir.path().join("ledger.db")).unwrap();
    assert!(set_aside(&open(dir.path()).1.found));
    assert_eq!(fs::read(elsewhere.path().join("target")).unwrap(), b"precious");
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("ledger.db")).unwrap();
    assert!(set_aside(&open(dir.path()).1.found));
}

/// Damage that SQLite can't see.
#[test]
fn a_chain_that_was_tampered_with() {
    let check = |sql: &'static str| {
        let found = check(false, |dir| {
            let file = rusqlite::Connection::open(dir.join("ledger.db")).unwrap();
            file.execute_batch(sql).unwrap();
        });
        assert!(set_aside(&found), "{sql}");
        match found {
            Found::SetAside(aside) => aside.why,
            found @ (Found::Fresh | Found::Whole | Found::NoRoom { .. }) => panic!("{found:?}"),
        }
    };
    insta::assert_snapshot!(
        [
            "UPDATE records SET entry = replace(entry, 'record 9', 'record 8') WHERE seq = 10",
            "UPDATE records SET entry = 'gibberish' WHERE seq = 10",
            "UPDATE records SET kind = 'held' WHERE seq = 10",
            "UPDATE records SET incident = 1 WHERE seq = 10",
            "UPDATE records SET hash = zeroblob(32) WHERE seq = 10",
            "UPDATE records SET hash = zeroblob(31) WHERE seq = 61",
            "DELETE FROM records WHERE seq = 10",
            "DELETE FROM records WHERE seq = 1",
            "DELETE FROM records WHERE seq > 59",
            "DELETE FROM records",
            "UPDATE records SET seq = 0 WHERE seq = 1",
            "UPDATE records SET seq = -5 WHERE seq = 1",
            "UPDATE meta SET value = zeroblob(16) WHERE key = 'chain'",
            "UPDATE meta SET value = x'0000000000000001' WHERE key = 'anchor_seq'",
            "DELETE FROM meta WHERE key = 'acknowledged'",
            "PRAGMA user_version = 0",
            "PRAGMA user_version = 2",
            "PRAGMA application_id = 1",
            "PRAGMA journal_mode = DELETE",
            "DROP INDEX records_by_kind",
            "CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM meta; END",
            "CREATE TABLE records_too (x)",
        ]
        .map(|sql| format!("{sql}\n    {}", check(sql)))
        .join("\n")
    );
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 5));
    let file = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    file.execute_batch(
        "PRAGMA user_version = 2; UPDATE meta SET value = x'00000002' WHERE key = 'format';
         ALTER TABLE records ADD COLUMN future TEXT;",
    )
    .unwrap();
    drop(file);
    let before = fs::read(dir.path().join("ledger.db")).unwrap();
    let error = Ledger::open(dir.path(), options(), &mut |_| panic!("handed out")).unwrap_err();
    let LedgerError::Newer { found: 2, known: LEDGER_FORMAT, .. } = error else { panic!("{error:?}") };
    let text = error.to_string().replace(&dir.path().canonicalize().unwrap().display().to_string(), "DIR");
    insta::assert_snapshot!(text);
    assert_eq!(fs::read(dir.path().join("ledger.db")).unwrap(), before);
    assert!(matches!(crate::ledger::verify_report(dir.path()), Err(LedgerError::Newer { .. })));
}

#[test]
fn setting_aside_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for n in 0..4 {
        fs::write(dir.path().join("ledger.db"), format!("bad {n}")).unwrap();
        match open(dir.path()).1.found {
            Found::SetAside(aside) => names.push(aside.file),
            found @ (Found::Fresh | Found::Whole | Found::NoRoom { .. }) => panic!("{found:?}"),
        }
    }
    for (n, name) in names.iter().enumerate() {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), format!("bad {n}").as_bytes());
    }
    assert_eq!(names[3], format!("{}-3", names[0]));
}

/// A crash between the two renames: the log finds its file again, and nothing is lost.
#[test]
fn setting_aside_cut_short_is_ended() {
    let (sample, all) = sample(true);
    let dir = tempfile::tempdir().unwrap();
    copy_ledger(sample.path(), dir.path());
    fs::rename(dir.path().join("ledger.db"), dir.path().join("ledger.db.set-aside-7")).unwrap();
    let (_ledger, opened, records) = open(dir.path());
    assert!(set_aside(&opened.found));
    assert_eq!(texts(&records[..all.len()]), *all);
}

/// What happens to a file under a running agent.
#[test]
fn removed_or_replaced_while_open() {
    for replace in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        drop(filled(other.path(), 3));
        let (mut ledger, _) = filled(dir.path(), 9);
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
            fs::remove_file(dir.path().join(name)).unwrap();
        }
        if replace {
            fs::copy(other.path().join("ledger.db"), dir.path().join("ledger.db")).unwrap();
        }
        let error = ledger.append(&[synced(77)]).unwrap_err();
        assert!(matches!(error, crate::ledger::AppendError::Damaged(_)), "{error:?}");
        assert_eq!(set_aside(&ledger.recover().unwrap()), replace);
        ledger.append(&[synced(77)]).unwrap();
        assert_eq!(ledger.head().seq, Seq(2));
        let reader = crate::ledger::Reader::open(dir.path()).unwrap();
        assert!(matches!(reader.verify().unwrap(), Verified::Sound { records: 2, .. }));
    }
}

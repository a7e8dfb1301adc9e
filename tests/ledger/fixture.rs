//! Ledgers made by every released format must read and verify in every later version.

use std::path::Path;

use prunella::ledger::{Found, LEDGER_FORMAT, verify_report};

use crate::support::{entry, number, open, options, prepared};

/// Records in each fixture after its first.
const RECORDS: u64 = 40;

fn path(format: u32) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/ledger-v{format}.db"))
}

/// With `LEDGER_FIXTURE=make` it makes the one for the present format, if there is none.
pub(crate) fn first_format_still_reads_and_verifies() {
    if std::env::var_os("LEDGER_FIXTURE").is_some_and(|what| what == "make") {
        make();
    }
    for format in 1..=LEDGER_FORMAT {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(path(format), dir.path().join("ledger.db")).unwrap();
        let report = verify_report(dir.path()).unwrap();
        assert!(report.sound, "{report}");
        let (mut ledger, opened, records) = open(dir.path(), options(0));
        assert_eq!((opened.found, opened.records), (Found::Whole, RECORDS + 1));
        assert!(records.iter().filter_map(number).eq(1..=RECORDS));
        assert_eq!(records[1].entry, entry(1));
        ledger.append(&[prepared(RECORDS + 1)]).unwrap();
    }
}

fn make() {
    if path(LEDGER_FORMAT).exists() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, ..) = open(dir.path(), options(0));
    ledger.append(&(1..=RECORDS).map(prepared).collect::<Vec<_>>()).unwrap();
    drop(ledger);
    std::fs::copy(dir.path().join("ledger.db"), path(LEDGER_FORMAT)).unwrap();
}

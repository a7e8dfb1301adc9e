//! A small ledger with any bytes of it changed: no panic, only true records are handed out, and the file is kept.
#![no_main]

use std::path::Path;
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use prunella::ledger::{Found, LEDGER_FILE, Ledger, Opened, Options, Prepared, Stamp, verify_report};
use prunella::model::{BootId, BootTime, Entry, Id128, Record, RecordBody, Timestamp, WallTime};

fn stamp() -> Stamp {
    let at = Timestamp::new(BootTime::from_millis(1), WallTime::from_unix_millis(1_790_000_000_000));
    Stamp { at, boot: BootId(Id128::from_bytes([1; 16])) }
}

fn open(dir: &Path) -> Option<(Ledger, Opened, Vec<Record>)> {
    let options = Options { chain_seed: [5; 16], clock: Arc::new(stamp), reserve_bytes: 0, overflow: None };
    let mut records = Vec::new();
    let (ledger, opened) = Ledger::open(dir, options, &mut |record| records.push(record)).ok()?;
    Some((ledger, opened, records))
}

/// The file of a sound ledger, and its records.
fn sample() -> &'static (Vec<u8>, Vec<Record>) {
    static SAMPLE: OnceLock<(Vec<u8>, Vec<Record>)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut ledger, _, mut records) = open(dir.path()).expect("a new ledger");
        for n in 0..20 {
            let body = RecordBody::PolicyRejected { error: format!("record {n}") };
            let entry = Entry { at: stamp().at, boot: stamp().boot, body };
            ledger.append(&[Prepared::new(&entry).expect("a record")]).expect("room");
        }
        records.extend(ledger.read_after(records[0].seq, 100).expect("records"));
        drop(ledger);
        (std::fs::read(dir.path().join(LEDGER_FILE)).expect("the file"), records)
    })
}

fuzz_target!(|changes: &[u8]| {
    let (file, all) = sample();
    let mut file = file.clone();
    // Four bytes make a change: where (three), and what it is changed by. The first byte says where it is cut.
    let Some((cut, changes)) = changes.split_first() else { return };
    for change in changes.chunks_exact(4) {
        let at = usize::from(change[0]) << 16 | usize::from(change[1]) << 8 | usize::from(change[2]);
        let at = at % file.len();
        file[at] ^= change[3];
    }
    if *cut > 0 {
        file.truncate(file.len() * usize::from(*cut) / 256);
    }
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join(LEDGER_FILE), &file).expect("room");
    let _any_answer = verify_report(dir.path());
    let kept = match open(dir.path()) {
        // Newer, or unreadable: left alone.
        None => LEDGER_FILE.to_owned(),
        Some((_, opened, records)) => match opened.found {
            Found::SetAside(aside) => {
                let proven = usize::try_from(opened.earlier).expect("few");
                assert_eq!(records[..proven], all[..proven]);
                aside.file
            }
            Found::Whole => {
                assert_eq!(records, *all);
                return;
            }
            found @ (Found::Fresh | Found::NoRoom { .. }) => panic!("{found:?}"),
        },
    };
    assert!(std::fs::read(dir.path().join(kept)).expect("it is kept") == file);
});

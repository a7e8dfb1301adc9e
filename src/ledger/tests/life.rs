//! A ledger that nothing happens to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the test looks at the files")]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::support::{entry, filled, open, options, synced, texts, written};
use crate::ledger::retention::Limits;
use crate::ledger::{Found, Ledger, LedgerError, Opened, Prepared, Reader, Verified, verify_report};
use crate::model::{
    ActionId, Applied, Durability, IncidentId, Peer, ProposalId, Record, RecordBody, Resolution, Seq,
    SetAside, Severity,
};

#[test]
fn what_was_appended_comes_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, all) = filled(dir.path(), 50);
    let head = ledger.head();
    assert_eq!(head.seq, Seq(51));
    drop(ledger);
    let (ledger, opened, records) = open(dir.path());
    assert_eq!(opened, Opened { found: Found::Whole, records: 51, earlier: 0, replayed: 0 });
    assert_eq!(texts(&records), all);
    assert_eq!(ledger.head(), head);
    assert!(records.iter().map(|record| record.seq.0).eq(1..=51));
    let page = ledger.read_after(Seq(40), 5).unwrap();
    assert!(page.iter().map(|record| record.seq.0).eq(41..=45));
    assert_eq!(ledger.read_after(Seq(51), 5).unwrap(), []);
    assert_eq!(ledger.read_after(Seq(u64::MAX), 5).unwrap().len(), 0);
}

#[test]
fn first_record_starts_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let (_ledger, opened, records) = open(dir.path());
    assert_eq!(opened.found, Found::Fresh);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].entry.body, RecordBody::ChainStarted { format: 1, previous: None });
}

#[test]
fn files_are_for_the_group_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("a/state");
    let (ledger, _) = filled(&state, 3);
    let mode = |name: &str| std::fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o7777;
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.head", "ledger.lock"] {
        assert_eq!(mode(name), 0o640, "{name}");
    }
    assert_eq!(mode("."), 0o750);
    drop(ledger);
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (first, ..) = open(dir.path());
    let second = Ledger::open(dir.path(), options(), &mut |_| {});
    assert!(matches!(second, Err(LedgerError::InUse { .. })), "{second:?}");
    drop(first);
    open(dir.path());
}

#[test]
fn a_reader_sees_what_is_written_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, all) = filled(dir.path(), 9);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(texts(&reader.read_after(Seq(0), 100).unwrap()), all);
    ledger.append(&[synced(10)]).unwrap();
    assert_eq!(reader.extent().unwrap().head, ledger.head());
    assert!(matches!(reader.verify().unwrap(), Verified::Sound { records: 11, .. }));
    drop(ledger);
    // And of a stopped agent.
    let late = Reader::open(&dir.path().join("ledger.db")).unwrap();
    assert!(matches!(late.verify().unwrap(), Verified::Sound { records: 11, .. }));
    assert_eq!(late.read_after(Seq(10), 9).unwrap().len(), 1);
}

#[test]
fn acknowledged_goes_forward_only() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = filled(dir.path(), 9);
    for (given, kept) in [(4, 4), (2, 4), (99, 10)] {
        ledger.acknowledge(Seq(given)).unwrap();
        assert_eq!(ledger.acknowledged(), Seq(kept));
    }
    drop(ledger);
    assert_eq!(open(dir.path()).0.acknowledged(), Seq(10));
}

#[test]
fn an_incident_has_the_records_of_its_actions_and_proposals() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, ..) = open(dir.path());
    let by = || Peer { uid: 0, pid: 1, name: "root".to_owned() };
    let incident = IncidentId(7);
    let intent: RecordBody = serde_json::from_str(INTENT).unwrap();
    let bodies = [
        RecordBody::Approved { proposal: ProposalId(3), by: by() },
        intent,
        RecordBody::Applied { action: ActionId(4), applied: Applied::Changed },
        RecordBody::Applied { action: ActionId(5), applied: Applied::Changed },
        RecordBody::Escalated {
            incident,
            severity: Severity::Page,
            why: String::new(),
            tried: vec![],
            count: 1,
        },
        RecordBody::IncidentResolved {
            incident: IncidentId(8),
            how: Resolution::Repaired,
            why: String::new(),
        },
        RecordBody::IncidentResolved { incident, how: Resolution::Repaired, why: String::new() },
    ];
    let entries: Vec<_> =
        (1..).zip(bodies).map(|(n, body)| Prepared::new(&entry(n, body)).unwrap()).collect();
    ledger.append(&entries).unwrap();
    let seqs = |records: Vec<Record>| records.iter().map(|record| record.seq.0).collect::<Vec<_>>();
    assert_eq!(seqs(ledger.records_of(incident, 100).unwrap()), [2, 3, 4, 6, 8]);
    assert_eq!(seqs(ledger.records_of(incident, 2).unwrap()), [6, 8]);
    assert_eq!(seqs(Reader::open(dir.path()).unwrap().records_of(IncidentId(8), 9).unwrap()), [7]);
}

const INTENT: &str = r#"{"record":"intended","action":"act-4","incident":"inc-7","rule":"failed-unit",
    "subject":{"unit":"web.service"},"remedy":"restart","targets":["web.service"],"attempt":1,
    "expectation":{"invocation_before":{"absent":"too-early"},"restarts_before":{"value":0},
    "settle":{"secs":3,"nanos":0},"within":{"secs":60,"nanos":0},"probed":false},
    "approval":"prop-3","why":"it failed"}"#;

/// A kind in the index is the tag in the text.
#[test]
fn kinds_are_the_tags_of_the_text() {
    for prepared in [synced(1), written(1)] {
        let text: serde_json::Value = serde_json::from_str(prepared.json()).unwrap();
        assert_eq!(text["body"]["record"], prepared.keys().kind);
    }
}

#[test]
fn pruning_keeps_a_chain_that_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = filled(dir.path(), 3_000);
    let limits = Limits { bytes: 300_000, age: Duration::from_secs(1 << 40), ..Limits::default() };
    assert_eq!(ledger.prune(&limits, Seq(0)).unwrap(), None);
    let mut last = Seq(0);
    while let Some(through) = ledger.prune(&limits, Seq(1_500)).unwrap() {
        last = through;
    }
    assert_eq!(last, Seq(1_499));
    ledger.append(&[synced(1)]).unwrap();
    let head = ledger.head();
    let first = ledger.read_after(Seq(0), 1).unwrap();
    assert_eq!(first[0].seq, Seq(1_500));
    let report = verify_report(dir.path()).unwrap();
    assert!(report.sound && report.pruned, "{report}");
    assert_eq!(report.from, Some(Seq(1_500)));
    drop(ledger);
    let (ledger, opened, records) = open(dir.path());
    assert_eq!(opened.found, Found::Whole);
    assert_eq!(ledger.head(), head);
    let pruned = records.iter().filter(|record| matches!(record.entry.body, RecordBody::Pruned { .. }));
    assert!(pruned.count() >= 1);
}

#[test]
fn a_page_is_as_stored_and_says_what_comes_before() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = filled(dir.path(), 50);
    let reader = Reader::open(dir.path()).unwrap();
    let (mut place, mut texts) = (crate::ledger::Place::start_of(ledger.chain().unwrap()), Vec::new());
    loop {
        let page = reader.page_after(place.seq, 7, 400).unwrap();
        assert_eq!((page.before, page.extent.head), (place, ledger.head()));
        let Some(last) = page.records.last() else { break };
        assert!(page.records.len() <= 7);
        for record in &page.records {
            place = place.then(record.json.as_bytes());
            assert_eq!(record.place, place);
            texts.push(record.json.clone());
        }
        assert_eq!(last.place, place);
    }
    assert_eq!(texts, super::support::texts(&ledger.read_after(Seq(0), 100).unwrap()));
    assert_eq!(reader.page_after(Seq(0), 7, 1).unwrap().records.len(), 1, "a page has at least one record");
}

#[test]
fn age_prunes_by_the_wall_clock() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = filled(dir.path(), 1_500);
    // The test's clock stands at the first record; nothing is older.
    let limits = Limits { bytes: u64::MAX, age: Duration::ZERO, ..Limits::default() };
    assert_eq!(ledger.prune(&limits, Seq(u64::MAX)).unwrap(), None);
    drop(ledger);
    let later = std::sync::Arc::new(|| super::support::stamp(10_000));
    let options = crate::ledger::Options { clock: later, ..options() };
    let (mut ledger, ..) = super::support::open_with(dir.path(), options);
    assert_eq!(ledger.prune(&limits, Seq(u64::MAX)).unwrap(), Some(Seq(501)));
}

#[test]
fn a_record_that_can_not_be_kept_is_refused() {
    let error = "x".repeat(crate::ledger::ENTRY_BYTES_MAX);
    let refused = Prepared::new(&entry(1, RecordBody::PolicyRejected { error }));
    assert!(refused.unwrap_err().to_string().starts_with("the record has 1048"), "says how long");
    assert_eq!(written(1).at_least(Durability::Synced).durability(), Durability::Synced);
    assert_eq!(synced(1).at_least(Durability::Written).durability(), Durability::Synced);
}

#[test]
fn the_report_reads_well() {
    let dir = tempfile::tempdir().unwrap();
    let show = |dir: &std::path::Path| {
        let report = verify_report(dir).unwrap();
        format!("{report}\n{}", serde_json::to_string_pretty(&report).unwrap())
            .replace(&dir.canonicalize().unwrap().display().to_string(), "DIR")
    };
    assert!(matches!(verify_report(dir.path()), Err(LedgerError::Missing(_))));
    let (ledger, _) = filled(dir.path(), 9);
    insta::assert_snapshot!("report_sound", show(dir.path()));
    let db = ledger.db.as_ref().unwrap();
    db.connection.execute("UPDATE records SET entry = replace(entry, 'record 5', 'record 6')", []).unwrap();
    insta::assert_snapshot!("report_broken", show(dir.path()));
}

#[test]
fn a_chain_that_was_set_aside_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, all) = filled(dir.path(), 9);
    let place = ledger.head();
    drop(ledger);
    std::fs::rename(dir.path().join("ledger.db"), dir.path().join("ledger.db.set-aside-5")).unwrap();
    let (ledger, opened, records) = open(dir.path());
    let previous = SetAside {
        file: "ledger.db.set-aside-5".to_owned(),
        last: Some((place.seq, place.hash.to_string())),
        why: "it was moved away before a new chain was begun".to_owned(),
    };
    assert_eq!(
        opened,
        Opened { found: Found::SetAside(previous.clone()), records: 1, earlier: 10, replayed: 0 }
    );
    assert_eq!(texts(&records)[..10], all);
    assert_eq!(records[10].entry.body, RecordBody::ChainStarted { format: 1, previous: Some(previous) });
    drop(ledger);
    let (_, again, same) = open(dir.path());
    assert_eq!(again, Opened { found: Found::Whole, records: 1, earlier: 10, replayed: 0 });
    assert_eq!(same, records);
}

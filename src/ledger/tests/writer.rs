//! The writer's thread.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the test damages files")]

use std::sync::mpsc;
use std::time::Duration;

use super::room::set_full;
use super::support::{filled, open, synced, texts, written};
use crate::engine::RecordTicket;
use crate::ledger::retention::Limits;
use crate::ledger::{ChainId, Found, Ledger, Prepared, Writer, WriterEvent, WriterLimits};
use crate::model::{Durability, Entry, Id128, RecordBody, Seq};

fn start(ledger: Ledger, limits: WriterLimits) -> (Writer, mpsc::Receiver<WriterEvent>) {
    let (events, seen) = mpsc::channel();
    let writer = Writer::start(ledger, limits, move |event| {
        let _the_test_is_over = events.send(event);
    });
    (writer.unwrap(), seen)
}

/// Tried again only at the end, when the writer is told to finish.
fn patient() -> WriterLimits {
    WriterLimits { retry: Duration::from_secs(3600), ..WriterLimits::default() }
}

fn entry_of(prepared: &Prepared) -> Entry {
    serde_json::from_str(prepared.json()).unwrap()
}

fn send(writer: &Writer, n: u64, prepared: &Prepared) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sent = writer.append(RecordTicket(n), Durability::Written, entry_of(prepared));
    runtime.block_on(sent).unwrap();
}

fn until(seen: &mpsc::Receiver<WriterEvent>, wanted: &WriterEvent) -> Vec<WriterEvent> {
    let mut events = Vec::new();
    while events.last() != Some(wanted) {
        events.push(seen.recv_timeout(Duration::from_secs(60)).unwrap());
    }
    events
}

#[test]
fn order_is_kept_and_every_ticket_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, all) = filled(dir.path(), 1);
    let (writer, seen) = start(ledger, patient());
    let entries: Vec<_> = (1..=3_000).map(|n| if n % 500 == 0 { synced(n) } else { written(n) }).collect();
    for (n, entry) in (1..).zip(&entries) {
        send(&writer, n, entry);
    }
    let events = until(&seen, &WriterEvent::Recorded(RecordTicket(3_000)));
    let tickets: Vec<_> = events
        .iter()
        .map(|event| {
            let WriterEvent::Recorded(ticket) = event else { panic!("{event:?}") };
            *ticket
        })
        .collect();
    assert!(tickets.is_sorted());
    let ledger = writer.finish().unwrap();
    let stored = texts(&ledger.read_after(Seq(0), 9_999).unwrap());
    assert_eq!(stored[..2], all);
    assert!(stored[2..].iter().eq(entries.iter().map(Prepared::json)));
}

#[test]
fn a_full_disk_is_outlived_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = filled(dir.path(), 9);
    set_full(&ledger, true);
    let limits = WriterLimits { queue_records: 300, ..patient() };
    let (writer, seen) = start(ledger, limits);
    let mut n = 0;
    let mut degraded = false;
    while !degraded {
        n += 1;
        send(&writer, n, &written(n));
        degraded = until(&seen, &WriterEvent::Recorded(RecordTicket(n)))
            .iter()
            .any(|event| matches!(event, WriterEvent::Degraded { why } if why.starts_with("no room")));
    }
    // One waits in flight; 300 find a place, of 400 that come: the oldest merely written ones go.
    for m in n + 1..=n + 400 {
        send(&writer, m, &if m <= n + 150 { synced(m) } else { written(m) });
    }
    until(&seen, &WriterEvent::Recorded(RecordTicket(n + 400)));
    let mut ledger = writer.finish().unwrap();
    assert_eq!(ledger.head().seq, Seq(10 + n - 1), "still full at the end");
    set_full(&ledger, false);
    ledger.unsaved = vec![synced(1)];
    let (writer, seen) = start(ledger, WriterLimits { retry: Duration::from_millis(1), ..patient() });
    let events = until(&seen, &WriterEvent::Recovered { queued: 1, lost: 0 });
    assert!(matches!(events[0], WriterEvent::Degraded { .. }));
    let ledger = writer.finish().unwrap();
    let records = ledger.read_after(Seq(10 + n - 1), 9).unwrap();
    assert_eq!(records[1].entry.body, RecordBody::LedgerRecovered { queued: 1, lost: 0 });
}

#[test]
fn damage_under_way_begins_a_new_chain() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = filled(dir.path(), 9);
    let (writer, seen) = start(ledger, patient());
    std::fs::write(dir.path().join("other"), b"not a ledger").unwrap();
    std::fs::rename(dir.path().join("other"), dir.path().join("ledger.db")).unwrap();
    send(&writer, 1, &synced(1));
    let events = until(&seen, &WriterEvent::Recorded(RecordTicket(1)));
    assert!(matches!(events[0], WriterEvent::Reopened(Found::SetAside(_))), "{events:?}");
    drop(writer.finish().unwrap());
    let (_, opened, records) = open(dir.path());
    assert_eq!((opened.found, opened.records), (Found::Whole, 2));
    assert_eq!(texts(&records)[1], synced(1).json());
}

#[test]
fn pruning_goes_on_until_nothing_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = filled(dir.path(), 8_000);
    let chain = ledger.chain().unwrap();
    let (writer, seen) = start(ledger, patient());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let limits = Limits { bytes: 1, age: Duration::from_secs(1 << 40), ..Limits::default() };
    runtime.block_on(writer.prune(limits, Seq(u64::MAX))).unwrap();
    let (relay, head) = (writer.acknowledger(), writer.head());
    relay.acknowledge(ChainId(Id128::from_bytes([9; 16])), Seq(9_000)).unwrap();
    relay.acknowledge(chain, Seq(8_000)).unwrap();
    let ledger = writer.finish().unwrap();
    assert_eq!(ledger.acknowledged(), Seq(8_000), "and nothing by the word of another chain");
    assert!(*head.borrow() > Seq(8_000), "the records about pruning count");
    relay.acknowledge(chain, Seq(8_001)).unwrap_err();
    assert!(seen.iter().any(|event| matches!(event, WriterEvent::Pruned { through } if through.0 == 5_000)));
}

#[test]
fn a_record_that_can_not_be_kept_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = filled(dir.path(), 1);
    let (writer, seen) = start(ledger, patient());
    let mut long = entry_of(&written(1));
    long.body = RecordBody::PolicyRejected { error: "x".repeat(crate::ledger::ENTRY_BYTES_MAX) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(writer.append(RecordTicket(1), Durability::Written, long)).unwrap();
    assert!(matches!(seen.recv().unwrap(), WriterEvent::Refused { ticket: RecordTicket(1), .. }));
    drop(writer);
}

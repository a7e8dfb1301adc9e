//! How fast the ledger is on a disk: one JSON line.
//!
//! `cargo run --release --example ledger_bench -- DIR [ROUNDS]`. Every rate stands beside that of bare writes and
//! fsyncs of the same bytes in the same folder, for the ratio is what tells; times depend on the disk.
#![expect(clippy::disallowed_methods, reason = "measures files by the clock")]
#![expect(clippy::print_stdout, reason = "a program that prints its result")]
#![expect(clippy::cast_precision_loss, reason = "rates need no more than a double holds")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prunella::ledger::{Ledger, Options, Prepared, Stamp};
use prunella::model::{
    ActionId, Applied, BootId, BootTime, Durability, Entry, Id128, RecordBody, Timestamp, WallTime,
};

/// Each figure is taken for this long in each round.
const SPAN: Duration = Duration::from_millis(500);
/// Disks are shared, and quick and slow by turns: all figures are taken in turn, again and again, and the median counts.
/// So often when no other number is given.
const ROUNDS: usize = 7;
/// Records of one commit in the measure of group commit.
const GROUP: usize = 64;

fn stamp() -> Stamp {
    let at = Timestamp::new(BootTime::from_millis(1), WallTime::from_unix_millis(1_790_000_000_000));
    Stamp { at, boot: BootId(Id128::from_bytes([1; 16])) }
}

/// Calls `act` for the span; calls a second.
fn rate(mut act: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed() < SPAN {
        act()?;
        calls += 1;
    }
    Ok(f64::from(calls) / start.elapsed().as_secs_f64())
}

fn bare(dir: &Path, bytes: &[u8], sync: bool) -> anyhow::Result<f64> {
    let path = dir.join("bare");
    let mut file = std::fs::File::create(&path)?;
    let rate = rate(|| {
        file.write_all(bytes)?;
        if sync { Ok(file.sync_data()?) } else { Ok(()) }
    });
    std::fs::remove_file(path)?;
    rate
}

/// The middle value of each column.
fn medians<const N: usize>(rounds: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|column| {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}

fn main() -> anyhow::Result<()> {
    let base = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let wanted = std::env::args().nth(2).map_or(Ok(ROUNDS), |word| word.parse())?;
    anyhow::ensure!(wanted > 0, "at least one round");
    let dir = tempfile::tempdir_in(base)?;
    let clock = Arc::new(stamp);
    let options = Options { chain_seed: [5; 16], clock, reserve_bytes: 0, overflow: None };
    let (mut ledger, _) = Ledger::open(&dir.path().join("state"), options, &mut |_| {})?;
    let body = RecordBody::Applied { action: ActionId(1), applied: Applied::Changed };
    let entry = Entry { at: stamp().at, boot: stamp().boot, body };
    let synced = Prepared::new(&entry)?.at_least(Durability::Synced);
    let body = RecordBody::PolicyRejected { error: "x".repeat(60) };
    let written = Prepared::new(&Entry { body, ..entry })?;
    let bytes = synced.json().len();
    let group = vec![synced.clone(); GROUP];

    let mut rounds = Vec::new();
    for _ in 0..wanted {
        let bare_synced = bare(dir.path(), synced.json().as_bytes(), true)?;
        let one_synced = rate(|| Ok(ledger.append(std::slice::from_ref(&synced)).map(drop)?))?;
        rounds.push([
            rate(|| Ok(ledger.append(std::slice::from_ref(&written)).map(drop)?))?,
            one_synced,
            rate(|| Ok(ledger.append(&group).map(drop)?))? * GROUP as f64,
            bare(dir.path(), written.json().as_bytes(), false)?,
            bare_synced,
            one_synced / bare_synced,
        ]);
    }
    let [one_written, one_synced, grouped, bare_written, bare_synced, ratio] = medians(&rounds);
    let records = ledger.head().seq.0;
    drop(ledger);
    let start = Instant::now();
    let options = Options { chain_seed: [5; 16], clock: Arc::new(stamp), reserve_bytes: 0, overflow: None };
    Ledger::open(&dir.path().join("state"), options, &mut |_| {})?;
    let opened = records as f64 / start.elapsed().as_secs_f64();
    println!(
        "{{\"record_bytes\":{bytes},\"written_per_s\":{one_written:.0},\"synced_per_s\":{one_synced:.0},\
         \"group\":{GROUP},\"grouped_synced_per_s\":{grouped:.0},\"bare_write_per_s\":{bare_written:.0},\
         \"bare_fsync_per_s\":{bare_synced:.0},\"synced_to_bare_fsync\":{ratio:.2},\"opened_records_per_s\":{opened:.0}}}",
    );
    Ok(())
}

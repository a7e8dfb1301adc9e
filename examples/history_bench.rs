//! What the history costs: one JSON line.
//!
//! `cargo run --release --example history_bench -- DIR [SECONDS]`. Reads this host for so many seconds (60 when not
//! said), a pass a second, and then lives a day on these passes over and over: bytes an hour and a day, CPU of a row and
//! of a batch, and the time that questions take. DIR is emptied of what an earlier run left there.
#![expect(clippy::disallowed_methods, reason = "measures by the clock, and waits for the next second")]
#![expect(clippy::print_stdout, reason = "a program that prints its result")]
#![expect(clippy::cast_precision_loss, reason = "rates need no more than a double holds")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prunella::history::{Batch, HISTORY_FOLDER, Reader, Recorder, Store, StoreLimits};
use prunella::model::{
    BootTime, HISTORY_BYTES_DEFAULT, HistoryQuery, HistoryTier, HostNumbers, HostSecond, HostVitals,
    Timestamp, WallTime,
};
use prunella::sense::host::{HostReader, PassTime, Roots};
use rustix::time::{ClockId, clock_gettime};

const DAY: usize = 86_400;
/// Whole days since 1970, so that steps begin where the day does.
const EPOCH_MS: i64 = 20_500 * 86_400_000;

struct Pass {
    second: HostSecond,
    told: Option<(HostVitals, HostNumbers)>,
}

fn at(second: usize) -> Timestamp {
    let millis = i64::try_from(second).unwrap_or(0) * 1000;
    Timestamp::new(BootTime::from_millis(millis), WallTime::from_unix_millis(EPOCH_MS + millis))
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn read_host(seconds: usize) -> anyhow::Result<Vec<Pass>> {
    let mut reader = HostReader::new(&Roots::default())?;
    let exact = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    let mut passes = Vec::new();
    for n in 0..=seconds {
        reader.pass(PassTime { boot: exact(ClockId::Boottime), awake: exact(ClockId::Monotonic) });
        let told = reader.is_due().then(|| reader.tell());
        // The first has no rates.
        if n > 0 {
            passes.push(Pass { second: reader.second(), told });
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(passes)
}

/// Milliseconds of a question about the day, the points it gave, and the processor's part of it.
fn ask(reader: &Reader, field: &str, hours: usize, step: u64) -> anyhow::Result<(f64, usize, f64)> {
    let query = HistoryQuery {
        field: field.to_owned(),
        from: at(DAY - hours * 3600).wall,
        to: at(DAY).wall,
        step: Duration::from_secs(step),
    };
    let (begin, used) = (Instant::now(), processor_time());
    let series = black_box(reader.series(&query)?);
    let points = series.runs.iter().map(|run| run.points.len()).sum();
    let used = processor_time().saturating_sub(used);
    Ok((begin.elapsed().as_secs_f64() * 1000.0, points, used.as_secs_f64() * 1000.0))
}

fn live(dir: &Path, passes: &[Pass]) -> anyhow::Result<serde_json::Value> {
    let boot = HostReader::new(&Roots::default())?.boot();
    let mut store = Store::open(dir, StoreLimits { bytes: HISTORY_BYTES_DEFAULT, room_least: 0 })?;
    let mut recorder = Recorder::new(boot);
    let mut spare = Some(Batch::empty(boot, at(0)));
    let (mut rows_took, mut batches_took, mut batches) = (Duration::ZERO, Duration::ZERO, 0_u32);
    let begin = Instant::now();
    for second in 0..DAY {
        let pass = &passes[second % passes.len()];
        let used = processor_time();
        if recorder.is_due(at(second)) {
            let batch = recorder.take(spare.take().unwrap_or_else(|| Batch::empty(boot, at(0))));
            rows_took += processor_time().saturating_sub(used);
            let used = processor_time();
            if let Some(batch) = batch {
                store.write(&batch)?;
                spare = Some(batch);
            }
            batches_took += processor_time().saturating_sub(used);
            batches += 1;
        }
        let used = processor_time();
        recorder.host(at(second), &pass.second);
        if let Some((vitals, numbers)) = &pass.told {
            recorder.told(at(second), vitals, numbers);
        }
        rows_took += processor_time().saturating_sub(used);
    }
    let elapsed = begin.elapsed();
    if let Some(batch) = recorder.take(Batch::empty(boot, at(0))) {
        store.write(&batch)?;
    }
    let reader = Reader::new(dir);
    let list = reader.list()?;
    let bytes = |tier| list.extents.iter().find(|it| it.tier == tier).map_or(0, |it| it.bytes) as f64;
    let (full, reduced) = (bytes(HistoryTier::Full), bytes(HistoryTier::Reduced));
    let half = HISTORY_BYTES_DEFAULT as f64 / 2.0;
    let day_by_minutes = ask(&reader, "cpu_percent", 24, 360)?;
    let hour_in_full = ask(&reader, "cpu_percent", 1, 15)?;
    let day_in_full = ask(&reader, "cpu_percent", 24, 60)?;
    Ok(serde_json::json!({
        "passes_read": passes.len(),
        "full_bytes_per_row": full / DAY as f64,
        "full_bytes_per_hour": full / 24.0,
        "reduced_bytes_per_day": reduced,
        "full_hours_kept": half / full * 24.0,
        "reduced_days_kept": half / reduced,
        "row_cpu_us": rows_took.as_secs_f64() * 1e6 / DAY as f64,
        "batch_cpu_us": batches_took.as_secs_f64() * 1e6 / f64::from(batches),
        "batch_ms": elapsed.as_secs_f64() * 1e3 / f64::from(batches),
        "day_by_minutes_ms_points_cpu": day_by_minutes,
        "hour_in_full_ms_points_cpu": hour_in_full,
        "day_in_full_ms_points_cpu": day_in_full,
    }))
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = || anyhow::anyhow!("usage: history_bench DIR [SECONDS]");
    let dir = PathBuf::from(args.next().ok_or_else(usage)?);
    let seconds = args.next().map_or(Ok(60), |text| text.parse())?;
    // A store that may keep nothing drops what is there.
    if dir.join(HISTORY_FOLDER).exists() {
        Store::open(&dir, StoreLimits { bytes: 0, room_least: 0 })?;
    }
    let passes = read_host(seconds)?;
    println!("{}", live(&dir, &passes)?);
    Ok(())
}

//! What the agent's own readers cost, pass by pass: one JSON line.
//!
//! scripts/bench sets them beside `bench_floor`. A new reader is a `measures.take` here, and a line in its table there.
#![expect(clippy::disallowed_methods, reason = "opens the mount table")]

#[path = "bench/measure.rs"]
mod measure;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use prunella::model::{BootTime, FilesystemsUpdate, Reading};
use prunella::sense::activity::ActivityReader;
use prunella::sense::filesystem::{FilesystemReader, MountFlags, read_table};
use prunella::sense::host::{HostReader, PassTime, Roots};
use prunella::sense::process::bpf::{BpfTable, BpfWay};
use prunella::sense::process::{ProcfsWay, Way};

use measure::Measures;

/// More processes than are measured with.
const ROOM: usize = 32_768;
/// Enough that what they add to a pass stands out. The name of the row says it too, and scripts/bench.
const THREADS: u32 = 2_000;
/// They call nothing.
const SLEEPER_STACK: usize = 32 * 1024;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let proc = Path::new("/proc");
    let mut measures = Measures::default();

    let mut host = HostReader::new(&Roots::default())?;
    let mut second = 0;
    measures.take("host pass", || {
        // The slow files come with each thirtieth pass, as they do by the clock.
        second += 1;
        let time = Duration::from_secs(second);
        host.pass(PassTime { boot: time, awake: time });
        Ok(1)
    });
    let mut mounts = File::open("/proc/self/mountinfo")?;
    let mut buffer = Vec::new();
    measures.take("mount table", || {
        mounts.rewind()?;
        buffer.clear();
        mounts.read_to_end(&mut buffer)?;
        Ok(read_table(&buffer, MountFlags::AsAsked).filesystems.len())
    });
    let mut filesystems = FilesystemReader::new(proc)?;
    measures.take("file systems pass", || {
        match runtime.block_on(filesystems.read(BootTime::from_millis(1))) {
            FilesystemsUpdate::Complete(told) | FilesystemsUpdate::Again(told) => Ok(told.len()),
            FilesystemsUpdate::Failed { why } => anyhow::bail!(why),
        }
    });
    let activity = ActivityReader::default();
    measures.take("package managers", || {
        std::hint::black_box(activity.read());
        Ok(1)
    });
    let mut rows = Vec::new();
    let mut procfs = ProcfsWay::new(proc);
    measures.take("process table, procfs", || match procfs.read(&mut rows) {
        Reading::Value(_) => Ok(rows.len()),
        Reading::Absent(why) => anyhow::bail!("{why:?}"),
        Reading::Failed(error) => anyhow::bail!(error),
    });
    for (name, way) in [("process table, bpf", BpfWay::Table), ("process table, bpf lines", BpfWay::Lines)] {
        // A way that is not offered here says so.
        match by_bpf(way) {
            Err(why) => measures.lacks(name, &why),
            Ok(mut table) => measures.take(name, || {
                table.read(&mut rows)?;
                Ok(rows.len())
            }),
        }
    }
    let crowded = "process table, bpf, 2,000 threads more";
    match (by_bpf(BpfWay::Table), Sleepers::new()) {
        (Err(why), _) => measures.lacks(crowded, &why),
        (_, Err(error)) => measures.lacks(crowded, &format!("{error:#}")),
        (Ok(mut table), Ok(_sleepers)) => measures.take(crowded, || {
            table.read(&mut rows)?;
            Ok(rows.len())
        }),
    }
    measures.print();
    Ok(())
}

/// Threads that sleep, until they are dropped.
struct Sleepers(Arc<(Mutex<bool>, Condvar)>, Vec<JoinHandle<()>>);

impl Sleepers {
    fn new() -> anyhow::Result<Self> {
        let mut sleepers = Self(Arc::default(), Vec::new());
        for _ in 0..THREADS {
            let over = Arc::clone(&sleepers.0);
            let sleep = move || {
                let Ok(ended) = over.0.lock() else { return };
                let _ended = over.1.wait_while(ended, |ended| !*ended);
            };
            sleepers.1.push(std::thread::Builder::new().stack_size(SLEEPER_STACK).spawn(sleep)?);
        }
        Ok(sleepers)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        if let Ok(mut ended) = self.0.0.lock() {
            *ended = true;
        }
        self.0.1.notify_all();
        for thread in self.1.drain(..) {
            let _ = thread.join();
        }
    }
}

/// `BpfTable` without the comparisons that the agent makes before it relies on it.
fn by_bpf(way: BpfWay) -> Result<BpfTable, String> {
    BpfTable::load(way, ROOM).map_err(|refusal| refusal.to_string())
}

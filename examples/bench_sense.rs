//! What the agent's own readers cost, pass by pass: one JSON line.
//!
//! scripts/bench sets them beside `bench_floor`. A new reader is a `measures.take` here, and a line in its table there.
#![expect(clippy::disallowed_methods, reason = "opens the mount table")]

#[path = "bench/measure.rs"]
mod measure;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use prunella::model::{BootTime, FilesystemsUpdate, Reading};
use prunella::sense::activity::ActivityReader;
use prunella::sense::filesystem::{FilesystemReader, read_table};
use prunella::sense::host::{HostReader, Roots};
use prunella::sense::process::{ProcfsWay, Way};

use measure::Measures;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let proc = Path::new("/proc");
    let mut measures = Measures::default();

    let mut host = HostReader::new(&Roots::default())?;
    measures.take("host pass", || {
        std::hint::black_box(host.read());
        Ok(1)
    });
    let mut mounts = File::open("/proc/self/mountinfo")?;
    let mut buffer = Vec::new();
    measures.take("mount table", || {
        mounts.rewind()?;
        buffer.clear();
        mounts.read_to_end(&mut buffer)?;
        Ok(read_table(&buffer).filesystems.len())
    });
    let mut filesystems = FilesystemReader::new(proc)?;
    measures.take("file systems pass", || {
        match runtime.block_on(filesystems.read(BootTime::from_millis(1))) {
            FilesystemsUpdate::Complete(told) => Ok(told.len()),
            FilesystemsUpdate::Failed { why } => anyhow::bail!(why),
        }
    });
    let activity = ActivityReader::default();
    measures.take("package managers", || {
        std::hint::black_box(activity.read());
        Ok(1)
    });
    // A way that is not offered here says so.
    let ways: [(&str, Box<dyn Way>); 1] = [("process table, procfs", Box::new(ProcfsWay::new(proc)))];
    let mut rows = Vec::new();
    for (name, mut way) in ways {
        measures.take(name, || match way.read(&mut rows) {
            Reading::Value(_) => Ok(rows.len()),
            Reading::Absent(why) => anyhow::bail!("{why:?}"),
            Reading::Failed(error) => anyhow::bail!(error),
        });
    }
    measures.print();
    Ok(())
}

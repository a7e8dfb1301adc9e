//! What one pass over all processes costs, against the bare system calls in the same program: one JSON line.
//! `cargo run --release --example process_pass -- 200 2000 10000`, each the number of idle children that it makes.
#![expect(clippy::disallowed_methods, reason = "starts children")]
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::ffi::CString;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use prunella::model::{BootTime, Reading};
use prunella::sense::process::{Coverage, Moment, ProcfsWay, Table, Way};
use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 5;
/// Passes in one round read about this many processes.
const READS: usize = 20_000;

/// Forks that wait for the end of this program's pipe.
const CROWD: &str = r#"exec 3<&0; i=0
while [ $i -lt "$1" ]; do { read -r x <&3; } & i=$((i + 1)); done
echo ready; wait"#;

/// CPU time of this thread so far, user and system.
fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// CPU time of one call.
fn cost(calls: usize, mut act: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let begun = cpu();
    for _ in 0..calls {
        act()?;
    }
    Ok((cpu() - begun) / u32::try_from(calls)?)
}

fn crowd(count: usize) -> anyhow::Result<Child> {
    let mut shell = Command::new("sh");
    shell.args(["-c", CROWD, "sh", &count.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = shell.spawn().context("no shell")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut line)?;
    anyhow::ensure!(line == "ready\n", "the children could not be made");
    Ok(child)
}

/// Open, read and close of files whose names are known: the least that any reader of these files does.
fn floor(proc: &OwnedFd, names: &[CString], buffer: &mut [u8]) -> anyhow::Result<()> {
    for name in names {
        let file = rustix::fs::openat(proc, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        if let Ok(file) = file {
            black_box(rustix::io::read(&file, &mut *buffer).unwrap_or(0));
        }
    }
    Ok(())
}

/// The names of all processes, as the kernel lists them.
fn list(proc: &OwnedFd, buffer: &mut [MaybeUninit<u8>], mut each: impl FnMut(&str)) -> anyhow::Result<()> {
    rustix::fs::seek(proc, SeekFrom::Start(0))?;
    let mut entries = RawDir::new(proc, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_str()?;
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            each(name);
        }
    }
    Ok(())
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

fn measure(children: usize) -> anyhow::Result<()> {
    let mut crowd = crowd(children)?;
    let proc =
        rustix::fs::open("/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut listing = vec![MaybeUninit::uninit(); 32 * 1024];
    let mut names = Vec::new();
    list(&proc, &mut listing, |name| names.extend(CString::new(format!("{name}/stat"))))?;
    let mut buffer = vec![0; 2048];
    let (mut way, mut rows, mut table) = (ProcfsWay::new(Path::new("/proc")), Vec::new(), Table::default());
    let mut seconds = 0;
    let calls = (READS / names.len()).max(1);
    let (mut floors, mut lists, mut passes, mut joins) = (vec![], vec![], vec![], vec![]);
    // The first round warms up.
    for round in 0..=ROUNDS {
        let floor = cost(calls, || floor(&proc, &names, &mut buffer))?;
        let list = cost(calls, || {
            let mut count = 0;
            list(&proc, &mut listing, |_| count += 1)?;
            black_box(count);
            Ok(())
        })?;
        let pass = cost(calls, || {
            anyhow::ensure!(way.read(&mut rows) == Reading::Value(Coverage::Complete), "no whole pass");
            Ok(())
        })?;
        let both = cost(calls, || {
            seconds += 10;
            let awake = Duration::from_secs(seconds);
            let Reading::Value(coverage) = way.read(&mut rows) else { anyhow::bail!("no pass") };
            table.take(&mut rows, Moment { boot: BootTime::ZERO + awake, awake }, coverage);
            black_box(table.counts());
            Ok(())
        })?;
        if round > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a number of processes")]
            let each = |cost: Duration| cost.as_secs_f64() * 1e6 / names.len() as f64;
            floors.push(each(floor));
            lists.push(each(list));
            passes.push(each(pass));
            joins.push(each(both));
        }
    }
    drop(crowd.stdin.take());
    crowd.wait()?;
    let ratios: Vec<f64> = passes.iter().zip(&floors).map(|(pass, floor)| pass / floor).collect();
    let listed =
        passes.iter().zip(floors.iter().zip(&lists)).map(|(pass, (floor, list))| pass / (floor + list));
    let listed: Vec<f64> = listed.collect();
    println!(
        "{{\"processes\":{},\"floor_us\":{:.2},\"list_us\":{:.2},\"pass_us\":{:.2},\"pass_and_table_us\":{:.2},\
         \"pass_to_floor\":{:.3},\"pass_to_floor_and_list\":{:.3}}}",
        names.len(),
        median(floors),
        median(lists),
        median(passes),
        median(joins),
        median(ratios),
        median(listed)
    );
    Ok(())
}

fn main() -> anyhow::Result<()> {
    std::env::args().skip(1).try_for_each(|children| measure(children.parse()?))
}

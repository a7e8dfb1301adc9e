//! What a pass over the process table costs by each way of BPF, as a ratio to open, read and close of every `stat`.
//!
//! ```text
//! cargo run --release --example process_table -- [N] [THREADS] [ROUNDS]
//! ```
//!
//! Makes N idle children, one of them with THREADS threads, and takes the CPU time of the calling thread
//! (`CLOCK_THREAD_CPUTIME_ID`), the median of interleaved rounds. Tells the memory of this process as well.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "measures: children, files and output are its work"
)]

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use prunella::sense::process::bpf::{BpfTable, BpfWay};
use rustix::fs::{Mode, OFlags};
use rustix::time::{ClockId, clock_gettime};

const CHILD: &str = "--child";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(CHILD) {
        return child(arguments.next().unwrap_or_default().parse()?);
    }
    let count: usize = first.as_deref().unwrap_or("200").parse()?;
    let threads: usize = arguments.next().as_deref().unwrap_or("0").parse()?;
    let rounds: usize = arguments.next().as_deref().unwrap_or("21").parse()?;

    let mut children = Vec::new();
    for number in 0..count {
        children.push(start(if number == 0 { threads } else { 0 })?);
    }
    let measured = measure(count, rounds);
    for child in &mut children {
        let _ = child.kill();
    }
    for child in &mut children {
        let _ = child.wait();
    }
    measured
}

/// Waits for the end of its input, with so many threads beside the main one.
fn child(threads: usize) -> Result<(), Box<dyn std::error::Error>> {
    for _ in 0..threads {
        std::thread::Builder::new().stack_size(16 * 1024).spawn(std::thread::park)?;
    }
    println!();
    std::io::stdout().flush()?;
    std::io::stdin().read_exact(&mut [0])?;
    Ok(())
}

fn start(threads: usize) -> Result<Child, Box<dyn std::error::Error>> {
    if threads == 0 {
        return Ok(Command::new("/bin/sleep").arg("1000000").stdin(Stdio::null()).spawn()?);
    }
    let mut child = Command::new(std::env::current_exe()?)
        .args([CHILD, &threads.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdout.as_mut().ok_or("no pipe")?.read_exact(&mut [0])?;
    Ok(child)
}

fn measure(count: usize, rounds: usize) -> Result<(), Box<dyn std::error::Error>> {
    let before = own_memory()?;
    let mut tables = Vec::new();
    for way in [BpfWay::Table, BpfWay::Lines] {
        let begin = now();
        match BpfTable::load(way, (2 * count).next_power_of_two().clamp(8192, 65536)) {
            Ok(table) => {
                println!("{way}: loaded in {:.1} ms of CPU time", millis(now() - begin));
                tables.push((table, Vec::new()));
            }
            Err(refusal) => println!("{way}: {refusal}"),
        }
    }
    let loaded = own_memory()?;
    let mut rows = Vec::with_capacity(2 * count + 4096);
    let mut told = Vec::new();
    let mut floor = Vec::new();
    let pids = pids()?;
    for _ in 0..rounds {
        floor.push(stat_of_all(&pids));
        told.clear();
        for (table, times) in &mut tables {
            let begin = now();
            let pass = table.read(&mut rows)?;
            times.push(now() - begin);
            told.push(pass);
        }
    }
    let floor = median(&mut floor);
    println!(
        "{} processes; open+read+close of stat: {:.2} ms, {:.2} us each",
        pids.len(),
        millis(floor),
        millis(floor) * 1e3 / pids.len() as f64
    );
    for ((table, times), told) in tables.iter_mut().zip(told) {
        let time = median(times);
        println!(
            "{}: {:.3} ms, {:.3} us each, {:.4} of it; {told:?}",
            table.way(),
            millis(time),
            millis(time) * 1e3 / f64::from(told.processes),
            time.as_secs_f64() / floor.as_secs_f64()
        );
    }
    println!(
        "own memory (PSS): {before} kB, loaded {loaded} kB, after passes with {} rows {} kB",
        rows.len(),
        own_memory()?
    );
    Ok(())
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn pids() -> std::io::Result<Vec<String>> {
    let names = std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).collect())
}

/// The floor: no listing and no parsing.
fn stat_of_all(pids: &[String]) -> Duration {
    let paths: Vec<std::ffi::CString> =
        pids.iter().filter_map(|pid| std::ffi::CString::new(format!("/proc/{pid}/stat")).ok()).collect();
    let mut buffer = [0; 2048];
    let begin = now();
    for path in &paths {
        if let Ok(file) = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::read(&file, &mut buffer);
        }
    }
    now() - begin
}

fn own_memory() -> std::io::Result<String> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    Ok(line.unwrap_or_default().trim().trim_end_matches(" kB").to_owned())
}

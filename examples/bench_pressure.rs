//! From memory that runs out, and from tasks that wait, to the incident in the engine. One JSON line.
//!
//! `bench_pressure ROUNDS`. Memory is a file of this program's own that says less and less, as fast as one processor can
//! fill memory: no host is brought into need. Pressure is real: more work than there are processors. A second trigger,
//! waited for by nothing but `poll`, is the floor of it.
#![expect(clippy::disallowed_methods, reason = "measures by the clock, and plays a host in need")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prunella::engine::{Effect, Engine, Input, Memory, Setup};
use prunella::model::{
    BootId, BootTime, HostNews, Id128, Reading, RecordBody, Resource, Sample, StallWatch, Timestamp, WallTime,
};
use prunella::policy::{Policy, Sources, load};
use prunella::sense::host::{HostReader, PassTime, Roots};
use prunella::sense::pressure::{MemoryReader, Patience, PressureTrigger, Tripwire};
use rustix::time::{ClockId, clock_gettime};

/// The shipped rule that the tripwire serves, and where it begins.
const MEMORY_RULE: &str = "memory-running-out";
const RUNNING_OUT: u64 = TOTAL_KIB / 20;
/// The shipped policy has no rule about processors: a busy host is no fault.
const CPU_RULE: &str = "[[rule]]\nname = \"processors-waited-for\"\nsubject = \"host\"\n\
    when = \"cpu_stalled_1m > 0\"\nseverity = \"ticket\"\nmode = \"observe\"\n";
const TOTAL_KIB: u64 = 16 << 20;
/// What one processor fills in a bare loop, KiB a millisecond: 2.5 GiB/s.
const FILL_KIB: u64 = 2_684;
/// Above the rule's level at the beginning of a round, KiB: reached in a quarter of a second.
const HEADROOM_KIB: u64 = 640 << 10;
/// How long the memory stays just above that level, to see what looking so often costs.
const NEAR: Duration = Duration::from_secs(3);
/// Between two rounds of real pressure: longer than the window, so that nothing is left of the one before.
const REST: Duration = Duration::from_millis(2500);
/// Only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<()> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(20), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let policy = policy(dir.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (memory, near) = runtime.block_on(tripwire(&policy, dir.path(), rounds))?;
    let mut rows = vec![row("memory tripwire", memory)];
    rows[0]["near_cpu_percent"] = near.into();
    match runtime.block_on(triggers(&policy, rounds.div_ceil(3))) {
        Ok((bare, ours, window)) => {
            rows.push(row("bare pressure poll", bare));
            rows.push(row("pressure trigger", ours));
            rows[2]["window_us"] = u64::try_from(window.as_micros())?.into();
        }
        Err(error) => {
            rows.push(serde_json::json!({ "name": "pressure trigger", "why": format!("{error:#}") }));
        }
    }
    tell(&rows);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result of the program")]
fn tell(rows: &[serde_json::Value]) {
    println!("{}", serde_json::json!({ "reactions": rows }));
}

fn row(name: &str, mut taken: Vec<Duration>) -> serde_json::Value {
    taken.sort();
    let at = |percent: usize| taken[(taken.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    serde_json::json!({ "name": name, "p50_us": at(50), "p95_us": at(95), "p99_us": at(99), "rounds": taken.len() })
}

fn policy(dir: &Path) -> anyhow::Result<Arc<Policy>> {
    let operator = dir.join("policy.d");
    std::fs::create_dir(&operator)?;
    std::fs::write(operator.join("bench.toml"), CPU_RULE)?;
    let nowhere = dir.join("none");
    let policy = load(&Sources { builtin: true, shipped: nowhere.clone(), operator, main: nowhere })?;
    Ok(Arc::new(policy))
}

fn now() -> Timestamp {
    let millis = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    };
    Timestamp::new(
        BootTime::from_millis(millis(ClockId::Boottime)),
        WallTime::from_unix_millis(millis(ClockId::Realtime)),
    )
}

/// An engine that knows this host, and has nothing against it yet.
struct Watcher(Engine);

impl Watcher {
    fn new(policy: &Arc<Policy>) -> anyhow::Result<Self> {
        let boot = BootId(Id128::from_bytes([1; 16]));
        let setup = Setup { policy: Arc::clone(policy), seed: 1, boot, version: "bench".into() };
        let (mut engine, _) = Engine::start(setup, Memory::new(), now());
        let mut reader = HostReader::new(&Roots::default())?;
        let time = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        reader.pass(PassTime { boot: time(ClockId::Boottime), awake: time(ClockId::Monotonic) });
        let (vitals, _) = reader.tell();
        let _ = engine.handle(Input::Sample(Sample { host: Some(vitals), ..Sample::empty(now()) }), now());
        Ok(Self(engine))
    }

    /// Whether these news make an incident by this rule.
    fn decides(&mut self, news: HostNews, rule: &str) -> bool {
        let sample = Sample { host_news: vec![news], ..Sample::empty(now()) };
        let effects = self.0.handle(Input::Sample(sample), now());
        effects.iter().any(|effect| {
            matches!(effect, Effect::Record { entry, .. } if matches!(&entry.body,
                RecordBody::IncidentOpened { rule: of, .. } if of.as_str() == rule))
        })
    }
}

/// A `meminfo` that says how much is left.
struct Meminfo(File);

impl Meminfo {
    fn make(dir: &Path) -> std::io::Result<Self> {
        let file = File::options().create(true).truncate(false).write(true).open(dir.join("meminfo"))?;
        Ok(Self(file))
    }

    /// In one write of always the same length: a reader sees this or what was before.
    fn say(&self, available: u64) -> std::io::Result<()> {
        let text = format!(
            "MemTotal: {TOTAL_KIB:12} kB\nMemFree: {available:12} kB\nMemAvailable: {available:12} kB\n\
             SwapTotal: 0 kB\nSwapFree: 0 kB\n"
        );
        self.0.write_all_at(text.as_bytes(), 0)
    }
}

/// From the moment at which memory falls below the level; and the share of a processor that looking takes near it.
async fn tripwire(policy: &Arc<Policy>, dir: &Path, rounds: usize) -> anyhow::Result<(Vec<Duration>, f64)> {
    let mut taken = Vec::new();
    for _ in 0..rounds {
        let meminfo = Meminfo::make(dir)?;
        meminfo.say(RUNNING_OUT + HEADROOM_KIB)?;
        let mut watcher = Watcher::new(policy)?;
        let filling = std::thread::spawn(move || fill(&meminfo));
        let decided = watch(&mut watcher, dir, PATIENCE, true).await;
        let crossed = filling.join().map_err(|_| anyhow::anyhow!("the filling thread broke off"))??;
        let decided = decided.ok_or_else(|| anyhow::anyhow!("nothing was decided in {PATIENCE:?}"))?;
        taken.push(decided.saturating_duration_since(crossed));
    }
    let meminfo = Meminfo::make(dir)?;
    meminfo.say(RUNNING_OUT + 1024)?;
    let mut watcher = Watcher::new(policy)?;
    let before = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime))?;
    watch(&mut watcher, dir, NEAR, false).await;
    let used = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime))? - before;
    Ok((taken, used.as_secs_f64() / NEAR.as_secs_f64() * 100.0))
}

/// The tripwire as the agent runs it, until the engine decides, or for so long.
async fn watch(watcher: &mut Watcher, dir: &Path, most: Duration, tell: bool) -> Option<Instant> {
    let (mut reader, mut tripwire) = (MemoryReader::new(dir), Tripwire::default());
    let begun = Instant::now();
    while begun.elapsed() < most {
        let memory = reader.read();
        let look = tripwire.take(memory.value()?, now().boot);
        if look.tell && tell && watcher.decides(HostNews::Memory(memory), MEMORY_RULE) {
            return Some(Instant::now());
        }
        tokio::time::sleep(look.next).await;
    }
    None
}

/// Uses the memory up; the moment at which it fell below the level.
fn fill(meminfo: &Meminfo) -> std::io::Result<Instant> {
    let begun = Instant::now();
    loop {
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let available = (RUNNING_OUT + HEADROOM_KIB).saturating_sub(millis.saturating_mul(FILL_KIB));
        meminfo.say(available)?;
        if available < RUNNING_OUT {
            return Ok(Instant::now());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// From the beginning of real pressure: to a bare `poll` that returns, and to the incident; and the kernel's window.
async fn triggers(
    policy: &Arc<Policy>,
    rounds: usize,
) -> anyhow::Result<(Vec<Duration>, Vec<Duration>, Duration)> {
    let path = Path::new("/proc/pressure/cpu");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let mut window = Duration::ZERO;
    for _ in 0..rounds {
        tokio::time::sleep(REST).await;
        let mut watcher = Watcher::new(policy)?;
        let mut trigger = PressureTrigger::set(path, Patience::with(Resource::Cpu))?;
        window = trigger.window();
        let floor = BareTrigger::set(path, window)?;
        let begun = Instant::now();
        let crowd = Crowd::gather();
        let polling = std::thread::spawn(move || floor.wait());
        let told = tokio::time::timeout(PATIENCE, trigger.stalled()).await;
        told.map_err(|_| anyhow::anyhow!("no pressure in {PATIENCE:?}"))??;
        let watch = Reading::Value(StallWatch { window, stalled: true });
        let news = HostNews::Pressure { resource: Resource::Cpu, watch, pressure: Some(trigger.read()) };
        anyhow::ensure!(watcher.decides(news, "processors-waited-for"), "the engine decided nothing");
        ours.push(begun.elapsed());
        let polled = polling.join().map_err(|_| anyhow::anyhow!("the polling thread broke off"))??;
        drop(crowd);
        bare.push(polled.saturating_duration_since(begun));
    }
    Ok((bare, ours, window))
}

/// Three threads for each processor, at work until they are dropped.
struct Crowd(Arc<AtomicBool>, Vec<JoinHandle<()>>);

impl Crowd {
    fn gather() -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let work = |enough: Arc<AtomicBool>| while !enough.load(Ordering::Relaxed) {};
        let threads = (0..processors * 3).map(|_| {
            let enough = Arc::clone(&enough);
            std::thread::spawn(move || work(enough))
        });
        let threads = threads.collect();
        Self(enough, threads)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        for thread in self.1.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A trigger of the same height, and nothing around it.
struct BareTrigger(File);

impl BareTrigger {
    fn set(path: &Path, window: Duration) -> std::io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let stall = window.as_micros() * 80 / 100;
        rustix::io::write(&file, format!("some {stall} {}\0", window.as_micros()).as_bytes())?;
        Ok(Self(file))
    }

    #[expect(unsafe_code, reason = "the bare system call is what is measured")]
    fn wait(&self) -> std::io::Result<Instant> {
        let mut wanted = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
        let most = i32::try_from(PATIENCE.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one pollfd, which lives through the call, of a descriptor that this value owns.
        match unsafe { libc::poll(&raw mut wanted, 1, most) } {
            1 => Ok(Instant::now()),
            0 => Err(std::io::Error::other("nothing was told")),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

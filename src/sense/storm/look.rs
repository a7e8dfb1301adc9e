//! One look: tie the hook or read the table, wait, count, name. Waiting is the caller's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::ending::{ENDINGS_BYTES, Endings};
use super::group;
use super::scan::{self, Name, Pass};
use super::tally::{Made, Tally};
use crate::model::{
    Absence, BootTime, Percent, Reading, STORM_CHILDREN_MAX, STORM_MAKERS_MAX, StormEye, StormGrounds,
    StormLook, StormMaker, StormWay, Ticks,
};
use crate::sense::cgroup::GroupPath;
use crate::sense::evidence::clean_line;
use crate::sense::process::bpf::{EndingHook, Refusal, Tied};
use crate::sense::process::place_of;
use crate::sense::procfs::{CgroupMounts, HostStat, read_bounded};

/// `/proc/stat` has a number for each of the host's interrupts, and lines for each processor.
const STAT_MAX: usize = 1024 * 1024;
/// One in so many of what was made has to stay, or nobody is named for those.
const YOUNG_PARTS: u64 = 10;
/// What lives for less is called short-lived.
const BRIEF: Duration = Duration::from_secs(1);

/// Finds out who makes short-lived processes, when it is asked.
#[derive(Debug)]
pub struct StormLooker {
    proc: PathBuf,
    /// Set once the right to load has been used or lost; until then there is only the scan.
    hook: OnceLock<Result<EndingHook, String>>,
}

/// A look that is under way. Dropping it unties the hook.
#[derive(Debug)]
pub struct Begun {
    at: BootTime,
    hook: Option<(Tied, Endings)>,
    refused: Option<String>,
    before: std::io::Result<Pass>,
    made: Reading<u64>,
}

impl StormLooker {
    /// Of this `/proc`; touches nothing yet.
    #[must_use]
    pub const fn new(proc: PathBuf) -> Self {
        Self { proc, hook: OnceLock::new() }
    }

    /// Loads the hook; it ties nothing. Needs `CAP_BPF` and `CAP_PERFMON`.
    ///
    /// # Errors
    /// Why there is none here.
    pub fn load_hook() -> Result<EndingHook, Refusal> {
        EndingHook::load(ENDINGS_BYTES)
    }

    /// Takes what came of loading, once. To be called by a thread that has as few capabilities as those that will
    /// look: kernels before 5.19 refuse to tie what they loaded to those without.
    pub fn take_hook(&self, loaded: Result<EndingHook, Refusal>) {
        let tried = loaded.map_err(|refusal| told(&refusal)).and_then(|hook| match hook.tie() {
            Ok(_) => Ok(hook),
            Err(error) => Err(format!("the kernel does not tie it without CAP_BPF: {error}")),
        });
        // Whoever was first has tried as well.
        let _ = self.hook.set(tried);
    }

    /// Which way a look would go; none before that is known.
    #[must_use]
    pub fn eye(&self) -> Option<StormEye> {
        self.hook.get().map(|hook| match hook {
            Ok(_) => StormEye { way: StormWay::EndingHook, refused: None },
            Err(why) => StormEye { way: StormWay::Scan, refused: Some(why.clone()) },
        })
    }

    /// Begins a look. Blocks while `/proc` is read: with a hook as well, for what it writes may get lost.
    /// The `clock` is asked when the look has begun.
    #[must_use]
    pub fn begin(&self, clock: impl FnOnce() -> BootTime) -> Begun {
        let before = scan::pass(&self.proc);
        let (hook, refused) = match self.hook.get() {
            None => (None, Some("it is not loaded yet".to_owned())),
            Some(Err(why)) => (None, Some(why.clone())),
            Some(Ok(hook)) => match tie(hook) {
                Ok(tied) => (Some(tied), None),
                Err(why) => (None, Some(why)),
            },
        };
        Begun { at: clock(), hook, refused, before, made: made(&self.proc) }
    }

    /// Ends it: unties the hook, counts and names. Blocks while `/proc` is read.
    #[must_use]
    pub fn end(&self, begun: Begun, now: BootTime) -> StormLook {
        let Begun { at, hook, mut refused, before, made: made_before } = begun;
        let made = match (made_before, made(&self.proc)) {
            (Reading::Value(before), Reading::Value(after)) => Reading::Value(after.saturating_sub(before)),
            (why, Reading::Value(_)) | (_, why) => why,
        };
        let mut seen = None;
        if let (Some((tied, before)), Some(Ok(hook))) = (hook, self.hook.get()) {
            drop(tied);
            match read(hook) {
                Ok(after) => seen = Some(Seen::between(&before, &after)),
                Err(why) => refused = Some(why),
            }
        }
        let (before, after, unread) = match (before, scan::pass(&self.proc)) {
            (Ok(before), Ok(after)) => (before, after, None),
            (Err(why), _) | (_, Err(why)) => (Pass::new(), Pass::new(), Some(why.to_string())),
        };
        let (young, reaped) = (scan::young(&after, ticks(at)), scan::reaped(&before, &after));
        let ended =
            seen.as_ref().map_or((StormGrounds::Reaped, &reaped), |seen| (StormGrounds::Ended, &seen.tally));
        let mut makers = self.named(ended, &after);
        // A few of those that are just there began within the look whatever happens.
        if made.value().is_some_and(|made| young.counted().saturating_mul(YOUNG_PARTS) >= *made) {
            makers.extend(self.named((StormGrounds::Young, &young), &after));
        }
        let not = || Reading::Absent(Absence::Unsupported);
        StormLook {
            way: if seen.is_some() { StormWay::EndingHook } else { StormWay::Scan },
            refused,
            over: now.since(at),
            made,
            ended: seen.as_ref().map_or_else(not, |seen| Reading::Value(seen.processes)),
            ended_threads: seen.as_ref().map_or_else(not, |seen| Reading::Value(seen.threads)),
            counted: seen.as_ref().map_or(0, |seen| seen.tally.counted()),
            brief: seen.as_ref().map_or(0, |seen| seen.brief),
            uncounted: seen.as_ref().map_or(0, |seen| {
                seen.processes.saturating_add(seen.threads).saturating_sub(seen.tally.counted())
            }),
            young: unread.map_or_else(|| Reading::Value(young.counted()), Reading::Failed),
            makers,
        }
    }

    fn named(&self, (grounds, tally): (StormGrounds, &Tally<Name>), after: &Pass) -> Vec<StormMaker> {
        let top = tally.top(STORM_MAKERS_MAX);
        let wanted: BTreeSet<u64> =
            top.iter().filter_map(|it| it.groups.first().copied()).filter(|group| *group > 0).collect();
        let found = CgroupMounts::find(&self.proc)
            .unified
            .map(|mount| group::paths(&mount, &wanted))
            .unwrap_or_default();
        let maker = |it: &Made<Name>| {
            // The root says nothing: hosts with version 1 keep all in that of version 2.
            let path = it.groups.first().and_then(|group| found.get(group)).filter(|path| path.len() > 1);
            // Another may have its pid by now.
            let lives = after.get(&it.maker).is_some_and(|seen| seen.name == it.name);
            let (group, unit) = match path {
                Some(path) => (Reading::Value(text(path)), unit(path)),
                None if lives => match place_of(&self.proc, it.maker) {
                    Reading::Value(place) => (Reading::Value(place.cgroup), place.unit),
                    Reading::Absent(reason) => (Reading::Absent(reason.clone()), Reading::Absent(reason)),
                    Reading::Failed(why) => (Reading::Failed(why.clone()), Reading::Failed(why)),
                },
                None => (Reading::Absent(Absence::NotObserved), Reading::Absent(Absence::NotObserved)),
            };
            StormMaker {
                pid: it.maker,
                name: name(&it.name),
                grounds,
                count: it.count,
                share: share(it.count, tally.counted()),
                threads: it.thread,
                made: it.names.iter().take(STORM_CHILDREN_MAX).map(name).collect(),
                group,
                unit,
            }
        };
        top.iter().map(maker).collect()
    }
}

/// What the hook saw during the look.
#[derive(Debug)]
struct Seen {
    processes: u64,
    threads: u64,
    /// That lived for less than [`BRIEF`].
    brief: u64,
    tally: Tally<Name>,
}

impl Seen {
    fn between(before: &Endings, after: &Endings) -> Self {
        let (mut tally, mut brief) = (Tally::default(), 0);
        let old = before.processes.saturating_add(before.threads);
        for it in after.newest.iter().filter(|it| it.number > old) {
            tally.add((it.maker, it.thread), it.maker_name, 1, Some((it.name, it.group)));
            brief += u64::from(it.lived < BRIEF);
        }
        Self {
            processes: after.processes.saturating_sub(before.processes),
            threads: after.threads.saturating_sub(before.threads),
            brief,
            tally,
        }
    }
}

fn tie(hook: &EndingHook) -> Result<(Tied, Endings), String> {
    let before = read(hook)?;
    hook.tie().map(|tied| (tied, before)).map_err(|error| format!("it can't be tied: {error}"))
}

fn read(hook: &EndingHook) -> Result<Endings, String> {
    let bytes = hook.read().map_err(|error| format!("what it wrote can't be read: {error}"))?;
    Endings::parse(&bytes).ok_or_else(|| "what it wrote is too short".to_owned())
}

/// Processes and threads made since boot.
fn made(proc: &Path) -> Reading<u64> {
    let path = proc.join("stat");
    match read_bounded(&path, STAT_MAX) {
        Ok(bytes) => match HostStat::parse(&bytes) {
            Ok(stat) => Reading::Value(stat.forks),
            Err(error) => Reading::Failed(error.to_string()),
        },
        Err(error) => Reading::Failed(format!("{}: {error}", path.display())),
    }
}

/// As `/proc/PID/stat` counts.
fn ticks(at: BootTime) -> Ticks {
    let hertz = rustix::param::clock_ticks_per_second().max(1);
    let since: Duration = at.since(BootTime::ZERO);
    let ticks = since.as_millis().saturating_mul(u128::from(hertz)) / 1000;
    Ticks(u64::try_from(ticks).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 52 bits")]
fn share(part: u64, whole: u64) -> Percent {
    Percent(part as f64 / whole.max(1) as f64 * 100.0)
}

fn unit(path: &[u8]) -> Reading<String> {
    let names = GroupPath::parse(path);
    match names.user_unit.or(names.unit) {
        Some(unit) => Reading::Value(text(unit)),
        None => Reading::Absent(Absence::NotApplicable),
    }
}

fn name(name: &Name) -> String {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    text(&name[..end])
}

/// Names of others are any bytes: they go to the ledger fit for a terminal.
fn text(bytes: &[u8]) -> String {
    clean_line(&String::from_utf8_lossy(bytes))
}

/// An error with all that is behind it.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;

//! A real storm: is it counted, and is its maker named? By the hook, and by the scan where there is none.
#![expect(unsafe_code, reason = "thousands of programs to execute would take a minute")]

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use prunella::model::{BootTime, Reading, StormGrounds, StormLook, StormMaker, StormWay};
use prunella::sense::process::bpf::{Refusal, give_up_capabilities};
use prunella::sense::storm::StormLooker;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::children::MARK;

/// The second argument of the child that makes the storm.
pub(crate) const STORM: &str = "storm";
/// Processes of the storm.
const BRIEF: u64 = 4000;
/// Of what is counted, what may be missing: one percent.
const MISSING_PARTS: u64 = 100;

unsafe extern "C" {
    fn fork() -> i32;
    fn _exit(status: i32) -> !;
}

/// The child's part: a storm for each byte that comes.
pub(crate) fn play() {
    let (mut input, mut output) = (std::io::stdin(), std::io::stdout());
    let mut go = [0];
    while input.read_exact(&mut go).is_ok() {
        for _ in 0..BRIEF {
            // SAFETY: this program has one thread so far, and the child does nothing but end.
            let child = unsafe {
                let child = fork();
                if child == 0 {
                    _exit(0);
                }
                child
            };
            let child = Pid::from_raw(child).filter(|_| child > 0).expect("it can fork");
            waitpid(Some(child), WaitOptions::empty()).expect("it ends");
        }
        output.write_all(&go).and_then(|()| output.flush()).expect("somebody listens");
    }
}

/// One who makes storms; killed with its value.
struct Maker(Child);

impl Maker {
    fn start() -> Self {
        let child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([MARK, STORM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.expect("this program can be started"))
    }

    fn storm(&mut self) {
        self.0.stdin.as_mut().expect("piped").write_all(&[1]).expect("it listens");
        self.0.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("it says when it is over");
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn now() -> BootTime {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    BootTime::from_millis(time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
}

/// What the kernel has counted so far.
fn made() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("/proc/stat can be read");
    let line = stat.lines().find_map(|line| line.strip_prefix("processes ")).expect("it counts processes");
    line.parse().expect("a number")
}

/// A look at one storm, as the agent looks: without capabilities. With it what others and the storm made meanwhile, at
/// the least and at the most.
fn look(looker: &StormLooker) -> (StormLook, StormMaker, std::ops::RangeInclusive<u64>, i32) {
    let mut maker = Maker::start();
    let outer = made();
    let begun = looker.begin(now);
    let inner = made();
    maker.storm();
    let least = made() - inner;
    let look = looker.end(begun, now());
    let most = made() - outer;
    let first = look.makers.first().cloned().unwrap_or_else(|| panic!("nobody is named: {look:?}"));
    (look, first, least..=most, maker.pid())
}

/// The host's other processes are counted along: the bounds are taken from the same counter, read outside the looker.
#[track_caller]
fn counted(look: &StormLook, bounds: &std::ops::RangeInclusive<u64>) -> u64 {
    let Reading::Value(made) = look.made else { panic!("not counted: {look:?}") };
    assert!(bounds.contains(&made) && made >= BRIEF, "{made}, not within {bounds:?}");
    made
}

pub(crate) fn the_hook_counts_and_names() {
    let looked = std::thread::spawn(|| {
        let looker = StormLooker::new("/proc".into());
        let hook = StormLooker::load_hook();
        // Capabilities are a thread's own.
        give_up_capabilities().expect("capabilities can always be given up");
        looker.take_hook(hook);
        look(&looker)
    });
    let (look, first, bounds, maker) = looked.join().expect("the look");
    assert_eq!((look.way, first.grounds, &look.refused), (StormWay::EndingHook, StormGrounds::Ended, &None));
    let made = counted(&look, &bounds);
    let (Reading::Value(processes), Reading::Value(threads)) = (&look.ended, &look.ended_threads) else {
        panic!("endings are not counted: {look:?}")
    };
    let missing = BRIEF / MISSING_PARTS;
    assert!(*processes + missing >= BRIEF, "{processes} of {BRIEF} were seen to end");
    // What others began and did not end, or the other way round, is no part of the storm.
    let others = made - BRIEF;
    assert!((processes + threads).abs_diff(made) <= missing + others, "{look:?}");
    assert_eq!((first.pid, first.threads), (maker, false), "{look:?}");
    assert!(first.share.0 > 50.0, "{look:?}");
    assert_eq!(look.counted + look.uncounted, processes + threads, "what is not told apart is told");
    assert_eq!(first.made.first(), Some(&first.name), "its children are copies of it: {look:?}");
}

pub(crate) fn the_scan_counts_and_names() {
    let looker = StormLooker::new("/proc".into());
    looker.take_hook(Err(Refusal::Capability));
    let (look, first, bounds, maker) = look(&looker);
    assert_eq!((look.way, first.grounds), (StormWay::Scan, StormGrounds::Reaped), "{look:?}");
    assert!(look.refused.is_some());
    counted(&look, &bounds);
    let named = look.makers.iter().any(|it| it.pid == maker && it.share.0 > 10.0);
    assert!(named, "{maker} is not among the makers ({} is first): {look:?}", first.pid);
}

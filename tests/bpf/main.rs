//! The process table by BPF against procfs, field by field, and storms of processes, on the kernel at hand.
//!
//! A trial that can't run here is *ignored*, with the reason on stderr; it never passes unseen. `PRUNELLA_REQUIRE_BPF`,
//! a list such as `table,lines,hook`, makes a missing way a failure (for CI).
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "looks at real processes: files, children and waiting are its work"
)]

mod children;
mod compare;
mod object;
mod procfs;
mod storms;
mod trials;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use prunella::sense::process::bpf::{BpfTable, BpfWay};
use prunella::sense::storm::StormLooker;

/// Room for a test's table.
const ROOM: usize = 16_384;

fn main() -> ExitCode {
    if let Some(code) = children::act() {
        return code;
    }
    let mut trials = vec![object::trial()];
    for (name, way) in [("table", BpfWay::Table), ("lines", BpfWay::Lines)] {
        let lacking = BpfTable::load(way, ROOM).err().map(|refusal| with_sources(&refusal));
        if let Some(why) = &lacking {
            eprintln!("bpf tests: WITHOUT {name}, its trials are ignored: {why}");
        }
        let mut add = |what: &str, body: fn(BpfWay)| {
            let why = lacking.clone();
            let ignored = why.is_some() && !required(name);
            let run = move || match why {
                Some(why) => Err(Failed::from(format!("cannot run here: {why}"))),
                None => {
                    body(way);
                    Ok(())
                }
            };
            trials.push(Trial::test(format!("{name}::{what}"), run).with_ignored_flag(ignored));
        };
        add("agrees_with_procfs", trials::agrees_with_procfs);
        add("ended_threads_count_once", trials::ended_threads_count_once);
        add("what_is_reaped_counts_once", trials::what_is_reaped_counts_once);
        add("needs_no_capability_to_read", trials::needs_no_capability_to_read);
        if way == BpfWay::Table {
            add("a_table_without_room_says_so", trials::a_table_without_room_says_so);
        }
    }
    let lacking = StormLooker::load_hook().err().map(|refusal| with_sources(&refusal));
    if let Some(why) = &lacking {
        eprintln!("bpf tests: WITHOUT hook, its trial is ignored: {why}");
    }
    let ignored = lacking.is_some() && !required("hook");
    let hook = move || match lacking {
        Some(why) => Err(Failed::from(format!("cannot run here: {why}"))),
        None => {
            storms::the_hook_counts_and_names();
            Ok(())
        }
    };
    trials.push(Trial::test("storms::the_hook_counts_and_names", hook).with_ignored_flag(ignored));
    trials.push(Trial::test("storms::the_scan_counts_and_names", || {
        storms::the_scan_counts_and_names();
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn required(name: &str) -> bool {
    std::env::var("PRUNELLA_REQUIRE_BPF").is_ok_and(|list| list.split(',').any(|item| item.trim() == name))
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

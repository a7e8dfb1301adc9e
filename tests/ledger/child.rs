//! What this program does when a trial starts it again as a process to be killed or traced.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use prunella::ledger::Prepared;
use prunella::model::Durability;

use crate::support::{number, open, options, prepared};

/// The variable that says which role the process plays.
pub(crate) const ROLE: &str = "LEDGER_TEST_ROLE";
const DIR: &str = "LEDGER_TEST_DIR";

/// This program in a role, on a folder.
pub(crate) fn command(role: &str, dir: &std::path::Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(ROLE, role).env(DIR, dir);
    command
}

pub(crate) fn run(role: &str) -> ExitCode {
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    match role {
        "append-for-ever" => append_for_ever(&dir),
        "append-each-way" => append_each_way(&dir),
        "append-synced" => append_synced(&dir),
        role => panic!("no such role: {role}"),
    }
    ExitCode::SUCCESS
}

/// Appends in batches of changing length, and says after each which record is the last that is acknowledged.
fn append_for_ever(dir: &std::path::Path) {
    let (mut ledger, _, records) = open(dir, options(0));
    let mut n = records.iter().filter_map(number).max().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    loop {
        let length = n % 5 + 1;
        let batch: Vec<_> = (n + 1..=n + length).map(prepared).collect();
        ledger.append(&batch).unwrap();
        n += length;
        writeln!(out, "{n}").unwrap();
        out.flush().unwrap();
    }
}

/// Ten appends of each durability, with marks in between for who traces the calls.
fn append_each_way(dir: &std::path::Path) {
    let (mut ledger, ..) = open(dir, options(0));
    let mark = |text: &str| std::fs::write("/dev/null", text).unwrap();
    let batch = |n: u64, durability| [prepared(3 * n + 1).at_least(durability)];
    ledger.append(&batch(0, Durability::Synced)).unwrap();
    mark("MARK-WRITTEN");
    (1..=10).for_each(|n| assert!(ledger.append(&batch(n, Durability::Written)).is_ok()));
    mark("MARK-SYNCED");
    (11..=20).for_each(|n| assert!(ledger.append(&batch(n, Durability::Synced)).is_ok()));
    mark("MARK-END");
}

/// Appends twenty synced records, trying each again until it is taken; says what it saw.
fn append_synced(dir: &std::path::Path) {
    let (mut ledger, ..) = open(dir, options(0));
    let mut failures = 0;
    for n in 1..=20 {
        let batch = [Prepared::at_least(prepared(n), Durability::Synced)];
        while ledger.append(&batch).is_err() {
            failures += 1;
            assert!(failures < 100, "it never recovers");
        }
    }
    writeln!(std::io::stdout().lock(), "failures {failures}").unwrap();
}

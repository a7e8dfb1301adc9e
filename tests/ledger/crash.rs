//! Killed at any moment.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use prunella::ledger::{Found, verify_report};

use crate::child;
use crate::support::{number, open, options};

/// Kills of the writer.
const KILLS: u64 = 60;

pub(crate) fn killed_at_any_moment_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let mut writer =
            child::command("append-for-ever", dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        // Killed after a number of acknowledgements that differs each time, and wherever it is by then.
        for _ in 0..=(kill * 7919 % 83) {
            acknowledged = lines.next().unwrap().unwrap().parse().unwrap();
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            acknowledged = line.parse().unwrap_or(acknowledged);
        }
        let (ledger, opened, records) = open(dir.path(), options(0));
        assert_eq!(opened.found, if opened.records > 0 { Found::Whole } else { Found::Fresh });
        let numbers: Vec<_> = records.iter().filter_map(number).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "no gap and no repetition");
        assert_eq!(numbers.len() + 1, records.len());
        assert!(numbers.len() as u64 >= acknowledged, "kill {kill}: {} < {acknowledged}", numbers.len());
        acknowledged = numbers.len() as u64;
        drop(ledger);
    }
    assert!(verify_report(dir.path()).unwrap().sound);
}

//! What reaches the disk and when, seen from outside by strace; and a disk whose syncs fail.

use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use prunella::ledger::{Found, verify_report};

use crate::child;
use crate::support::{number, open, options};

pub(crate) fn trials() -> Vec<Trial> {
    let works = strace(&["-e", "trace=none"], Path::new("/bin/true")).status().is_ok_and(|s| s.success());
    let trial = |name: &str, test: fn()| {
        let note = if works { "" } else { " (IGNORED: needs strace and the right to trace)" };
        Trial::test(format!("sync::{name}{note}"), move || {
            test();
            Ok(())
        })
        .with_ignored_flag(!works)
    };
    vec![
        trial("synced_records_sync_and_written_ones_do_not", synced_records_sync_and_written_ones_do_not),
        trial("a_sync_that_fails_loses_nothing", a_sync_that_fails_loses_nothing),
        trial("a_write_that_fails_loses_nothing", a_write_that_fails_loses_nothing),
    ]
}

fn strace(arguments: &[&str], program: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq"]).args(arguments).arg(program).stderr(Stdio::null());
    command
}

fn traced(role: &str, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = strace(arguments, &std::env::current_exe().unwrap());
    for (name, value) in child::command(role, dir).get_envs() {
        command.env(name, value.unwrap());
    }
    command
}

fn synced_records_sync_and_written_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("trace");
    let trace = "trace=fsync,fdatasync,write";
    let mut command = traced("append-each-way", dir.path(), &["-e", trace, "-o", log.to_str().unwrap()]);
    assert!(command.status().unwrap().success());
    let log = std::fs::read_to_string(log).unwrap();
    let syncs = |from: &str, to: &str| {
        let part = log.split(from).nth(1).unwrap().split(to).next().unwrap();
        part.matches("sync(").count()
    };
    assert_eq!(syncs("MARK-WRITTEN", "MARK-SYNCED"), 0, "{log}");
    assert_eq!(syncs("MARK-SYNCED", "MARK-END"), 10, "{log}");
}

/// Calls that are made to fail, one in each run: early ones meet the first append, late ones the checkpoint at the end.
const FAULTS: [u32; 8] = [1, 2, 3, 5, 8, 13, 17, 20];

/// One call after the other fails with an I/O error, from the first append on.
fn fails(inject: fn(u32) -> String) {
    for nth in FAULTS {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), options(0)));
        let inject = inject(nth);
        let log = dir.path().join("trace");
        let wal = dir.path().join("ledger.db-wal");
        let arguments = ["-e", &inject, "-P", wal.to_str().unwrap(), "-o", log.to_str().unwrap()];
        let output = traced("append-synced", dir.path(), &arguments).output().unwrap();
        assert!(output.status.success(), "{inject}: {output:?}");
        // A fault that no call meets would prove nothing. strace marks each that it injects.
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("EIO (Input/output error) (INJECTED)"), "{inject}: no call failed:\n{log}");
        let (_, opened, records) = open(dir.path(), options(0));
        assert_eq!(opened.found, Found::Whole, "{inject}");
        assert!(records.iter().filter_map(number).eq(1..=20), "{inject}: all, once, in order");
        assert!(verify_report(dir.path()).unwrap().sound);
    }
}

fn a_sync_that_fails_loses_nothing() {
    fails(|nth| format!("inject=fsync,fdatasync:error=EIO:when={nth}"));
    fails(|nth| format!("inject=fsync,fdatasync:error=EIO:when={nth}..{}", nth + 4));
}

fn a_write_that_fails_loses_nothing() {
    fails(|nth| format!("inject=pwrite64:error=EIO:when={nth}"));
}

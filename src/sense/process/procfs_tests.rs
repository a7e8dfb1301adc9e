#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "makes fixture trees")]

use super::*;
use crate::model::Pages;
use crate::sense::procfs::ProcessState;

fn stat_of(pid: i32, name: &str) -> String {
    format!(
        "{pid} ({name}) S 1 {pid} {pid} 0 -1 4194560 12 0 3 0 150 27 9 9 20 0 4 0 {pid}00 1000000 321 \
         18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n"
    )
}

/// A `/proc` with these files.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

/// Names in the table, and what came of the pass.
fn check(proc: &Path, most: usize, names: &[&str], expected: &Reading<Coverage>) {
    let mut way = ProcfsWay { most, ..ProcfsWay::new(proc) };
    let mut rows = Vec::new();
    // The second pass uses what the first one left.
    for _ in 0..2 {
        assert_eq!(way.read(&mut rows), *expected);
        let mut found: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(row.name())).collect();
        found.sort();
        assert_eq!(found, names);
    }
}

#[test]
fn every_process_and_nothing_else() {
    let (init, other) = (stat_of(1, "init"), stat_of(42, "a) b (c"));
    let dir = tree(&[("1/stat", &init), ("42/stat", &other), ("self/stat", &init), ("meminfo", "")]);
    // One that went away between the listing and the look.
    std::fs::create_dir(dir.path().join("43")).unwrap();
    check(dir.path(), 9, &["a) b (c", "init"], &Reading::Value(Coverage::Complete));
    let mut rows = Vec::new();
    ProcfsWay::new(dir.path()).read(&mut rows);
    let row = rows.iter().find(|row| row.pid == 42).unwrap();
    let comm = *b"a) b (c\0\0\0\0\0\0\0\0\0";
    let hertz = rustix::param::clock_ticks_per_second();
    let expected = ProcessRow {
        pid: 42,
        start: Ticks(4200),
        parent: 1,
        state: ProcessState::Sleeping,
        kernel_thread: false,
        threads: 4,
        cpu: length_of(Ticks(177), hertz),
        resident: Pages(321),
        minor_faults: 12,
        major_faults: 3,
        extra: None,
        comm,
    };
    assert_eq!(*row, expected);
}

#[test]
fn what_is_missing_is_told() {
    let (init, other) = (stat_of(1, "init"), stat_of(42, "web"));
    let hidden = tree(&[("42/stat", &other)]);
    check(hidden.path(), 9, &["web"], &Reading::Value(Coverage::Hidden));
    let many = tree(&[("1/stat", &init), ("42/stat", &other), ("43/stat", &other)]);
    let coverage = Coverage::TooMany { listed: 3 };
    let mut rows = Vec::new();
    let mut way = ProcfsWay { most: 2, ..ProcfsWay::new(many.path()) };
    assert_eq!((way.read(&mut rows), rows.len()), (Reading::Value(coverage), 2));
    assert!(coverage.to_string().starts_with("there are 3 processes"));
    let garbage = tree(&[("1/stat", &init), ("42/stat", "42 (web) S 1"), ("43/stat", "")]);
    let unreadable = Coverage::Unreadable { count: 2, why: Unreadable::Malformed };
    check(garbage.path(), 9, &["init"], &Reading::Value(unreadable));
}

#[test]
fn no_table_and_a_broken_one_are_told_apart() {
    let none = tempfile::tempdir().unwrap();
    check(&none.path().join("proc"), 9, &[], &Reading::Absent(Absence::Unsupported));
    let failed = |why: &str| Reading::Failed(format!("{}{why}", none.path().display()));
    check(none.path(), 9, &[], &failed(" shows no process"));
    std::fs::create_dir_all(none.path().join("7/stat")).unwrap();
    check(none.path(), 9, &[], &failed(": Is a directory (os error 21)"));
}

#[test]
fn a_proc_that_comes_back_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let proc = dir.path().join("proc");
    let (mut way, mut rows) = (ProcfsWay::new(&proc), Vec::new());
    assert_eq!(way.read(&mut rows), Reading::Absent(Absence::Unsupported));
    std::fs::create_dir_all(proc.join("1")).unwrap();
    std::fs::write(proc.join("1/stat"), stat_of(1, "init")).unwrap();
    assert_eq!(way.read(&mut rows), Reading::Value(Coverage::Complete));
}

#[test]
fn names_keep_their_closing_zero() {
    let text = stat_of(1, "kworker/u8:2-events_unbound");
    let row = row(&StatRow::parse(text.as_bytes()).unwrap(), 100);
    assert_eq!(row.name(), b"kworker/u8:2-ev");
    assert_eq!(row.cpu, Duration::from_millis(1770));
}

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "makes fixture trees")]

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::model::{BootTime, Limit, Percent, WallTime};
use crate::sense::cgroup::ATTENTION_MAX;
use crate::sense::host::PassTime;

const CPU: &str = "usage_usec 1000000\nuser_usec 0\nsystem_usec 0\n";

pub(super) fn at(seconds: u32) -> Look {
    let (boot, millis) = (Duration::from_secs(seconds.into()), i64::from(seconds) * 1000);
    Look {
        at: Timestamp::new(BootTime::from_millis(millis), WallTime::from_unix_millis(millis)),
        time: PassTime { boot, awake: boot },
    }
}

/// A tree of folders that stands in for the kernel's.
pub(super) struct Fixture(tempfile::TempDir);

impl Fixture {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, group: &str) -> PathBuf {
        self.0.path().join(group.trim_start_matches('/'))
    }

    pub(super) fn set(&self, group: &str, file: &str, text: &str) {
        let folder = self.path(group);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), text).unwrap();
    }

    /// A group that has used so many microseconds of processor time.
    pub(super) fn group(&self, group: &str, used: u64) {
        self.set(group, "cpu.stat", &CPU.replace("1000000", &used.to_string()));
    }

    pub(super) fn reader(&self) -> TreeReader {
        TreeReader::over(openat(CWD, self.0.path(), FOLDER, Mode::empty()).unwrap())
    }
}

pub(super) fn find(reader: &TreeReader, path: &str) -> CgroupStatus {
    let tree = reader.tree();
    tree.groups.into_iter().find(|group| group.path == path).unwrap_or_else(|| panic!("no {path}"))
}

pub(super) fn paths(reader: &TreeReader) -> Vec<String> {
    reader.tree().groups.into_iter().map(|group| group.path).collect()
}

#[test]
fn groups_come_and_go_and_are_no_others() {
    let tree = Fixture::new();
    tree.group("/a.slice", 0);
    tree.group("/a.slice/web.service", 0);
    let mut reader = tree.reader();
    reader.walk(at(0)).unwrap();
    assert_eq!(paths(&reader), ["/a.slice", "/a.slice/web.service"]);
    assert_eq!(find(&reader, "/a.slice").cpu, Reading::Absent(Absence::TooEarly));
    tree.group("/a.slice/web.service", 2_500_000);
    tree.group("/b", 0);
    reader.walk(at(10)).unwrap();
    assert_eq!(find(&reader, "/a.slice/web.service").cpu, Reading::Value(Percent(25.0)));
    // The same name made anew counts from its own beginning.
    std::fs::rename(tree.path("/a.slice/web.service"), tree.path("/old")).unwrap();
    tree.group("/a.slice/web.service", 9_000_000);
    std::fs::remove_dir_all(tree.path("/old")).unwrap();
    std::fs::remove_dir_all(tree.path("/b")).unwrap();
    reader.walk(at(20)).unwrap();
    assert_eq!(paths(&reader), ["/a.slice", "/a.slice/web.service"]);
    assert_eq!(find(&reader, "/a.slice/web.service").cpu, Reading::Absent(Absence::TooEarly));
}

#[test]
fn links_and_what_is_no_group_are_not_followed() {
    let tree = Fixture::new();
    tree.group("/real", 0);
    std::os::unix::fs::symlink("/proc", tree.path("/link")).unwrap();
    std::fs::create_dir(tree.path("/no-files")).unwrap();
    std::os::unix::fs::symlink("/proc/loadavg", tree.path("/real").join("memory.current")).unwrap();
    tree.group("/odd\u{1b}[31m", 0);
    let mut reader = tree.reader();
    reader.walk(at(0)).unwrap();
    assert_eq!(paths(&reader), ["/odd\\u{1b}[31m", "/real"]);
    assert!(matches!(find(&reader, "/real").memory, Reading::Failed(_)));
}

#[test]
fn a_busy_leaf_is_looked_at_closely_and_its_slice_is_not() {
    let tree = Fixture::new();
    for group in ["/s.slice", "/s.slice/hot.service", "/s.slice/idle.service"] {
        tree.group(group, 0);
    }
    let mut reader = tree.reader();
    reader.walk(at(0)).unwrap();
    assert_eq!(reader.attend(at(0)), 0);
    tree.group("/s.slice", 5_000_000);
    tree.group("/s.slice/hot.service", 5_000_000);
    let hot = |file, text| tree.set("/s.slice/hot.service", file, text);
    hot("io.stat", "8:0 rbytes=1000 wbytes=0 rios=1 wios=0\n8:16 rbytes=0 wbytes=500 rios=0 wios=1\n");
    hot("io.pressure", "some avg10=42.00 avg60=1.00 avg300=0.00 total=7\n");
    hot("memory.max", "max\n");
    reader.walk(at(10)).unwrap();
    assert_eq!(reader.attend(at(10)), 1);
    assert_eq!(
        find(&reader, "/s.slice/hot.service").cpu,
        Reading::Value(Percent(50.0)),
        "the walk's rate stays"
    );
    hot("io.stat", "8:0 rbytes=11000 wbytes=0 rios=1 wios=0\n8:16 rbytes=0 wbytes=20500 rios=0 wios=1\n");
    assert_eq!(reader.attend(at(20)), 1);
    let closely = find(&reader, "/s.slice/hot.service").closely;
    let closely = closely.value().unwrap();
    assert_eq!(
        (&closely.read, &closely.written),
        (&Reading::Value(Bytes(1000)), &Reading::Value(Bytes(2000)))
    );
    assert_eq!(closely.memory_max, Reading::Value(Limit::Unlimited));
    let waits = closely.io_pressure.value().and_then(|it| it.some.value()).map(|it| it.avg10);
    assert_eq!(waits, Some(Percent(42.0)));
    assert_eq!(closely.memory_pressure, Reading::Absent(Absence::Unsupported));
    for quiet in ["/s.slice", "/s.slice/idle.service"] {
        assert_eq!(find(&reader, quiet).closely, Reading::Absent(Absence::NotObserved));
    }
    // Idle again: what was seen is not kept as if it still were so.
    reader.walk(at(30)).unwrap();
    assert_eq!(find(&reader, "/s.slice/hot.service").closely, Reading::Absent(Absence::NotObserved));
}

#[test]
fn a_new_group_that_ran_into_its_limit_draws_attention_at_once() {
    let tree = Fixture::new();
    let mut reader = tree.reader();
    tree.group("/thrash", 0);
    tree.set("/thrash", "memory.events", "low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\n");
    reader.walk(at(0)).unwrap();
    assert_eq!(reader.attend(at(0)), 1);
}

#[test]
fn breadth_and_depth_are_bounded() {
    let tree = Fixture::new();
    for number in 0..ATTENTION_MAX + 5 {
        tree.group(&format!("/hot-{number}"), 0);
    }
    let deep = "/d".repeat(DEPTH_MAX + 3);
    std::fs::create_dir_all(tree.path(&deep)).unwrap();
    for depth in 1..=DEPTH_MAX + 3 {
        tree.group(&"/d".repeat(depth), 0);
    }
    let mut reader = tree.reader();
    reader.walk(at(0)).unwrap();
    let told = reader.tree();
    assert_eq!((told.groups.len(), told.left_out), (ATTENTION_MAX + 5 + DEPTH_MAX, 1));
    for number in 0..ATTENTION_MAX + 5 {
        tree.group(&format!("/hot-{number}"), 1_000_000);
    }
    reader.walk(at(1)).unwrap();
    assert_eq!(reader.attend(at(1)), ATTENTION_MAX);
}

#[test]
fn another_version_is_told_from_a_tree_that_can_not_be_read() {
    let tree = Fixture::new();
    assert!(matches!(TreeReader::open(tree.0.path()), Err(NoTree::OtherVersion(_))));
    let missing = TreeReader::open(&tree.path("/none")).unwrap_err();
    assert!(missing.is_for_good(), "{missing}");
}

#[test]
fn five_thousand_groups_are_all_told_of() {
    let tree = Fixture::new();
    for slice in 0..50 {
        tree.group(&format!("/{slice}.slice"), 0);
        for service in 0..99 {
            tree.group(&format!("/{slice}.slice/{service}.service"), 0);
        }
    }
    let mut reader = tree.reader();
    for second in 0..3 {
        reader.walk(at(second)).unwrap();
        let told = reader.tree();
        assert_eq!((told.groups.len(), told.left_out, reader.attend(at(second))), (5000, 0, 0));
    }
}

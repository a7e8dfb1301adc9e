#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "makes fixture trees")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::Mode;

use super::super::FOLDER;
use super::super::tests::{Fixture, at, find, paths};
use super::*;
use crate::model::Absence;
use crate::sense::cgroup::notices::WATCHED_MAX;

const SOON: Duration = Duration::from_secs(20);
const WEB: &str = "/s.slice/web.service";

fn memory_events(hits: u64, kills: u64) -> String {
    format!("low 0\nhigh 0\nmax {hits}\noom 0\noom_kill {kills}\n")
}

/// A slice with a service in it, walked once.
fn web() -> (Fixture, TreeReader) {
    let tree = Fixture::new();
    tree.group("/s.slice", 0);
    tree.group(WEB, 0);
    tree.set("/s.slice", "cgroup.events", "populated 1\nfrozen 0\n");
    tree.set(WEB, "cgroup.events", "populated 1\nfrozen 0\n");
    tree.set(WEB, "memory.events", &memory_events(0, 3));
    tree.set(WEB, "pids.events", "max 0\n");
    let mut reader = tree.reader();
    reader.walk(at(0)).unwrap();
    assert_eq!(reader.take_news(), [], "what was so before is no news");
    (tree, reader)
}

#[track_caller]
fn check(reader: &mut TreeReader, expected: &[GroupChange]) {
    assert!(reader.wait(SOON), "nothing was told");
    assert_eq!(reader.heed(), Heard::Groups(1));
    let news = reader.take_news();
    assert!(
        news.iter()
            .all(|it| it.path == WEB && it.unit.as_ref().is_some_and(|it| it.as_str() == "web.service"))
    );
    assert_eq!(news.into_iter().map(|it| it.change).collect::<Vec<_>>(), expected);
}

#[test]
fn what_befalls_a_service_is_told_between_the_walks() {
    let (tree, mut reader) = web();
    assert_eq!(reader.tree().watches, CgroupWatches { watched: 1, unwatched: 0, why: None });
    assert!(!reader.wait(Duration::ZERO));
    assert_eq!(find(&reader, WEB).populated, Reading::Value(true));
    assert_eq!(find(&reader, "/s.slice").populated, Reading::Absent(Absence::NotObserved), "no service");
    tree.set(WEB, "memory.events", &memory_events(9, 5));
    check(&mut reader, &[GroupChange::OomKilled(2)]);
    assert_eq!(find(&reader, WEB).oom_kills, Reading::Value(5));
    assert_eq!(reader.attended(), 1, "it ran into its limit");
    tree.set(WEB, "pids.events", "max 4\n");
    check(&mut reader, &[GroupChange::ForksRefused(4)]);
    tree.set(WEB, "cgroup.events", "populated 1\nfrozen 1\n");
    check(&mut reader, &[GroupChange::Frozen(true)]);
    tree.set(WEB, "cgroup.events", "populated 0\nfrozen 1\n");
    check(&mut reader, &[GroupChange::Emptied]);
    assert_eq!(find(&reader, WEB).populated, Reading::Value(false));
    // The walk has nothing to add, and looks at the files of what is watched no more than it must.
    reader.walk(at(10)).unwrap();
    assert_eq!((reader.take_news(), reader.wait(Duration::ZERO)), (vec![], false));
}

#[test]
fn units_have_groups_and_what_they_have_within_is_none() {
    let (tree, mut reader) = web();
    for group in ["/s.slice/web.service/worker", "/s.slice/other.service", "/made-by-hand"] {
        tree.group(group, 0);
    }
    reader.walk(at(10)).unwrap();
    let mut units: Vec<_> = reader.unit_groups().map(|it| (it.unit.to_string(), it.path)).collect();
    units.sort();
    let expected = ["other.service", "web.service"]
        .map(|unit| (unit.to_owned(), format!("/s.slice/{unit}").into_bytes()));
    assert_eq!(units, expected);
}

#[test]
fn a_group_that_is_gone_is_told_once_and_not_shown() {
    let (tree, mut reader) = web();
    tree.set(WEB, "cgroup.events", "populated 0\nfrozen 0\n");
    std::fs::remove_dir_all(tree.path(WEB)).unwrap();
    check(&mut reader, &[GroupChange::Emptied]);
    assert_eq!(paths(&reader), ["/s.slice"]);
    assert_eq!((reader.tree().watches.watched, reader.wait(Duration::ZERO)), (0, false));
}

#[test]
fn what_happened_in_a_group_before_its_first_walk_is_told_with_it() {
    let (tree, mut reader) = web();
    tree.group("/new.service", 0);
    tree.set("/new.service", "cgroup.events", "populated 1\nfrozen 0\n");
    tree.set("/new.service", "memory.events", &memory_events(1, 1));
    reader.walk(at(10)).unwrap();
    let news = reader.take_news();
    assert_eq!(news.iter().map(|it| it.change).collect::<Vec<_>>(), [GroupChange::OomKilled(1)]);
}

#[test]
fn a_queue_that_ran_over_is_made_up_for_by_a_walk() {
    let (tree, mut reader) = web();
    // Nobody tells of this one: the event is read away.
    tree.set(WEB, "memory.events", &memory_events(0, 4));
    reader.watching.notices.as_mut().unwrap().read();
    reader.watching.distrust = true;
    reader.walk(at(10)).unwrap();
    let news = reader.take_news();
    assert_eq!(news.iter().map(|it| it.change).collect::<Vec<_>>(), [GroupChange::OomKilled(1)]);
    assert!(!reader.watching.distrust);
}

#[test]
fn watches_are_bounded_and_those_without_are_asked_with_each_walk() {
    let tree = Fixture::new();
    let name = |number| format!("/{number:04}.service");
    for number in 0..WATCHED_MAX + 3 {
        tree.group(&name(number), 0);
        tree.set(&name(number), "cgroup.events", "populated 1\nfrozen 0\n");
    }
    let mut reader = tree.reader();
    reader.walk(at(0)).unwrap();
    let watches = reader.tree().watches;
    assert_eq!((watches.watched, watches.unwatched), (512, 3));
    assert!(watches.why.is_some_and(|why| why.contains("more than")));
    for number in 0..WATCHED_MAX + 3 {
        tree.set(&name(number), "cgroup.events", "populated 0\nfrozen 0\n");
    }
    assert!(matches!(reader.heed(), Heard::Groups(WATCHED_MAX)));
    reader.walk(at(10)).unwrap();
    assert_eq!(reader.take_news().len(), WATCHED_MAX + 3);
}

#[test]
fn groups_that_come_and_go_by_thousands_leave_nothing_behind() {
    let (tree, mut reader) = web();
    for round in 0..10 {
        for number in 0..100 {
            let name = format!("/r{round}-{number}.scope");
            tree.group(&name, 0);
            tree.set(&name, "cgroup.events", "populated 1\n");
        }
        reader.walk(at(round)).unwrap();
        assert_eq!(reader.tree().watches.watched, 101);
        for number in 0..100 {
            std::fs::remove_dir_all(tree.path(&format!("/r{round}-{number}.scope"))).unwrap();
        }
    }
    reader.walk(at(10)).unwrap();
    assert_eq!((reader.tree().watches.watched, reader.wait(Duration::ZERO)), (1, false));
}

/// A group of the kernel's own, removed with all below it.
struct KernelGroup(PathBuf);

impl KernelGroup {
    /// None where this host has no tree of version 2 that may be written to.
    fn new() -> Option<Self> {
        let name = format!("prunella-test-{}", std::process::id());
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.controllers").exists())?;
        let path = root.join(name);
        std::fs::create_dir(&path).ok().map(|()| Self(path))
    }
}

impl Drop for KernelGroup {
    fn drop(&mut self) {
        for below in std::fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(below.path());
        }
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn this_very_kernel_tells_of_a_group_that_was_emptied() {
    let Some(root) = KernelGroup::new() else { return tracing::info!("nothing to try here") };
    let service = root.0.join("web.service");
    std::fs::create_dir(&service).unwrap();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    std::fs::write(service.join("cgroup.procs"), child.id().to_string()).unwrap();
    let mut reader = TreeReader::over(rustix::fs::open(&root.0, FOLDER, Mode::empty()).unwrap());
    reader.walk(at(0)).unwrap();
    assert_eq!(find(&reader, "/web.service").populated, Reading::Value(true));
    assert!(!reader.wait(Duration::ZERO));
    child.kill().unwrap();
    let told = reader.wait(SOON);
    child.wait().unwrap();
    assert!(told && reader.heed() == Heard::Groups(1));
    let news = reader.take_news();
    assert_eq!(news.iter().map(|it| it.change).collect::<Vec<_>>(), [GroupChange::Emptied]);
}

proptest! {
    #[test]
    fn nothing_happens_where_nothing_was_read(before: [Option<u64>; 3], now: [Option<u64>; 3]) {
        let events = |[kills, forks, flag]: [Option<u64>; 3]| Events {
            populated: flag.map(|it| it % 2 == 0),
            frozen: flag.map(|it| it % 3 == 0),
            oom_kills: kills,
            limit_hits: None,
            forks_refused: forks,
        };
        let (before, now) = (events(before), events(now));
        for change in before.changes(now) {
            let real = match change {
                GroupChange::OomKilled(more) => before.oom_kills.zip(now.oom_kills) == now.oom_kills.map(|it| (it - more, it)),
                GroupChange::ForksRefused(more) => before.forks_refused.and_then(|it| it.checked_add(more)) == now.forks_refused,
                GroupChange::Frozen(frozen) => now.frozen == Some(frozen) && before.frozen == Some(!frozen),
                GroupChange::Emptied => before.populated == Some(true) && now.populated == Some(false),
            };
            prop_assert!(real);
        }
        prop_assert_eq!(before.changes(before).count(), 0);
    }
}

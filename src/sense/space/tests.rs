#![expect(clippy::disallowed_methods, reason = "makes a tree")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::model::Reading;

fn open(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("a folder")
}

fn file(path: PathBuf, kib: usize) {
    std::fs::create_dir_all(path.parent().expect("in a folder")).expect("folders");
    std::fs::write(path, vec![b'x'; kib << 10]).expect("a file");
}

/// As paths below the tree, with KiB.
fn names(tree: &Path, walk: &Walk) -> BTreeSet<(String, u64)> {
    let below = |path: &dyn std::fmt::Display| {
        path.to_string().strip_prefix(&format!("{}/", tree.display())).unwrap_or("?").to_owned()
    };
    walk.seen().files.iter().map(|file| (below(&file.path), file.bytes.0 >> 10)).collect()
}

fn walk(tree: &Path) -> Walk {
    Walk::new(open(tree), tree.as_os_str().as_bytes()).expect("it can be read")
}

#[test]
fn the_largest_are_named_and_links_lead_nowhere() {
    let tree = tempfile::tempdir().expect("a folder");
    let path = |name: &str| tree.path().join(name);
    file(path("a/b/large"), 800);
    file(path("a/small"), 8);
    for n in 0..40 {
        file(path(&format!("many/{n}")), 4);
    }
    std::os::unix::fs::symlink("/", path("out")).expect("a link");
    std::os::unix::fs::symlink(path("a"), path("again")).expect("a link");
    // Two names of one file: half of it each.
    file(path("one"), 400);
    std::fs::hard_link(path("one"), path("a/two")).expect("a link");
    // Long, and takes next to nothing.
    std::fs::File::create(path("sparse")).expect("a file").set_len(1 << 40).expect("it is made longer");

    let mut walk = walk(tree.path());
    assert!(walk.go_on(usize::MAX));
    let seen = walk.seen();
    let found = names(tree.path(), &walk);
    for expected in [("a/b/large", 800), ("one", 200), ("a/two", 200), ("a/small", 8)] {
        assert!(found.contains(&(expected.0.to_owned(), expected.1)), "{found:?}");
    }
    // Files, folders and links, each once.
    assert_eq!((seen.entries, seen.unreadable), (40 + 10, 0), "{seen:?}");
    let crowded = &seen.crowded[0];
    assert_eq!((crowded.path.to_string(), crowded.entries), (path("many").display().to_string(), 40));
    assert!(seen.bytes >= (800 + 8 + 160 + 400) << 10 && seen.bytes < 2 << 20, "{seen:?}");
}

#[test]
fn it_is_stopped_anywhere_and_goes_on_from_there() {
    let tree = tempfile::tempdir().expect("a folder");
    for n in 0..5 {
        for m in 0..5 {
            file(tree.path().join(format!("{n}/{m}/file")), n * 5 + m + 1);
        }
    }
    let mut whole = walk(tree.path());
    assert!(whole.go_on(usize::MAX));
    let mut parts = walk(tree.path());
    let mut steps = 0;
    while !parts.go_on(1) {
        steps += 1;
        // What was seen is told at any time.
        assert!(parts.seen().bytes <= whole.seen().bytes);
    }
    assert!(steps > 50, "{steps}");
    assert_eq!(parts.seen(), whole.seen());
}

/// So many entries at a time, with nothing open in between.
fn in_parts(tree: &Path, entries: usize, between: impl Fn(usize)) -> Walk {
    let mut parts = walk(tree);
    let mut part = 0;
    while !parts.go_on(entries) {
        let resting = parts.rest();
        between(part);
        parts = resting.go_on(open(tree)).expect("it is still there");
        part += 1;
        assert!(part < 10_000, "it does not come to an end");
    }
    parts
}

#[test]
fn it_rests_anywhere_and_goes_on_from_there() {
    let tree = tempfile::tempdir().expect("a folder");
    for n in 0..5 {
        for m in 0..5 {
            file(tree.path().join(format!("{n}/{m}/file")), n * 5 + m + 1);
        }
        file(tree.path().join(format!("{n}/own")), 100 + n);
    }
    let mut whole = walk(tree.path());
    assert!(whole.go_on(usize::MAX));
    for entries in [1, 2, 3, 7, 50] {
        assert_eq!(in_parts(tree.path(), entries, |_| {}).seen(), whole.seen(), "{entries} at a time");
    }
}

#[test]
fn what_is_gone_when_it_goes_on_is_passed_over() {
    let tree = tempfile::tempdir().expect("a folder");
    let path = |n: usize| tree.path().join(n.to_string());
    for n in 0..20 {
        file(path(n).join("deep/er/file"), 4);
    }
    let outside = tempfile::tempdir().expect("a folder");
    file(outside.path().join("deep/er/secret"), 4000);
    // Whichever it is in by then: all are gone, or lead elsewhere.
    let walk = in_parts(tree.path(), 5, |part| {
        for n in (part == 2).then_some(0..20).into_iter().flatten() {
            std::fs::remove_dir_all(path(n)).expect("it was there");
            if n % 2 == 0 {
                std::os::unix::fs::symlink(outside.path(), path(n)).expect("a link");
            }
        }
    });
    assert!(walk.seen().bytes < 4000 << 10, "{:?}", walk.seen());
}

#[test]
fn another_folder_is_not_gone_on_with() {
    let (tree, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    file(tree.path().join("a/file"), 4);
    let mut walk = walk(tree.path());
    walk.go_on(1);
    assert_eq!(walk.rest().go_on(open(other.path())).err(), Some(Errno::STALE));
}

#[test]
fn what_lies_too_deep_is_told_as_not_read() {
    let tree = tempfile::tempdir().expect("a folder");
    let deep = (0..DEPTH_MAX + 5).fold(tree.path().to_owned(), |path, _| path.join("d"));
    file(deep.join("file"), 4);
    let mut walk = walk(tree.path());
    assert!(walk.go_on(usize::MAX));
    assert_eq!((walk.seen().unreadable, walk.seen().files.len()), (1, 0), "{:?}", walk.seen());
}

#[test]
fn a_folder_that_vanishes_or_turns_into_a_link_is_passed_over() {
    let tree = tempfile::tempdir().expect("a folder");
    let outside = tempfile::tempdir().expect("a folder");
    file(outside.path().join("secret"), 4000);
    for n in 0..50 {
        file(tree.path().join(format!("{n}/file")), 4);
    }
    let mut walk = walk(tree.path());
    walk.go_on(3);
    for n in 0..50 {
        let path = tree.path().join(n.to_string());
        std::fs::remove_dir_all(&path).expect("it was there");
        if n % 2 == 0 {
            std::os::unix::fs::symlink(outside.path(), &path).expect("a link");
        }
    }
    assert!(walk.go_on(usize::MAX));
    assert!(walk.seen().bytes < 4000 << 10, "{:?}", walk.seen());
}

#[test]
fn a_deleted_file_is_found_by_who_has_it_open() {
    let tree = tempfile::tempdir().expect("a folder");
    let path = tree.path().join("gone.log");
    let mut open_file = std::fs::File::create(&path).expect("a file");
    open_file.write_all(&vec![b'x'; 300 << 10]).expect("it is written");
    open_file.sync_all().expect("it is there");
    // One that is called so, and is there.
    std::fs::write(tree.path().join("there (deleted)"), "x").expect("a file");
    let _there = std::fs::File::open(tree.path().join("there (deleted)")).expect("it is there");
    std::fs::remove_file(&path).expect("it was there");

    let place = walk::place_of(open(tree.path()).as_fd()).expect("it is there");
    let Reading::Value(found) = deleted_files(Path::new("/proc"), place, &|| false) else {
        panic!("can be read")
    };
    let own = i32::try_from(std::process::id()).expect("a pid");
    let mine = found.largest.iter().find(|it| it.pid == own).unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!((mine.path.to_string(), mine.bytes.0 >> 10), (path.display().to_string(), 300));
    assert!(found.count >= 1 && found.bytes >= mine.bytes);
    assert!(matches!(deleted_files(Path::new("/nowhere"), place, &|| true), Reading::Failed(_)));
}

#[test]
fn who_writes_a_large_file_is_named() {
    let tree = tempfile::tempdir().expect("a folder");
    file(tree.path().join("grows"), 400);
    file(tree.path().join("read"), 300);
    let mut grows =
        std::fs::File::options().append(true).open(tree.path().join("grows")).expect("it is there");
    let _read = std::fs::File::open(tree.path().join("read")).expect("it is there");
    let mut walk = walk(tree.path());
    assert!(walk.go_on(usize::MAX));
    let mut seen = walk.seen();
    let since = || Duration::ZERO;
    // It is watched for a tenth of a second, in which it is written to.
    let rest = |_| (&grows).write_all(&[b'x'; 1 << 10]).expect("it is written");
    name_writers(Path::new("/proc"), &mut seen, &|| false, &Clock { since: &since, rest: &rest });
    let own = i32::try_from(std::process::id()).expect("a pid");
    let about: Vec<_> =
        seen.files.iter().map(|it| (it.writer.value().map(|it| it.pid), it.growth.value())).collect();
    assert_eq!(about, [(Some(own), Some(&Bytes(10 << 10))), (None, None)], "{seen:?}");
    grows.flush().expect("it was written");
}

#[test]
fn a_look_is_bounded_and_of_the_file_system_that_is_meant() {
    use std::cell::Cell;
    let tree = tempfile::tempdir().expect("a folder");
    file(tree.path().join("a/file"), 40);
    let point = MountPoint::from_bytes(tree.path().as_os_str().as_bytes()).expect("a path");
    let about = walk::place_of(open(tree.path()).as_fd()).expect("it is there");
    let device = DeviceNumber { major: about.major, minor: about.minor };
    let (now, rested) = (Cell::new(0), Cell::new(0));
    // Each look at the clock takes ten milliseconds.
    let since = || {
        now.set(now.get() + 10);
        Duration::from_millis(now.get())
    };
    let rest = |_| rested.set(rested.get() + 1);
    let clock = Clock { since: &since, rest: &rest };
    let at = WallTime::from_unix_millis(0);
    let proc = tempfile::tempdir().expect("a folder");
    let minute = Duration::from_secs(60);
    let (whole, left) =
        look(proc.path(), (&point, device), at, minute, &clock, None).expect("it can be read");
    assert!(whole.complete && whole.files[0].bytes == Bytes(40 << 10), "{whole:?}");
    assert!(left.is_none());
    let soon = Duration::from_millis(1);
    let (none, left) = look(proc.path(), (&point, device), at, soon, &clock, None).expect("it can be read");
    assert!(!none.complete && none.entries == 0, "{none:?}");
    assert!(rested.get() <= 1);
    let (rest, left) = look(proc.path(), (&point, device), at, minute, &clock, left).expect("it can be read");
    assert!(rest.complete && left.is_none() && rest.over > none.over, "{rest:?}");
    assert_eq!((rest.entries, rest.files), (whole.entries, whole.files));
    let other = DeviceNumber { major: 4095, minor: 1 };
    let gone = look(proc.path(), (&point, other), at, minute, &clock, None);
    assert!(matches!(gone, Err(NoLook::Gone)), "{gone:?}");
}

//! Other mounts: what is mounted over a file, over a folder, and where the search may begin. As root, in a thread with
//! mounts of its own, which go with it.
#![expect(unsafe_code, reason = "mounting has no safe form here")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;

use rustix::thread::UnshareFlags;

use super::*;

fn mount(source: &Path, target: &Path, kind: &str, flags: libc::c_ulong) -> std::io::Result<()> {
    mount_with(source, target, kind, flags, "")
}

pub(super) fn mount_with(
    source: &Path,
    target: &Path,
    kind: &str,
    flags: libc::c_ulong,
    options: &str,
) -> std::io::Result<()> {
    let options = CString::new(options).expect("no zero in it");
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).expect("no zero in it");
    let (source, target, kind) = (text(source), text(target), CString::new(kind).expect("no zero in it"));
    // SAFETY: four texts that live over the call.
    let done = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn bind(source: &Path, target: &Path) {
    mount(source, target, "none", libc::MS_BIND).expect("it can be mounted");
}

fn memory(target: &Path) {
    std::fs::create_dir_all(target).expect("a folder");
    mount(Path::new("none"), target, "tmpfs", 0).expect("it can be mounted");
}

pub(super) fn unmount(target: &Path) {
    let target = CString::new(target.as_os_str().as_bytes()).expect("no zero in it");
    // SAFETY: a text that lives over the call.
    let done = unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// So that the folder can be removed. All of a test's mounts are of its thread.
pub(super) fn unmount_below(folder: &Path) {
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo").expect("every process has one");
    let targets = table.lines().rev().filter_map(|line| line.split(' ').nth(4).map(Path::new));
    targets.filter(|target| target.starts_with(folder)).for_each(unmount);
}

/// Where mounts are nobody else's.
pub(super) fn apart(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let apart = scope.spawn(|| {
            // SAFETY: the mounts and the working folder become this thread's own; no other of its things is touched.
            if let Err(errno) = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) } {
                return skipped("mounts", errno);
            }
            let root = Path::new("/");
            if let Err(error) = mount(root, root, "none", libc::MS_REC | libc::MS_PRIVATE) {
                return skipped("mounts", error);
            }
            work();
        });
        apart.join().expect("it passed");
    });
}

#[test]
fn what_is_mounted_over_a_file_stays() {
    apart(|| {
        let over = |yard: &mut Yard| bind(&yard.path("outside/app.log.2"), &yard.logs(VICTIM));
        check(
            |yard| {
                over(yard);
                // Of the same file system, and even the same file.
                yard.file("logs/self.log.1", "kept", 2);
                yard.file("logs/self.log.2", "it", 9);
                bind(&yard.logs("self.log.2"), &yard.logs("self.log.2"));
            },
            &[(VICTIM, Err(Refused::Elsewhere)), ("self.log.2", Err(Refused::Elsewhere))],
        );
        check_found(over, Refused::Elsewhere);
        check_prepared(over, Refused::Elsewhere);
    });
}

#[test]
fn what_is_mounted_over_a_folder_is_not_entered() {
    apart(|| {
        check(
            |yard| {
                std::fs::create_dir(yard.logs("bound")).expect("a folder");
                bind(&yard.path("outside"), &yard.logs("bound"));
                memory(&yard.logs("memory"));
                yard.file("logs/memory/app.log.1", "kept", 2);
                yard.file("logs/memory/app.log.2", "other", 9);
            },
            &[(VICTIM, Ok(()))],
        );
        // The same folder in itself: its files are found once.
        let yard = Yard::new();
        std::fs::create_dir(yard.logs("again")).expect("a folder");
        bind(&yard.path("logs"), &yard.logs("again"));
        let found = yard.search().find(NOW, &|| false);
        assert!(found.whole && yard.names(&found) == [VICTIM], "{found:?}");
    });
}

#[test]
fn a_mount_that_comes_over_the_folder_is_noticed() {
    apart(|| {
        let over = |yard: &mut Yard| bind(&yard.path("outside"), &yard.path("logs"));
        check_found(over, Refused::FolderMoved);
        check_prepared(over, Refused::FolderMoved);
        let same = |yard: &mut Yard| bind(&yard.path("logs"), &yard.path("logs"));
        check_found(same, Refused::FolderMoved);
        check_prepared(same, Refused::FolderMoved);
    });
}

#[test]
fn a_search_stays_on_the_mount_that_it_was_asked_for() {
    apart(|| {
        let yard = Yard::new();
        memory(&yard.logs("own"));
        for (name, days) in [("app.log.1", 2), ("app.log.2", 9)] {
            yard.file(format!("logs/own/{name}"), "own", days);
        }
        let own = yard.logs("own");
        let search =
            Search::open(&root(), &point(&own), device(&own), &[yard.rule()]).expect("it can be searched");
        assert!(search.usage().expect("it can be asked").inodes.value().is_some());
        check_own(&yard, &search);

        // The folder of logs is on another file system than the one above it.
        let above = LogRoot { folder: own.clone(), ..yard.rule() };
        assert_eq!(yard.search_by(&[above]).map(drop), Err(NoSearch::NoFolder(String::new())));
        // Another is mounted where the search began: it still is on the one that it was opened on.
        yard.file("logs/own/app.log.2", "own", 9);
        let found = yard.found(&search);
        memory(&own);
        assert_eq!(search.find(NOW, &|| false).candidates.len(), 1);
        let told = Search::open(&root(), &point(&own), search.ground.place.device, &[yard.rule()]);
        assert_eq!(told.map(drop), Err(NoSearch::Gone));
        unmount(&own);
        assert_eq!(search.prepare(&found, NOW).and_then(|ready| ready.remove(NOW)), Ok(()));
    });
}

fn check_own(yard: &Yard, search: &Search) {
    assert_eq!(yard.outcome(search), BTreeMap::from([("own/app.log.2".to_owned(), Ok(()))]));
    assert!(yard.has(VICTIM) && !yard.has("own/app.log.2"));
}

#[test]
fn a_file_system_that_became_read_only_is_told() {
    apart(|| {
        let yard = Yard::new();
        let own = yard.logs("own");
        memory(&own);
        for (name, days) in [("app.log.1", 2), ("app.log.2", 9)] {
            yard.file(format!("logs/own/{name}"), "own", days);
        }
        let search =
            Search::open(&root(), &point(&own), device(&own), &[yard.rule()]).expect("it can be searched");
        let ready = yard.ready(&search);
        mount(Path::new("none"), &own, "none", libc::MS_REMOUNT | libc::MS_RDONLY).expect("it can be");
        assert_eq!(ready.remove(NOW), Err(Refused::ReadOnly));
    });
}

/// Layers, as a container's root has them: the lower ones are never written to.
#[test]
fn layers_are_one_file_system() {
    apart(|| {
        let mut yard = Yard::new();
        for layer in ["lower", "upper", "work", "logs/own"] {
            std::fs::create_dir(yard.path(layer)).expect("a folder");
        }
        for (name, days) in [("low.log.1", 2), ("low.log.2", 9)] {
            yard.file(format!("lower/{name}"), "low", days);
        }
        let layers =
            ["lower", "upper", "work"].map(|layer| format!("{layer}dir={}", yard.path(layer).display()));
        let own = yard.logs("own");
        if let Err(error) = mount_with(Path::new("none"), &own, "overlay", 0, &layers.join(",")) {
            return skipped("layers", error);
        }
        for (name, days) in [("up.log.1", 2), ("up.log.2", 9)] {
            yard.file(format!("logs/own/{name}"), "up", days);
        }
        yard.let_time_pass();
        yard.seal();
        let search =
            Search::open(&root(), &point(&own), device(&own), &[yard.rule()]).expect("it can be searched");
        let writer = append(&own.join("up.log.2"));
        let busy = yard.outcome(&search);
        assert_eq!(busy.get("own/up.log.2"), Some(&Err(Refused::OpenForWriting)), "{busy:?}");
        drop(writer);
        let done = yard.outcome(&search);
        assert_eq!(done.get("own/up.log.2"), Some(&Ok(())), "{done:?}");
        assert!(!yard.has("own/up.log.2") && yard.has("own/up.log.1") && yard.has("own/low.log.1"));
        // Of the lower layer, only its name is gone.
        assert!(!yard.has("own/low.log.2") && yard.path("lower/low.log.2").exists());
    });
}

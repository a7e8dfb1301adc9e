//! Attacks. Each sets up a yard, lets something happen, and looks at what was removed, what was said, and whether
//! anything outside of the folder of logs has changed.
#![expect(clippy::disallowed_methods, reason = "makes trees, and one other process")]

mod archives;
mod away;
mod crashes;
mod dumps;
mod files;
mod folders;
mod moments;
mod mounts;
mod paths;
mod races;
mod rights;
mod rules;
mod unfinished;
mod writers;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::search::PassedOver;
use super::walk::Found;
use super::*;
use crate::model::{DeviceNumber, Holds, LogRoot, MountPoint, WallTime};

/// Far ahead, so that what a test makes is old.
const NOW: WallTime = WallTime::from_unix_millis(2_208_988_800_000);
const DAY: Duration = Duration::from_hours(24);
/// What is attacked, in the folder of logs; `app.log.1` is younger and kept.
const VICTIM: &str = "app.log.2";

/// Number, mode, size, time and content of everything in a tree.
type Snapshot = BTreeMap<PathBuf, (u64, u32, u64, i128, String)>;

/// A folder of logs, `logs`, and one that nobody may touch, `outside`.
struct Yard {
    tree: TempDir,
    before: Snapshot,
}

impl Yard {
    /// With one rotated log that may go.
    fn new() -> Self {
        Self::within(tempfile::tempdir().expect("a folder"))
    }

    fn within(tree: TempDir) -> Self {
        let mut yard = Self { tree, before: Snapshot::new() };
        for folder in ["logs", "outside/folder"] {
            std::fs::create_dir_all(yard.path(folder)).expect("a folder");
        }
        yard.file("logs/app.log", "now", 0);
        yard.file("logs/app.log.1", "kept", 2);
        yard.file("logs/app.log.2", "victim", 9);
        for name in ["outside/secret", "outside/app.log.2", "outside/folder/app.log.2"] {
            yard.file(name, "not to be touched", 9);
            yard.file("outside/folder/app.log.1", "not to be touched", 2);
        }
        yard.let_time_pass();
        yard.seal();
        yard
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.tree.path().join(name)
    }

    fn logs(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path("logs").join(name)
    }

    /// Written so many days before now.
    fn file(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>, days: u32) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("folders");
        std::fs::write(&path, content).expect("a file");
        set_age(&path, days);
    }

    /// Until the clock of the file system has moved on, so that every change shows: on a host, files are ten minutes
    /// old.
    fn let_time_pass(&self) {
        let path = self.path("clock");
        let changed = || {
            std::fs::write(&path, "").expect("a file");
            let about = path.metadata().expect("it is there");
            (about.ctime(), about.ctime_nsec())
        };
        let first = changed();
        while changed() == first {}
    }

    /// What is outside now is to stay.
    fn seal(&mut self) {
        self.before = snapshot(&self.path("outside"));
    }

    fn rule(&self) -> LogRoot {
        LogRoot {
            name: "logs".into(),
            folder: self.path("logs"),
            except: vec![],
            holds: Holds::Logs,
            keep: 1,
            keep_for: DAY,
        }
    }

    fn search_by(&self, roots: &[LogRoot]) -> Result<Search, NoSearch> {
        Search::open(&root(), &point(self.tree.path()), device(self.tree.path()), roots)
    }

    fn search(&self) -> Search {
        self.search_by(&[self.rule()]).expect("it can be searched")
    }

    /// Of a path that was told, below the folder of logs.
    fn name(&self, told: &impl ToString) -> String {
        let logs = format!("{}/", self.path("logs").display());
        told.to_string().strip_prefix(&logs).expect("in the folder of logs").to_owned()
    }

    fn names(&self, found: &Found) -> Vec<String> {
        found.candidates.iter().map(|it| self.name(&it.path())).collect()
    }

    /// Searches and removes all that may go: what became of each, those that were refused at once included.
    fn outcome(&self, search: &Search) -> BTreeMap<String, Result<(), Refused>> {
        let found = search.find(NOW, &|| false);
        let refused = found.refused.iter().map(|(path, why)| (self.name(path), Err(*why)));
        let mut told: BTreeMap<_, _> = refused.collect();
        for candidate in &found.candidates {
            let done = search.prepare(candidate, NOW).and_then(|ready| ready.remove(NOW));
            told.insert(self.name(&candidate.path()), done);
        }
        told
    }

    /// The victim, prepared.
    fn ready(&self, search: &Search) -> Ready {
        search.prepare(&self.found(search), NOW).expect("it may go")
    }

    /// The victim, found.
    fn found(&self, search: &Search) -> Candidate {
        let found = search.find(NOW, &|| false);
        let mut all = found.candidates.into_iter();
        all.find(|it| self.name(&it.path()).ends_with(VICTIM)).expect("it is found")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.logs(name)).expect("it is there")
    }

    fn has(&self, name: &str) -> bool {
        self.logs(name).symlink_metadata().is_ok()
    }

    /// Its private name.
    fn aside(&self, name: &str) -> String {
        format!(".prunella-removing-{}", self.logs(name).metadata().expect("it is there").ino())
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(snapshot(&self.path("outside")), self.before, "something outside has changed");
        }
        mounts::unmount_below(self.tree.path());
    }
}

/// One search over a yard that was changed. What is not named here must neither be told nor be gone.
#[track_caller]
fn check(set_up: impl FnOnce(&mut Yard), expected: &[(&str, Result<(), Refused>)]) {
    let mut yard = Yard::new();
    set_up(&mut yard);
    yard.seal();
    let search = yard.search();
    check_yard(&yard, &search, expected);
}

#[track_caller]
fn check_yard(yard: &Yard, search: &Search, expected: &[(&str, Result<(), Refused>)]) {
    let mut before = snapshot(&yard.path("logs"));
    let expected: BTreeMap<String, _> =
        expected.iter().map(|(name, done)| ((*name).to_owned(), *done)).collect();
    assert_eq!(yard.outcome(search), expected);
    before.retain(|path, _| {
        let name = path.strip_prefix(yard.path("logs")).expect("a log").to_str().expect("text");
        expected.get(name) != Some(&Ok(()))
    });
    assert_eq!(snapshot(&yard.path("logs")), before, "not what was told");
}

/// What becomes of the victim when this happens after it was found.
#[track_caller]
fn check_found(attack: impl FnOnce(&mut Yard), expected: Refused) {
    check_moment(false, attack, expected);
}

/// What becomes of the victim when this happens after it was prepared.
#[track_caller]
fn check_prepared(attack: impl FnOnce(&mut Yard), expected: Refused) {
    check_moment(true, attack, expected);
}

#[track_caller]
fn check_moment(prepared: bool, attack: impl FnOnce(&mut Yard), expected: Refused) {
    let mut yard = Yard::new();
    let search = yard.search();
    let found = yard.found(&search);
    let ready = prepared.then(|| search.prepare(&found, NOW).expect("it may go"));
    attack(&mut yard);
    yard.seal();
    let before = snapshot(&yard.path("logs"));
    let done = match ready {
        Some(ready) => ready.remove(NOW),
        None => search.prepare(&found, NOW).map(drop),
    };
    assert_eq!(done, Err(expected));
    assert_eq!(snapshot(&yard.path("logs")), before, "it was refused, and something has changed");
}

fn root() -> OwnedFd {
    rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("the root")
}

fn point(path: &Path) -> MountPoint {
    MountPoint::from_bytes(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())).expect("a path")
}

fn device(path: &Path) -> DeviceNumber {
    let number = path.metadata().expect("it is there").dev();
    DeviceNumber { major: rustix::fs::major(number), minor: rustix::fs::minor(number) }
}

fn set_age(path: &Path, days: u32) {
    let age = DAY * days;
    let now = Duration::from_millis(NOW.unix_millis().unsigned_abs());
    let file = File::open(path).expect("it is there");
    file.set_modified(SystemTime::UNIX_EPOCH + now - age).expect("its time can be set");
}

fn append(path: &Path) -> File {
    OpenOptions::new().append(true).open(path).expect("it can be written to")
}

fn snapshot(tree: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            let about = path.symlink_metadata().expect("it is there");
            let kind = about.file_type();
            let modified = i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec());
            let mut facts = (about.ino(), about.mode(), about.size(), modified, String::new());
            if kind.is_dir() {
                (facts.2, facts.3) = (0, 0);
                folders.push(path.clone());
            } else if kind.is_file() {
                let mut head = Vec::new();
                let file = File::open(&path).expect("it can be read");
                file.take(4096).read_to_end(&mut head).expect("it can be read");
                facts.4 = Sha256::digest(&head).iter().map(|byte| format!("{byte:02x}")).collect();
            } else {
                assert!(kind.is_symlink() || kind.is_fifo() || kind.is_socket() || kind.is_char_device());
            }
            found.insert(path, facts);
        }
    }
    found
}

/// Loud, for a case that was not tried is not one that holds: past what keeps the output of tests that pass.
fn skipped(what: &str, why: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "NOT TRIED: {what}: {why}");
}

//! The folder of the ledger: its file names, the lock of its one writer, what is set aside.
#![expect(clippy::disallowed_methods, reason = "the ledger owns its folder")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::LedgerError;
use crate::model::WallTime;

/// The chain in force.
pub const LEDGER_FILE: &str = "ledger.db";
/// A chain in the making; renamed when its first record is on the disk.
const NEW_FILE: &str = "ledger.db.new";
const LOCK_FILE: &str = "ledger.lock";
const SET_ASIDE_PREFIX: &str = "ledger.db.set-aside-";
/// What SQLite keeps beside a file.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];
/// The agent's group may read; nobody else.
pub(super) const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// Names tried for a file set aside within one millisecond before giving up.
const SET_ASIDE_TRIES: u32 = 1000;

/// Wraps an error with what was done to which file.
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |source| LedgerError::File { what, path, source }
}

/// The folder, with the right to write in it held until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is missing and takes the writer's lock.
    ///
    /// The path is resolved once; no link is followed below it.
    pub(super) fn claim(dir: &Path) -> Result<Self, LedgerError> {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(dir)
            .map_err(failed("make the folder", dir))?;
        let path = dir.canonicalize().map_err(failed("find the folder", dir))?;
        let lock = open_own(&path.join(LOCK_FILE))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::InUse { dir: path }),
            Err(error) => Err(failed("lock", &path.join(LOCK_FILE))(error.into())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.path.join(LEDGER_FILE)
    }

    /// Whether something stands in the ledger's place, be it a file or not.
    pub(super) fn has_ledger(&self) -> Result<bool, LedgerError> {
        let path = self.ledger();
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("look at", &path)(error)),
        }
    }

    /// An empty file under the name for a chain in the making. What a crash left there never held more than the
    /// first record of a chain that was not yet in force.
    pub(super) fn begin_new(&self) -> Result<PathBuf, LedgerError> {
        let path = self.path.join(NEW_FILE);
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let left = with_suffix(&path, suffix);
            match fs::remove_file(&left) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("remove", &left)(error)),
            }
        }
        open_own(&path)?;
        Ok(path)
    }

    /// Puts the chain in the making in force.
    pub(super) fn finish_new(&self) -> Result<(), LedgerError> {
        let new = self.path.join(NEW_FILE);
        // SQLite has synced the content; the name follows it.
        fs::rename(&new, self.ledger()).map_err(failed("rename", &new))?;
        self.sync()
    }

    /// Moves the ledger and what SQLite keeps beside it out of the way, under a name not used before.
    ///
    /// The main file goes first: should a crash come between, the next start finds a log without its file and
    /// ends the work ([`Self::finish_set_aside`]), instead of a file without the log that belongs to it.
    pub(super) fn set_aside(&self, now: WallTime) -> Result<String, LedgerError> {
        let name = self.free_name(now)?;
        let target = self.path.join(&name);
        fs::rename(self.ledger(), &target).map_err(failed("set aside", &self.ledger()))?;
        self.sync()?;
        self.move_companions(&target)?;
        Ok(name)
    }

    /// Ends a setting-aside that a crash cut short: a log without its file belongs to the newest file set aside
    /// that has none, or is set aside by itself.
    pub(super) fn finish_set_aside(&self, now: WallTime) -> Result<(), LedgerError> {
        if !COMPANIONS.iter().any(|suffix| with_suffix(&self.ledger(), suffix).exists()) {
            return Ok(());
        }
        let target = match self.newest_set_aside()? {
            Some(name) if !with_suffix(&self.path.join(&name), "-wal").exists() => name,
            Some(_) | None => self.free_name(now)?,
        };
        self.move_companions(&self.path.join(target))
    }

    fn move_companions(&self, target: &Path) -> Result<(), LedgerError> {
        for suffix in COMPANIONS {
            let from = with_suffix(&self.ledger(), suffix);
            let to = with_suffix(target, suffix);
            match fs::rename(&from, &to) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("set aside", &from)(error)),
            }
        }
        self.sync()
    }

    fn free_name(&self, now: WallTime) -> Result<String, LedgerError> {
        let millis = now.unix_millis();
        for n in 0..SET_ASIDE_TRIES {
            let name = match n {
                0 => format!("{SET_ASIDE_PREFIX}{millis}"),
                n => format!("{SET_ASIDE_PREFIX}{millis}-{n}"),
            };
            let taken = |suffix| fs::symlink_metadata(with_suffix(&self.path.join(&name), suffix)).is_ok();
            if !["", "-wal", "-shm"].into_iter().any(taken) {
                return Ok(name);
            }
        }
        Err(failed("find a free name in", &self.path)(io::ErrorKind::AlreadyExists.into()))
    }

    /// The file that was set aside last, by the time and number in its name.
    pub(super) fn newest_set_aside(&self) -> Result<Option<String>, LedgerError> {
        let entries = fs::read_dir(&self.path).map_err(failed("list", &self.path))?;
        let mut newest = None;
        for entry in entries {
            let name = entry.map_err(failed("list", &self.path))?.file_name();
            let Some(name) = name.to_str() else { continue };
            newest = newest.max(set_aside_order(name).map(|order| (order, name.to_owned())));
        }
        Ok(newest.map(|(_, name)| name))
    }

    /// Makes new names in the folder survive a power cut.
    pub(super) fn sync(&self) -> Result<(), LedgerError> {
        File::open(&self.path).and_then(|dir| dir.sync_all()).map_err(failed("sync", &self.path))
    }
}

/// Time and number in the name of a file set aside; `None` for any other name.
pub(super) fn set_aside_order(name: &str) -> Option<(i64, u32)> {
    let rest = name.strip_prefix(SET_ASIDE_PREFIX)?;
    let (millis, n) = match rest.rsplit_once('-') {
        Some((millis, n)) if !millis.is_empty() => (millis, n.parse().ok()?),
        Some(_) | None => (rest, 0),
    };
    Some((millis.parse().ok()?, n))
}

/// Opens a file of our own for writing, made with our mode whatever the umask, following no link.
pub(super) fn open_own(path: &Path) -> Result<File, LedgerError> {
    let nofollow = i32::from_ne_bytes(rustix::fs::OFlags::NOFOLLOW.bits().to_ne_bytes());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(nofollow)
        .open(path)
        .map_err(failed("open", path))?;
    file.set_permissions(fs::Permissions::from_mode(FILE_MODE)).map_err(failed("set the mode of", path))?;
    Ok(file)
}

/// `path` with `suffix` added to its file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

//! What a pid file says, and whether it can be believed.
//!
//! Daemons write pid files where they may, often in folders of their own user. What it names will be signalled by
//! root: so the file must be a regular one with a single name, not a link, written by root or by the very user
//! that the process runs as, and the process must not be younger than the file.
#![expect(clippy::disallowed_methods, reason = "reads pid files and the clocks that tell their age")]

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::model::{BootId, ProcessIdentity};
use crate::sense::procfs::{parse_uptime, process_uid, read_bounded, read_stat};

/// Longest pid file that is read; the pid stands on its first line.
const PID_FILE_MAX: usize = 64;
/// Between the clocks of files, of processes and of the boot.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// What was seen in the place of a pid file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// No file.
    Missing,
    /// A file from before this boot that names nobody alive.
    Old,
    /// The process that it names is gone.
    Stale { pid: i32 },
    /// It names this process.
    Live(ProcessIdentity),
    /// It can't be read or believed: one sentence.
    Dubious(String),
}

/// Looks. `known` is the run that was last believed: a process of its pid and another start time is not it.
pub(super) fn sight(proc: &Path, boot: BootId, path: &Path, known: Option<ProcessIdentity>) -> Sighting {
    match look(proc, boot, path, known) {
        Ok(sighting) => sighting,
        Err(error) => Sighting::Dubious(format!("{}: {error}", path.display())),
    }
}

fn look(proc: &Path, boot: BootId, path: &Path, known: Option<ProcessIdentity>) -> std::io::Result<Sighting> {
    let doubt = |why: String| Ok(Sighting::Dubious(format!("{}: {why}", path.display())));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(Sighting::Missing),
        Err(Errno::LOOP) => return doubt("is a symbolic link".into()),
        Err(errno) => return Err(errno.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return doubt("is not a regular file with a single name".into());
    }
    if metadata.mode() & 0o002 != 0 {
        return doubt("everybody may write it".into());
    }
    let mut bytes = [0; PID_FILE_MAX];
    let length = rustix::io::pread(&file, &mut bytes[..], 0)?;
    let Some(pid) = parse(&bytes[..length]) else { return doubt("does not hold a pid".into()) };
    if pid <= 1 || u32::try_from(pid) == Ok(std::process::id()) {
        return doubt(format!("names process {pid}, which is no service"));
    }
    let age = SystemTime::now().duration_since(metadata.modified()?).unwrap_or_default();
    let uptime = parse_uptime(&read_bounded(&proc.join("uptime"), PID_FILE_MAX)?)
        .ok_or_else(|| std::io::Error::other("the uptime can't be read"))?;
    let Some(stat) = read_stat(proc, pid)?.filter(|stat| !stat.is_dead()) else {
        let old = age > uptime + CLOCK_SLACK;
        return Ok(if old { Sighting::Old } else { Sighting::Stale { pid } });
    };
    let identity = ProcessIdentity { pid, start_ticks: stat.start_ticks, boot };
    if stat.kernel_thread {
        return doubt(format!("names process {pid}, which is a kernel thread"));
    }
    let owner = metadata.uid();
    let user = match process_uid(proc, pid) {
        Ok(user) => user,
        Err(_) => return Ok(Sighting::Stale { pid }),
    };
    if owner != 0 && owner != user {
        return doubt(format!("belongs to user {owner} and names process {pid} of user {user}"));
    }
    if known == Some(identity) {
        return Ok(Sighting::Live(identity));
    }
    let hertz = rustix::param::clock_ticks_per_second().max(1);
    let started = Duration::from_millis(stat.start_ticks.saturating_mul(1000) / hertz);
    let younger = age > uptime.saturating_sub(started) + CLOCK_SLACK;
    match known {
        _ if !younger => Ok(Sighting::Live(identity)),
        Some(known) if known.pid == pid => Ok(Sighting::Stale { pid }),
        // Either the pid was used again, or the wall clock stepped after the file was written: not to be decided
        // here, and not to be acted on.
        Some(_) | None => doubt(format!("is older than process {pid}, which it names")),
    }
}

/// A decimal number, blanks around it, perhaps more lines after it.
pub(super) fn parse(bytes: &[u8]) -> Option<i32> {
    let line = bytes.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let digits = !line.is_empty() && line.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(line).ok()?.parse().ok()).flatten()
}

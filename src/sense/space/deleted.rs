//! Files without a name that somebody has open: `df` counts them, `du` does not.
#![expect(clippy::disallowed_methods, reason = "lists /proc")]

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags};

use crate::model::{Absence, Bytes, DeletedFile, DeletedFiles, PathText, Reading, SPACE_NAMES_MAX};
use crate::sense::cgroup::GroupPath;
use crate::sense::process::place_of;
use crate::sense::procfs::read_bounded;

use super::top::Top;
use super::walk::Place;

/// How the kernel marks the path of a file without a name (proc_pid_fd(5)). A file may be called so; it has a name then.
const DELETED: &[u8] = b" (deleted)";
/// Files that are told apart; more of them are counted as often as they are open.
const FILES_MAX: usize = 65_536;
/// Open files between two looks at the clock.
const SLICE: u64 = 64;
/// A name of the kernel's is 16 bytes.
const NAME_MAX: usize = 64;
/// The unit of `stx_blocks`.
const BLOCK: u64 = 512;

struct Found {
    path: Vec<u8>,
    bytes: u64,
    pid: i32,
    fd: i32,
}

/// All of those on this file system, until it is told to stop.
#[must_use]
pub fn deleted_files(proc: &Path, place: Place, stop: &dyn Fn() -> bool) -> Reading<DeletedFiles> {
    let entries = match std::fs::read_dir(proc) {
        Ok(entries) => entries,
        Err(error) => return Reading::Failed(format!("{}: {error}", proc.display())),
    };
    let mut known = BTreeSet::new();
    let mut top = Top::new(SPACE_NAMES_MAX);
    let (mut bytes, mut count, mut hidden, mut passed) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut complete = true;
    'processes: for entry in entries.flatten() {
        let Some(pid) = number(&entry.file_name()) else { continue };
        let Ok(open) = std::fs::read_dir(entry.path().join("fd")) else {
            // It has ended, or hides its files.
            hidden += u64::from(entry.path().exists());
            continue;
        };
        for file in open.flatten() {
            passed += 1;
            if passed % SLICE == 0 && stop() {
                complete = false;
                break 'processes;
            }
            let Some(fd) = number(&file.file_name()) else { continue };
            let Ok(path) = std::fs::read_link(file.path()) else { continue };
            let Some(path) = path.as_os_str().as_bytes().strip_suffix(DELETED) else { continue };
            let asked = StatxFlags::BASIC_STATS;
            let Ok(about) = rustix::fs::statx(CWD, file.path(), AtFlags::STATX_DONT_SYNC, asked) else {
                continue;
            };
            let here = (about.stx_dev_major, about.stx_dev_minor) == (place.major, place.minor);
            if !here || about.stx_nlink > 0 {
                continue;
            }
            if known.len() < FILES_MAX && !known.insert(about.stx_ino) {
                continue;
            }
            let size = about.stx_blocks.saturating_mul(BLOCK);
            (bytes, count) = (bytes.saturating_add(size), count + 1);
            if top.takes(size) {
                top.add(size, Found { path: path.to_vec(), bytes: size, pid, fd });
            }
        }
    }
    let largest = top.all().map(|found| told(proc, found)).collect();
    Reading::Value(DeletedFiles { bytes: Bytes(bytes), count, largest, hidden, complete })
}

fn told(proc: &Path, found: &Found) -> DeletedFile {
    let unit = system_unit_of(proc, found.pid);
    DeletedFile {
        path: PathText::of(&found.path),
        bytes: Bytes(found.bytes),
        pid: found.pid,
        fd: found.fd,
        name: name_of(proc, found.pid),
        unit,
    }
}

/// As the kernel calls it; empty when it has ended.
pub(super) fn name_of(proc: &Path, pid: i32) -> String {
    let comm = read_bounded(&proc.join(pid.to_string()).join("comm"), NAME_MAX).unwrap_or_default();
    String::from_utf8_lossy(comm.trim_ascii_end()).into_owned()
}

/// The unit of the system's own manager: a user's may have the name of one of those.
pub(super) fn system_unit_of(proc: &Path, pid: i32) -> Reading<String> {
    match place_of(proc, pid) {
        Reading::Value(place) => match GroupPath::parse(place.cgroup.as_bytes()).unit {
            Some(unit) => Reading::Value(String::from_utf8_lossy(unit).into_owned()),
            None => Reading::Absent(Absence::NotApplicable),
        },
        Reading::Absent(reason) => Reading::Absent(reason),
        Reading::Failed(error) => Reading::Failed(error),
    }
}

pub(super) fn number(name: &std::ffi::OsStr) -> Option<i32> {
    name.to_str()?.parse().ok()
}

//! Who has a log open, and how: whether its empty beginning may be taken out of it.
//!
//! Reads `/proc` and nothing else.
#![expect(clippy::disallowed_methods, reason = "lists /proc")]

use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags};
use rustix::io::Errno;

use crate::act::logs::place::Identity;
use crate::model::DeviceNumber;

/// Of one open file, the kernel tells in a few lines (proc_pid_fdinfo(5)).
const FDINFO_MAX: usize = 4096;
/// `O_ACCMODE`, `O_WRONLY` and `O_APPEND` on every Linux that is known.
const ACCESS: u32 = 0o3;
const WRITE_ONLY: u32 = 0o1;
const APPEND: u32 = 0o2000;
/// Open files between two looks at whether to stop.
const SLICE: u64 = 64;

/// Whether nobody has it open but to add to its end: then nobody is at a place within it. False where that can't be told.
pub(in crate::act::logs) fn only_appended_to(proc: &Path, which: Identity, stop: &dyn Fn() -> bool) -> bool {
    let Ok(processes) = std::fs::read_dir(proc) else { return false };
    let mut passed = 0_u64;
    for process in processes.flatten() {
        let is_process = process.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        // The agent has it open itself.
        if !is_process || process.file_name().to_str() == Some(&std::process::id().to_string()) {
            continue;
        }
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else {
            if process.path().exists() {
                return false;
            }
            continue;
        };
        for file in open.flatten() {
            passed += 1;
            if passed.is_multiple_of(SLICE) && stop() {
                return false;
            }
            let Ok(is_it) = is_of(&file.path(), which) else { return false };
            if is_it {
                let info = process.path().join("fdinfo").join(file.file_name());
                if !flags(&info).is_some_and(|flags| flags & ACCESS == WRITE_ONLY && flags & APPEND != 0) {
                    return false;
                }
            }
        }
    }
    true
}

/// From what the kernel knows by itself: a server that is gone is not waited for.
fn is_of(file: &Path, which: Identity) -> rustix::io::Result<bool> {
    match rustix::fs::statx(CWD, file, AtFlags::STATX_DONT_SYNC, StatxFlags::INO) {
        Ok(about) => {
            let device = DeviceNumber { major: about.stx_dev_major, minor: about.stx_dev_minor };
            Ok(which == Identity { device, inode: about.stx_ino })
        }
        // It was closed, or the process has ended.
        Err(Errno::NOENT | Errno::SRCH) => Ok(false),
        // A file server that is gone, which a log on this disk is not on.
        Err(Errno::STALE | Errno::IO | Errno::NOTCONN | Errno::TIMEDOUT) => Ok(false),
        Err(other) => Err(other),
    }
}

fn flags(info: &Path) -> Option<u32> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let limit = u64::try_from(FDINFO_MAX).unwrap_or(0);
    std::fs::File::open(info).ok()?.take(limit).read_to_end(&mut text).ok()?;
    let text = String::from_utf8(text).ok()?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(flags.trim(), 8).ok()
}

//! The end of a log file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::model::{Absence, Reading};

/// Bytes looked at from the end: forty lines of a talkative service.
const TAIL_MAX: usize = 64 * 1024;

/// Its last lines, oldest first; a line that begins before [`TAIL_MAX`] is left out unless it is the only one.
pub(super) async fn last_lines(log: Option<PathBuf>, lines: usize) -> Reading<Vec<String>> {
    let Some(path) = log else { return Reading::Absent(Absence::NotApplicable) };
    // A log on a file system that hangs must not hang the loop.
    let read = tokio::task::spawn_blocking(move || match tail(&path, lines) {
        Ok(lines) => Reading::Value(lines),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Reading::Value(Vec::new()),
        Err(error) => Reading::Failed(format!("{}: {error}", path.display())),
    });
    read.await.unwrap_or_else(|gone| Reading::Failed(gone.to_string()))
}

fn tail(path: &Path, lines: usize) -> std::io::Result<Vec<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let start = metadata.len().saturating_sub(TAIL_MAX as u64);
    let mut bytes = vec![0; TAIL_MAX];
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], start + length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    bytes.truncate(length);
    Ok(split(&bytes, start > 0, lines))
}

pub(super) fn split(bytes: &[u8], cut_off: bool, lines: usize) -> Vec<String> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    if cut_off && all.len() > 1 {
        all.remove(0);
    }
    let skip = all.len().saturating_sub(lines);
    all[skip..].iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

//! The floor under every reader: the bare system calls, nothing parsed. `bench_floor [GROUPS]`, one JSON line.
//!
//! GROUPS is a folder of cgroups. scripts/bench compares these with what the agent and its peers spend on the same files.
#![expect(clippy::disallowed_methods, reason = "lists folders before it measures")]

#[path = "bench/measure.rs"]
mod measure;

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RawDir};

use measure::Measures;

/// Those of [`prunella::sense::host::HostReader`], so that the two can be compared.
const HOST_FILES: &[&str] = &[
    "/proc/stat",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/sys/fs/file-nr",
    "/proc/sys/net/netfilter/nf_conntrack_count",
    "/proc/diskstats",
    "/proc/net/dev",
];
/// Longer than any file here but the mount table, which is read in pieces.
const BUFFER: usize = 32 * 1024;

fn open(at: impl rustix::fd::AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(at, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// `NAME/FILE` for each entry of the folder that `wanted` takes.
fn paths(folder: &Path, file: &str, wanted: fn(&[u8]) -> bool) -> anyhow::Result<Vec<CString>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let mut name = entry?.file_name().into_vec();
        if wanted(&name) {
            name.push(b'/');
            name.extend(file.as_bytes());
            found.push(CString::new(name)?);
        }
    }
    Ok(found)
}

/// Opens, reads and closes each; one that is gone is no trouble.
fn open_read_close(folder: &OwnedFd, paths: &[CString], buffer: &mut [u8]) -> usize {
    let read = |path: &CString| {
        let file = open(folder, path.as_c_str()).ok()?;
        rustix::io::read(&file, &mut *buffer).ok().filter(|length| *length > 0)
    };
    paths.iter().filter_map(read).count()
}

fn is_pid(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_digit)
}

/// Names the folder's entries, and nothing more.
fn list(folder: &OwnedFd, buffer: &mut [MaybeUninit<u8>]) -> anyhow::Result<usize> {
    rustix::fs::seek(folder, rustix::fs::SeekFrom::Start(0))?;
    let mut entries = RawDir::new(folder, buffer);
    let mut pids = 0;
    while let Some(entry) = entries.next() {
        pids += usize::from(is_pid(entry?.file_name().to_bytes()));
    }
    Ok(pids)
}

/// The whole file from its start.
fn pread_all(file: &OwnedFd, buffer: &mut [u8]) -> anyhow::Result<()> {
    let mut offset = 0;
    loop {
        match rustix::io::pread(file, &mut *buffer, offset)? {
            0 => return Ok(()),
            more => offset += more as u64,
        }
    }
}

fn main() -> anyhow::Result<()> {
    let groups = std::env::args_os().nth(1);
    let mut buffer = vec![0; BUFFER];
    let mut measures = Measures::default();

    let proc = open(CWD, "/proc")?;
    let mut names = vec![MaybeUninit::uninit(); BUFFER];
    measures.take("getdents /proc", || list(&proc, &mut names));
    for file in ["stat", "statm"] {
        let paths = paths(Path::new("/proc"), file, is_pid)?;
        measures.take(&format!("open/read/close {file}"), || Ok(open_read_close(&proc, &paths, &mut buffer)));
    }
    // Absent ones (no PSI) are no part of the floor, nor of what the agent reads.
    let kept: Vec<OwnedFd> = HOST_FILES.iter().filter_map(|path| open(CWD, *path).ok()).collect();
    measures.take("pread host files", || {
        for file in &kept {
            pread_all(file, &mut buffer)?;
        }
        Ok(kept.len())
    });
    let mounts = open(CWD, "/proc/self/mountinfo")?;
    measures.take("pread mountinfo", || pread_all(&mounts, &mut buffer).map(|()| 1));
    if let Some(groups) = groups {
        let paths = paths(Path::new(&groups), "cpu.stat", |name| name.starts_with(b"group-"))?;
        let folder = open(CWD, Path::new(&groups))?;
        measures.take("open/read/close cpu.stat", || Ok(open_read_close(&folder, &paths, &mut buffer)));
    } else {
        measures.lacks("open/read/close cpu.stat", "no cgroups were made");
    }
    measures.print();
    Ok(())
}

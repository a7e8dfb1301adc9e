//! What is remembered of a service over a restart of the agent, within one boot.
//!
//! One small text file for each service, `KEY=VALUE` lines, replaced by renaming. A foreground program writes the line
//! with its pid itself, between fork and exec, so that no crash of the agent can lose it. Nothing is synced to the
//! disk: after a power cut the boot is another one and all of it is void.
#![expect(clippy::disallowed_methods, reason = "keeps the state folder")]

use std::fmt::Write as _;
use std::fs::{DirBuilder, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::model::{BootId, Id128, ProcessIdentity, UnitName};
use crate::sense::procfs::{read_bounded, read_stat};

/// Longest record that is read: they have about 150 bytes.
const RECORD_MAX: usize = 4096;
/// A program that was forked when its record was made has its start time within this many clock ticks (5 s: fork and
/// the write of its pid on a host that is short of everything).
const BIRTH_TICKS: u64 = 500;

/// What is known of the last run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) pid: Option<i32>,
    pub(super) start_ticks: Option<u64>,
    /// When a foreground program was about to be forked, in clock ticks since boot.
    pub(super) not_before: Option<u64>,
    /// This run was stopped on purpose.
    pub(super) stopped: bool,
    /// Tells runs apart where no process is known: when it was first seen up, in milliseconds since boot.
    pub(super) epoch: Option<u64>,
}

impl Record {
    /// The process that this record speaks of; one whose start time was not written down any more is known by when
    /// it must have been born.
    pub(super) fn identity(&self, proc: &Path, boot: BootId) -> Option<ProcessIdentity> {
        let pid = self.pid?;
        if let Some(start_ticks) = self.start_ticks {
            return Some(ProcessIdentity { pid, start_ticks, boot });
        }
        let born = self.not_before?;
        let stat = read_stat(proc, pid).ok()??;
        let fits = (born..=born.saturating_add(BIRTH_TICKS)).contains(&stat.start_ticks);
        fits.then_some(ProcessIdentity { pid, start_ticks: stat.start_ticks, boot })
    }

    fn text(&self, boot: BootId) -> String {
        let mut text = format!("boot={boot}\n");
        let mut line = |key: &str, value: Option<u64>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{key}={value}");
            }
        };
        line("not_before", self.not_before);
        line("start_ticks", self.start_ticks);
        line("epoch", self.epoch);
        line("stopped", self.stopped.then_some(1));
        line("pid", self.pid.and_then(|pid| u64::try_from(pid).ok()));
        text
    }

    /// `None` for one of another boot, or that is not understood.
    pub(super) fn parse(text: &str, boot: BootId) -> Option<Self> {
        let mut record = Self::default();
        let mut same_boot = false;
        for line in text.lines() {
            let (key, value) = line.split_once('=')?;
            let number = || value.parse::<u64>().ok();
            match key {
                "boot" => same_boot = Id128::parse(value).map(BootId) == Some(boot),
                "not_before" => record.not_before = Some(number()?),
                "start_ticks" => record.start_ticks = Some(number()?),
                "epoch" => record.epoch = Some(number()?),
                "stopped" => record.stopped = number()? == 1,
                "pid" => record.pid = Some(i32::try_from(number()?).ok().filter(|pid| *pid > 0)?),
                _ => return None,
            }
        }
        same_boot.then_some(record)
    }
}

/// Makes the state folder, or checks that it is ours alone.
pub(super) fn prepare_dir(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let metadata = std::fs::symlink_metadata(dir)?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if metadata.is_dir() && ours && metadata.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(std::io::Error::other("not a folder that this user alone can write"))
    }
}

fn path(dir: &Path, unit: &UnitName) -> PathBuf {
    dir.join(format!("{unit}.run"))
}

/// The record of this boot, if there is one.
///
/// # Errors
/// When there is one that can't be read.
pub(super) fn load(dir: &Path, unit: &UnitName, boot: BootId) -> std::io::Result<Option<Record>> {
    match read_bounded(&path(dir, unit), RECORD_MAX) {
        Ok(bytes) => Ok(Record::parse(&String::from_utf8_lossy(&bytes), boot)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the record.
///
/// # Errors
/// When it can't be written; the one before stands.
pub(super) fn save(dir: &Path, unit: &UnitName, boot: BootId, record: &Record) -> std::io::Result<()> {
    begin(dir, unit, boot, record).map(drop)
}

/// Replaces the record and gives the open file, to be written on at its end.
pub(super) fn begin(dir: &Path, unit: &UnitName, boot: BootId, record: &Record) -> std::io::Result<OwnedFd> {
    let new = dir.join(format!("{unit}.run.new"));
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(&new, flags, Mode::from_raw_mode(0o600))?);
    std::io::Write::write_all(&mut &file, record.text(boot).as_bytes())?;
    std::fs::rename(&new, path(dir, unit))?;
    Ok(file.into())
}

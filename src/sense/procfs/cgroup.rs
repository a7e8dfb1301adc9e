//! Where control groups are mounted, and the processes of one.
#![expect(clippy::disallowed_methods, reason = "reads the control-group file systems")]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::membership::Memberships;
use super::mountinfo::{has_option, mounts};
use super::process::read_stat;
use super::text::read_bounded;
use crate::model::Reading;
use crate::sense::scan::{fields, number};

/// Most processes listed of one group: evidence, not an inventory.
pub const PROCESSES_MAX: usize = 64;
/// How deep and how wide groups inside a group are followed (`Delegate=`, containers).
const DEPTH_MAX: usize = 4;
const GROUPS_MAX: usize = 64;
/// `/proc/self/mountinfo` of a container host can be long.
const MOUNTINFO_MAX: usize = 4 * 1024 * 1024;
/// `cgroup.procs` with a hundred thousand pids.
const PROCS_MAX: usize = 1024 * 1024;

/// The hierarchies that know units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupMounts {
    /// cgroup v2, alone or beside v1 (hybrid).
    pub unified: Option<PathBuf>,
    /// v1 `name=systemd`: where systemd keeps units on legacy and hybrid hosts.
    pub named_systemd: Option<PathBuf>,
}

impl CgroupMounts {
    /// From `mountinfo` below this `/proc`; nothing where it can't be read.
    #[must_use]
    pub fn find(proc: &Path) -> Self {
        read_bounded(&proc.join("self/mountinfo"), MOUNTINFO_MAX)
            .map_or_else(|_| Self::default(), |bytes| Self::parse(&bytes))
    }

    /// The first of each kind; a row that is not understood is passed over.
    #[must_use]
    pub fn parse(mountinfo: &[u8]) -> Self {
        let mut found = Self::default();
        for mount in mounts(mountinfo).filter_map(Result::ok) {
            let place = match mount.fstype {
                b"cgroup2" => &mut found.unified,
                b"cgroup" if has_option(mount.super_options, b"name=systemd") => &mut found.named_systemd,
                _ => continue,
            };
            place.get_or_insert_with(|| OsString::from_vec(mount.point.bytes().collect()).into());
        }
        found
    }

    /// The folder of a group: in the unified hierarchy if it is there, else in systemd's own.
    #[must_use]
    pub fn folder(&self, control_group: &str) -> Option<PathBuf> {
        let relative = Path::new(control_group.trim_start_matches('/'));
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || relative.as_os_str().is_empty() {
            return None;
        }
        let mounts = [&self.unified, &self.named_systemd];
        mounts.into_iter().flatten().map(|mount| mount.join(relative)).find(|dir| dir.is_dir())
    }

    /// The processes of a group and the groups inside it, by pid, at most [`PROCESSES_MAX`].
    ///
    /// # Errors
    /// When the group is there and can't be read.
    pub fn pids(&self, control_group: &str) -> std::io::Result<Vec<i32>> {
        let Some(folder) = self.folder(control_group) else { return Ok(Vec::new()) };
        let mut pids = Vec::new();
        let mut groups = vec![(folder, 0)];
        let mut visited = 0;
        while let Some((dir, depth)) = groups.pop() {
            visited += 1;
            match read_bounded(&dir.join("cgroup.procs"), PROCS_MAX) {
                Ok(bytes) => {
                    pids.extend(fields(&bytes).filter_map(number).filter_map(|n| i32::try_from(n).ok()));
                }
                // Gone since, or a threaded group, whose processes the group above lists.
                Err(_) if depth > 0 => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            if depth < DEPTH_MAX && visited + groups.len() < GROUPS_MAX {
                let inside = std::fs::read_dir(&dir).into_iter().flatten().flatten();
                let room = GROUPS_MAX - visited - groups.len();
                let dirs = inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
                groups.extend(dirs.take(room).map(|entry| (entry.path(), depth + 1)));
            }
        }
        // 0 stands for a process of another pid namespace.
        pids.retain(|pid| *pid > 0);
        pids.sort_unstable();
        pids.dedup();
        pids.truncate(PROCESSES_MAX);
        Ok(pids)
    }
}

/// This process's group in the unified hierarchy: the line `0::/PATH` of `/proc/self/cgroup`.
#[must_use]
pub fn own_cgroup(proc: &Path) -> Option<String> {
    let bytes = read_bounded(&proc.join("self/cgroup"), MOUNTINFO_MAX).ok()?;
    let unified = Memberships::parse(&bytes).ok()?.unified?;
    Some(String::from_utf8_lossy(unified.path).into_owned())
}

/// `PID COMM STATE` for each; those that went away meanwhile are left out. Control characters in names are not
/// yet escaped.
#[must_use]
pub fn process_list(proc: &Path, pids: &[i32]) -> Reading<Vec<String>> {
    let mut lines = Vec::with_capacity(pids.len().min(PROCESSES_MAX));
    for pid in pids.iter().take(PROCESSES_MAX) {
        match read_stat(proc, *pid) {
            Ok(Some(stat)) => lines.push(format!("{pid} {} {}", stat.comm, stat.state)),
            Ok(None) => {}
            Err(error) => return Reading::Failed(format!("process {pid}: {error}")),
        }
    }
    Reading::Value(lines)
}

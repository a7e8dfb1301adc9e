//! `/proc/PID/cgroup` (cgroups(7)): the control groups of one process.

use crate::sense::Malformed;
use crate::sense::scan::{number, rows};

/// One hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipRow<'a> {
    /// 0 is cgroup v2.
    pub hierarchy: u64,
    /// `cpu,cpuacct` or `name=systemd`; empty for v2.
    pub controllers: &'a [u8],
    /// Below the root of the reader's cgroup namespace: `/../x` is outside of it.
    pub path: &'a [u8],
    /// The group was removed while the process, a zombie, is still in it (v2).
    pub deleted: bool,
}

/// The rows; a name can't hold a line end, and only the first two colons part fields.
pub fn memberships(bytes: &[u8]) -> impl Iterator<Item = Result<MembershipRow<'_>, Malformed>> {
    rows("the process's cgroup", bytes, |_| false, row)
}

fn row(line: &[u8]) -> Option<MembershipRow<'_>> {
    let mut parts = line.splitn(3, |byte| *byte == b':');
    let hierarchy = number(parts.next()?)?;
    let controllers = parts.next()?;
    let path = parts.next()?;
    let (path, deleted) = match path.strip_suffix(b" (deleted)") {
        Some(path) if hierarchy == 0 => (path, true),
        Some(_) | None => (path, false),
    };
    path.starts_with(b"/").then_some(MembershipRow { hierarchy, controllers, path, deleted })
}

/// Where a process is, as far as units and limits go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memberships<'a> {
    /// cgroup v2; on a hybrid host without controllers.
    pub unified: Option<MembershipRow<'a>>,
    /// v1 `name=systemd`: names the unit on legacy and hybrid hosts.
    pub systemd: Option<MembershipRow<'a>>,
    /// v1 controllers, where they are mounted so.
    pub cpu: Option<MembershipRow<'a>>,
    pub memory: Option<MembershipRow<'a>>,
    pub pids: Option<MembershipRow<'a>>,
}

impl<'a> Memberships<'a> {
    /// From the whole file.
    ///
    /// # Errors
    /// When a row is not understood or the last one does not end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut found = Self::default();
        for row in memberships(bytes) {
            let row = row?;
            if row.hierarchy == 0 {
                found.unified = Some(row);
                continue;
            }
            for controller in row.controllers.split(|byte| *byte == b',') {
                match controller {
                    b"name=systemd" => found.systemd = Some(row),
                    b"cpu" => found.cpu = Some(row),
                    b"memory" => found.memory = Some(row),
                    b"pids" => found.pids = Some(row),
                    _ => {}
                }
            }
        }
        Ok(found)
    }

    /// The path that systemd knows the process's unit by: its own hierarchy where there is one, else v2.
    #[must_use]
    pub fn unit_path(&self) -> Option<&'a [u8]> {
        self.systemd.or(self.unified).map(|row| row.path)
    }
}

//! An archive is whose its log is, and nobody may read it who may not read the log.

use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use crate::act::logs::place::look_at;
use crate::act::logs::refused::Refused;

/// One attribute; file systems keep few that are larger.
const VALUE_MAX: usize = 64 << 10;
/// Who may do what beyond the mode (acl(5)).
const ACL: &str = "system.posix_acl_access";
/// What SELinux goes by.
const LABEL: &str = "security.selinux";
/// What a mode says when it is not to be trusted: the group's part is a mask where there is an access list.
pub(super) const OWNER_ALONE: u32 = 0o700;

/// Owner, access list, label, mode: of the log as it is now, or as it was where it is gone.
pub(super) fn hand_over(
    archive: BorrowedFd<'_>,
    log: Option<BorrowedFd<'_>>,
    (mut uid, mut gid): (u32, u32),
    mut mode: u32,
) -> Result<(), Refused> {
    if let Some(log) = log {
        let about = look_at(log).map_err(Refused::Errno)?;
        (uid, gid, mode) = (about.uid, about.gid, u32::from(about.mode) & 0o777);
    }
    let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    rustix::fs::fchown(archive, owner.0, owner.1).map_err(Refused::of)?;
    // Its folder may have given it a list of its own.
    let mut whole = match rustix::fs::fremovexattr(archive, ACL) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => true,
        Err(_) => false,
    };
    if let Some(log) = log {
        whole &= copy(log, archive, ACL).is_ok();
        // One that can't be copied takes no one's rights away, and gives none.
        let _ = copy(log, archive, LABEL);
    }
    let mode = if whole { mode } else { mode & OWNER_ALONE };
    rustix::fs::fchmod(archive, Mode::from_raw_mode(mode)).map_err(Refused::of)
}

/// Whether its mode says all of who may do what.
pub(super) fn has_no_list(log: BorrowedFd<'_>) -> bool {
    matches!(
        rustix::fs::fgetxattr(log, ACL, &mut vec![0; VALUE_MAX][..]),
        Err(Errno::NODATA | Errno::OPNOTSUPP)
    )
}

/// Nothing, where there is none.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let mut value = vec![0; VALUE_MAX];
    match rustix::fs::fgetxattr(from, name, &mut value[..]) {
        Ok(length) => {
            let value = value.get(..length).ok_or(Errno::RANGE)?;
            rustix::fs::fsetxattr(to, name, value, XattrFlags::empty())
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(other) => Err(other),
    }
}

//! An archive is whose its log is, and nobody may read it who may not read the log.

use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use crate::act::logs::place::look_at;
use crate::act::logs::refused::Refused;

/// Names of attributes of one file: the kernel has no more either (`XATTR_LIST_MAX`).
const NAMES_MAX: usize = 64 << 10;
/// One attribute; file systems keep few that are larger.
const VALUE_MAX: usize = 64 << 10;
/// Who may do what beyond the mode (acl(5)).
const ACL: &[u8] = b"system.posix_acl_access";
/// The label that SELinux goes by, and what programs have noted.
const COPIED: [&[u8]; 2] = [b"security.selinux", b"user."];
/// What a mode says when it is not to be trusted: the group's part is a mask where there is an access list.
const OWNER_ALONE: u32 = 0o700;

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
    let mut whole = true;
    // Its folder may have given it a list of its own.
    match rustix::fs::fremovexattr(archive, ACL) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
        Err(_) => whole = false,
    }
    if let Some(log) = log {
        for name in names(log) {
            let is_list = name == ACL;
            if is_list || COPIED.iter().any(|copied| name.starts_with(copied)) {
                // A label or a note that can't be copied takes no one's rights away, and gives none.
                whole &= copy(log, archive, &name).is_ok() || !is_list;
            }
        }
    }
    let mode = if whole { mode } else { mode & OWNER_ALONE };
    rustix::fs::fchmod(archive, Mode::from_raw_mode(mode)).map_err(Refused::of)
}

fn names(log: BorrowedFd<'_>) -> Vec<Vec<u8>> {
    let mut list = vec![0; NAMES_MAX];
    // Where there are none, or none can be had: there is nothing to copy.
    let length = rustix::fs::flistxattr(log, &mut list[..]).unwrap_or(0);
    list.truncate(length);
    list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    let mut value = vec![0; VALUE_MAX];
    let length = rustix::fs::fgetxattr(from, name, &mut value[..])?;
    rustix::fs::fsetxattr(to, name, value.get(..length).ok_or(Errno::RANGE)?, XattrFlags::empty())
}

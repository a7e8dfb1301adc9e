//! File systems of a host that is not well.

use std::time::Duration;

use super::ago;
use crate::model::{
    Absence, Bytes, DeviceNumber, FilesystemClass, FilesystemStatus, FilesystemView, Filling, Inodes,
    MountPoint, Outlook, Percent, Reading, Resort, RoomAnswer, Usage,
};

pub(super) fn filesystems() -> Vec<FilesystemView> {
    let usage = |total, free, inodes| {
        RoomAnswer::Usage(Usage { total: Bytes(total), free: Bytes(free), available: Bytes(free), inodes })
    };
    let disk = FilesystemStatus {
        mount_point: MountPoint::from_bytes(b"/").unwrap(),
        device: DeviceNumber { major: 254, minor: 1 },
        fs_type: "ext4".into(),
        source: "/dev/vda1".into(),
        class: FilesystemClass::Disk,
        read_only: false,
        forced_read_only: Reading::Value(false),
        room: usage(42 << 30, 11 << 30, Reading::Value(Inodes { total: 2_800_000, free: 1_400_000 })),
    };
    let server = FilesystemStatus {
        mount_point: MountPoint::from_bytes(b"/mnt/build cache\n").unwrap(),
        device: DeviceNumber { major: 0, minor: 51 },
        fs_type: "nfs4".into(),
        source: "files:/cache".into(),
        class: FilesystemClass::Network,
        room: RoomAnswer::Hangs { since: ago(250).boot },
        ..disk.clone()
    };
    let damaged = FilesystemStatus {
        mount_point: MountPoint::from_bytes(b"/srv").unwrap(),
        fs_type: "btrfs".into(),
        read_only: true,
        forced_read_only: Reading::Value(true),
        room: usage(8 << 40, 1 << 40, Reading::Absent(Absence::NotApplicable)),
        ..disk.clone()
    };
    let filling = Filling {
        what: Resort::Space,
        full_in: Duration::from_secs(6120),
        rate: 1_930_000.0,
        watched: Duration::from_secs(720),
        steady: Percent(92.0),
    };
    let watched = Duration::from_secs(9000);
    vec![
        FilesystemView { status: disk, outlook: Outlook::Filling(filling), watched },
        FilesystemView { status: server, outlook: Outlook::TooEarly, watched },
        FilesystemView { status: damaged, outlook: Outlook::Steady, watched },
    ]
}

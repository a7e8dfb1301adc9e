//! What the kernel knows of how a disk fares: its state, errors that it counted, an array that has lost a part.
//!
//! Reads sysfs, and never the disk itself, which may hang. Must not judge what is bad. Sources: sysfs-block,
//! sysfs-bus-scsi, sysfs-fs-ext4 (Documentation/ABI), md.rst; the btrfs counters are those of `btrfs device stats`.
#![expect(clippy::disallowed_methods, reason = "reads sysfs")]

use std::path::{Path, PathBuf};

use crate::model::{Absence, DeviceNumber, Reading};

use super::procfs::read_bounded;

/// What one file of sysfs tells is a line.
const FILE_MAX: usize = 512;
/// Disks below a device (LVM, RAID, encryption), all levels together.
const BELOW_MAX: usize = 8;
/// File systems of one kind that are looked through for a device.
const FILESYSTEMS_MAX: usize = 256;
/// What is told of a disk: a word for it, and where it stands in the disk's folder.
const OF_DISK: [(&str, &str); 8] = [
    ("model", "device/model"),
    ("state", "device/state"),
    ("commands that failed", "device/ioerr_cnt"),
    ("commands that timed out", "device/iotmo_cnt"),
    ("read-only", "ro"),
    ("array", "md/array_state"),
    ("disks that the array lacks", "md/degraded"),
    ("blocks in which copies differ", "md/mismatch_cnt"),
];
/// And of a file system of ext4, below its own folder.
const OF_EXT4: [(&str, &str); 4] = [
    ("errors found by ext4", "errors_count"),
    ("the last by", "last_error_func"),
    ("at second (Unix time)", "last_error_time"),
    ("in block", "last_error_block"),
];

/// One disk, and what lies below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskHealth {
    /// For people, each a sentence's worth.
    pub lines: Vec<String>,
    /// The disks at the bottom, by the kernel's names: whose own records (SMART) may tell more.
    pub disks: Vec<String>,
}

/// Of the block device with this number, or else, for btrfs has a number of its own, of what is mounted from `/dev`. Absent
/// where there is none: a file system in memory, or of a server.
#[must_use]
pub fn disk_health(sys: &Path, device: DeviceNumber, source: &str) -> Reading<DiskHealth> {
    let by_number = sys.join(format!("dev/block/{}:{}", device.major, device.minor));
    let by_name = source.strip_prefix("/dev/").filter(|name| !name.contains('/') && !name.starts_with('.'));
    let by_name = by_name.map(|name| sys.join("class/block").join(name));
    let folder = std::fs::canonicalize(by_number).ok();
    let Some(folder) = folder.or_else(|| std::fs::canonicalize(by_name?).ok()) else {
        return Reading::Absent(Absence::NotApplicable);
    };
    let mut found = DiskHealth { lines: Vec::new(), disks: Vec::new() };
    if let Some(name) = name_of(&folder) {
        found.lines.extend(told(&sys.join("fs/ext4").join(name), name, &OF_EXT4));
        found.lines.extend(btrfs(sys, name));
    }
    let mut below = vec![folder];
    while let Some(folder) = below.pop() {
        if found.disks.len() >= BELOW_MAX || found.lines.len() >= BELOW_MAX * OF_DISK.len() {
            break;
        }
        let disk = whole_disk(folder);
        let Some(name) = name_of(&disk).map(str::to_owned) else { continue };
        found.lines.extend(told(&disk, &name, &OF_DISK));
        let parts = parts(&disk);
        if parts.is_empty() {
            found.disks.push(name);
        }
        below.extend(parts);
    }
    Reading::Value(found)
}

fn name_of(folder: &Path) -> Option<&str> {
    folder.file_name()?.to_str()
}

/// A partition's folder is within that of its disk.
fn whole_disk(folder: PathBuf) -> PathBuf {
    match folder.parent() {
        Some(disk) if folder.join("partition").exists() => disk.to_owned(),
        Some(_) | None => folder,
    }
}

/// The devices that this one is made of.
fn parts(disk: &Path) -> Vec<PathBuf> {
    let Ok(slaves) = std::fs::read_dir(disk.join("slaves")) else { return Vec::new() };
    let mut parts: Vec<PathBuf> =
        slaves.flatten().take(BELOW_MAX).filter_map(|it| std::fs::canonicalize(it.path()).ok()).collect();
    parts.sort();
    parts
}

fn told(folder: &Path, name: &str, what: &[(&str, &str)]) -> Option<String> {
    let facts: Vec<String> = what
        .iter()
        .filter_map(|(word, file)| Some(format!("{word} {}", plain(&folder.join(file))?)))
        .collect();
    (!facts.is_empty()).then(|| format!("{name}: {}", facts.join(", ")))
}

/// The first line of it, if it says anything. Counts are in hexadecimal where the driver has them so (`0x1f`).
fn plain(file: &Path) -> Option<String> {
    let bytes = read_bounded(file, FILE_MAX).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next()?.trim();
    let number = line.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    (!line.is_empty()).then(|| number.map_or_else(|| line.to_owned(), |number| number.to_string()))
}

/// The counters of the btrfs that this device is a part of.
fn btrfs(sys: &Path, name: &str) -> Vec<String> {
    let Ok(all) = std::fs::read_dir(sys.join("fs/btrfs")) else { return Vec::new() };
    let mut ours =
        all.flatten().take(FILESYSTEMS_MAX).filter(|it| it.path().join("devices").join(name).exists());
    let Some(ours) = ours.next() else { return Vec::new() };
    let Ok(infos) = std::fs::read_dir(ours.path().join("devinfo")) else { return Vec::new() };
    let mut lines = Vec::new();
    for info in infos.flatten().take(BELOW_MAX) {
        let Ok(bytes) = read_bounded(&info.path().join("error_stats"), FILE_MAX) else { continue };
        let counts: Vec<&str> =
            std::str::from_utf8(&bytes).unwrap_or_default().lines().map(str::trim).collect();
        lines.push(format!("btrfs device {}: {}", info.file_name().to_string_lossy(), counts.join(", ")));
    }
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sysfs with these files; the first is behind `dev/block/8:1`.
    fn sys(device: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
        let sys = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = sys.path().join(path);
            std::fs::create_dir_all(path.parent().expect("in a folder")).expect("folders");
            match text.strip_prefix("-> ") {
                Some(to) => std::os::unix::fs::symlink(sys.path().join(to), path).expect("a link"),
                None => std::fs::write(path, text).expect("a file"),
            }
        }
        std::fs::create_dir_all(sys.path().join("dev/block")).expect("a folder");
        std::os::unix::fs::symlink(sys.path().join(device), sys.path().join("dev/block/8:1"))
            .expect("a link");
        sys
    }

    #[track_caller]
    fn check(device: &str, files: &[(&str, &str)], lines: &[&str], disks: &[&str]) {
        let sys = sys(device, files);
        let found = disk_health(sys.path(), DeviceNumber { major: 8, minor: 1 }, "/dev/nothing");
        let Reading::Value(found) = found else { panic!("{found:?}") };
        assert_eq!(found.lines, lines);
        assert_eq!(found.disks, disks);
    }

    #[test]
    fn a_partition_is_told_with_its_disk_and_its_file_system() {
        let files = [
            ("devices/sda/sda1/partition", "1\n"),
            ("devices/sda/ro", "0\n"),
            ("devices/sda/device/model", "QEMU HARDDISK   \n"),
            ("devices/sda/device/state", "running\n"),
            ("devices/sda/device/ioerr_cnt", "0x1f\n"),
            ("fs/ext4/sda1/errors_count", "3\n"),
            ("fs/ext4/sda1/last_error_func", "ext4_find_entry\n"),
            ("fs/ext4/sda1/last_error_time", "1790000000\n"),
        ];
        check(
            "devices/sda/sda1",
            &files,
            &[
                "sda1: errors found by ext4 3, the last by ext4_find_entry, at second (Unix time) 1790000000",
                "sda: model QEMU HARDDISK, state running, commands that failed 31, read-only 0",
            ],
            &["sda"],
        );
    }

    #[test]
    fn what_an_array_is_made_of_is_followed() {
        let files = [
            ("devices/md0/md/array_state", "clean\n"),
            ("devices/md0/md/degraded", "1\n"),
            ("devices/md0/slaves/sdb1", "-> devices/sdb/sdb1"),
            ("devices/sdb/sdb1/partition", "1\n"),
            ("devices/sdb/device/state", "offline\n"),
        ];
        check(
            "devices/md0",
            &files,
            &["md0: array clean, disks that the array lacks 1", "sdb: state offline"],
            &["sdb"],
        );
    }

    #[test]
    fn btrfs_counts_for_itself() {
        let files = [
            ("devices/vdb/ro", "0\n"),
            ("fs/btrfs/0f/devices/vdb", "-> devices/vdb"),
            ("fs/btrfs/0f/devinfo/1/error_stats", "write_errs 2\nread_errs 0\n"),
            ("fs/btrfs/features/raid56", "0\n"),
        ];
        let lines = ["btrfs device 1: write_errs 2, read_errs 0", "vdb: read-only 0"];
        check("devices/vdb", &files, &lines, &["vdb"]);
    }

    #[test]
    fn what_has_no_device_is_absent() {
        let sys = sys("devices/sda", &[("devices/sda/ro", "0\n")]);
        let other = DeviceNumber { major: 0, minor: 41 };
        for source in ["tmpfs", "server:/export", "/dev/../devices/sda", "/dev/."] {
            let found = disk_health(sys.path(), other, source);
            assert_eq!(found, Reading::Absent(Absence::NotApplicable), "{source}");
        }
        std::fs::create_dir_all(sys.path().join("class/block")).expect("a folder");
        std::os::unix::fs::symlink(sys.path().join("devices/sda"), sys.path().join("class/block/sda"))
            .expect("a link");
        assert!(disk_health(sys.path(), other, "/dev/sda").value().is_some(), "by its name");
    }
}

//! Filesystems that tell of their own trouble.

use super::meaning::Meaning;
use super::text::{after_any, is_name, name_before};
use crate::sense::HexText;
use crate::sense::scan::{find, find_text, split_text};

/// Whose message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilesystemKind {
    /// ext4, and ext2 and ext3 by the same driver.
    Ext4,
    Xfs,
    Btrfs,
    Fat,
    /// The journal of ext4: the device's name has `-8` behind it.
    Journal,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilesystemTrouble {
    /// It met something wrong, on the disk or on the way there.
    Error,
    /// What stands on the disk is wrong.
    Corruption,
    /// It takes no more writes.
    ReadOnly,
    /// It takes no more requests at all.
    Shutdown,
}

pub(super) fn meaning(text: &[u8]) -> Option<Meaning<'_>> {
    match text.first()? {
        b'E' => ext4(text),
        b'A' => {
            let device = text.strip_prefix(b"Aborting journal on device ")?.strip_suffix(b".")?;
            told(FilesystemKind::Journal, HexText::new(device), FilesystemTrouble::Error)
        }
        b'X' => xfs(text),
        b'B' => btrfs(text),
        b'F' => {
            let (device, rest) = named(text.strip_prefix(b"FAT-fs (")?)?;
            let trouble = if rest.starts_with(b"Filesystem has been set read-only") {
                FilesystemTrouble::ReadOnly
            } else {
                rest.strip_prefix(b"error, ")?;
                FilesystemTrouble::Error
            };
            told(FilesystemKind::Fat, device, trouble)
        }
        _ => None,
    }
}

fn told(kind: FilesystemKind, device: HexText<'_>, trouble: FilesystemTrouble) -> Option<Meaning<'_>> {
    is_name(device.written()).then_some(Meaning::Filesystem { kind, device, trouble })
}

/// `sda1): MESSAGE`.
fn named(text: &[u8]) -> Option<(HexText<'_>, &[u8])> {
    name_before(text, b"): ")
}

/// `EXT4-fs error (device sda1): …`, `EXT4-fs error (device sda1) in …`, `EXT4-fs (sda1): Remounting filesystem
/// read-only`, `EXT4-fs (sda1): shut down requested (2)`.
fn ext4(text: &[u8]) -> Option<Meaning<'_>> {
    let rest = after_any(text, &[b"EXT4-fs ", b"EXT3-fs ", b"EXT2-fs "])?;
    if let Some(rest) = rest.strip_prefix(b"error (device ") {
        let (device, rest) = split_text(rest, b")")?;
        let known = rest.starts_with(b": ") || rest.starts_with(b" in ");
        return known.then(|| told(FilesystemKind::Ext4, HexText::new(device), FilesystemTrouble::Error))?;
    }
    let (device, rest) = named(rest.strip_prefix(b"(")?)?;
    let trouble = if rest.starts_with(b"Remounting filesystem read-only")
        || rest.starts_with(b"error: remounting filesystem read-only")
    {
        FilesystemTrouble::ReadOnly
    } else {
        rest.strip_prefix(b"shut down requested (")?;
        FilesystemTrouble::Shutdown
    };
    told(FilesystemKind::Ext4, device, trouble)
}

/// `XFS (dm-0): MESSAGE`.
fn xfs(text: &[u8]) -> Option<Meaning<'_>> {
    const STARTS: [(&[u8], FilesystemTrouble); 11] = [
        (b"Metadata corruption detected at ", FilesystemTrouble::Corruption),
        (b"Metadata CRC error detected at ", FilesystemTrouble::Corruption),
        (b"Corruption detected", FilesystemTrouble::Corruption),
        (b"Corruption warning: ", FilesystemTrouble::Corruption),
        (b"Internal error ", FilesystemTrouble::Corruption),
        (b"metadata I/O error", FilesystemTrouble::Error),
        (b"log I/O error", FilesystemTrouble::Error),
        (b"Filesystem has been shut down due to ", FilesystemTrouble::Shutdown),
        (b"User initiated shutdown received", FilesystemTrouble::Shutdown),
        // `Corruption of in-memory data (0x8) detected at …  Shutting down filesystem`.
        (b"Corruption of in-memory ", FilesystemTrouble::Shutdown),
        (b"Log I/O Error ", FilesystemTrouble::Shutdown),
    ];
    let (device, rest) = named(text.strip_prefix(b"XFS (")?)?;
    let known = STARTS.iter().find(|(start, _)| rest.starts_with(start)).map(|(_, trouble)| *trouble);
    let ends = || {
        rest.starts_with(b"I/O Error Detected. Shutting down filesystem")
            .then_some(FilesystemTrouble::Shutdown)
    };
    told(FilesystemKind::Xfs, device, known.or_else(ends)?)
}

/// `BTRFS error (device sda1): …`, `BTRFS critical (device sda1 state EA): …`, `BTRFS: error (device sda1) in …`,
/// `BTRFS info (device sda1 state E): forced readonly`, `BTRFS warning (device sda1): csum failed …`.
fn btrfs(text: &[u8]) -> Option<Meaning<'_>> {
    let rest = text.strip_prefix(b"BTRFS")?;
    let rest = rest.strip_prefix(b":").unwrap_or(rest).strip_prefix(b" ")?;
    let (level, rest) = split_text(rest, b" (device ")?;
    let (inside, message) = split_text(rest, b")")?;
    let device = &inside[..find(inside, b' ').unwrap_or(inside.len())];
    let read_only = message == b": forced readonly";
    let trouble = match level {
        _ if read_only => FilesystemTrouble::ReadOnly,
        b"error" | b"critical" | b"alert" | b"emerg" => {
            let corrupt =
                find_text(message, b"corrupt ").is_some() && find_text(message, b" errs: ").is_none();
            if corrupt { FilesystemTrouble::Corruption } else { FilesystemTrouble::Error }
        }
        b"warning" if message.starts_with(b": csum failed ") => FilesystemTrouble::Corruption,
        _ => return None,
    };
    told(FilesystemKind::Btrfs, HexText::new(device), trouble)
}

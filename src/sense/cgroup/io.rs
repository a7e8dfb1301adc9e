//! `io.stat`: what a group did to each block device.

use crate::model::{Bytes, DeviceNumber};
use crate::sense::Malformed;
use crate::sense::device::device_number;
use crate::sense::scan::{fields, find, number, rows};

/// One device; the groups below included. Writes through the page cache count where the filesystem supports it
/// (ext2, ext4, btrfs, xfs since 5.5), else in the root group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoRow {
    pub device: DeviceNumber,
    pub read: Bytes,
    pub written: Bytes,
    pub reads: u64,
    pub writes: u64,
    /// 4.19.
    pub discarded: Option<Bytes>,
    /// 4.19.
    pub discards: Option<u64>,
}

/// The devices. Two quirks of kernels are allowed for: a line may hold a device and no counters, and
/// such a device may stand at the head of the next one's line. Neither has anything to tell.
pub fn io_stat(bytes: &[u8]) -> impl Iterator<Item = Result<IoRow, Malformed>> {
    rows("io.stat", bytes, is_bare, row)
}

/// Devices and no counters.
fn is_bare(line: &[u8]) -> bool {
    fields(line).all(|field| device_number(field).is_some())
}

fn row(line: &[u8]) -> Option<IoRow> {
    let mut device = None;
    let (mut read, mut written, mut reads, mut writes) = (None, None, None, None);
    let (mut discarded, mut discards) = (None, None);
    for field in fields(line) {
        let Some(at) = find(field, b'=') else {
            // The last device before the counters is theirs; behind them there is none.
            if read.is_some() {
                return None;
            }
            device = Some(device_number(field)?);
            continue;
        };
        let place = match &field[..at] {
            b"rbytes" => &mut read,
            b"wbytes" => &mut written,
            b"rios" => &mut reads,
            b"wios" => &mut writes,
            b"dbytes" => &mut discarded,
            b"dios" => &mut discards,
            // Of io.latency and io.cost, and later kernels.
            _ => continue,
        };
        *place = Some(number(&field[at + 1..])?);
    }
    Some(IoRow {
        device: device?,
        read: Bytes(read?),
        written: Bytes(written?),
        reads: reads?,
        writes: writes?,
        discarded: discarded.map(Bytes),
        discards,
    })
}

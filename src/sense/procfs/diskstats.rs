//! `/proc/diskstats` (`Documentation/admin-guide/iostats.rst`): 11, 15 or 17 numbers of each block device.

use crate::model::DeviceNumber;
use crate::model::{Bytes, Millis};
use crate::sense::Malformed;
use crate::sense::scan::{Fields, fields, rows};

/// Bytes of a sector here, whatever the device's own.
const SECTOR: u64 = 512;

/// What was done of one kind of request since boot, or since the device came.
///
/// Times are 32 bits of milliseconds and wrap after 49.7 days of one kind: a difference that is negative is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests {
    pub completed: u64,
    /// Joined to a neighbour before they were handed to the device.
    pub merged: u64,
    pub bytes: Bytes,
    /// Summed over requests, so it may pass faster than time.
    pub time: Millis,
}

/// Flushes of the device's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushes {
    pub completed: u64,
    pub time: Millis,
}

/// One block device or partition. 32-bit kernels count in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRow<'a> {
    pub device: DeviceNumber,
    /// As in `/sys/class/block`, where a `/` of the name is a `!`.
    pub name: &'a [u8],
    pub reads: Requests,
    pub writes: Requests,
    /// Requests with the device now; not a counter.
    pub in_flight: u64,
    /// Time with at least one request; 32 bits of milliseconds.
    pub busy: Millis,
    /// The same times the requests in flight: by time, the length of the queue.
    pub weighted: Millis,
    /// 4.18.
    pub discards: Option<Requests>,
    /// 5.5.
    pub flushes: Option<Flushes>,
}

/// The devices, in the kernel's order; one that did nothing shows zeros.
pub fn disks(bytes: &[u8]) -> impl Iterator<Item = Result<DiskRow<'_>, Malformed>> {
    rows("diskstats", bytes, |_| false, row)
}

fn row(line: &[u8]) -> Option<DiskRow<'_>> {
    let mut fields = fields(line);
    let mut half = || u32::try_from(fields.number()?).ok();
    let device = DeviceNumber { major: half()?, minor: half()? };
    Some(DiskRow {
        device,
        name: fields.next()?,
        reads: requests(&mut fields)?,
        writes: requests(&mut fields)?,
        in_flight: fields.number()?,
        busy: fields.amount()?,
        weighted: fields.amount()?,
        discards: if ends(fields) { None } else { Some(requests(&mut fields)?) },
        flushes: if ends(fields) {
            None
        } else {
            Some(Flushes { completed: fields.number()?, time: fields.amount()? })
        },
    })
}

fn ends(mut fields: Fields<'_>) -> bool {
    fields.next().is_none()
}

fn requests(fields: &mut Fields<'_>) -> Option<Requests> {
    Some(Requests {
        completed: fields.number()?,
        merged: fields.number()?,
        bytes: Bytes(fields.number()?.checked_mul(SECTOR)?),
        time: fields.amount()?,
    })
}

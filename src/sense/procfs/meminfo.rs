//! `/proc/meminfo`.

use super::text::{fields, number};
use crate::model::{Bytes, Memory};

/// The four lines that decisions need. `MemAvailable` came with Linux 3.14; without it there is no answer, because
/// no sum of the others means the same.
#[must_use]
pub fn parse_meminfo(bytes: &[u8]) -> Option<Memory> {
    let (mut total, mut available, mut swap_total, mut swap_free) = (None, None, None, None);
    for line in bytes.split(|byte| *byte == b'\n') {
        let mut fields = fields(line);
        let place = match fields.next() {
            Some(b"MemTotal:") => &mut total,
            Some(b"MemAvailable:") => &mut available,
            Some(b"SwapTotal:") => &mut swap_total,
            Some(b"SwapFree:") => &mut swap_free,
            Some(_) | None => continue,
        };
        *place = Some(Bytes(number(fields.next()?)?.checked_mul(1024)?));
    }
    Some(Memory { total: total?, available: available?, swap_total: swap_total?, swap_free: swap_free? })
}

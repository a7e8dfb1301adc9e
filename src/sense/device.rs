//! The number of a block device as `mountinfo` and `io.stat` write it.

use crate::model::DeviceNumber;

use super::scan::number;

/// From `8:0`.
pub(super) fn device_number(bytes: &[u8]) -> Option<DeviceNumber> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let half = |digits: &[u8]| u32::try_from(number(digits)?).ok();
    Some(DeviceNumber { major: half(&bytes[..colon])?, minor: half(&bytes[colon + 1..])? })
}

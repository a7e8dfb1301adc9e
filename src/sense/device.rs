//! Which block device: the number that `diskstats`, `mountinfo` and `io.stat` share.

use std::fmt;

use super::scan::number;

/// `major:minor` of a device, or of a filesystem without one (major 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    pub major: u32,
    pub minor: u32,
}

impl DeviceNumber {
    /// From `8:0`.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let colon = bytes.iter().position(|byte| *byte == b':')?;
        let half = |digits: &[u8]| u32::try_from(number(digits)?).ok();
        Some(Self { major: half(&bytes[..colon])?, minor: half(&bytes[colon + 1..])? })
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

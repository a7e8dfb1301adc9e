//! The identity of a Kubernetes pod, as the paths of its groups spell it.

use std::fmt;

use crate::model::Id128;

/// A pod's UID: of pods from the API server with dashes, of static pods (a hash of the file) without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodUid {
    pub id: Id128,
    pub dashed: bool,
}

/// Where the dashes stand.
const GROUPS: [usize; 4] = [8, 13, 18, 23];

impl PodUid {
    /// From `3c4f1a2b-…` (cgroupfs driver), `3c4f1a2b_…` (systemd driver) or 32 digits without.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let dashed = bytes.len() == 36;
        if !dashed && bytes.len() != 32 {
            return None;
        }
        let mut id = [0; 16];
        let mut digits = bytes.iter().enumerate().filter(|(at, _)| !(dashed && GROUPS.contains(at)));
        for byte in &mut id {
            let mut digit = || char::from(*digits.next()?.1).to_digit(16);
            *byte = u8::try_from(digit()? * 16 + digit()?).ok()?;
        }
        let parted = !dashed || GROUPS.iter().all(|at| matches!(bytes[*at], b'-' | b'_'));
        parted.then_some(Self { id: Id128::from_bytes(id), dashed })
    }
}

/// As the API server writes it.
impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.id.bytes().iter().enumerate() {
            if self.dashed && matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

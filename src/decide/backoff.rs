//! How long to wait between attempts.

use std::time::Duration;

use crate::model::Subject;
use crate::policy::Backoff;

/// The gap after attempt number `attempt` (from 1) since stability was last proven.
///
/// Jitter comes from `seed`, subject and attempt alone: a replay gives the same gaps, two hosts do not.
#[must_use]
pub fn gap_after(attempt: u32, backoff: &Backoff, seed: u64, subject: &Subject) -> Duration {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let plain = backoff.first.as_secs_f64() * backoff.factor.powi(exponent);
    let capped = plain.min(backoff.cap.as_secs_f64());
    Duration::from_secs_f64(capped * (1.0 + backoff.jitter * unit_interval(seed, subject, attempt)))
}

/// A number in [0, 1) that depends on nothing but its arguments (FNV-1a, finished by splitmix64).
fn unit_interval(seed: u64, subject: &Subject, attempt: u32) -> f64 {
    const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = FNV_OFFSET ^ seed;
    for byte in subject.to_string().bytes().chain(attempt.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept on purpose")]
    let fraction = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    fraction
}

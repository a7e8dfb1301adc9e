//! `/proc/loadavg` and `/proc/uptime`.

use std::time::Duration;

use super::text::{decimal, fields};
use crate::model::LoadAverage;

/// `0.20 0.18 0.12 1/80 11206`.
#[must_use]
pub fn parse_loadavg(bytes: &[u8]) -> Option<LoadAverage> {
    let mut fields = fields(bytes);
    let mut next = || decimal(fields.next()?);
    Some(LoadAverage { one: next()?, five: next()?, fifteen: next()? })
}

/// `350735.47 234388.90`: seconds since boot, suspend included; idle seconds of all processors.
#[must_use]
pub fn parse_uptime(bytes: &[u8]) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(fields(bytes).next()?)?).ok()
}

//! Answers of health probes. A probe that can't run is `Failed`, which is not unhealthy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Reading, UnitName};

/// Name of a probe in the policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProbeName(pub String);

/// What a probe that ran found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It answered as expected, after this long.
    Healthy { latency: Duration },
    /// It did not: one sentence, for people.
    Unhealthy { why: String },
}

/// One run of one probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    pub probe: ProbeName,
    pub unit: UnitName,
    pub health: Reading<Health>,
}

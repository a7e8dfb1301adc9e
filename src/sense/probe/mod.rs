//! Health probes: one run of one probe, and the runner that keeps them all going.
//!
//! Owns the protocols and the schedule. A probe that runs and gets no good answer is `Unhealthy`; a probe that can't
//! run for a reason of our own (no descriptors, no permission, no program) is `Failed`, which accuses nobody. Counting
//! failures in a row is not done here.

mod exec;
mod http;
mod runner;
mod socket;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::model::{Health, Reading};
use crate::policy::{Probe, ProbeKind};

pub use runner::{PROBES_AT_ONCE, ProbeRunner};

/// What came of one attempt, before the clock is added.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    Good,
    /// The service's fault: one sentence.
    Bad(String),
    /// Ours: one sentence.
    Unable(String),
}

/// Runs a probe once, its timeout at the most.
#[expect(clippy::disallowed_methods, reason = "latency is measured where the answer arrives")]
pub async fn run(probe: &Probe) -> Reading<Health> {
    let begun = tokio::time::Instant::now();
    let attempt = async {
        match &probe.kind {
            ProbeKind::Http { address, host, path, expect } => http::get(*address, host, path, expect).await,
            ProbeKind::Tcp { address } => match socket::tcp(*address).await {
                Ok(_) => Attempt::Good,
                Err(attempt) => attempt,
            },
            ProbeKind::Unix { path } => socket::unix(path).await,
            // Keeps its own deadline, to end the child with it.
            ProbeKind::Exec { argv } => exec::run(argv, probe.timeout).await,
        }
    };
    let slack = match probe.kind {
        ProbeKind::Exec { .. } => exec::SLACK,
        ProbeKind::Http { .. } | ProbeKind::Tcp { .. } | ProbeKind::Unix { .. } => Duration::ZERO,
    };
    match tokio::time::timeout(probe.timeout + slack, attempt).await {
        Ok(Attempt::Good) => Reading::Value(Health::Healthy { latency: begun.elapsed() }),
        Ok(Attempt::Bad(why)) => Reading::Value(Health::Unhealthy { why }),
        Ok(Attempt::Unable(why)) => Reading::Failed(why),
        Err(_) => Reading::Value(Health::Unhealthy { why: silence(probe.timeout) }),
    }
}

fn silence(timeout: Duration) -> String {
    format!("no answer within {}", crate::model::Human(timeout))
}

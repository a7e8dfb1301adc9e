//! Policies for the simulation: what is shipped, in several moods.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::model::{Mode, Remedy, UnitName, UnitPattern};
use crate::policy::{Maintenance, Policy, Probe, ProbeKind, Schedule, UnitTuning};

/// What is shipped, read once.
fn shipped() -> &'static Policy {
    static SHIPPED: OnceLock<Policy> = OnceLock::new();
    SHIPPED.get_or_init(|| Policy::builtin().expect("the shipped policy is tested to be valid"))
}

/// What of the units the policy speaks of.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    pub probed: Vec<UnitName>,
    pub protected: Vec<UnitName>,
    pub observed: Vec<UnitName>,
    pub approved: Vec<UnitName>,
    /// Units with a daily window, all when empty; `None` for no window.
    pub window: Option<Vec<UnitName>>,
    /// Unresponsive units are restarted with what they need, which asks for an approval.
    pub with_dependencies: bool,
}

/// Probes run this often in the simulation.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// The daily window, in hours of UTC: its beginning and its length.
pub(super) const WINDOW: (u64, u64) = (3, 2);

/// The policy that grants these wishes.
///
/// # Panics
/// Never: the expressions in it are constants.
#[must_use]
pub fn policy(wishes: &Wishes, digest: &str) -> Arc<Policy> {
    let pattern = |name: &UnitName| UnitPattern::new(name.as_str());
    let patterns = |names: &[UnitName]| names.iter().map(pattern).collect::<Vec<_>>();
    let mut policy = shipped().clone();
    for rule in policy.rules.iter_mut().filter(|rule| rule.name.as_str() == "unit-unresponsive") {
        rule.ladder = vec![Remedy::Reload, Remedy::Restart];
        if wishes.with_dependencies {
            rule.ladder.push(Remedy::RestartWithDependencies);
        }
    }
    let tuned = |names: &[UnitName], mode: Mode| UnitTuning {
        units: patterns(names),
        owner: None,
        mode: Some(mode),
        depends_on: Vec::new(),
    };
    let probe = |unit: &UnitName| Probe {
        name: crate::model::ProbeName(unit.as_str().to_owned()),
        unit: unit.clone(),
        kind: ProbeKind::Tcp { address: std::net::SocketAddr::from(([127, 0, 0, 1], 80)) },
        interval: PROBE_INTERVAL,
        timeout: Duration::from_secs(2),
        failures: 3,
        grace: Duration::from_secs(60),
    };
    let window = |units: &Vec<UnitName>| Maintenance {
        name: "nightly".into(),
        units: patterns(units),
        schedule: Schedule {
            cron: format!("0 {} * * *", WINDOW.0).parse().expect("a constant cron expression"),
            zone: jiff::tz::TimeZone::UTC,
            length: Duration::from_hours(WINDOW.1),
        },
    };
    policy.escalation.exec = Some(vec!["/usr/local/bin/page".into()]);
    policy.digest = digest.to_owned();
    policy.protected.extend(patterns(&wishes.protected));
    policy.maintenance = wishes.window.iter().map(window).collect();
    policy.probes = wishes.probed.iter().map(probe).collect();
    policy.tuning = vec![tuned(&wishes.observed, Mode::Observe), tuned(&wishes.approved, Mode::Approve)];
    Arc::new(policy)
}

//! Policies for the simulation: what is shipped, in several moods.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Mode, Remedy, RuleName, Severity, SubjectKind, UnitName, UnitPattern};
use crate::policy::{
    Access, EscalationHooks, Limits, Maintenance, Policy, Predicate, Probe, ProbeKind, Rule, Schedule,
    UnitTuning,
};

/// One rule in the simulation's shorthand.
struct Draft {
    name: &'static str,
    subject: SubjectKind,
    when: &'static str,
    clear: &'static str,
    hold: u64,
    ladder: &'static [Remedy],
    severity: Severity,
}

const RULES: &[Draft] = &[
    Draft {
        name: "unit-failed",
        subject: SubjectKind::Unit,
        when: "kind == 'service' && active_state == 'failed'",
        clear: "active_state == 'active' || active_state == 'inactive'",
        hold: 0,
        ladder: &[Remedy::Start, Remedy::ResetAndStart],
        severity: Severity::Page,
    },
    Draft {
        name: "dependency-was-missing",
        subject: SubjectKind::Unit,
        when: "kind == 'service' && dependency_failed && active_state == 'inactive'",
        clear: "!dependency_failed || active_state == 'active'",
        hold: 1,
        ladder: &[Remedy::Start],
        severity: Severity::Page,
    },
    Draft {
        name: "unit-unresponsive",
        subject: SubjectKind::Unit,
        when: "active_state == 'active' && probe_failures >= 3",
        clear: "active_state != 'active' || probe_failures == 0",
        hold: 0,
        ladder: &[Remedy::Reload, Remedy::Restart],
        severity: Severity::Page,
    },
    Draft {
        name: "unit-stuck",
        subject: SubjectKind::Unit,
        when: "kind == 'service' && active_state == 'activating' && sub_state != 'auto-restart'",
        clear: "active_state != 'activating'",
        hold: 60,
        ladder: &[Remedy::Restart],
        severity: Severity::Ticket,
    },
    Draft {
        name: "restart-loop",
        subject: SubjectKind::Unit,
        when: "restarts_10m > 8",
        clear: "restarts_10m < 3",
        hold: 0,
        ladder: &[],
        severity: Severity::Ticket,
    },
    Draft {
        name: "policy-rejected",
        subject: SubjectKind::Agent,
        when: "policy_rejected",
        clear: "!policy_rejected",
        hold: 0,
        ladder: &[],
        severity: Severity::Ticket,
    },
    Draft {
        name: "manager-lost",
        subject: SubjectKind::Agent,
        when: "manager_lost",
        clear: "!manager_lost",
        hold: 60,
        ladder: &[],
        severity: Severity::Page,
    },
];

fn predicate(source: &str, kind: SubjectKind) -> Predicate {
    Predicate::compile(source, kind).expect("the simulation's rules are constants that a test compiles")
}

fn rule(draft: &Draft) -> Rule {
    Rule {
        name: RuleName::new(draft.name),
        subject: draft.subject,
        units: Vec::new(),
        except: Vec::new(),
        when: predicate(draft.when, draft.subject),
        hold_for: Duration::from_secs(draft.hold),
        clear: predicate(draft.clear, draft.subject),
        ladder: draft.ladder.to_vec(),
        attempts: 4,
        verify_within: Duration::from_secs(20),
        severity: draft.severity,
        mode: Mode::Auto,
        owner: None,
    }
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
    let mut rules: Vec<Rule> = RULES.iter().map(rule).collect();
    if wishes.with_dependencies {
        for rule in rules.iter_mut().filter(|rule| rule.name.as_str() == "unit-unresponsive") {
            rule.ladder.push(Remedy::RestartWithDependencies);
        }
    }
    rules.sort_by(|a, b| a.name.cmp(&b.name));
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
    Arc::new(Policy {
        digest: digest.to_owned(),
        limits: Limits::default(),
        rules,
        protected: patterns(&wishes.protected),
        maintenance: wishes.window.iter().map(window).collect(),
        probes: wishes.probed.iter().map(probe).collect(),
        services: Vec::new(),
        tuning: vec![tuned(&wishes.observed, Mode::Observe), tuned(&wishes.approved, Mode::Approve)],
        escalation: EscalationHooks::default(),
        access: Access::default(),
    })
}

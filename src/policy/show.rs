//! The policy in force, for the socket: what applies, not how it was written.

use serde_json::{Value, json};

use crate::model::Human;

use super::{Policy, ProbeKind, Rule};

impl Policy {
    /// As JSON: digest, rules, windows, probes, services, protected units, bounds.
    #[must_use]
    pub fn to_json(&self) -> String {
        json!({
            "digest": self.digest,
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
            "protected": self.protected.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>(),
            "maintenance": self.maintenance.iter().map(|window| json!({
                "name": window.name,
                "units": window.units.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "probes": self.probes.iter().map(|probe| json!({
                "name": probe.name,
                "unit": probe.unit,
                "kind": match &probe.kind {
                    ProbeKind::Http { .. } => "http",
                    ProbeKind::Tcp { .. } => "tcp",
                    ProbeKind::Unix { .. } => "unix",
                    ProbeKind::Exec { .. } => "exec",
                },
                "interval": Human(probe.interval).to_string(),
                "timeout": Human(probe.timeout).to_string(),
                "failures": probe.failures,
                "grace": Human(probe.grace).to_string(),
            })).collect::<Vec<_>>(),
            "evidence": { "mask": &*self.evidence.mask, "without_log": self.evidence.without_log },
            "history": { "bytes_max": self.history.bytes_max },
            "logs": self.logs.iter().map(|logs| json!({
                "name": logs.name,
                "folder": logs.folder,
                "except": logs.except,
                "holds": logs.holds,
                "keep": logs.keep,
                "keep_for": Human(logs.keep_for).to_string(),
            })).collect::<Vec<_>>(),
            "services": self.services.iter().map(|service| &service.name).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

fn rule(rule: &Rule) -> Value {
    json!({
        "name": rule.name,
        "subject": rule.subject,
        "when": rule.when.source(),
        "for": Human(rule.hold_for).to_string(),
        "clear": rule.clear.source(),
        "ladder": rule.ladder,
        "attempts": rule.attempts,
        "severity": rule.severity,
        "mode": rule.mode,
        "owner": rule.owner,
    })
}

//! Sections → the validated [`Policy`]. Each file here builds one kind of section; `cross` holds them against
//! each other.

mod cross;
mod limits;
mod logs;
mod maintenance;
mod misc;
mod probe;
mod rule;
mod service;
mod words;

use super::diagnostic::Report;
use super::document::Document;
use super::types::Policy;

/// Builds everything; what is wrong is in the report, and then the result is not to be used.
pub(super) fn build(report: &mut Report<'_>, document: &Document<'_>, digest: String) -> Policy {
    let limits = limits::limits(report, document);
    let mut rules: Vec<_> =
        document.entries("rule").iter().filter_map(|entry| rule::rule(report, entry)).collect();
    rules.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    let maintenance = document
        .entries("maintenance")
        .iter()
        .filter_map(|entry| maintenance::maintenance(report, entry))
        .collect();
    let probes: Vec<_> =
        document.entries("probe").iter().filter_map(|entry| probe::probe(report, entry)).collect();
    let services: Vec<_> =
        document.entries("service").iter().filter_map(|entry| service::service(report, entry)).collect();
    let logs = document.entries("logs").iter().filter_map(|entry| logs::logs(report, entry)).collect();
    let tuning = document.units.iter().filter_map(|section| misc::tuning(report, section)).collect();
    let policy = Policy {
        digest,
        limits,
        rules,
        protected: misc::protected(report, document),
        maintenance,
        probes,
        services,
        tuning,
        escalation: misc::escalation(report, document),
        access: misc::access(report, document),
        history: misc::history(report, document),
        evidence: misc::evidence(report, document),
        logs,
    };
    cross::check(report, document, &policy);
    policy
}

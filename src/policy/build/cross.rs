//! What is right on its own and wrong together.

use std::collections::BTreeMap;

use crate::model::UnitName;
use crate::policy::diagnostic::Report;
use crate::policy::document::Document;
use crate::policy::suggest::closest;
use crate::policy::types::{Policy, ServiceDefinition};

/// Holds the sections against each other.
pub(super) fn check(report: &mut Report<'_>, document: &Document<'_>, policy: &Policy) {
    probes_are_one_for_each_unit(report, document, policy);
    folders_hold_one_kind(report, document, policy);
    if document.is_complete() && document.entries("service").len() == policy.services.len() {
        requirements_are_known(report, document, policy);
        requirements_have_no_circle(report, document, policy);
    }
}

fn probes_are_one_for_each_unit(report: &mut Report<'_>, document: &Document<'_>, policy: &Policy) {
    let mut first: BTreeMap<&UnitName, &str> = BTreeMap::new();
    for probe in &policy.probes {
        let name = probe.name.0.as_str();
        let place = |name: &str| {
            let entry = document.entries("probe").iter().find(|entry| entry.name == name);
            entry.map(|entry| entry.section.place_of("unit"))
        };
        let Some(earlier) = first.insert(&probe.unit, name) else { continue };
        if let (Some(here), Some(there)) = (place(name), place(earlier))
            && here != there
        {
            report.error_with(
                &here,
                format!("{} has a probe already, \"{earlier}\"", probe.unit),
                "leave one of them; an exec probe can check several things",
                ("the other probe is given", &there),
            );
        }
    }
}

/// Either of two that hold different things would keep the other from its files.
fn folders_hold_one_kind(report: &mut Report<'_>, document: &Document<'_>, policy: &Policy) {
    for (at, root) in policy.logs.iter().enumerate() {
        let place = |name: &str| {
            let entry = document.entries("logs").iter().find(|entry| entry.name == name);
            entry.map(|entry| entry.section.place_of("folder"))
        };
        let mut earlier = policy.logs.iter().take(at);
        let Some(other) = earlier.find(|it| it.folder == root.folder && it.holds != root.holds) else {
            continue;
        };
        if let (Some(here), Some(there)) = (place(&root.name), place(&other.name)) {
            report.error_with(
                &here,
                format!("\"{}\" says that something else is held there", other.name),
                "give each kind a folder of its own",
                ("the folder is named", &there),
            );
        }
    }
}

fn requirements_are_known(report: &mut Report<'_>, document: &Document<'_>, policy: &Policy) {
    for (service, entry) in policy.services.iter().zip(document.entries("service")) {
        for required in &service.requires {
            if policy.services.iter().any(|other| other.name == *required) {
                continue;
            }
            let names = policy.services.iter().map(|other| other.name.as_str());
            let help = match closest(required.as_str(), names.filter(|name| *name != service.name.as_str())) {
                Some(near) => format!("write \"{near}\""),
                None => format!("add a [[service]] of that name, or leave it out of {}", service.name),
            };
            let place = entry.section.place_of("requires");
            report.error(&place, format!("there is no [[service]] {required}"), help);
        }
    }
}

fn requirements_have_no_circle(report: &mut Report<'_>, document: &Document<'_>, policy: &Policy) {
    let by_name: BTreeMap<&UnitName, &ServiceDefinition> =
        policy.services.iter().map(|service| (&service.name, service)).collect();
    // Take away, again and again, what requires nothing that is left; what stays is or leads into a circle.
    let mut left: BTreeMap<&UnitName, &ServiceDefinition> = by_name;
    loop {
        let free: Vec<&UnitName> = left
            .values()
            .filter(|service| !service.requires.iter().any(|required| left.contains_key(required)))
            .map(|service| &service.name)
            .collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            left.remove(name);
        }
    }
    if let Some(entry) =
        document.entries("service").iter().find(|e| left.keys().any(|n| n.as_str() == e.name))
    {
        let names: Vec<&str> = left.keys().map(|name| name.as_str()).collect();
        let what = format!("these services require each other in a circle: {}", names.join(", "));
        report.error(&entry.section.place_of("requires"), what, "leave out one of the requirements");
    }
}

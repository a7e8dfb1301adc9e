//! Guard 6: what a unit needs comes first.

use std::collections::BTreeSet;

use crate::model::{ActiveState, LoadState, Owed, UnitName};

use super::circumstances::Circumstances;

/// Units looked at while following dependencies to see whether they lead back: deeper chains than this are
/// treated as leading back, so that a cycle can never hold everything for ever.
const WALK_MAX: usize = 256;

/// The dependency that has to come up first, with what is wrong with it.
pub(super) fn find(unit: &UnitName, circumstances: &Circumstances<'_>) -> Option<(UnitName, String)> {
    needs(unit, circumstances).into_iter().find_map(|(dependency, strength)| {
        let why = trouble(&dependency, strength, circumstances)?;
        (!leads_back(&dependency, unit, circumstances)).then_some((dependency, why))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    /// `Wants=` with `After=`: waited for, not insisted on.
    Wanted,
    /// `Requires=`, `Requisite=`, `BindsTo=`: the service manager would start it along.
    Required,
    /// Declared in the policy only: nobody else would start it.
    Declared,
}

fn needs(unit: &UnitName, circumstances: &Circumstances<'_>) -> Vec<(UnitName, Strength)> {
    let mut needs = Vec::new();
    let details = circumstances.view.unit(unit).map(|facts| &facts.status.details);
    if let Some(details) = details.and_then(|details| details.value()) {
        let relations = &details.relations;
        needs.extend(relations.requires.iter().map(|name| (name.clone(), Strength::Required)));
        let wanted = relations.wants.iter().filter(|name| relations.after.contains(name));
        needs.extend(wanted.map(|name| (name.clone(), Strength::Wanted)));
    }
    if let Some(Owed::StoppedAlong { with }) = circumstances.view.owed.get(unit) {
        needs.push((with.clone(), Strength::Declared));
    }
    let declared = circumstances.policy.tuning_of(unit).flat_map(|tuning| &tuning.depends_on);
    needs.extend(declared.map(|name| (name.clone(), Strength::Declared)));
    needs.retain(|(name, _)| name != unit);
    needs
}

fn trouble(dependency: &UnitName, strength: Strength, circumstances: &Circumstances<'_>) -> Option<String> {
    if circumstances.operator_stopped.contains(dependency) && !circumstances.view.is_up(dependency) {
        return match strength {
            Strength::Wanted => None,
            Strength::Required | Strength::Declared => Some("an operator stopped it".into()),
        };
    }
    let Some(facts) = circumstances.view.unit(dependency) else {
        return (strength == Strength::Declared).then(|| "it does not exist".into());
    };
    if facts.status.active == ActiveState::Failed {
        return Some("it has failed".into());
    }
    if facts.status.load == LoadState::Masked && strength != Strength::Wanted {
        return Some("it is masked".into());
    }
    if let Some(incident) = circumstances.faulty.open_incident(dependency) {
        return Some(format!("it is the subject of {incident}"));
    }
    match (strength, facts.status.active) {
        (Strength::Declared, state) if !state.is_up() => Some(format!("it is {}", state.as_str())),
        (Strength::Required, ActiveState::Activating | ActiveState::Deactivating) => {
            Some(format!("it is {}", facts.status.active.as_str()))
        }
        (Strength::Declared | Strength::Required | Strength::Wanted, _) => None,
    }
}

/// Whether the needs of `from` lead to `to` through units that are not up.
fn leads_back(from: &UnitName, to: &UnitName, circumstances: &Circumstances<'_>) -> bool {
    let mut seen = BTreeSet::from([from.clone()]);
    let mut queue = vec![from.clone()];
    while let Some(unit) = queue.pop() {
        for (need, _) in needs(&unit, circumstances) {
            if need == *to || seen.len() >= WALK_MAX {
                return true;
            }
            if !circumstances.view.is_up(&need) && seen.insert(need.clone()) {
                queue.push(need);
            }
        }
    }
    false
}

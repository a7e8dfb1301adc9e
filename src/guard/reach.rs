//! Whom an act reaches besides its targets: the service manager pulls others along.

use std::collections::BTreeSet;

use crate::assess::View;
use crate::model::{UnitName, UnitRelations};

use super::circumstances::{Circumstances, Request};

/// Units looked at while following relations: longer chains than this are not followed to their end, and no
/// host that people run has them.
const REACH_MAX: usize = 512;

/// Units that are up, or on their way there, and are taken down along with the targets, because they require one of
/// them (systemd.unit(5): `Requires=` hands an explicit stop or restart on). Without the targets themselves.
pub(super) fn taken_down(request: &Request<'_>, c: &Circumstances<'_>) -> Vec<UnitName> {
    if !request.remedy.takes_down() {
        return Vec::new();
    }
    let up = request.targets.iter().filter(|target| c.view.is_in_motion_or_up(target)).cloned().collect();
    follow(up, c.view, |relations| relations.required_by.clone(), |unit| c.view.is_in_motion_or_up(unit))
}

/// Units that are down and are started along with the targets (`Requires=`, `Wants=`). Without the targets. What systemd
/// has unloaded is down, too; of those that are not known, only the ones that somebody stopped matter.
pub(super) fn started(request: &Request<'_>, c: &Circumstances<'_>) -> Vec<UnitName> {
    if !request.remedy.starts() {
        return Vec::new();
    }
    let pulls = |relations: &UnitRelations| -> Vec<UnitName> {
        relations.requires.iter().chain(&relations.wants).cloned().collect()
    };
    follow(request.targets.to_vec(), c.view, pulls, |unit| {
        c.view
            .unit(unit)
            .map_or_else(|| c.operator_stopped.contains(unit), |facts| !facts.status.active.is_up())
    })
}

/// Follows relations from `from` through units that `passes`.
fn follow(
    from: Vec<UnitName>,
    view: &View,
    next: impl Fn(&UnitRelations) -> Vec<UnitName>,
    passes: impl Fn(&UnitName) -> bool,
) -> Vec<UnitName> {
    let mut seen: BTreeSet<UnitName> = from.iter().cloned().collect();
    let mut queue = from;
    let mut reached = Vec::new();
    while let Some(unit) = queue.pop() {
        let details = view.unit(&unit).and_then(|facts| facts.status.details.value());
        let Some(details) = details else { continue };
        for other in next(&details.relations) {
            if reached.len() < REACH_MAX && passes(&other) && seen.insert(other.clone()) {
                reached.push(other.clone());
                queue.push(other);
            }
        }
    }
    reached
}

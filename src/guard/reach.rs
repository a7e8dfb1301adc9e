//! Whom an act reaches besides its targets: the service manager pulls others along.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::assess::View;
use crate::model::{UnitName, UnitRelations};

use super::circumstances::{Circumstances, Request};

/// Units looked at while following relations: longer chains than this are not followed to their end, and no
/// host that people run has them.
const REACH_MAX: usize = 512;

/// What one step reaches, found when it is first asked for.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    request: &'a Request<'a>,
    circumstances: &'a Circumstances<'a>,
    taken_down: OnceCell<Vec<UnitName>>,
    started: OnceCell<Vec<UnitName>>,
}

impl<'a> Reach<'a> {
    pub(super) const fn of(request: &'a Request<'a>, circumstances: &'a Circumstances<'a>) -> Self {
        Self { request, circumstances, taken_down: OnceCell::new(), started: OnceCell::new() }
    }

    /// Units that are up, or on their way there, and are taken down along with the targets, because they require one of
    /// them (systemd.unit(5): `Requires=` hands an explicit stop or restart on). Without the targets themselves.
    pub(super) fn taken_down(&self) -> &[UnitName] {
        self.taken_down.get_or_init(|| {
            if !self.request.remedy.takes_down() {
                return Vec::new();
            }
            let view = self.circumstances.view;
            let is_up = |unit: &UnitName| view.is_in_motion_or_up(unit);
            let up = self.request.targets.iter().filter(|target| is_up(target)).collect();
            follow(up, view, |relations| relations.required_by.iter().chain(&[]), is_up)
        })
    }

    /// Units that are down, or may be, and are started along with the targets (`Requires=`, `Wants=`). Without the targets.
    /// What systemd has unloaded is down, too; of those that are not known, only the ones that somebody stopped matter.
    /// The word of the end of one that does not answer, or is in trouble, may have been lost.
    pub(super) fn started(&self) -> &[UnitName] {
        self.started.get_or_init(|| {
            if !self.request.remedy.starts() {
                return Vec::new();
            }
            let c = self.circumstances;
            let may_be_down = |unit: &UnitName| match c.view.unit(unit) {
                Some(facts) => {
                    !facts.status.active.is_up()
                        || facts.probe.as_ref().is_some_and(|probe| probe.failures > 0)
                        || c.faulty.open_incident(unit).is_some()
                }
                None => c.operator_stopped.contains(unit),
            };
            let from = self.request.targets.iter().collect();
            follow(from, c.view, |relations| relations.requires.iter().chain(&relations.wants), may_be_down)
        })
    }
}

/// The relations through which one unit is pulled along by another, of two kinds.
type Pulled<'a> = std::iter::Chain<std::slice::Iter<'a, UnitName>, std::slice::Iter<'a, UnitName>>;

/// Follows relations from `from` through units that `passes`.
fn follow<'a>(
    from: Vec<&'a UnitName>,
    view: &'a View,
    next: impl Fn(&'a UnitRelations) -> Pulled<'a>,
    passes: impl Fn(&UnitName) -> bool,
) -> Vec<UnitName> {
    let mut seen: BTreeSet<&UnitName> = from.iter().copied().collect();
    let mut queue = from;
    let mut reached = Vec::new();
    while let Some(unit) = queue.pop() {
        let details = view.unit(unit).and_then(|facts| facts.status.details.value());
        let Some(details) = details else { continue };
        for other in next(&details.relations) {
            if reached.len() < REACH_MAX && passes(other) && seen.insert(other) {
                reached.push(other.clone());
                queue.push(other);
            }
        }
    }
    reached
}

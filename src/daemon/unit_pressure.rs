//! The tasks that tell at once which unit suffers: the kernel's triggers on the control groups of units that are protected
//! or probed.
//!
//! A trigger belongs to a group. When the unit is started anew, it has another group, and gets another trigger: at once
//! where it comes back soon, else when the next walk over the groups has seen it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::{AbortHandle, JoinSet};

use crate::engine::Input;
use crate::model::{Absence, HostNews, Reading, Resource, Sample, StallWatch, UnitName, UnitStall};
use crate::sense::cgroup::UnitGroup;
use crate::sense::pressure::{NoTrigger, Patience, PressureTrigger};

use super::clock;
use super::effects::Hands;

/// Units that are followed: each has a descriptor for each resource, and of the kernel's a thread that sleeps
/// (`psimon`). A host has fewer that it can't be without.
const UNITS_MAX: usize = 32;
/// What is followed. A wait for a processor is no news: that is what limits of CPU time do.
const RESOURCES: [Resource; 2] = [Resource::Memory, Resource::Io];
/// A group that is gone is looked for again after this, and then after twice as long each time, for 100 s in all. A restart
/// takes no longer; for what does, the next walk over the groups tells. What else stands in the way (the kernel has no
/// memory or thread to spare, which is when it matters) is tried for ever.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
const AGAIN_TIMES: u32 = 11;
const AGAIN_MOST: Duration = Duration::from_secs(60);

/// Follows for ever.
pub(super) async fn follow_units(hands: Hands, root: &'static Path) {
    let mut groups = hands.unit_groups();
    let mut tasks = JoinSet::new();
    let mut followed: BTreeMap<UnitName, (UnitGroup, AbortHandle)> = BTreeMap::new();
    loop {
        let (wanted, left_out) = choose(&groups.borrow_and_update());
        let gone: Vec<UnitName> = followed
            .iter()
            .filter(|(unit, (group, task))| wanted.get(*unit).is_none_or(|it| is_another(group, it, task)))
            .map(|(unit, _)| unit.clone())
            .collect();
        for unit in gone {
            if let Some((_, task)) = followed.remove(&unit) {
                task.abort();
            }
            // That of its new group tells anew.
            tell(&hands, &unit, Resource::Memory, Reading::Absent(Absence::NotObserved)).await;
        }
        for (unit, group) in wanted {
            followed.entry(unit).or_insert_with(|| {
                let task = tasks.spawn(follow_unit(hands.clone(), root, group.clone()));
                (group, task)
            });
        }
        if left_out > 0 {
            tracing::warn!(
                left_out,
                most = UNITS_MAX,
                "not of all protected units does the kernel tell who waits"
            );
        }
        loop {
            tokio::select! {
                changed = groups.changed() => match changed {
                    Ok(()) => break,
                    // The agent is ending.
                    Err(_) => return std::future::pending().await,
                },
                Some(ended) = tasks.join_next() => if let Err(error) = ended && error.is_panic() {
                    std::panic::resume_unwind(error.into_panic());
                },
            }
        }
    }
}

/// Whether it takes another follower. One at work has found the new group of a unit that was started anew by itself: its
/// path is the same.
fn is_another(followed: &UnitGroup, wanted: &UnitGroup, task: &AbortHandle) -> bool {
    followed.path != wanted.path || followed.id != wanted.id && task.is_finished()
}

/// Whom to follow, and how many go without. Of several groups that bear the name of one unit the first counts.
fn choose(groups: &[UnitGroup]) -> (BTreeMap<UnitName, UnitGroup>, usize) {
    let mut chosen = BTreeMap::new();
    let mut left_out = 0;
    for group in groups {
        if chosen.len() < UNITS_MAX {
            chosen.entry(group.unit.clone()).or_insert_with(|| group.clone());
        } else if !chosen.contains_key(&group.unit) {
            left_out += 1;
        }
    }
    (chosen, left_out)
}

async fn follow_unit(hands: Hands, root: &'static Path, group: UnitGroup) {
    let path = OsStr::from_bytes(group.path.strip_prefix(b"/").unwrap_or(&group.path));
    let folder = root.join(path);
    let follow = RESOURCES.map(|resource| follow_resource(&hands, &group.unit, &folder, resource).boxed());
    futures_util::future::join_all(follow).await;
}

/// Until its group is gone and does not come back soon.
async fn follow_resource(hands: &Hands, unit: &UnitName, folder: &Path, resource: Resource) {
    let path: PathBuf = folder.join(format!("{}.pressure", resource.as_str()));
    let (mut told, mut again, mut tries, mut was_set) = (None, AGAIN_FIRST, 0, false);
    loop {
        let why_not = match PressureTrigger::set(&path, Patience::with(resource)) {
            Ok(mut trigger) => {
                (told, again, tries, was_set) = (None, AGAIN_FIRST, 0, true);
                follow_trigger(hands, unit, resource, &mut trigger).await
            }
            // The group is gone, and not the kernel's pressure.
            Err(NoTrigger::Unsupported) if was_set || rustix::fs::stat(folder).is_err() => {
                Reading::Absent(Absence::NotApplicable)
            }
            Err(error) => error.reading(),
        };
        let absent = matches!(why_not, Reading::Absent(_));
        if told.as_ref() != Some(&why_not) {
            tell(hands, unit, resource, why_not.clone()).await;
            told = Some(why_not);
        }
        tries += 1;
        if absent && tries > AGAIN_TIMES {
            return;
        }
        tokio::time::sleep(again).await;
        again = (again * 2).min(AGAIN_MOST);
    }
}

/// Until it breaks off; returns why.
async fn follow_trigger(
    hands: &Hands,
    unit: &UnitName,
    resource: Resource,
    trigger: &mut PressureTrigger,
) -> Reading<StallWatch> {
    let window = trigger.window();
    let watch = |stalled| Reading::Value(StallWatch { window, stalled });
    tell(hands, unit, resource, watch(false)).await;
    loop {
        if let Err(gone) = trigger.stalled().await {
            return Reading::Failed(gone.to_string());
        }
        tell(hands, unit, resource, watch(true)).await;
        // The kernel's own bound, kept whatever the kernel does. What it tells meanwhile is told after.
        tokio::time::sleep(window).await;
    }
}

async fn tell(hands: &Hands, unit: &UnitName, resource: Resource, watch: Reading<StallWatch>) {
    let mut sample = Sample::empty(clock::now());
    sample.host_news.push(HostNews::Unit(UnitStall { unit: unit.clone(), resource, watch }));
    hands.tell(Input::Sample(sample)).await;
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn group(unit: &str, id: u64) -> UnitGroup {
        let path = format!("/system.slice/{unit}").into_bytes();
        UnitGroup { unit: UnitName::parse(unit).unwrap(), path, id }
    }

    #[test]
    fn no_more_are_followed_than_the_bound_and_each_once() {
        let mut groups: Vec<_> =
            (0..40).map(|number| group(&format!("unit-{number}.service"), number)).collect();
        groups.insert(1, group("unit-0.service", 99));
        let (chosen, left_out) = choose(&groups);
        assert_eq!((chosen.len(), left_out), (UNITS_MAX, 8));
        assert_eq!(chosen[&groups[0].unit].id, 0, "the first of two");
        assert_eq!(choose(&groups[..3]).1, 0);
    }
}

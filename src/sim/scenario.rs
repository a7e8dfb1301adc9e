//! Draws a host from a seed: its units, what they need, and what its operator wishes.

use crate::model::{RestartSetting, UnitName};

use super::policy::Wishes;
use super::rng::Rng;
use super::world::{Unit, UnitIndex, World};

/// A name that the simulation makes itself.
///
/// # Panics
/// Never: the names are made of letters and digits.
#[must_use]
pub fn unit_name(stem: &str) -> UnitName {
    UnitName::parse(format!("{stem}.service")).expect("the simulation makes valid names")
}

/// A host and its wishes.
#[must_use]
pub(super) fn host(rng: &mut Rng) -> (World, Wishes) {
    let many = if rng.per_mille(200) { 40 } else { 12 };
    let count = usize::try_from(rng.range(3, many)).unwrap_or(3);
    let mut world = World::default();
    for index in 0..count {
        let mut unit = Unit::new(unit_name(&format!("s{index:02}")));
        unit.start_takes = rng.range(20, 3000);
        unit.stop_takes = rng.range(5, 1500);
        unit.can_reload = rng.per_mille(300);
        unit.probed = rng.per_mille(350);
        if unit.probed && rng.per_mille(300) {
            unit.answers_after = rng.range(1000, 50_000);
        }
        unit.restart_prevented = rng.per_mille(30);
        unit.fails_on_stop = rng.per_mille(200);
        if rng.per_mille(300) {
            unit.restart = RestartSetting::OnFailure;
            unit.restart_wait = [100, 2000, 15_000][rng.index(3)];
        }
        relate(&mut unit, index, rng);
        world.units.push(unit);
    }
    if count > 3 && rng.per_mille(100) {
        // A circle, as people make them.
        world.units[0].requires.push(1);
        world.units[1].requires.push(0);
    }
    for index in 0..count {
        for rival in world.units[index].conflicts.clone() {
            world.units[rival].conflicts.push(index);
        }
    }
    let wishes = wishes(&world, rng);
    (world, wishes)
}

fn relate(unit: &mut Unit, index: UnitIndex, rng: &mut Rng) {
    if index == 0 {
        return;
    }
    if rng.per_mille(300) {
        unit.requires.push(rng.index(index));
    }
    if rng.per_mille(250) {
        unit.wants.push(rng.index(index));
    }
    if rng.per_mille(100) {
        unit.binds_to.push(rng.index(index));
    }
    if rng.per_mille(100) {
        unit.part_of.push(rng.index(index));
    }
    unit.unloads = rng.per_mille(150);
    let other = rng.index(index);
    let related = [&unit.binds_to, &unit.part_of].iter().any(|list| list.contains(&other));
    if !related && rng.per_mille(40) && !unit.requires.contains(&other) && !unit.wants.contains(&other) {
        unit.conflicts.push(other);
    }
}

/// What an operator could wish of these units.
#[must_use]
pub(super) fn wishes(world: &World, rng: &mut Rng) -> Wishes {
    let mut some = |share: u64| -> Vec<UnitName> {
        world.units.iter().filter(|_| rng.per_mille(share)).map(|unit| unit.name.clone()).collect()
    };
    let (protected, observed, approved, windowed) = (some(120), some(60), some(100), some(300));
    let probed = world.units.iter().filter(|unit| unit.probed).map(|unit| unit.name.clone()).collect();
    let window = match rng.below(4) {
        0 => Some(Vec::new()),
        1 if !windowed.is_empty() => Some(windowed),
        _ => None,
    };
    let with_dependencies = rng.per_mille(300);
    Wishes { probed, protected, observed, approved, window, with_dependencies }
}

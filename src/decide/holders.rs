//! Which services hold deleted files open that take the room of a file system, and may be asked to let go; and which one
//! fills it.

use crate::assess::View;
use crate::model::{ActiveState, Bytes, Evidence, Incident, LargeFile, Mode, Reading, Remedy, UnitName};
use crate::policy::Policy;

/// Of what is in use, the least that is worth asking for: less would not make the difference.
const LEAST_PART: u64 = 100;
/// Services that are asked in one act.
const ASKED_MAX: usize = 3;

/// Those that hold enough, by the look at the beginning of the incident, largest first. What is protected, or may not be
/// touched without a person, is passed over: it must not keep the rest of the ladder from being tried.
pub(super) fn holders(remedy: Remedy, incident: &Incident, policy: &Policy, view: &View) -> Vec<UnitName> {
    let Some(evidence) = &incident.evidence else { return Vec::new() };
    let mut held = held(evidence);
    held.retain(|(unit, _)| !policy.protects(unit) && may_be_asked(remedy, unit, policy, view));
    let most = if remedy == Remedy::RestartHolders { 1 } else { ASKED_MAX };
    held.into_iter().take(most).map(|(unit, _)| unit).collect()
}

/// What writes slower than so many bytes a second leaves those time that make room.
const WRITES_LEAST: u64 = 4 << 20;

/// The unit that writes half or more of what is written to the large files of a file system, by the look at it.
pub(super) fn writer(incident: &Incident, policy: &Policy, view: &View) -> Option<UnitName> {
    let unit = fastest_writer(incident.evidence.as_ref()?)?;
    let mode = policy.tuning_of(&unit).filter_map(|tuning| tuning.mode).fold(Mode::Auto, Mode::min);
    let is_up = view.unit(&unit).is_some_and(|facts| facts.status.active == ActiveState::Active);
    (!policy.protects(&unit) && mode == Mode::Auto && is_up).then_some(unit)
}

fn fastest_writer(evidence: &Evidence) -> Option<UnitName> {
    let Reading::Value(look) = &evidence.space else { return None };
    let grown = |file: &LargeFile| file.growth.value().map_or(0, |growth| growth.0);
    let all = look.files.iter().map(grown).fold(0, u64::saturating_add);
    let unit_of = |file: &LargeFile| file.writer.value().and_then(|writer| writer.unit.value().cloned());
    let by = |unit: &String| {
        let its = look.files.iter().filter(|file| unit_of(file).as_ref() == Some(unit));
        its.map(grown).fold(0, u64::saturating_add)
    };
    let units = look.files.iter().filter_map(unit_of).filter(|unit| unit.ends_with(".service"));
    let (rate, unit) = units.map(|unit| (by(&unit), unit)).max()?;
    let stands_out = rate >= WRITES_LEAST && rate.saturating_mul(2) >= all;
    UnitName::parse(unit).ok().filter(|_| stands_out)
}

/// Those among them that are not known well enough to tell whether they may be asked: of a service that runs as it should
/// little is read.
#[must_use]
pub fn unknown_holders(evidence: &Evidence, policy: &Policy, view: &View) -> Vec<UnitName> {
    let known = |unit: &UnitName| view.unit(unit).is_some_and(|facts| facts.status.details.value().is_some());
    let held = held(evidence).into_iter().map(|(unit, _)| unit);
    held.chain(fastest_writer(evidence)).filter(|unit| !policy.protects(unit) && !known(unit)).collect()
}

/// Each service with what it holds, largest first.
fn held(evidence: &Evidence) -> Vec<(UnitName, Bytes)> {
    let Reading::Value(look) = &evidence.space else { return Vec::new() };
    let Reading::Value(deleted) = &look.deleted else { return Vec::new() };
    let mut held: Vec<(UnitName, Bytes)> = Vec::new();
    for file in &deleted.largest {
        // A session, or a container, is no service that could be asked.
        let unit = file.unit.value().filter(|unit| unit.ends_with(".service"));
        let Some(unit) = unit.and_then(|unit| UnitName::parse(unit.clone()).ok()) else { continue };
        match held.iter_mut().find(|(known, _)| *known == unit) {
            Some((_, bytes)) => bytes.0 = bytes.0.saturating_add(file.bytes.0),
            None => held.push((unit, file.bytes)),
        }
    }
    held.retain(|(_, bytes)| *bytes >= Bytes(look.used.0 / LEAST_PART) && bytes.0 > 0);
    held.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    held
}

fn may_be_asked(remedy: Remedy, unit: &UnitName, policy: &Policy, view: &View) -> bool {
    let Some(facts) = view.unit(unit) else { return false };
    let mode = policy.tuning_of(unit).filter_map(|tuning| tuning.mode).fold(Mode::Auto, Mode::min);
    match facts.status.service() {
        Reading::Value(service) if remedy == Remedy::ReloadHolders => {
            mode == Mode::Auto && service.can_reload && facts.status.active == ActiveState::Active
        }
        // A person is asked in any case.
        Reading::Value(_) => mode != Mode::Observe && facts.status.active == ActiveState::Active,
        Reading::Absent(_) | Reading::Failed(_) => false,
    }
}

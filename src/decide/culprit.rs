//! Who is to blame for what the host suffers, and what is done about it. Pure.
//!
//! Blame goes by what explains the harm, never by size alone: a large database that holds what it held before is not the
//! culprit of a leak elsewhere. Where nobody stands out, nobody is touched, and people are told who does most.

use crate::model::{
    CulpritLook, InForce, Incident, Reading, Remedy, STORM_FIELDS, StormGrounds, StormLook, UnitName, UnitUse,
};
use crate::policy::{Policy, Rule};

use super::step::Step;

/// Of all growth, or of all tasks, the part that makes one unit stand out.
const MOST: u64 = 2;
/// What grows slower than so many bytes a second leaves time for people.
const GROWTH_LEAST: u64 = 1 << 20;
/// Fewer tasks than that exhaust no host.
const TASKS_LEAST: u64 = 100;
/// Where a larger part of the units could not be looked at, it is not known who does most.
const UNKNOWN_PART: u64 = 5;
/// Of the processes that were seen to be made, percent.
const MADE_LEAST: f64 = 60.0;

/// What the host suffers from, as the fields say that a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    Memory,
    Processes,
}

fn harm(rule: &Rule) -> Option<Harm> {
    let fields = rule.when.fields();
    let of_processes = |field: &&str| STORM_FIELDS.contains(field) || *field == "pids_percent";
    let of_memory = |field: &&str| field.starts_with("memory_");
    if fields.iter().any(of_processes) {
        Some(Harm::Processes)
    } else {
        fields.iter().any(of_memory).then_some(Harm::Memory)
    }
}

/// Whether incidents of the rule begin with a look at who takes memory, processors and tasks.
#[must_use]
pub fn looks_for_culprits(rule: &Rule) -> bool {
    !rule.ladder.is_empty() && harm(rule).is_some()
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Blame {
    Unit { unit: UnitName, why: String },
    Nobody { why: String },
}

/// What is so of the units that are held back.
#[derive(Clone, Copy, Debug)]
pub struct HeldBack<'a> {
    pub in_force: &'a [InForce],
    /// A person undid it in this incident, or said no to it.
    pub refused: &'a [Remedy],
}

impl HeldBack<'_> {
    /// Whether it is neither in force on the unit already nor refused: what ends the one must not find the other's limit
    /// to go back to.
    pub(super) fn allows(&self, remedy: Remedy, unit: &UnitName) -> bool {
        let in_force = self.in_force.iter().any(|it| it.unit == *unit && it.remedy == remedy);
        !in_force && !self.refused.contains(&remedy)
    }
}

/// Whether a rung is left that was not tried on whoever is to blame.
#[must_use]
pub fn has_untried_host_rung(
    incident: &Incident,
    rule: &Rule,
    policy: &Policy,
    held_back: HeldBack<'_>,
) -> bool {
    match next_host_step(incident, rule, policy, held_back) {
        Step::Repair { remedy, .. } => incident.tried.get(&remedy).is_none_or(|times| *times == 0),
        Step::Escalate { .. } | Step::Wait => false,
    }
}

/// Each rung is tried once on whoever is to blame, and not while it is in force. Then a person is told; after that it is
/// tried again when it has ended and the harm has not.
#[must_use]
pub fn next_host_step(incident: &Incident, rule: &Rule, policy: &Policy, held_back: HeldBack<'_>) -> Step {
    let told = incident.escalated.is_some();
    let escalate = |why: String| if told { Step::Wait } else { Step::Escalate { why } };
    let found = &incident.finding.what;
    let (unit, why) = match blame(incident, rule, held_back.in_force) {
        Blame::Unit { unit, why } => (unit, why),
        Blame::Nobody { why } => return escalate(format!("{found}; {why}")),
    };
    if policy.protects(&unit) {
        return escalate(format!("{found}; {why}, and it is protected: nothing is done to it"));
    }
    let is_free = |remedy: &Remedy| {
        // Only who is kept from growing already, and harms the host all the same.
        let is_held = || is_limited(&unit, held_back.in_force);
        (*remedy != Remedy::RestartCulprit || is_held()) && held_back.allows(*remedy, &unit)
    };
    let times = |remedy: &Remedy| incident.tried.get(remedy).copied().unwrap_or(0);
    let Some(remedy) = rule.ladder.iter().copied().filter(is_free).min_by_key(times) else {
        return escalate(format!("{found}; {why}; all is in force that its ladder has"));
    };
    if times(&remedy) > 0 && !told {
        return Step::Escalate { why: format!("{found}; {why}; all was done that its ladder has") };
    }
    Step::Repair { remedy, targets: vec![unit] }
}

fn blame(incident: &Incident, rule: &Rule, in_force: &[InForce]) -> Blame {
    let nobody = |why: &str| Blame::Nobody { why: why.to_owned() };
    let Some(evidence) = &incident.evidence else { return nobody("nobody was looked at") };
    let look = match &evidence.culprits {
        Reading::Value(look) => look,
        Reading::Absent(reason) => return nobody(&format!("who it is can't be told: {reason}")),
        Reading::Failed(error) => return nobody(&format!("who it is can't be told: {error}")),
    };
    if look.left_out.saturating_mul(UNKNOWN_PART) > look.units {
        return nobody(&format!("{} of {} units could not be looked at", look.left_out, look.units));
    }
    match harm(rule) {
        Some(Harm::Memory) => of_memory(look, in_force),
        Some(Harm::Processes) => {
            of_tasks(look).or_else(|| evidence.storm.value().and_then(of_storm)).unwrap_or_else(|| {
                let most = look.largest.iter().max_by_key(|it| it.tasks);
                let most =
                    most.map(|it| format!("; most are had by {} ({} of {})", it.unit, it.tasks, look.tasks));
                nobody(&format!(
                    "no unit stands out by the processes it has or makes{}",
                    most.unwrap_or_default()
                ))
            })
        }
        None => nobody("its rule names nothing that tells whom to look for"),
    }
}

fn is_limited(unit: &UnitName, in_force: &[InForce]) -> bool {
    in_force.iter().any(|held| held.remedy == Remedy::LimitMemory && held.unit == *unit)
}

/// A session, a container or a virtual machine is somebody's, and what lies outside of systemd's tree is nobody that it
/// could be asked to hold: they count, and people are told.
fn service(name: &str) -> Option<UnitName> {
    UnitName::parse(name.to_owned()).ok().filter(|unit| unit.as_str().ends_with(".service"))
}

fn of_memory(look: &CulpritLook, in_force: &[InForce]) -> Blame {
    let most = |of: fn(&UnitUse) -> u64| look.largest.iter().max_by_key(|it| of(it));
    // Who is kept from growing does not grow, and is to blame all the same for what it holds: the first, for what came
    // after may have come of it. While somebody is held, nobody else is looked for.
    if let Some(held) = in_force.iter().find(|held| held.remedy == Remedy::LimitMemory) {
        let unit = held.unit.clone();
        let holds = look.largest.iter().find(|it| it.unit == unit.as_str());
        let holds = holds.map_or_else(String::new, |it| format!(", and holds {}", it.held));
        return Blame::Unit { why: format!("{unit} was kept from growing{holds}"), unit };
    }
    let grows = most(|it| it.growth.0).filter(|it| it.growth.0 >= GROWTH_LEAST);
    match grows.map(|it| (it, service(&it.unit))) {
        Some((it, Some(unit))) if it.growth.0.saturating_mul(MOST) >= look.growth.0 => Blame::Unit {
            why: format!(
                "{unit} grows by {}/s, of {}/s that all grow, and holds {}",
                it.growth, look.growth, it.held
            ),
            unit,
        },
        Some(_) | None => Blame::Nobody {
            why: match most(|it| it.held.0) {
                Some(it) => format!("no unit grows by most of it; most is held by {} ({})", it.unit, it.held),
                None => "no unit grows by most of it".into(),
            },
        },
    }
}

fn of_tasks(look: &CulpritLook) -> Option<Blame> {
    let most = look.largest.iter().max_by_key(|it| it.tasks)?;
    let stands_out = most.tasks >= TASKS_LEAST && most.tasks.saturating_mul(MOST) >= look.tasks;
    let unit = service(&most.unit).filter(|_| stands_out)?;
    let why = format!("{unit} has {} of {} tasks", most.tasks, look.tasks);
    Some(Blame::Unit { unit, why })
}

/// By what is certain: who was seen to end, or to have begun.
fn of_storm(look: &StormLook) -> Option<Blame> {
    [StormGrounds::Ended, StormGrounds::Young].into_iter().find_map(|grounds| {
        let makers = || look.makers.iter().filter(|it| it.grounds == grounds);
        let names: Vec<&String> = makers().filter_map(|it| it.unit.value()).collect();
        let share = |name: &String| -> f64 {
            makers().filter(|it| it.unit.value() == Some(name)).map(|it| it.share.0).sum()
        };
        let name = names.into_iter().find(|name| share(name) >= MADE_LEAST)?;
        let unit = service(name)?;
        let why = format!("{unit} makes {:.0} % of the processes, by {grounds}", share(name));
        Some(Blame::Unit { unit, why })
    })
}

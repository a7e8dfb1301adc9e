//! What was seen before the first action: the repair destroys it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Absence, CulpritLook, Reading, SpaceLook, StormLook, UnitStatus};

/// Longest list of journal lines kept with an incident.
pub const EVIDENCE_LINES_MAX: usize = 40;
/// Longest single line kept, bytes; longer ones are cut at a character.
pub const EVIDENCE_LINE_BYTES_MAX: usize = 1024;

/// What of a unit's log may go into an incident, and with it upward. By policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPrivacy {
    /// The last lines. Values of these names, in small letters, are masked besides those that always are.
    Masked(Arc<[String]>),
    /// None: it stays where it is.
    Withheld,
}

/// Evidence about a unit, a file system, or the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The unit as it was found.
    pub unit: Reading<UnitStatus>,
    /// Its last lines in the journal, or in the log file of a service of the second manager, oldest first.
    pub log: Reading<Vec<String>>,
    /// Processes left in its control group: `PID COMM STATE`.
    pub processes: Reading<Vec<String>>,
    /// Of the host, by rules that name its rate of new processes: who made them.
    #[serde(default = "no_storm", skip_serializing_if = "is_no_storm")]
    pub storm: Reading<StormLook>,
    /// Of a file system, by rules that name its room: who fills it.
    #[serde(default = "no_space", skip_serializing_if = "is_no_space")]
    pub space: Reading<SpaceLook>,
    /// Of a file system that can't be written to or does not answer: how its disk fares.
    #[serde(default = "no_disk", skip_serializing_if = "is_no_disk")]
    pub disk: Reading<Vec<String>>,
    /// Of the host, by rules that may hold somebody back: who takes its memory and processors.
    #[serde(default = "no_culprits", skip_serializing_if = "is_no_culprits")]
    pub culprits: Reading<CulpritLook>,
}

const fn no_culprits() -> Reading<CulpritLook> {
    Reading::Absent(Absence::NotApplicable)
}

fn is_no_culprits(culprits: &Reading<CulpritLook>) -> bool {
    matches!(culprits, Reading::Absent(Absence::NotApplicable))
}

const fn no_disk() -> Reading<Vec<String>> {
    Reading::Absent(Absence::NotApplicable)
}

fn is_no_disk(disk: &Reading<Vec<String>>) -> bool {
    matches!(disk, Reading::Absent(Absence::NotApplicable))
}

const fn no_space() -> Reading<SpaceLook> {
    Reading::Absent(Absence::NotApplicable)
}

fn is_no_space(space: &Reading<SpaceLook>) -> bool {
    matches!(space, Reading::Absent(Absence::NotApplicable))
}

const fn no_storm() -> Reading<StormLook> {
    Reading::Absent(Absence::NotApplicable)
}

fn is_no_storm(storm: &Reading<StormLook>) -> bool {
    matches!(storm, Reading::Absent(Absence::NotApplicable))
}

impl Evidence {
    /// About the host: the last lines of the kernel's log, and who makes processes.
    #[must_use]
    pub const fn of_host(log: Reading<Vec<String>>, storm: Reading<StormLook>) -> Self {
        Self {
            unit: Reading::Absent(Absence::NotApplicable),
            log,
            processes: Reading::Absent(Absence::NotApplicable),
            storm,
            space: no_space(),
            disk: no_disk(),
            culprits: no_culprits(),
        }
    }

    /// About the host: who takes its memory and processors.
    #[must_use]
    pub fn of_culprits(culprits: Reading<CulpritLook>) -> Self {
        let mut evidence = Self::of_host(Reading::Absent(Absence::NotObserved), no_storm());
        evidence.culprits = culprits;
        evidence
    }

    /// About a file system: who fills it.
    #[must_use]
    pub const fn of_filesystem(space: Reading<SpaceLook>) -> Self {
        Self {
            unit: Reading::Absent(Absence::NotApplicable),
            log: Reading::Absent(Absence::NotApplicable),
            processes: Reading::Absent(Absence::NotApplicable),
            storm: no_storm(),
            space,
            disk: no_disk(),
            culprits: no_culprits(),
        }
    }

    /// About a file system whose disk is in trouble: the last lines of the kernel's log, and how the disk fares.
    #[must_use]
    pub const fn of_disk(log: Reading<Vec<String>>, disk: Reading<Vec<String>>) -> Self {
        Self {
            unit: Reading::Absent(Absence::NotApplicable),
            log,
            processes: Reading::Absent(Absence::NotApplicable),
            storm: no_storm(),
            space: no_space(),
            disk,
            culprits: no_culprits(),
        }
    }

    /// None could be taken; the reason stands in each place.
    #[must_use]
    pub fn missing(why: &str) -> Self {
        let why = || why.to_owned();
        Self {
            unit: Reading::Failed(why()),
            log: Reading::Failed(why()),
            processes: Reading::Failed(why()),
            storm: no_storm(),
            space: no_space(),
            disk: no_disk(),
            culprits: no_culprits(),
        }
    }
}

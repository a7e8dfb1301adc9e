//! Units that are held back for a time: how, until when, and what lets go of them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ActionId, IncidentId, Peer, Remedy, Timestamp, UnitName};

/// The timers and services that end restraints begin with this; the number of the act follows.
const RELEASE_UNIT: &str = "prunella-release-act-";

/// In which way a unit is held back. Each is taken back wholly: what was so before is so again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restraint {
    /// It may not hold more memory than it does (`MemoryHigh=`): it is made to wait instead of being killed.
    Memory,
    /// It may not have more processes and threads than it has (`TasksMax=`).
    Tasks,
    /// It may write only so fast to the disk below a file system (`IOWriteBandwidthMax=`).
    Writing,
    /// It stands still (the freezer of its control group).
    Frozen,
}

/// What ended a restraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum ReleasedBy {
    /// The harm was gone.
    Agent,
    /// A person asked for it.
    Operator { peer: Peer },
    /// Its time was over, or another hand started what ends it: nobody asked this agent.
    Itself,
    /// It does not outlive the boot in which it was put on.
    Boot,
}

/// A restraint in force, as far as is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InForce {
    pub action: ActionId,
    pub incident: IncidentId,
    pub remedy: Remedy,
    pub unit: UnitName,
    /// What was set, for people; none while it is not known whether it was.
    pub what: Option<String>,
    pub since: Timestamp,
    /// By then it ends by itself.
    pub until: Timestamp,
}

impl fmt::Display for InForce {
    /// `act-7 limit-memory leaky.service`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.action, self.remedy, self.unit)
    }
}

/// The units that end the restraint of an act: a timer, and the service that it starts.
#[must_use]
pub fn release_units(action: ActionId) -> Option<(UnitName, UnitName)> {
    let name = |kind: &str| UnitName::parse(format!("{RELEASE_UNIT}{}.{kind}", action.0)).ok();
    name("timer").zip(name("service"))
}

/// For how long a unit is held back at the most, unless the policy says otherwise: long enough for a person to come, short
/// enough that a wrong one is over by itself.
pub const RESTRAINED_FOR: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_that_end_a_restraint_are_named_after_its_act() {
        let (timer, service) = release_units(ActionId(7)).expect("names");
        assert_eq!(timer.as_str(), "prunella-release-act-7.timer");
        assert_eq!(service.as_str(), "prunella-release-act-7.service");
    }
}

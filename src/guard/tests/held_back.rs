//! What the agent itself does to a unit is no fault of the unit.

use super::*;

/// `web` answers late, or not at all, while the agent holds it back.
#[test]
fn what_the_agent_itself_holds_back_is_not_restarted_for_it() {
    let hold = |case: &mut Case, unit: UnitName| {
        let (action, incident) = (ActionId(7), IncidentId(3));
        let (since, until) = (at(NOW - 1000), at(NOW + 60_000));
        let held = InForce { action, incident, remedy: Remedy::LimitMemory, unit, what: None, since, until };
        case.restraints.insert(action, held);
        case.remedy = Remedy::Restart;
    };
    check(GuardName::RootCause, For::AMoment, |case| {
        case.units[0].active = ActiveState::Active;
        hold(case, name("web"));
    });
    // What has ended is started all the same, and others are not meant.
    check_allowed(|case| hold(case, name("web")));
    check_allowed(|case| hold(case, name("db")));
}

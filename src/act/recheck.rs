//! Guard 13: the subject is looked at once more, at the last moment.

use crate::guard::Permit;
use crate::manager::{ManagerError, ServiceManager};
use crate::model::{ActiveState, InvocationId, JobOrigin, LoadState, Reading, UnitStatus};

/// Most units in `Conflicts=` that are looked at; each is one question to the manager. A unit has one to three.
const RIVALS_MAX: usize = 16;

/// What the last look found.
pub(super) enum Finding {
    /// It is what the guards judged.
    AsJudged,
    /// It is already as the remedy would make it.
    NothingToDo,
    /// It is not: one sentence.
    Changed(String),
}

pub(super) async fn subject(permit: &Permit, manager: &dyn ServiceManager) -> Finding {
    let Some(unit) = permit.targets().last() else {
        return Finding::Changed("the permit names no subject".into());
    };
    match manager.look(unit).await {
        Ok(status) => match compare(permit, &status) {
            Finding::AsJudged if permit.remedy().starts() => rivals(&status, manager).await,
            found @ (Finding::AsJudged | Finding::NothingToDo | Finding::Changed(_)) => found,
        },
        Err(error) => Finding::Changed(format!("{unit} could not be looked at once more: {error}")),
    }
}

/// A start stops what the unit conflicts with, which may have come up since the guards looked.
pub(super) async fn rivals(status: &UnitStatus, manager: &dyn ServiceManager) -> Finding {
    let Reading::Value(details) = &status.details else { return Finding::AsJudged };
    for rival in details.relations.conflicts.iter().take(RIVALS_MAX) {
        match manager.look(rival).await.map(|rival| rival.active) {
            Ok(ActiveState::Inactive | ActiveState::Failed | ActiveState::Deactivating)
            | Err(ManagerError::NoSuchUnit(_)) => {}
            Ok(state) => {
                let (name, state) = (&status.name, state.as_str());
                return Finding::Changed(format!("{name} conflicts with {rival}, which is {state}"));
            }
            Err(error) => {
                return Finding::Changed(format!("{rival} could not be looked at: {error}"));
            }
        }
    }
    Finding::AsJudged
}

fn compare(permit: &Permit, status: &UnitStatus) -> Finding {
    let name = &status.name;
    if let Some(why) = belongs_to_others(status, permit.job()) {
        return Finding::Changed(why);
    }
    if permit.remedy().only_starts() {
        match status.active {
            ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing => {
                return Finding::NothingToDo;
            }
            ActiveState::Activating => return Finding::Changed(format!("{name} is starting already")),
            ActiveState::Inactive
            | ActiveState::Failed
            | ActiveState::Deactivating
            | ActiveState::Maintenance => {}
        }
    }
    run(permit.invocation(), status)
}

/// Whether it is the run that was judged.
pub(super) fn run(judged: &Reading<InvocationId>, status: &UnitStatus) -> Finding {
    let name = &status.name;
    match same_run(judged, &status.invocation()) {
        Ok(true) => Finding::AsJudged,
        Ok(false) => Finding::Changed(format!("{name} has been started anew since it was judged")),
        Err(why) => Finding::Changed(format!("which run of {name} this is can't be told: {why}")),
    }
}

/// Why it is for others to go on with it, if it is. `judged` is the job that was known of.
pub(super) fn belongs_to_others(status: &UnitStatus, judged: Option<u32>) -> Option<String> {
    let name = &status.name;
    if status.load == LoadState::Masked {
        return Some(format!("{name} has been masked"));
    }
    if let Reading::Value(job) = &status.job
        && job.origin == JobOrigin::Other
        && judged != Some(job.id)
    {
        return Some(format!("somebody else has a job on {name}"));
    }
    status.restart_is_pending().then(|| format!("the service manager is about to restart {name} itself"))
}

/// Whether two looks saw the same run. A unit that never ran has none, both times.
fn same_run(judged: &Reading<InvocationId>, now: &Reading<InvocationId>) -> Result<bool, String> {
    match (judged, now) {
        (Reading::Failed(error), _) | (_, Reading::Failed(error)) => Err(error.clone()),
        (Reading::Value(judged), Reading::Value(now)) => Ok(judged == now),
        (Reading::Absent(_), Reading::Absent(_)) => Ok(true),
        (Reading::Absent(_), Reading::Value(_)) | (Reading::Value(_), Reading::Absent(_)) => Ok(false),
    }
}

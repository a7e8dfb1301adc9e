#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::model::{
    Id128, InvocationId, JobKind, JobOrigin, JobResult, LoadState, Timestamp, UnitDetails, UnitFileState,
    UnitJob, UnitRelations, WallTime,
};

const RUN: InvocationId = InvocationId(Id128::from_bytes([1; 16]));
const NEXT_RUN: InvocationId = InvocationId(Id128::from_bytes([2; 16]));

fn status(active: ActiveState, run: Option<InvocationId>) -> UnitStatus {
    let details = run.map_or(Reading::Absent(Absence::NotObserved), |run| {
        Reading::Value(UnitDetails {
            invocation: Reading::Value(run),
            file_state: UnitFileState::Static,
            relations: UnitRelations::default(),
            service: Reading::Absent(Absence::NotObserved),
        })
    });
    UnitStatus {
        name: UnitName::parse("web.service").unwrap(),
        load: LoadState::Loaded,
        active,
        sub: "running".into(),
        job: Reading::Absent(Absence::NotApplicable),
        details,
    }
}

fn ended(kind: JobKind, active_after: ActiveState) -> JobEvent {
    JobEvent {
        unit: UnitName::parse("web.service").unwrap(),
        job: UnitJob { id: 7, kind, origin: JobOrigin::Other },
        result: JobResult::Done,
        invocation_before: Reading::Value(RUN),
        invocation_after: Reading::Value(RUN),
        active_after: Reading::Value(active_after),
    }
}

/// Whether the unit counts as up after the news of a job that ended its first run.
fn check(known: UnitStatus, job: JobEvent, up: bool) {
    let mut view = View::default();
    let mut sample = Sample::empty(Timestamp::new(BootTime::from_millis(1), WallTime::from_unix_millis(1)));
    sample.units = Some(UnitsUpdate::Complete(vec![known]));
    let _ = view.take(&sample);
    sample.units = None;
    sample.jobs.push(job);
    let _ = view.take(&sample);
    assert_eq!(view.is_up(&UnitName::parse("web.service").unwrap()), up);
}

#[test]
fn a_stopped_unit_is_down_before_it_is_read_again() {
    use ActiveState::{Active, Failed, Inactive};
    check(status(Active, Some(RUN)), ended(JobKind::Stop, Inactive), false);
    check(status(Active, Some(RUN)), ended(JobKind::Stop, Failed), false);
    // At rest in the list: its run is not known.
    check(status(Active, None), ended(JobKind::Stop, Inactive), false);
    // Too quick to be asked what it did.
    check(status(Active, Some(RUN)), ended(JobKind::Other, Inactive), false);
}

#[test]
fn what_was_started_since_stays_up() {
    use ActiveState::{Active, Inactive};
    check(status(Active, Some(NEXT_RUN)), ended(JobKind::Stop, Inactive), true);
    check(status(Active, Some(RUN)), ended(JobKind::Restart, Active), true);
    check(status(Active, Some(RUN)), ended(JobKind::Reload, Active), true);
}

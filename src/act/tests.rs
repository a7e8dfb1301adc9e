#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};

use super::*;
use crate::manager::{News, RestraintOrder};
use crate::model::{
    Absence, ActiveState, BootTime, Id128, InvocationId, JobKind, JobOrigin, LoadState, Reading, SystemState,
    UnitDetails, UnitFileState, UnitJob, UnitRelations, UnitStatus, WallTime,
};

#[path = "holder_tests.rs"]
mod holders;

/// A manager that shows one state, and answers every order with one result.
struct Stand {
    status: UnitStatus,
    /// `rival.service`, if there is one.
    rival: Option<ActiveState>,
    result: JobResult,
    /// It is not loaded; only a start would do that.
    unloaded: bool,
    orders: Mutex<Vec<(Order, String)>>,
}

impl ServiceManager for Stand {
    fn name(&self) -> String {
        "stand".into()
    }

    fn list<'a>(&'a self, _: &'a [UnitName]) -> BoxFuture<'a, Result<Vec<UnitStatus>, ManagerError>> {
        async { Ok(vec![self.status.clone()]) }.boxed()
    }

    fn look<'a>(&'a self, unit: &'a UnitName) -> BoxFuture<'a, Result<UnitStatus, ManagerError>> {
        let rival = self.rival.filter(|_| unit.as_str() == "rival.service");
        let rival = rival.map(|active| UnitStatus { name: unit.clone(), active, ..self.status.clone() });
        let known = (*unit == self.status.name).then(|| self.status.clone()).or(rival);
        async move { known.ok_or_else(|| ManagerError::NoSuchUnit(unit.clone())) }.boxed()
    }

    fn system_state(&self) -> BoxFuture<'_, Reading<SystemState>> {
        async { Reading::Value(SystemState::Running) }.boxed()
    }

    fn news(&self) -> BoxFuture<'_, News> {
        pending().boxed()
    }

    fn order<'a>(
        &'a self,
        order: Order,
        unit: &'a UnitName,
        _: Duration,
    ) -> BoxFuture<'a, Result<JobResult, ManagerError>> {
        self.orders.lock().unwrap().push((order, unit.to_string()));
        let unknown = self.unloaded && order == Order::ResetFailed;
        async move { if unknown { Err(ManagerError::NoSuchUnit(unit.clone())) } else { Ok(self.result) } }
            .boxed()
    }

    fn restrain<'a>(&'a self, order: RestraintOrder<'a>) -> BoxFuture<'a, Result<String, ManagerError>> {
        async move { Ok(format!("{:?} {}", order.restraint, order.unit)) }.boxed()
    }

    fn last_lines<'a>(&'a self, _: &'a UnitName, _: usize) -> BoxFuture<'a, Reading<Vec<String>>> {
        async { Reading::Absent(Absence::NotObserved) }.boxed()
    }
}

fn name(text: &str) -> UnitName {
    UnitName::parse(text).unwrap()
}

const fn run_of(number: u8) -> Reading<InvocationId> {
    Reading::Value(InvocationId(Id128::from_bytes([number; 16])))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(BootTime::from_millis(seconds * 1000), WallTime::from_unix_millis(seconds * 1000))
}

/// `web.service`, failed in its first run.
fn stand() -> Stand {
    let details = UnitDetails {
        invocation: run_of(1),
        file_state: UnitFileState::Enabled,
        relations: UnitRelations::default(),
        service: Reading::Absent(Absence::NotObserved),
    };
    let status = UnitStatus {
        name: name("web.service"),
        load: LoadState::Loaded,
        active: ActiveState::Failed,
        sub: "failed".into(),
        job: Reading::Absent(Absence::NotApplicable),
        details: Reading::Value(details),
    };
    Stand { status, rival: None, result: JobResult::Done, unloaded: false, orders: Mutex::new(Vec::new()) }
}

fn check(stand: &Stand, remedy: Remedy, judged: Reading<InvocationId>, expected: &Applied, orders: &[&str]) {
    let permit = Permit::for_test(remedy, vec![name("web.service")], judged, at(10));
    let applied = carry_out(permit, stand, at(5)).now_or_never().expect("the stand never waits");
    assert_eq!(applied, *expected);
    assert_eq!(given(stand), orders);
}

fn given(stand: &Stand) -> Vec<String> {
    let orders = stand.orders.lock().unwrap();
    orders.iter().map(|(order, unit)| format!("{} {unit}", order.as_str())).collect()
}

fn withdrawn(why: &str) -> Applied {
    Applied::Withdrawn { why: why.into() }
}

#[test]
fn a_failed_unit_is_reset_and_started() {
    let orders = ["reset-failed web.service", "start web.service"];
    check(&stand(), Remedy::ResetAndStart, run_of(1), &Applied::Changed, &orders);
}

/// A crash between the two orders leaves it so.
#[test]
fn a_unit_that_was_unloaded_after_its_reset_is_started_all_the_same() {
    let orders = ["reset-failed web.service", "start web.service"];
    let stand = Stand { unloaded: true, ..stand() };
    check(&stand, Remedy::ResetAndStart, run_of(1), &Applied::Changed, &orders);
}

#[test]
fn each_remedy_gives_its_own_order() {
    for (remedy, order) in [
        (Remedy::Start, "start web.service"),
        (Remedy::Restart, "restart web.service"),
        (Remedy::RestartWithDependencies, "restart web.service"),
        (Remedy::Reload, "reload web.service"),
        (Remedy::Stop, "stop web.service"),
    ] {
        check(&stand(), remedy, run_of(1), &Applied::Changed, &[order]);
    }
}

#[test]
fn an_expired_permit_does_nothing() {
    let stand = stand();
    let permit = Permit::for_test(Remedy::Start, vec![name("web.service")], run_of(1), at(4));
    let applied = carry_out(permit, &stand, at(5)).now_or_never().unwrap();
    assert_eq!(applied, withdrawn("its permit had expired"));
    assert!(stand.orders.lock().unwrap().is_empty());
}

#[test]
fn another_run_than_the_one_judged_is_left_alone() {
    let expected = withdrawn("web.service has been started anew since it was judged");
    check(&stand(), Remedy::Restart, run_of(2), &expected, &[]);
    check(&stand(), Remedy::Restart, Reading::Absent(Absence::NotApplicable), &expected, &[]);
}

#[test]
fn a_run_that_can_t_be_told_is_left_alone() {
    let expected = withdrawn("which run of web.service this is can't be told: no answer");
    check(&stand(), Remedy::Restart, Reading::Failed("no answer".into()), &expected, &[]);
}

#[test]
fn a_unit_that_is_up_again_needs_no_start() {
    let mut up = stand();
    up.status.active = ActiveState::Active;
    check(&up, Remedy::ResetAndStart, run_of(1), &Applied::AlreadySo, &[]);
}

#[test]
fn what_others_have_begun_is_left_to_them() {
    let mut starting = stand();
    starting.status.active = ActiveState::Activating;
    check(&starting, Remedy::Start, run_of(1), &withdrawn("web.service is starting already"), &[]);
    starting.status.sub = "auto-restart".into();
    let expected = withdrawn("the service manager is about to restart web.service itself");
    check(&starting, Remedy::Restart, run_of(1), &expected, &[]);
    let mut job = stand();
    job.status.job = Reading::Value(UnitJob { id: 7, kind: JobKind::Stop, origin: JobOrigin::Other });
    check(&job, Remedy::Restart, run_of(1), &withdrawn("somebody else has a job on web.service"), &[]);
    let mut masked = stand();
    masked.status.load = LoadState::Masked;
    check(&masked, Remedy::Start, run_of(1), &withdrawn("web.service has been masked"), &[]);
}

#[test]
fn the_hanging_job_that_was_judged_may_be_broken_off_and_no_other() {
    let mut job = stand();
    job.status.active = ActiveState::Activating;
    job.status.job = Reading::Value(UnitJob { id: 7, kind: JobKind::Start, origin: JobOrigin::Other });
    let carry_out = |judged: u32| {
        let permit = Permit::for_test(Remedy::Restart, vec![name("web.service")], run_of(1), at(10));
        carry_out(permit.with_job(judged), &job, at(5)).now_or_never().expect("the stand never waits")
    };
    assert_eq!(carry_out(8), withdrawn("somebody else has a job on web.service"));
    assert_eq!(carry_out(7), Applied::Changed);
}

#[test]
fn nothing_is_started_against_a_rival_that_came_up_meanwhile() {
    let rivalled = |rival| {
        let mut stand = stand();
        if let Reading::Value(details) = &mut stand.status.details {
            details.relations.conflicts = vec![name("rival.service")];
        }
        Stand { rival, ..stand }
    };
    let orders = ["reset-failed web.service", "start web.service"];
    for down in [None, Some(ActiveState::Inactive), Some(ActiveState::Failed)] {
        check(&rivalled(down), Remedy::ResetAndStart, run_of(1), &Applied::Changed, &orders);
    }
    for up in [ActiveState::Active, ActiveState::Activating, ActiveState::Reloading] {
        let why = format!("web.service conflicts with rival.service, which is {}", up.as_str());
        check(&rivalled(Some(up)), Remedy::ResetAndStart, run_of(1), &withdrawn(&why), &[]);
        check(&rivalled(Some(up)), Remedy::Stop, run_of(1), &Applied::Changed, &["stop web.service"]);
    }
}

#[test]
fn a_job_that_does_not_succeed_is_told_as_it_ended() {
    for (result, why) in [
        (JobResult::Failed, "its start job failed"),
        (JobResult::Dependency, "its start job was given up because a dependency failed"),
        (JobResult::Canceled, "its start job was canceled by somebody else"),
        (JobResult::Timeout, "its start job timed out"),
    ] {
        let mut stand = stand();
        stand.result = result;
        check(&stand, Remedy::Start, run_of(1), &Applied::Failed { why: why.into() }, &["start web.service"]);
    }
}

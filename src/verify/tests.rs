//! What was seen after an act, and the verdict that it allows.

use std::time::Duration;

use super::{Progress, Watch, judge};
use crate::assess::View;
use crate::model::{
    Absence, ActionId, ActiveState, Applied, BootTime, Expectation, Health, Id128, IncidentId, Intent,
    InvocationId, JobKind, JobOrigin, LoadState, MainExit, ProbeName, ProbeResult, Reading, Remedy,
    RestartSetting, RuleName, Sample, ServiceDetails, ServiceResult, ServiceType, Subject, Timestamp,
    UnitDetails, UnitFileState, UnitJob, UnitName, UnitRelations, UnitStatus, UnitsUpdate, Verification,
    WallTime,
};

/// Seconds since the act was applied: it settles for 3, and has 30 to begin.
const SETTLE: u64 = 3;
const WITHIN: u64 = 30;

fn web() -> UnitName {
    UnitName::parse("web.service").expect("a valid name")
}

const fn run(number: u8) -> Reading<InvocationId> {
    Reading::Value(InvocationId(Id128::from_bytes([number; 16])))
}

fn moment(second: i64) -> BootTime {
    BootTime::from_millis(1_000_000 + second * 1000)
}

/// A reading of the unit: in which state, in which run, and how often the manager restarted it.
fn seen(second: i64, active: ActiveState, invocation: u8, restarts: u32) -> Sample {
    let absent = || Absence::NotApplicable;
    let status = UnitStatus {
        name: web(),
        load: LoadState::Loaded,
        active,
        sub: active.as_str().to_owned(),
        job: Reading::Absent(absent()),
        details: Reading::Value(UnitDetails {
            invocation: run(invocation),
            file_state: UnitFileState::Enabled,
            relations: UnitRelations::default(),
            service: Reading::Value(ServiceDetails {
                service_type: ServiceType::Simple,
                restart: RestartSetting::No,
                result: ServiceResult::ExitCode,
                exit: MainExit::Code(1),
                restarts,
                restart_prevented: false,
                main_pid: Reading::Absent(absent()),
                control_group: Reading::Absent(absent()),
                memory: Reading::Absent(absent()),
                tasks: Reading::Absent(absent()),
                cpu_time: Reading::Absent(absent()),
                can_reload: false,
            }),
        }),
    };
    let at = Timestamp::new(moment(second), WallTime::from_unix_millis(0));
    Sample { units: Some(UnitsUpdate::Complete(vec![status])), ..Sample::empty(at) }
}

fn status_in(sample: &mut Sample) -> &mut UnitStatus {
    let Some(UnitsUpdate::Complete(units)) = &mut sample.units else { unreachable!("made by `seen`") };
    &mut units[0]
}

/// As systemd shows a unit that it has unloaded and loaded again.
fn forget_run(sample: &mut Sample) {
    let Reading::Value(details) = &mut status_in(sample).details else { unreachable!("made by `seen`") };
    details.invocation = Reading::Absent(Absence::NotApplicable);
}

fn queue_job(sample: &mut Sample) {
    status_in(sample).job = Reading::Value(UnitJob { id: 7, kind: JobKind::Start, origin: JobOrigin::Agent });
}

fn probed(second: i64, health: Reading<Health>) -> Sample {
    let at = Timestamp::new(moment(second), WallTime::from_unix_millis(0));
    let probes = vec![ProbeResult { probe: ProbeName("web".into()), unit: web(), health }];
    Sample { probes, ..Sample::empty(at) }
}

const fn healthy() -> Reading<Health> {
    Reading::Value(Health::Healthy { latency: Duration::from_millis(1) })
}

fn intent(remedy: Remedy, is_probed: bool) -> Intent {
    Intent {
        lasts: None,
        action: ActionId(1),
        incident: IncidentId(1),
        rule: RuleName::new("unit-failed"),
        subject: Subject::Unit(web()),
        remedy,
        targets: vec![web()],
        attempt: 1,
        expectation: Expectation {
            invocation_before: run(1),
            restarts_before: Reading::Value(0),
            settle: Duration::from_secs(SETTLE),
            within: Duration::from_secs(WITHIN),
            probed: is_probed,
            free_before: Reading::Absent(Absence::NotApplicable),
        },
        approval: None,
        why: "it failed".into(),
    }
}

/// Judges after each sample, at its moment, and once more at `second`; the last answer in short words.
fn verdict(intent: &Intent, applied: &Applied, samples: &[Sample], second: i64) -> String {
    let mut view = View::default();
    let mut watch = Watch::new(moment(0));
    let moments = samples.iter().map(|sample| (Some(sample), sample.at.boot));
    let mut progress = Progress::Look;
    for (sample, now) in moments.chain([(None, moment(second))]) {
        if let Some(sample) = sample {
            let _ = view.take(sample);
        }
        progress = judge(intent, applied, &web(), &view, &mut watch, now);
        if matches!(progress, Progress::Done(_)) {
            break;
        }
    }
    match progress {
        Progress::Wait { until } => format!("wait until {}", (until.millis() - 1_000_000) / 1000),
        Progress::Look => "look".into(),
        Progress::Done(Verification::Confirmed { .. }) => "confirmed".into(),
        Progress::Done(Verification::Refuted { .. }) => "refuted".into(),
        Progress::Done(Verification::Inconclusive { .. }) => "inconclusive".into(),
    }
}

fn check(remedy: Remedy, applied: &Applied, samples: &[Sample], second: i64, expected: &str) {
    assert_eq!(verdict(&intent(remedy, false), applied, samples, second), expected, "{samples:#?}");
}

fn check_probed(samples: &[Sample], second: i64, expected: &str) {
    let intent = intent(Remedy::Restart, true);
    assert_eq!(verdict(&intent, &Applied::Changed, samples, second), expected, "{samples:#?}");
}

fn unknown() -> Applied {
    Applied::Unknown { why: "no report".into() }
}

use ActiveState::{Activating, Active, Failed, Inactive};

#[test]
fn a_start_must_leave_a_new_run_that_settles() {
    let up = |second| seen(second, Active, 2, 0);
    check(Remedy::Start, &Applied::Changed, &[up(0)], 1, "wait until 3");
    // Time alone proves nothing: it has to be seen again after it has settled.
    check(Remedy::Start, &Applied::Changed, &[up(0)], 3, "look");
    check(Remedy::Start, &Applied::Changed, &[up(0), up(3)], 3, "confirmed");
    check(Remedy::Start, &Applied::Changed, &[seen(0, Activating, 2, 0), up(20), up(23)], 23, "confirmed");
    check(Remedy::Start, &Applied::Changed, &[seen(0, Active, 1, 0)], 33, "refuted");
    check(Remedy::Start, &Applied::Changed, &[up(0), seen(1, Inactive, 2, 0), up(2)], 3, "wait until 5");
}

#[test]
fn a_unit_that_fails_again_refutes_at_once() {
    check(Remedy::Start, &Applied::Changed, &[seen(1, Failed, 2, 0)], 1, "refuted");
    check(Remedy::Start, &Applied::Changed, &[seen(0, Active, 2, 0), seen(2, Failed, 2, 0)], 2, "refuted");
    check(Remedy::Start, &Applied::Changed, &[seen(0, Active, 2, 0), seen(3, Active, 2, 1)], 3, "refuted");
    check(Remedy::Start, &Applied::Changed, &[seen(0, Inactive, 2, 0)], 33, "refuted");
}

#[test]
fn a_reading_of_the_old_run_refutes_only_an_act_that_is_over() {
    let old = || seen(0, Failed, 1, 0);
    check(Remedy::Start, &Applied::Changed, &[old()], 1, "wait until 33");
    check(Remedy::Start, &Applied::Failed { why: "no such file".into() }, &[old()], 1, "refuted");
    check(Remedy::Start, &unknown(), &[old()], 1, "refuted");
    check(Remedy::Reload, &Applied::Changed, &[seen(0, Active, 1, 0), seen(3, Active, 1, 0)], 3, "confirmed");
}

/// The service manager executed itself anew between the request and its answer: nobody is to wait for a job that there
/// is not, and nobody is to start twice what only takes a moment.
#[test]
fn a_start_that_was_lost_on_its_way_is_refuted_soon() {
    let down = |second| seen(second, Inactive, 1, 0);
    check(Remedy::ResetAndStart, &unknown(), &[down(0)], 1, "wait until 3");
    check(Remedy::ResetAndStart, &unknown(), &[down(0)], 3, "look");
    check(Remedy::ResetAndStart, &unknown(), &[down(0), down(3)], 3, "refuted");
    check(Remedy::ResetAndStart, &unknown(), &[down(0), seen(3, Activating, 2, 0)], 3, "wait until 33");
    let mut unloaded = down(3);
    forget_run(&mut unloaded);
    check(Remedy::ResetAndStart, &unknown(), &[unloaded], 3, "refuted");
    // It was heard, and so is no lost request.
    check(Remedy::ResetAndStart, &Applied::Changed, &[down(0), down(3)], 3, "wait until 33");
    check(Remedy::ResetAndStart, &unknown(), &[seen(3, Inactive, 2, 0)], 3, "wait until 33");
    let mut queued = down(3);
    queue_job(&mut queued);
    check(Remedy::ResetAndStart, &unknown(), &[queued], 3, "wait until 33");
}

#[test]
fn nothing_seen_says_nothing() {
    check(Remedy::Start, &Applied::Changed, &[seen(-1, Failed, 1, 0)], 1, "look");
    check(Remedy::Start, &Applied::Changed, &[seen(-1, Failed, 1, 0)], 33, "inconclusive");
    check(Remedy::Start, &Applied::Changed, &[], 1, "wait until 33");
    check(Remedy::Start, &Applied::Changed, &[], 33, "inconclusive");
    check(Remedy::Start, &Applied::Withdrawn { why: "started anew".into() }, &[], 0, "inconclusive");
}

#[test]
fn what_happened_counts_and_not_what_was_reported() {
    let up = [seen(0, Active, 2, 0), seen(3, Active, 2, 0)];
    check(Remedy::Start, &unknown(), &up, 3, "confirmed");
    check(Remedy::Start, &Applied::Failed { why: "the job timed out".into() }, &up, 3, "confirmed");
}

#[test]
fn a_stop_must_leave_it_down() {
    let stop = |samples: &[Sample], second, expected| {
        check(Remedy::Stop, &Applied::Changed, samples, second, expected);
    };
    stop(&[seen(0, Inactive, 1, 0), seen(3, Inactive, 1, 0)], 3, "confirmed");
    stop(&[seen(0, Active, 1, 0)], 33, "refuted");
}

#[test]
fn a_probed_unit_must_answer_after_the_act() {
    let up = |second| seen(second, Active, 2, 0);
    let ill = || Reading::Value(Health::Unhealthy { why: "no answer within 2s".into() });
    check_probed(&[up(0), probed(1, healthy()), up(3)], 3, "wait until 4");
    check_probed(&[up(0), probed(1, healthy()), up(3), up(4)], 4, "confirmed");
    check_probed(&[up(0), probed(1, ill())], 33, "refuted");
    // That it can't run says nothing of the unit.
    check_probed(&[up(0), probed(1, Reading::Failed("no file descriptors".into()))], 33, "inconclusive");
    check_probed(&[up(0)], 33, "inconclusive");
    check_probed(&[probed(-1, healthy()), up(0)], 33, "inconclusive");
}

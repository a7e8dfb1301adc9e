#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::model::Id128;

const A: InvocationId = InvocationId(Id128::from_bytes([1; 16]));
const B: InvocationId = InvocationId(Id128::from_bytes([2; 16]));

fn web() -> UnitName {
    UnitName::parse("web.service").unwrap()
}

fn says(active: ActiveState, job: u32, invocation: Option<InvocationId>) -> Announced {
    Announced { active, sub: "x".into(), job, invocation }
}

fn read(tracker: &mut Tracker, announced: Announced) -> bool {
    tracker.announced(&web(), announced).read
}

fn service(result: &str, main_pid: u32) -> ServiceAnnounced {
    ServiceAnnounced { result: result.into(), exit: MainExit::None, restarts: 0, main_pid }
}

/// One message of the wire, as recorded from systemd 252.
enum Wire {
    Says(ActiveState, u32, Option<InvocationId>),
    New(u32),
    Kind(u32, JobKind),
    Removed(u32, JobResult),
}
use ActiveState::{Activating, Active, Deactivating, Failed, Inactive};
use Wire::{Kind, New, Removed, Says};

fn play(tracker: &mut Tracker, wire: Vec<Wire>) -> JobEvent {
    let mut ended = None;
    for message in wire {
        match message {
            Says(active, job, run) => {
                tracker.announced(&web(), says(active, job, run));
            }
            New(job) => {
                tracker.job_new(job, &web());
            }
            Kind(job, kind) => tracker.kind_told(job, kind),
            Removed(job, result) => ended = Some(tracker.job_removed(job, web(), result)),
        }
    }
    ended.unwrap()
}

fn check(wire: Vec<Wire>, stopped: bool) {
    let event = play(&mut Tracker::default(), wire);
    assert_eq!(event.stopped_the_unit(), stopped, "{event:?}");
}

#[test]
fn a_stop_that_ends_in_failure_is_a_stop() {
    check(
        vec![
            Says(Active, 0, Some(A)),
            Says(Active, 9, Some(A)),
            New(9),
            Says(Deactivating, 9, Some(A)),
            Says(Failed, 9, Some(A)),
            Removed(9, JobResult::Done),
        ],
        true,
    );
}

#[test]
fn a_stop_of_a_unit_not_heard_of_before_is_a_stop() {
    check(
        vec![Says(Active, 9, Some(A)), New(9), Says(Failed, 9, Some(A)), Removed(9, JobResult::Done)],
        true,
    );
}

#[test]
fn a_stop_known_from_a_list_is_a_stop() {
    let mut tracker = Tracker::default();
    tracker.seed([(web(), says(Active, 0, None))].into_iter());
    let wire = vec![Says(Active, 9, Some(A)), New(9), Says(Failed, 9, Some(A)), Removed(9, JobResult::Done)];
    assert!(play(&mut tracker, wire).stopped_the_unit());
}

#[test]
fn a_stop_of_what_has_failed_is_a_stop() {
    check(
        vec![Says(Failed, 0, Some(A)), Says(Failed, 9, Some(A)), New(9), Removed(9, JobResult::Done)],
        true,
    );
}

#[test]
fn a_start_that_crashes_at_once_is_no_stop() {
    check(
        vec![
            Says(Failed, 0, Some(A)),
            Says(Failed, 9, Some(A)),
            New(9),
            Says(Inactive, 9, Some(B)),
            Says(Failed, 9, Some(B)),
            Removed(9, JobResult::Done),
        ],
        false,
    );
}

#[test]
fn a_first_start_of_a_unit_known_from_a_list_is_no_stop() {
    let mut tracker = Tracker::default();
    tracker.seed([(web(), says(Inactive, 0, None))].into_iter());
    let wire =
        vec![Says(Inactive, 9, Some(A)), New(9), Says(Failed, 9, Some(A)), Removed(9, JobResult::Done)];
    assert!(!play(&mut tracker, wire).stopped_the_unit());
}

#[test]
fn a_restart_by_the_manager_is_no_stop_even_when_announced_late() {
    check(
        vec![
            Says(Activating, 0, Some(A)),
            Says(Active, 9, Some(B)),
            New(9),
            Says(Failed, 9, Some(B)),
            Removed(9, JobResult::Done),
        ],
        false,
    );
}

#[test]
fn a_kind_that_was_told_in_time_counts() {
    let event =
        play(&mut Tracker::default(), vec![New(9), Kind(9, JobKind::Stop), Removed(9, JobResult::Done)]);
    assert_eq!(event.job.kind, JobKind::Stop);
    assert_eq!(event.invocation_before, Reading::Absent(Absence::NotObserved));
    assert!(event.stopped_the_unit());
}

#[test]
fn after_a_gap_old_runs_tell_nothing_and_repeat_no_news() {
    let mut tracker = Tracker::default();
    assert!(read(&mut tracker, says(Active, 0, Some(A))));
    tracker.gap();
    let event = play(&mut tracker, vec![New(9), Removed(9, JobResult::Done)]);
    assert_eq!(event.invocation_before, Reading::Absent(Absence::NotObserved));
    assert_eq!(event.active_after, Reading::Absent(Absence::NotObserved));
    assert!(!read(&mut tracker, says(Active, 0, Some(A))), "the same as before the gap");
    tracker.gap();
    assert!(read(&mut tracker, says(Failed, 0, Some(A))), "failed in the gap");
    tracker.gap();
    tracker.seed(std::iter::empty());
    assert!(!tracker.removed(&web()), "in no list after the gap");
}

#[test]
fn only_changes_of_consequence_are_read() {
    let mut tracker = Tracker::default();
    tracker.seed([(web(), says(Active, 0, None))].into_iter());
    assert!(!read(&mut tracker, says(Active, 0, Some(A))), "the run is news to us, not of it");
    assert!(!read(&mut tracker, says(Active, 0, Some(A))));
    tracker.service_announced(&web(), service("success", 7));
    assert!(read(&mut tracker, says(Active, 0, Some(A))));
    tracker.service_announced(&web(), service("success", 7));
    assert!(!read(&mut tracker, says(Active, 0, Some(A))));
    tracker.service_announced(&web(), service("signal", 0));
    assert!(read(&mut tracker, says(Failed, 0, Some(A))));
    assert!(!read(&mut tracker, says(Failed, 0, Some(A))), "told once");
    assert!(read(&mut tracker, says(Failed, 0, Some(B))), "failed again, in another run");
}

#[test]
fn our_jobs_are_remembered_and_bounded() {
    let mut tracker = Tracker::default();
    for id in 0..u32::try_from(2 * OWN_MAX).unwrap() {
        tracker.is_ours(id);
    }
    assert_eq!(tracker.origin(0), JobOrigin::Other);
    assert_eq!(tracker.origin(u32::try_from(2 * OWN_MAX - 1).unwrap()), JobOrigin::Agent);
    assert_eq!(tracker.own.len(), OWN_MAX);
    assert_eq!(tracker.own_order.len(), OWN_MAX);
}

proptest! {
    /// The reply that names our job comes before `JobRemoved`; wherever `JobNew`, the answer to its kind and the
    /// announcements fall around it, the end is told as ours, once, and nothing of the job stays.
    #[test]
    fn a_job_is_ours_in_any_order(order in Just(vec![0_u8, 1, 2, 3, 4]).prop_shuffle(), told in 0..3_u8) {
        let mut tracker = Tracker::default();
        let mut kind = None;
        for step in order {
            match step {
                0 => {
 tracker.job_new(9, &web());
},
                1 => tracker.is_ours(9),
                2 => { tracker.announced(&web(), says(Active, 9, Some(A))); },
                3 => { tracker.announced(&web(), says(Deactivating, 9, Some(A))); },
                _ => if told > 0 {
                    tracker.kind_told(9, JobKind::Stop);
                    kind = tracker.kind(9);
                },
            }
        }
        let event = tracker.job_removed(9, web(), JobResult::Done);
        prop_assert_eq!(event.job.origin, JobOrigin::Agent);
        prop_assert_eq!(event.job.kind, kind.unwrap_or(JobKind::Other));
        prop_assert_eq!(event.invocation_after, Reading::Value(A));
        prop_assert!(tracker.jobs.is_empty());
    }

    /// A late answer to what a job does brings no job back.
    #[test]
    fn late_answers_are_passed_over(ids in prop::collection::vec(0..5_u32, 1..50)) {
        let mut tracker = Tracker::default();
        for id in ids {
            tracker.job_new(id, &web());
            tracker.job_removed(id, web(), JobResult::Done);
            tracker.kind_told(id, JobKind::Start);
            prop_assert!(!tracker.kind_is_open(id));
            prop_assert!(tracker.jobs.is_empty());
        }
    }

    /// Two neighbouring announcements that differ in what counts are both read.
    #[test]
    fn every_difference_is_read(steps in prop::collection::vec((0..3_u8, 0..3_u32, any::<bool>()), 1..60)) {
        let mut tracker = Tracker::default();
        let mut last = None;
        for (state, job, run) in steps {
            let state = [Active, Failed, Deactivating][usize::from(state)];
            let now = says(state, job, Some(if run { A } else { B }));
            prop_assert_eq!(read(&mut tracker, now.clone()), last.as_ref() != Some(&now));
            last = Some(now);
        }
    }
}

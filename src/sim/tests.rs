//! The promises hold over many small lives, and every guard is missed when it is gone.

use super::hazard::{Kind, Weather};
use super::*;
use crate::guard::mutation::with_broken;
use crate::model::{GuardName, ServiceResult};

/// Lives of the regular test run: seeds, and hours of each.
const SEEDS: u64 = 100;
const HOURS: u64 = 6;

fn story(outcome: &Outcome) -> String {
    let said: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
    format!("{}\n{}", outcome.transcript.text(), said.join("\n"))
}

#[test]
fn no_promise_is_broken_in_many_small_lives() {
    for seed in 1..=SEEDS {
        let outcome = run(Options::random(seed, HOURS));
        if !outcome.violations.is_empty() {
            let told = run(Options { transcript: true, ..Options::random(seed, HOURS) });
            panic!("seed {seed}: {}", story(&told));
        }
    }
}

/// Seeds that once broke a promise: seed, hours, and what was wrong.
const FOUND: [(u64, u64, &str); 22] = [
    (4, 8, "an early defect of the engine"),
    (7, 8, "an early defect of the engine"),
    (203, 8, "a record that a power cut took counted for a checker"),
    (415, 8, "an early defect of the engine"),
    (433, 8, "an early defect of the engine"),
    (140, 16, "an approval of an intent that was lost counted as used"),
    (83, 8, "a lost record of a clock step shortened a backoff"),
    (277, 14, "a dependant that was coming up was taken down along"),
    (434, 50, "a start by hand that failed at once left the note of the operator's stop standing"),
    (436, 9, "a page of an earlier fault counted for a later one"),
    (
        65,
        6,
        "a stop by hand of a unit that had failed long before passed for one that another unit handed on",
    ),
    (1045, 8, "a rival that was coming up did not count as running"),
    (506, 41, "a clock that was set between power cut and start ended a pause"),
    (618, 44, "a clock that was set between power cut and start shortened a backoff"),
    (
        409,
        50,
        "what was written as a full disk had room again was never called durable, by the simulated host",
    ),
    (206, 21, "a page that came long after its fault counted as the end of the fault"),
    (753, 10, "a clock was set and the power cut before the agent could write it down"),
    (
        1113,
        42,
        "a unit between two others could not be read, and what a start would pull along was not known",
    ),
    (
        1869,
        31,
        "an old incident that had just ended was forgotten for its number, and its fault told as a new one",
    ),
    (
        1227,
        43,
        "the word of a unit's end was lost, and what a start would pull along behind it was not asked for its rivals",
    ),
    (1368, 50, "a unit that failed as it was stopped along with another counted as forgotten, for a checker"),
    (1399, 50, "a clock that was set between power cut and start made two faults of one that came back"),
];

#[test]
fn no_seed_that_broke_a_promise_breaks_it_again() {
    for (seed, hours, what) in FOUND {
        let outcome = run(Options::random(seed, hours));
        assert!(outcome.violations.is_empty(), "seed {seed} ({what}): {:?}", outcome.violations);
    }
}

#[test]
fn one_seed_is_one_life() {
    let told = || {
        let outcome = run(Options { transcript: true, ..Options::random(7, HOURS) });
        (outcome.transcript.text(), outcome.stats)
    };
    assert_eq!(told(), told());
}

/// The weights under which the guard has something to do.
fn weights_for(guard: GuardName) -> Weights {
    let faults = [(Kind::Crash, 20), (Kind::Ailment, 10)];
    let with = |more: &[(Kind, u64)]| Weights::only(&[&faults, more].concat());
    match guard {
        GuardName::Pause => with(&[(Kind::Pause, 30)]),
        GuardName::Mode | GuardName::Maintenance => with(&[(Kind::Mass, 5)]),
        GuardName::Freshness => with(&[(Kind::Weather, 60)]),
        GuardName::WarmUp => with(&[(Kind::Agent, 30), (Kind::Power, 20), (Kind::Clock, 20)]),
        GuardName::Protected | GuardName::Approval => with(&[(Kind::Hang, 40)]),
        GuardName::PackageManager => with(&[(Kind::Packages, 40)]),
        GuardName::OperatorIntent => with(&[(Kind::Operator, 60), (Kind::Mask, 30)]),
        GuardName::Shutdown => with(&[(Kind::Power, 60)]),
        GuardName::Ownership => with(&[(Kind::Operator, 20), (Kind::Reload, 30)]),
        GuardName::RootCause => with(&[(Kind::Mass, 20)]),
        // The simulated host has no file systems: the tests of removals in `engine` ask for the cost.
        GuardName::Backoff | GuardName::Attempts | GuardName::Cost => with(&[]),
        GuardName::BlastRadius => with(&[(Kind::Mass, 20)]),
    }
}

/// Seeds within which a missing guard must be missed.
const MUTANT_SEEDS: u64 = 60;

/// The seed whose life shows the defect, and the checker that saw it.
fn caught(options: impl Fn(u64) -> Options) -> Option<(u64, &'static str)> {
    (1..=MUTANT_SEEDS).find_map(|seed| {
        let outcome = run(options(seed));
        outcome.violations.first().map(|violation| (seed, violation.checker))
    })
}

fn busy(seed: u64, guard: GuardName) -> Options {
    let weights = Some(weights_for(guard));
    Options { weights, every: Some(120_000), ..Options::random(seed, 8) }
}

fn check_missed(guard: GuardName) {
    let found = with_broken(guard, || caught(|seed| busy(seed, guard)));
    assert!(found.is_some(), "no checker misses the guard {guard} within {MUTANT_SEEDS} seeds");
}

macro_rules! missed {
    ($($test:ident: $guard:ident),* $(,)?) => {
        $(#[test] fn $test() { check_missed(GuardName::$guard); })*
    };
}

missed! {
    a_missing_pause_guard_is_caught: Pause,
    a_missing_mode_guard_is_caught: Mode,
    a_missing_protected_guard_is_caught: Protected,
    a_missing_maintenance_guard_is_caught: Maintenance,
    a_missing_ownership_guard_is_caught: Ownership,
    a_missing_root_cause_guard_is_caught: RootCause,
    a_missing_backoff_guard_is_caught: Backoff,
    a_missing_attempts_guard_is_caught: Attempts,
    a_missing_approval_guard_is_caught: Approval,
    a_missing_blast_radius_guard_is_caught: BlastRadius,
    a_missing_freshness_guard_is_caught: Freshness,
    a_missing_shutdown_guard_is_caught: Shutdown,
    a_missing_warm_up_guard_is_caught: WarmUp,
    a_missing_package_manager_guard_is_caught: PackageManager,
}

/// An operator's stop ends the unit's incidents, so that the guard is asked only about one that comes between an
/// act and its verdict: too rare to wait for.
#[test]
fn a_missing_operator_intent_guard_is_caught() {
    let life = || {
        let mut world = World::default();
        world.units = web();
        let stop = Hazard::OperatorStop { unit: 0, fails: true };
        let script = Some(Script {
            world,
            wishes: Wishes::default(),
            events: vec![(60_000, killed(0)), (61_500, stop)],
        });
        run(Options { length: 10 * 60_000, script, transcript: true, ..Options::random(1, 0) })
    };
    let whole = life();
    assert!(whole.violations.is_empty(), "{}", story(&whole));
    let broken = with_broken(GuardName::OperatorIntent, life);
    assert!(!broken.violations.is_empty(), "{}", story(&broken));
}

fn check_sabotage(sabotage: Sabotage) {
    let weights = Weights::only(&[
        (Kind::Crash, 20),
        (Kind::Ailment, 20),
        (Kind::Agent, 20),
        (Kind::Power, 10),
        (Kind::Operator, 20),
    ]);
    let options = |seed| Options {
        weights: Some(weights.clone()),
        every: Some(60_000),
        sabotage: Some(sabotage),
        ..Options::random(seed, 8)
    };
    assert!(caught(options).is_some(), "no checker notices {sabotage:?} within {MUTANT_SEEDS} seeds");
}

#[test]
fn an_act_before_its_record_is_caught() {
    check_sabotage(Sabotage::EarlyRecorded);
}

#[test]
fn a_second_act_after_a_crash_is_caught() {
    check_sabotage(Sabotage::SecondAct);
}

#[test]
fn a_disk_that_forgets_is_caught() {
    check_sabotage(Sabotage::ForgetfulDisk);
}

/// A small host, a story, and how it goes, told by the engine's records.
fn tell(units: Vec<Unit>, wishes: Wishes, minutes: u64, events: Vec<(u64, Hazard)>) -> String {
    let mut world = World::default();
    world.units = units;
    let events = events.into_iter().map(|(second, hazard)| (second * 1000, hazard)).collect();
    let script = Some(Script { world, wishes, events });
    let options = Options { length: minutes * 60_000, transcript: true, script, ..Options::random(1, 0) };
    let outcome = run(options);
    assert!(outcome.violations.is_empty(), "{}", story(&outcome));
    let wanted = |line: &&str| {
        let quiet = line.contains("listed") && !line.contains("failed") || line.ends_with(": healthy");
        !quiet && !line.contains("units are listed")
    };
    outcome.transcript.text().lines().filter(wanted).collect::<Vec<_>>().join("\n")
}

fn web() -> Vec<Unit> {
    vec![Unit::new(unit_name("web"))]
}

fn killed(unit: UnitIndex) -> Hazard {
    Hazard::Crash { unit, result: ServiceResult::Signal }
}

fn broken(unit: UnitIndex, length: Option<u64>) -> Hazard {
    let length = length.map(|seconds| seconds * 1000);
    Hazard::Ail { unit, ailment: Ailment::StartFails, length, restarts: false }
}

#[test]
fn a_killed_service_is_started_and_verified() {
    insta::assert_snapshot!(tell(web(), Wishes::default(), 15, vec![(60, killed(0))]));
}

#[test]
fn a_hung_service_is_restarted_when_its_probe_says_so() {
    let mut units = web();
    units[0].probed = true;
    let wishes = Wishes { probed: vec![unit_name("web")], ..Wishes::default() };
    insta::assert_snapshot!(tell(units, wishes, 3, vec![(60, Hazard::Hang { unit: 0, for_good: false })]));
}

/// It answers forty seconds after each start, and its probe fails all the while.
#[test]
fn a_service_that_starts_slowly_is_not_restarted_for_it() {
    let mut units = web();
    units[0].probed = true;
    units[0].answers_after = 40_000;
    let wishes = Wishes { probed: vec![unit_name("web")], ..Wishes::default() };
    let told = tell(units.clone(), wishes.clone(), 10, vec![(60, killed(0)), (200, start(0))]);
    assert!(!told.contains("unit-unresponsive"), "{told}");
    assert!(told.contains("resolved (Repaired)"), "{told}");
    let told = tell(units, wishes, 10, vec![(60, Hazard::Hang { unit: 0, for_good: false })]);
    assert_eq!(told.matches("act-").count(), told.matches("act-1").count(), "once: {told}");
    assert!(told.contains("resolved (Repaired)"), "{told}");
}

#[test]
fn a_permanent_breakage_ends_in_one_page_and_slow_retries() {
    insta::assert_snapshot!(tell(web(), Wishes::default(), 60, vec![(60, broken(0, None))]));
}

#[test]
fn a_dependant_waits_for_its_dependency() {
    let mut units = vec![Unit::new(unit_name("db"))];
    units.extend(web());
    units[1].requires.push(0);
    let events = vec![(60, broken(0, Some(45))), (61, killed(1))];
    insta::assert_snapshot!(tell(units, Wishes::default(), 5, events));
}

#[test]
fn what_an_operator_stops_stays_down_even_when_the_stop_ends_as_failed() {
    let events = vec![
        (60, Hazard::OperatorStop { unit: 0, fails: true }),
        (120, Hazard::OperatorStart { unit: 0 }),
        (180, killed(0)),
    ];
    insta::assert_snapshot!(tell(web(), Wishes::default(), 5, events));
}

/// The note of an operator's stop ends with the next start by another hand, whatever comes of it.
#[test]
fn a_start_by_hand_that_fails_at_once_is_repaired() {
    let events = vec![
        (60, Hazard::OperatorStop { unit: 0, fails: false }),
        (120, broken(0, Some(20))),
        (130, Hazard::OperatorStart { unit: 0 }),
    ];
    let told = tell(web(), Wishes::default(), 5, events);
    assert!(told.contains("no longer kept down") && told.contains("resolved (Repaired)"), "{told}");
}

/// `app` hangs on `db` by this relation.
fn pair(relate: impl Fn(&mut Unit)) -> Vec<Unit> {
    let mut units = vec![Unit::new(unit_name("db")), Unit::new(unit_name("app"))];
    relate(&mut units[1]);
    units
}

const fn stop(unit: UnitIndex) -> Hazard {
    Hazard::OperatorStop { unit, fails: false }
}

const fn start(unit: UnitIndex) -> Hazard {
    Hazard::OperatorStart { unit }
}

fn started_again(units: Vec<Unit>, events: Vec<(u64, Hazard)>) -> bool {
    let told = tell(units, Wishes::default(), 10, events);
    told.contains("unit-left-behind on app.service") && told.contains("start app.service")
}

#[test]
fn what_was_stopped_along_is_started_when_its_cause_is_back() {
    let binds_to = || pair(|app| app.binds_to.push(0));
    assert!(started_again(binds_to(), vec![(60, killed(0))]), "its cause was repaired");
    let unloaded = pair(|app| {
        app.binds_to.push(0);
        app.unloads = true;
    });
    assert!(started_again(unloaded, vec![(60, killed(0))]), "systemd forgot it meanwhile");
}

#[test]
fn what_was_stopped_by_hand_is_not_started_with_another() {
    let part_of = || pair(|app| app.part_of.push(0));
    let requires = || pair(|app| app.requires.push(0));
    let binds_to = || pair(|app| app.binds_to.push(0));
    for units in [part_of(), requires(), binds_to()] {
        assert!(
            !started_again(units, vec![(60, stop(0)), (120, start(0))]),
            "along with what somebody stopped"
        );
    }
    assert!(!started_again(part_of(), vec![(60, stop(1)), (61, stop(0)), (120, start(0))]), "before");
    assert!(!started_again(part_of(), vec![(60, stop(0)), (80, stop(1)), (120, start(0))]), "after");
    assert!(!started_again(part_of(), vec![(60, stop(1)), (80, killed(0))]), "its cause fell later");
    let events = vec![(60, broken(1, None)), (70, stop(0)), (110, stop(1)), (170, start(0))];
    let told = tell(part_of(), Wishes::default(), 10, events);
    assert!(!told.contains("app.service is owed"), "it had failed before: {told}");
    let wants = pair(|app| app.wants.push(0));
    assert!(!started_again(wants, vec![(60, stop(0)), (61, stop(1)), (120, start(0))]), "not related so");
}

/// A unit that is not enabled is unloaded as soon as its start is given up.
#[test]
fn a_start_that_was_given_up_is_made_up_for_when_the_dependency_is_back() {
    let units = pair(|app| {
        app.requires.push(0);
        app.unloads = true;
    });
    let events = vec![(60, stop(1)), (70, broken(0, Some(60))), (80, start(1))];
    insta::assert_snapshot!(tell(units, Wishes::default(), 10, events));
}

/// What was done to a unit that is gone for good is not remembered for ever.
#[test]
fn the_history_of_a_vanished_unit_is_dropped() {
    let told = tell(web(), Wishes::default(), 60, vec![(60, killed(0)), (120, Hazard::Vanish { unit: 0 })]);
    assert!(told.contains("web.service has proven stable"), "{told}");
}

#[test]
fn the_managers_own_restart_is_left_alone() {
    let mut units = web();
    units[0].restart = crate::model::RestartSetting::OnFailure;
    units[0].restart_wait = 15_000;
    insta::assert_snapshot!(tell(units, Wishes::default(), 3, vec![(60, killed(0))]));
}

#[test]
fn a_package_manager_at_work_is_waited_for() {
    let events = vec![(60, Hazard::PackageManager { length: 30_000 }), (70, killed(0))];
    insta::assert_snapshot!(tell(web(), Wishes::default(), 3, events));
}

#[test]
fn an_observed_unit_is_only_observed() {
    let wishes = Wishes { observed: vec![unit_name("web")], ..Wishes::default() };
    insta::assert_snapshot!(tell(web(), wishes, 3, vec![(60, killed(0))]));
}

#[test]
fn a_pause_holds_until_it_is_over() {
    let pause = crate::model::Command::Pause {
        scope: crate::model::PauseScope::Agent,
        length: std::time::Duration::from_secs(60),
        reason: "deploying".into(),
    };
    let events = vec![(60, Hazard::Command(pause)), (70, killed(0))];
    insta::assert_snapshot!(tell(web(), Wishes::default(), 4, events));
}

#[test]
fn a_careful_unit_is_repaired_once_a_person_agrees() {
    let wishes = Wishes { approved: vec![unit_name("web")], ..Wishes::default() };
    let approve = crate::model::Command::Approve { proposal: crate::model::ProposalId(1) };
    let events = vec![(60, killed(0)), (90, Hazard::Command(approve))];
    insta::assert_snapshot!(tell(web(), wishes, 3, events));
}

#[test]
fn backoff_outlives_a_power_cut() {
    let events = vec![(60, broken(0, None)), (80, Hazard::PowerCut)];
    insta::assert_snapshot!(tell(web(), Wishes::default(), 10, events));
}

#[test]
fn a_lost_bus_holds_everything_until_all_is_listed_again() {
    let lost = Hazard::Weather { what: Weather::LostBus, length: 30_000 };
    insta::assert_snapshot!(tell(web(), Wishes::default(), 3, vec![(60, lost), (70, killed(0))]));
}

/// Every effect boundary of a story is survived: by a kill, and by a power cut.
fn check_every_boundary(wishes: &Wishes, minutes: u64, event: &(u64, Hazard)) {
    let options = |crash_at| {
        let mut world = World::default();
        world.units = web();
        let script = Some(Script { world, wishes: wishes.clone(), events: vec![event.clone()] });
        Options { length: minutes * 60_000, crash_at, transcript: true, script, ..Options::random(1, 0) }
    };
    let boundaries = run(options(None)).boundaries;
    assert!(boundaries > 20, "{boundaries}");
    for boundary in 1..=boundaries {
        for power in [false, true] {
            let outcome = run(options(Some((boundary, power))));
            assert!(outcome.violations.is_empty(), "boundary {boundary}: {}", story(&outcome));
        }
    }
}

#[test]
fn a_crash_at_any_boundary_of_a_repair_repeats_nothing() {
    check_every_boundary(&Wishes::default(), 20, &(60_000, broken(0, Some(20))));
}

/// Between the record of an escalation and the hook there is an instant, and after the hook another.
#[test]
fn a_crash_at_any_boundary_of_an_escalation_loses_no_page() {
    check_every_boundary(&Wishes::default(), 40, &(60_000, broken(0, None)));
}

#[test]
fn a_crash_at_any_boundary_of_a_proposal_loses_no_question() {
    let wishes = Wishes { approved: vec![unit_name("web")], ..Wishes::default() };
    check_every_boundary(&wishes, 20, &(60_000, killed(0)));
}

#[test]
fn a_hook_that_fails_is_tried_again_and_given_up() {
    let deaf = |minutes: u64| Hazard::Weather { what: Weather::DeafHook, length: minutes * 60_000 };
    let told = |minutes| tell(web(), Wishes::default(), 60, vec![(50, deaf(minutes)), (60, broken(0, None))]);
    let late = told(4);
    assert!(late.matches("page ").count() > 1 && late.contains("told of the escalation: Taken"), "{late}");
    let never = told(60);
    assert!(never.contains("told of the escalation: Undeliverable { tries: 6"), "{never}");
}

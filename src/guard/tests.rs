//! Every guard says yes to a plain failed unit on a calm host, and no to the one thing that it is there for.

mod held_back;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::reach::Reach;
use super::{ApprovalState, Attempts, Circumstances, Faults, History, InFlight, Request, checks, judge};
use crate::assess::View;
use crate::model::{
    Absence, ActionId, ActiveState, BootTime, Finding, GuardName, Hold, HostActivity, InForce, Incident,
    IncidentId, IncidentState, InvocationId, JobKind, JobOrigin, LoadState, MainExit, Mode, PackageManager,
    Pause, PauseId, PauseScope, ProposalId, Reading, Remedy, RestartSetting, Sample, ServiceDetails,
    ServiceResult, ServiceType, Subject, SystemState, Timestamp, UnitDetails, UnitFileState, UnitJob,
    UnitName, UnitPattern, UnitRelations, UnitStatus, UnitsUpdate, WallTime,
};
use crate::policy::{Maintenance, Openings, Policy, Schedule, UnitTuning};

const NOW: i64 = 10_000_000;

fn at(millis: i64) -> Timestamp {
    // Noon in UTC, so that a nightly window is shut.
    Timestamp::new(BootTime::from_millis(millis), WallTime::from_unix_millis(1_767_268_800_000))
}

fn name(stem: &str) -> UnitName {
    UnitName::parse(format!("{stem}.service")).expect("a valid name")
}

fn pattern(stem: &str) -> UnitPattern {
    UnitPattern::new(name(stem).as_str())
}

fn unit(stem: &str, active: ActiveState) -> UnitStatus {
    let absent = || Absence::NotApplicable;
    UnitStatus {
        name: name(stem),
        load: LoadState::Loaded,
        active,
        sub: active.as_str().to_owned(),
        job: Reading::Absent(absent()),
        details: Reading::Value(UnitDetails {
            invocation: Reading::Value(InvocationId(crate::model::Id128::from_bytes([1; 16]))),
            file_state: UnitFileState::Enabled,
            relations: UnitRelations::default(),
            service: Reading::Value(ServiceDetails {
                service_type: ServiceType::Simple,
                restart: RestartSetting::No,
                result: ServiceResult::Signal,
                exit: MainExit::Signal(9),
                restarts: 0,
                restart_prevented: false,
                main_pid: Reading::Absent(absent()),
                control_group: Reading::Absent(absent()),
                memory: Reading::Absent(absent()),
                tasks: Reading::Absent(absent()),
                cpu_time: Reading::Absent(absent()),
                can_reload: false,
            }),
        }),
    }
}

/// Units with an open incident of their own.
#[derive(Debug, Default)]
struct Open(BTreeSet<UnitName>);

impl Faults for Open {
    fn open_incident(&self, unit: &UnitName) -> Option<IncidentId> {
        self.0.contains(unit).then_some(IncidentId(9))
    }
}

/// A host on which `web` has failed and `db`, which it needs, runs.
struct Case {
    policy: Policy,
    remedy: Remedy,
    units: Vec<UnitStatus>,
    heard_at: i64,
    activity: HostActivity,
    activity_at: i64,
    started: i64,
    stepped: Option<i64>,
    pauses: Vec<Pause>,
    operator_stopped: BTreeSet<UnitName>,
    in_flight: Vec<InFlight>,
    restraints: BTreeMap<ActionId, InForce>,
    history: History,
    rule_attempts: Attempts,
    host_attempts: Attempts,
    approval: ApprovalState,
    faulty: Open,
}

impl Case {
    fn calm() -> Self {
        let mut units = vec![unit("web", ActiveState::Failed), unit("db", ActiveState::Active)];
        if let Reading::Value(details) = &mut units[0].details {
            details.relations.requires.push(name("db"));
            details.relations.conflicts.push(name("rival"));
        }
        Self {
            policy: Policy::builtin().expect("the shipped policy is valid"),
            remedy: Remedy::Start,
            units,
            heard_at: NOW - 100,
            activity: HostActivity {
                system_state: Reading::Value(SystemState::Running),
                package_manager: Reading::Absent(Absence::NotApplicable),
                manager_reloading: false,
            },
            activity_at: NOW - 100,
            started: 0,
            stepped: None,
            pauses: Vec::new(),
            operator_stopped: BTreeSet::new(),
            in_flight: Vec::new(),
            restraints: BTreeMap::new(),
            history: History::default(),
            rule_attempts: Attempts::default(),
            host_attempts: Attempts::default(),
            approval: ApprovalState::NotAsked,
            faulty: Open::default(),
        }
    }

    fn details(&mut self, unit: usize) -> &mut UnitDetails {
        match &mut self.units[unit].details {
            Reading::Value(details) => details,
            Reading::Absent(_) | Reading::Failed(_) => panic!("the case has no details"),
        }
    }

    fn service(&mut self, unit: usize) -> &mut ServiceDetails {
        match &mut self.details(unit).service {
            Reading::Value(service) => service,
            Reading::Absent(_) | Reading::Failed(_) => panic!("the case has no service"),
        }
    }

    fn pause(&mut self, scope: PauseScope) {
        let (by, reason) = ("kim".into(), "testing".into());
        self.pauses.push(Pause { id: PauseId(1), scope, until: at(NOW + 1000), by, reason });
    }

    fn tune(&mut self, mode: Mode) {
        let units = vec![pattern("web")];
        self.policy.tuning.push(UnitTuning { units, owner: None, mode: Some(mode), depends_on: Vec::new() });
    }

    fn window(&mut self, units: Vec<UnitPattern>) {
        let schedule = Schedule {
            cron: "0 * * * *".parse().expect("a valid expression"),
            zone: jiff::tz::TimeZone::UTC,
            length: Duration::from_secs(3600),
        };
        self.policy.maintenance.push(Maintenance { name: "always".into(), units, schedule });
    }

    fn act_under_way(&mut self, stem: &str, applied: bool) {
        self.in_flight.push(InFlight {
            action: ActionId(1),
            subject: Subject::Unit(name(stem)),
            targets: vec![name(stem)],
            disruptive: true,
            applied,
        });
    }

    /// Asks with everything in place.
    fn ask<T>(&self, question: impl FnOnce(&Request<'_>, &Circumstances<'_>) -> T) -> T {
        let mut view = View::default();
        let units = Some(UnitsUpdate::Complete(self.units.clone()));
        let _ = view.take(&Sample { units, ..Sample::empty(at(self.heard_at)) });
        let activity = Some(self.activity.clone());
        let _ = view.take(&Sample { activity, ..Sample::empty(at(self.activity_at)) });
        let rule = self.policy.rules.iter().find(|rule| rule.name.as_str() == "unit-failed");
        let rule = rule.expect("the shipped policy repairs failed units");
        let (web, targets) = (Subject::Unit(name("web")), [name("web")]);
        let incident = incident(rule);
        let request = Request {
            action: ActionId(2),
            incident: &incident,
            rule,
            subject: &web,
            remedy: self.remedy,
            targets: &targets,
        };
        question(
            &request,
            &Circumstances {
                now: at(NOW),
                policy: &self.policy,
                openings: &Openings::at(&self.policy, at(NOW).wall),
                view: &view,
                started: BootTime::from_millis(self.started),
                stepped: self.stepped.map(BootTime::from_millis),
                stopping: false,
                pauses: &self.pauses,
                operator_stopped: &self.operator_stopped,
                in_flight: &self.in_flight,
                restraints: &self.restraints,
                history: &self.history,
                rule_attempts: &self.rule_attempts,
                host_attempts: &self.host_attempts,
                removed: &crate::guard::RemovedLately::default(),
                approval: self.approval.clone(),
                faulty: &self.faulty,
            },
        )
    }
}

fn incident(rule: &crate::policy::Rule) -> Incident {
    let subject = Subject::Unit(name("web"));
    Incident {
        id: IncidentId(1),
        rule: rule.name.clone(),
        subject: subject.clone(),
        severity: rule.severity,
        mode: rule.mode,
        owner: None,
        finding: Finding { rule: rule.name.clone(), subject, what: "it failed".into() },
        state: IncidentState::Open,
        opened: at(NOW - 1000),
        closed: None,
        evidence: None,
        ladder: rule.ladder.clone(),
        attempts: 0,
        tried: BTreeMap::new(),
        held: None,
        proposal: None,
        escalated: None,
        recurrences: 0,
        timeline: Vec::new(),
    }
}

/// How long a no is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    AMoment,
    AChange,
    Good,
}

/// After `change` the guard, and no other, says no.
fn check(guard: GuardName, expected: For, change: impl FnOnce(&mut Case)) {
    let mut case = Case::calm();
    assert!(
        case.ask(|request, c| checks::ask(guard, request, &Reach::of(request, c), c)).is_ok(),
        "{guard} on a calm host"
    );
    change(&mut case);
    for other in GuardName::ALL {
        let answer = case.ask(|request, c| checks::ask(other, request, &Reach::of(request, c), c));
        assert_eq!(answer.is_err(), other == guard, "{other}: {answer:?}");
    }
    let refusal = case.ask(judge).expect_err("one guard says no");
    assert_eq!(refusal.guard, guard);
    let found = match refusal.hold {
        Hold::Until(then) => {
            assert!(then.boot > at(NOW).boot, "a no until {then:?} is over");
            For::AMoment
        }
        Hold::UntilChange => For::AChange,
        Hold::Denied => For::Good,
    };
    assert_eq!(found, expected, "{refusal:?}");
}

/// `change` is nobody's concern.
fn check_allowed(change: impl FnOnce(&mut Case)) {
    let mut case = Case::calm();
    change(&mut case);
    let permit = case.ask(judge).expect("every guard says yes");
    assert_eq!(permit.targets(), [name("web")]);
}

#[test]
fn a_failed_unit_on_a_calm_host_may_be_started() {
    check_allowed(|_| {});
}

#[test]
fn a_pause_covers_its_scope() {
    let web = || PauseScope::Unit(name("web"));
    check(GuardName::Pause, For::AMoment, |case| case.pause(PauseScope::Agent));
    check(GuardName::Pause, For::AMoment, |case| case.pause(web()));
    check(GuardName::Pause, For::AMoment, |case| {
        case.pause(PauseScope::Rule(crate::model::RuleName::new("unit-failed")));
    });
    check_allowed(|case| case.pause(PauseScope::Unit(name("other"))));
}

#[test]
fn the_mode_of_the_unit_limits_that_of_the_rule() {
    check(GuardName::Mode, For::Good, |case| case.tune(Mode::Observe));
    check(GuardName::Approval, For::AChange, |case| case.tune(Mode::Approve));
    check_allowed(|case| {
        case.tune(Mode::Approve);
        case.approval = ApprovalState::Granted(ProposalId(1));
    });
    check(GuardName::Approval, For::Good, |case| {
        case.tune(Mode::Approve);
        case.approval = ApprovalState::Denied { by: "kim".into() };
    });
}

#[test]
fn what_an_operator_wants_down_stays_down() {
    check(GuardName::OperatorIntent, For::Good, |case| {
        case.operator_stopped.insert(name("web"));
    });
    check(GuardName::OperatorIntent, For::Good, |case| case.units[0].load = LoadState::Masked);
    check_allowed(|case| {
        case.operator_stopped.insert(name("other"));
    });
}

#[test]
fn a_protected_unit_may_only_be_started() {
    check(GuardName::Protected, For::Good, |case| {
        case.policy.protected.push(pattern("web"));
        case.remedy = Remedy::Restart;
    });
    check_allowed(|case| case.policy.protected.push(pattern("web")));
    // Nor is one that needs the unit taken down with it, up or on its way there.
    for state in [ActiveState::Active, ActiveState::Activating] {
        check(GuardName::Protected, For::Good, |case| {
            case.policy.protected.push(pattern("shop"));
            case.units.push(unit("shop", state));
            case.units[0].active = ActiveState::Active;
            case.details(0).relations.required_by.push(name("shop"));
            case.remedy = Remedy::Restart;
        });
    }
}

#[test]
fn an_open_window_holds_what_it_covers() {
    check(GuardName::Maintenance, For::AMoment, |case| case.window(vec![pattern("web")]));
    check(GuardName::Maintenance, For::AMoment, |case| case.window(Vec::new()));
    check_allowed(|case| case.window(vec![pattern("other")]));
}

#[test]
fn what_the_service_manager_is_doing_comes_first() {
    let own = |origin| Reading::Value(UnitJob { id: 1, kind: JobKind::Start, origin });
    check(GuardName::Ownership, For::AChange, |case| case.units[0].job = own(JobOrigin::Other));
    check_allowed(|case| case.units[0].job = own(JobOrigin::Agent));
    check(GuardName::Ownership, For::AChange, |case| case.activity.manager_reloading = true);
    check(GuardName::Ownership, For::AChange, |case| {
        case.units[0].active = ActiveState::Activating;
        case.units[0].sub = "auto-restart".into();
    });
    check(GuardName::Ownership, For::Good, |case| case.service(0).restart_prevented = true);
    check(GuardName::Ownership, For::AChange, |case| case.units.push(unit("rival", ActiveState::Active)));
    check(GuardName::Ownership, For::AChange, |case| case.units.push(unit("rival", ActiveState::Activating)));
    check_allowed(|case| case.units.push(unit("rival", ActiveState::Failed)));
    // What is started along has rivals as well.
    let along = |case: &mut Case, rival: &str| {
        case.units[1].active = ActiveState::Inactive;
        case.details(1).relations.conflicts.push(name(rival));
        case.units.push(unit("other", ActiveState::Active));
    };
    check(GuardName::Ownership, For::AChange, |case| along(case, "other"));
    check(GuardName::Ownership, For::Good, |case| along(case, "web"));
}

#[test]
fn what_may_be_down_is_started_along() {
    let mut case = Case::calm();
    case.details(1).relations.requires.push(name("store"));
    case.units.push(unit("store", ActiveState::Inactive));
    case.details(2).relations.conflicts.push(name("rival"));
    case.units.push(unit("rival", ActiveState::Active));
    case.details(0).relations.conflicts.clear();
    let ownership = |case: &Case| {
        case.ask(|request, c| checks::ask(GuardName::Ownership, request, &Reach::of(request, c), c))
    };
    assert_eq!(ownership(&case), Ok(()), "what is up needs nothing");
    case.faulty.0.insert(name("db"));
    let why = ownership(&case).expect_err("the word of its end may have been lost").why;
    assert!(why.contains("would start store.service along, which conflicts with rival.service"), "{why}");
}

#[test]
fn what_a_unit_needs_comes_first() {
    check(GuardName::RootCause, For::AChange, |case| case.units[1].active = ActiveState::Failed);
    check(GuardName::RootCause, For::AChange, |case| {
        case.faulty.0.insert(name("db"));
    });
    // It is started along.
    check_allowed(|case| case.units[1].active = ActiveState::Inactive);
    // A circle can't be entered at its beginning: there is none.
    check_allowed(|case| {
        case.units[1].active = ActiveState::Failed;
        case.details(1).relations.requires.push(name("web"));
    });
}

#[test]
fn backoff_holds_until_its_moment_or_until_it_is_waived() {
    let waits = |case: &mut Case, millis| case.history.not_before = Some(at(NOW + millis));
    check(GuardName::Backoff, For::AMoment, |case| waits(case, 1));
    check_allowed(|case| waits(case, 0));
    check_allowed(|case| {
        waits(case, 1);
        case.history.waived = true;
    });
}

#[test]
fn attempts_count_a_subject_a_rule_and_the_host() {
    let spend = |attempts: &mut Attempts, count: u32| {
        (0..count).for_each(|_| attempts.add(BootTime::from_millis(NOW - 1000)));
    };
    let limits = crate::policy::Limits::default();
    let (subject, rule, host) =
        (limits.attempts_per_subject.count, limits.attempts_per_rule.count, limits.attempts_per_host.count);
    check(GuardName::Attempts, For::AMoment, |case| spend(&mut case.history.attempts, subject));
    check(GuardName::Attempts, For::AMoment, |case| spend(&mut case.rule_attempts, rule));
    check(GuardName::Attempts, For::AMoment, |case| spend(&mut case.host_attempts, host));
    check_allowed(|case| {
        spend(&mut case.history.attempts, subject - 1);
        spend(&mut case.rule_attempts, rule - 1);
        spend(&mut case.host_attempts, host - 1);
    });
}

#[test]
fn one_act_at_a_time() {
    check(GuardName::BlastRadius, For::AChange, |case| case.act_under_way("web", true));
    check(GuardName::BlastRadius, For::AChange, |case| {
        case.act_under_way("other", false);
        case.remedy = Remedy::Restart;
    });
    // Its act is over; only its verification goes on.
    check_allowed(|case| {
        case.act_under_way("other", true);
        case.remedy = Remedy::Restart;
    });
}

#[test]
fn what_is_not_known_or_not_fresh_permits_nothing() {
    check(GuardName::Freshness, For::AChange, |case| case.heard_at = NOW - 46_000);
    check(GuardName::Freshness, For::AChange, |case| case.activity_at = NOW - 4000);
    check(GuardName::Freshness, For::AChange, |case| {
        case.activity.system_state = Reading::Failed("the bus is silent".into());
    });
    check(GuardName::Freshness, For::AChange, |case| {
        case.units[0].details = Reading::Failed("the call timed out".into());
    });
    // What it would pull along, and whom that would.
    let unread = |case: &mut Case, active| {
        case.units[1].active = active;
        case.units[1].details = Reading::Failed("the call timed out".into());
    };
    check(GuardName::Freshness, For::AChange, |case| unread(case, ActiveState::Inactive));
    check_allowed(|case| unread(case, ActiveState::Active));
}

#[test]
fn the_host_settles_first() {
    check(GuardName::WarmUp, For::AMoment, |case| case.started = NOW - 1000);
    check(GuardName::WarmUp, For::AMoment, |case| case.stepped = Some(NOW - 1000));
    check_allowed(|case| case.stepped = Some(NOW - 2000));
}

#[test]
fn a_package_manager_at_work_is_left_in_peace() {
    check(GuardName::PackageManager, For::AChange, |case| {
        let (lock, pid) = ("/var/lib/dpkg/lock-frontend".into(), Reading::Value(1));
        case.activity.package_manager = Reading::Value(PackageManager { lock, pid });
    });
    check(GuardName::PackageManager, For::AChange, |case| {
        case.activity.package_manager = Reading::Failed("permission denied".into());
    });
}

#[test]
fn a_host_that_goes_down_is_let_go() {
    for state in [SystemState::Stopping, SystemState::Maintenance] {
        check(GuardName::Shutdown, For::AChange, |case| case.activity.system_state = Reading::Value(state));
    }
    check_allowed(|case| case.activity.system_state = Reading::Value(SystemState::Degraded));
}

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use zbus::{Array, Str};

use super::*;
use crate::model::{RestartSetting, ServiceResult, ServiceType, UnitFileState};

fn text(text: &'static str) -> Variant<'static> {
    Variant::Str(Str::from_static(text))
}

fn names(names: &[&'static str]) -> Variant<'static> {
    Variant::from(names.to_vec())
}

fn unit() -> BTreeMap<&'static str, Variant<'static>> {
    BTreeMap::from([
        ("Id", text("web.service")),
        ("LoadState", text("loaded")),
        ("ActiveState", text("failed")),
        ("SubState", text("failed")),
        ("UnitFileState", text("enabled")),
        ("Requires", names(&["sysinit.target", "db.service", "not a unit"])),
        ("BindsTo", names(&["db.service"])),
        ("Requisite", names(&[])),
        ("Wants", names(&["cache.service"])),
        ("After", names(&["network.target"])),
        ("Conflicts", names(&["shutdown.target"])),
        ("ConflictedBy", names(&["other.service"])),
        ("CanReload", Variant::Bool(true)),
        ("InvocationID", Variant::from(vec![7_u8; 16])),
        ("Job", Variant::from((0_u32, ObjectPath::try_from("/").unwrap()))),
    ])
}

fn service() -> BTreeMap<&'static str, Variant<'static>> {
    BTreeMap::from([
        ("Type", text("notify")),
        ("Restart", text("on-failure")),
        ("Result", text("exit-code")),
        ("ExecMainCode", Variant::I32(1)),
        ("ExecMainStatus", Variant::I32(3)),
        ("NRestarts", Variant::U32(4)),
        ("RestartPreventExitStatus", Variant::from((vec![2_i32, 3], vec![9_i32]))),
        ("MainPID", Variant::U32(0)),
        ("ControlGroup", text("")),
        ("MemoryCurrent", Variant::U64(u64::MAX)),
        ("TasksCurrent", Variant::U64(u64::MAX)),
        ("CPUUsageNSec", Variant::U64(5_000_000)),
    ])
}

fn no_job() -> Reading<UnitJob> {
    Reading::Absent(Absence::NotApplicable)
}

fn read(
    unit: BTreeMap<&'static str, Variant<'static>>,
    service: BTreeMap<&'static str, Variant<'static>>,
) -> UnitStatus {
    status(&Properties(unit), Reading::Value(Properties(service)), no_job()).unwrap()
}

#[test]
fn a_failed_service_with_all_that_is_told_of_it() {
    let status = read(unit(), service());
    assert_eq!((status.load, status.active), (LoadState::Loaded, ActiveState::Failed));
    let details = status.details.value().unwrap();
    assert_eq!(details.file_state, UnitFileState::Enabled);
    assert_eq!(details.invocation, Reading::Value(InvocationId(Id128::from_bytes([7; 16]))));
    let named = |units: &[UnitName]| units.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(named(&details.relations.requires), ["db.service", "sysinit.target"]);
    assert_eq!(named(&details.relations.conflicts), ["other.service", "shutdown.target"]);
    let service = details.service.value().unwrap();
    assert_eq!((service.service_type, service.restart), (ServiceType::Notify, RestartSetting::OnFailure));
    assert_eq!((service.result.clone(), service.exit), (ServiceResult::ExitCode, MainExit::Code(3)));
    assert_eq!((service.restarts, service.restart_prevented, service.can_reload), (4, true, true));
    assert_eq!(service.main_pid, Reading::Absent(Absence::NotApplicable));
    assert_eq!(service.control_group, Reading::Absent(Absence::NotApplicable));
    assert_eq!(service.memory, Reading::Absent(Absence::NotApplicable));
    assert_eq!(service.cpu_time, Reading::Value(Duration::from_millis(5)));
}

#[test]
fn a_running_service_without_accounting() {
    let mut running = service();
    running.insert("MainPID", Variant::U32(77));
    running.insert("ControlGroup", text("/system.slice/web.service"));
    running.remove("TasksCurrent");
    let status = read(unit(), running);
    let service = status.service().value().copied().unwrap().clone();
    assert_eq!(service.main_pid, Reading::Value(77));
    assert_eq!(service.control_group, Reading::Value("/system.slice/web.service".to_owned()));
    assert_eq!(service.memory, Reading::Absent(Absence::Unsupported));
    assert_eq!(service.tasks, Reading::Absent(Absence::Unsupported));
}

fn check_exit(code: i32, status: i32, exit: MainExit, prevented: bool) {
    let mut ended = service();
    ended.insert("ExecMainCode", Variant::I32(code));
    ended.insert("ExecMainStatus", Variant::I32(status));
    let status = read(unit(), ended);
    let service = status.service().value().copied().unwrap().clone();
    assert_eq!((service.exit, service.restart_prevented), (exit, prevented));
}

#[test]
fn exits_and_what_the_setting_says_of_them() {
    check_exit(0, 0, MainExit::None, false);
    check_exit(1, 2, MainExit::Code(2), true);
    check_exit(1, 9, MainExit::Code(9), false);
    check_exit(2, 9, MainExit::Signal(9), true);
    check_exit(3, 6, MainExit::Signal(6), false);
    check_exit(6, 1, MainExit::None, false);
}

#[test]
fn a_word_that_is_not_known_is_shown_and_not_acted_on() {
    let mut odd = unit();
    odd.insert("ActiveState", text("levitating"));
    let status = read(odd, service());
    assert_eq!(status.active, ActiveState::Maintenance);
    assert!(matches!(&status.details, Reading::Failed(why) if why.contains("levitating")));
    let mut odd = unit();
    odd.insert("LoadState", text("dreamt"));
    assert_eq!(read(odd, service()).load, LoadState::Error);
    let mut odd = service();
    odd.insert("Type", text("telepathic"));
    assert!(matches!(read(unit(), odd).service(), Reading::Failed(why) if why.contains("telepathic")));
}

#[test]
fn what_is_no_service_has_no_service_part() {
    let mut timer = unit();
    timer.insert("Id", text("web.timer"));
    timer.insert("InvocationID", Variant::from(Vec::<u8>::new()));
    let status = status(&Properties(timer), Reading::Absent(Absence::NotApplicable), no_job()).unwrap();
    assert_eq!(status.service(), Reading::Absent(Absence::NotApplicable));
    assert_eq!(status.invocation(), Reading::Absent(Absence::NotApplicable));
}

#[test]
fn what_every_unit_has_can_not_be_missing() {
    for property in ["Id", "LoadState", "ActiveState", "SubState"] {
        let mut broken = unit();
        broken.remove(property);
        let error = status(&Properties(broken), Reading::Value(Properties(service())), no_job()).unwrap_err();
        assert!(error.contains(property), "{error}");
    }
}

#[test]
fn the_job_on_a_unit_is_its_path() {
    let mut busy = unit();
    let at = ObjectPath::try_from("/org/freedesktop/systemd1/job/12").unwrap();
    busy.insert("Job", Variant::from((12_u32, at)));
    assert_eq!(Properties(busy).job(), Some(12));
    assert_eq!(Properties(unit()).job(), Some(0));
    assert_eq!(Properties(BTreeMap::new()).job(), None);
}

proptest! {
    /// A property of another type than expected is as good as missing: it never panics.
    #[test]
    fn types_may_be_wrong(which in 0..30_usize, kind in 0..5_u8) {
        let odd = match kind {
            0 => Variant::U8(1),
            1 => text(""),
            2 => Variant::from(vec![1_u64]),
            3 => Variant::Array(Array::new(u8::SIGNATURE)),
            _ => Variant::from((1_i32, 2_i32)),
        };
        let (mut unit, mut service) = (unit(), service());
        let keys: Vec<_> = unit.keys().chain(service.keys()).copied().collect();
        let key = keys[which % keys.len()];
        if unit.contains_key(key) { unit.insert(key, odd); } else { service.insert(key, odd); }
        let unit = Properties(unit);
        let _ = unit.job();
        let _ = status(&unit, Reading::Value(Properties(service)), no_job());
    }
}
use zbus::Type as _;

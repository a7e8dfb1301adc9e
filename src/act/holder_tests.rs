//! Who holds deleted files is asked to let go, if it still holds them.

use super::*;
use crate::act::holders::{Holdings, ask_holders};
use crate::model::{
    Bytes, DeletedFile, DeletedFiles, DeviceNumber, MainExit, MountPoint, PathText, RestartSetting,
    RoomOrder, ServiceDetails, ServiceResult, ServiceType,
};

/// What each look finds in turn: the units that hold something. The last is found for ever.
struct Held(Mutex<Vec<Vec<&'static str>>>);

impl Holdings for Held {
    fn deleted_after<'a>(&'a self, _: Duration, _: &'a RoomOrder) -> BoxFuture<'a, Reading<DeletedFiles>> {
        let mut looks = self.0.lock().unwrap();
        let units = if looks.len() > 1 { looks.remove(0) } else { looks[0].clone() };
        let file = |unit: &&str| DeletedFile {
            path: PathText::of(b"/var/log/app.log.1"),
            bytes: if *unit == "small.service" { Bytes(8192) } else { Bytes(1 << 30) },
            pid: 812,
            fd: 7,
            name: "app".into(),
            unit: Reading::Value((*unit).to_owned()),
        };
        let largest: Vec<DeletedFile> = units.iter().map(file).collect();
        let count = u64::try_from(largest.len()).unwrap();
        let found = DeletedFiles { bytes: Bytes(count << 30), count, largest, hidden: 0, complete: true };
        async { Reading::Value(found) }.boxed()
    }
}

/// `web.service`, active in its first run.
fn up(can_reload: bool) -> Stand {
    let mut stand = stand();
    stand.status.active = ActiveState::Active;
    let service = ServiceDetails {
        service_type: ServiceType::Simple,
        restart: RestartSetting::No,
        result: ServiceResult::Success,
        exit: MainExit::None,
        restarts: 0,
        restart_prevented: false,
        main_pid: Reading::Absent(Absence::NotApplicable),
        control_group: Reading::Absent(Absence::NotApplicable),
        memory: Reading::Absent(Absence::NotApplicable),
        tasks: Reading::Absent(Absence::NotApplicable),
        cpu_time: Reading::Absent(Absence::NotApplicable),
        can_reload,
    };
    if let Reading::Value(details) = &mut stand.status.details {
        details.service = Reading::Value(service);
    }
    stand
}

fn check(stand: &Stand, remedy: Remedy, looks: &[&[&'static str]], expected: &Applied, orders: &[&str]) {
    let room = RoomOrder {
        point: MountPoint::from_bytes(b"/var/log").unwrap(),
        device: DeviceNumber { major: 8, minor: 1 },
        roots: Vec::new(),
        files_max: 0,
        bytes_max: Bytes(0),
    };
    let held = Held(Mutex::new(looks.iter().map(|units| units.to_vec()).collect()));
    let permit = Permit::for_test(remedy, vec![name("web.service")], run_of(1), at(10)).with_room(room);
    let asked = ask_holders(permit, stand, &held, at(5));
    assert_eq!(asked.now_or_never().expect("the stand never waits"), *expected);
    assert_eq!(given(stand), orders);
}

const WEB: &[&str] = &["web.service"];

#[test]
fn a_holder_is_asked_once_and_waited_for() {
    let looks = [WEB, WEB, &["db.service"]];
    check(&up(true), Remedy::ReloadHolders, &looks, &Applied::Changed, &["reload web.service"]);
    check(&up(false), Remedy::RestartHolders, &looks, &Applied::Changed, &["restart web.service"]);
    // Not for ever.
    check(&up(true), Remedy::ReloadHolders, &[WEB], &Applied::Changed, &["reload web.service"]);
}

/// It is down, perhaps: that is not the same as nothing done.
#[test]
fn an_order_that_failed_is_told_as_such() {
    for (remedy, word) in [(Remedy::ReloadHolders, "reload"), (Remedy::RestartHolders, "restart")] {
        let stand = Stand { result: JobResult::Failed, ..up(true) };
        let expected = Applied::Failed { why: format!("web.service: its {word} job failed") };
        check(&stand, remedy, &[WEB], &expected, &[&format!("{word} web.service")]);
    }
}

#[test]
fn who_holds_nothing_any_more_is_left_alone() {
    let expected = withdrawn("web.service holds no deleted file there any more");
    for remedy in [Remedy::ReloadHolders, Remedy::RestartHolders] {
        check(&up(true), remedy, &[&["db.service"]], &expected, &[]);
    }
}

#[test]
fn who_is_not_as_it_was_judged_is_left_alone() {
    let expected = withdrawn("web.service has no reload");
    check(&up(false), Remedy::ReloadHolders, &[WEB], &expected, &[]);
    let mut anew = up(true);
    if let Reading::Value(details) = &mut anew.status.details {
        details.invocation = run_of(2);
    }
    let expected = withdrawn("web.service has been started anew since it was judged");
    check(&anew, Remedy::RestartHolders, &[WEB], &expected, &[]);
    let mut going = up(true);
    going.status.active = ActiveState::Deactivating;
    check(&going, Remedy::ReloadHolders, &[WEB], &withdrawn("web.service is deactivating"), &[]);
    let mut others = up(true);
    others.status.job = Reading::Value(UnitJob { id: 7, kind: JobKind::Stop, origin: JobOrigin::Other });
    let expected = withdrawn("somebody else has a job on web.service");
    check(&others, Remedy::RestartHolders, &[WEB], &expected, &[]);
}

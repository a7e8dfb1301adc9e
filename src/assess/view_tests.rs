#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use std::time::Duration;

use crate::model::{
    Health, Id128, InvocationId, JobEvent, JobKind, JobOrigin, JobResult, LoadState, Timestamp, UnitDetails,
    UnitFileState, UnitJob, UnitRelations, WallTime,
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

#[test]
fn an_answer_that_says_nothing_new_touches_nothing() {
    let mut facts = UnitFacts::new(status(ActiveState::Active, Some(RUN)), BootTime::ZERO);
    let healthy = |millis| Reading::Value(Health::Healthy { latency: Duration::from_millis(millis) });
    let refused = || Reading::Value(Health::Unhealthy { why: "connection refused".into() });
    let mut check = |health, says_more| assert_eq!(facts.take_probe(health, BootTime::ZERO), says_more);
    check(healthy(3), true);
    check(healthy(4), false);
    check(refused(), true);
    check(refused(), true);
    check(Reading::Failed("no such file".into()), true);
    check(Reading::Failed("no such file".into()), false);
    check(healthy(3), true);
    facts.take(status(ActiveState::Inactive, None), BootTime::ZERO);
    let mut check = |health, says_more| assert_eq!(facts.take_probe(health, BootTime::ZERO), says_more);
    check(refused(), true);
    check(refused(), false);
}

mod host_news {
    use super::*;
    use crate::assess::read_field;
    use crate::model::{
        Bytes, FieldValue, HostNews, HostVitals, LoadAverage, Memory, Percent, Pressure, PressureAverages,
        Resource, StallWatch,
    };

    fn sample(millis: i64) -> Sample {
        Sample::empty(Timestamp::new(BootTime::from_millis(millis), WallTime::from_unix_millis(millis)))
    }

    fn memory(available: u64) -> Reading<Memory> {
        let (total, swap_total) = (Bytes(800), Bytes(200));
        Reading::Value(Memory { total, available: Bytes(available), swap_total, swap_free: Bytes(100) })
    }

    fn pressure(avg60: f64) -> Reading<Pressure> {
        let line = PressureAverages {
            avg10: Percent(0.0),
            avg60: Percent(avg60),
            avg300: Percent(0.0),
            total: Duration::ZERO,
        };
        Reading::Value(Pressure { some: Reading::Value(line), full: Reading::Absent(Absence::Unsupported) })
    }

    /// A whole pass.
    fn pass(millis: i64, available: u64) -> Sample {
        let none = || Reading::Absent(Absence::Unsupported);
        Sample {
            host: Some(HostVitals {
                boot: crate::model::BootId(Id128::from_bytes([1; 16])),
                uptime: none_of(),
                load: Reading::Value(LoadAverage { one: 1.0, five: 1.0, fifteen: 1.0 }),
                memory: memory(available),
                cpu_pressure: none(),
                memory_pressure: pressure(1.0),
                io_pressure: none(),
                processors: none_of(),
            }),
            ..sample(millis)
        }
    }

    fn none_of<T>() -> Reading<T> {
        Reading::Failed("permission denied".into())
    }

    fn check(view: &View, name: &str, expected: Option<&FieldValue>) {
        assert_eq!(read_field(view, &Subject::Host, name).value(), expected, "{name}");
    }

    #[test]
    fn a_part_of_the_host_is_news_of_that_part_alone() {
        let mut view = View::default();
        let low = Sample { host_news: vec![HostNews::Memory(memory(80))], ..sample(5) };
        assert_eq!(view.take(&low), BTreeSet::from([Subject::Host]));
        // Nothing is known of the host by it: no pass was made yet.
        assert_eq!(view.vitals, Reading::Absent(Absence::NotObserved));
        let _ = view.take(&pass(10, 400));
        check(&view, "memory_available_percent", Some(&FieldValue::Float(50.0)));
        // It was read before the pass.
        let _ = view.take(&low);
        check(&view, "memory_available_percent", Some(&FieldValue::Float(50.0)));
        let _ = view.take(&Sample { host_news: low.host_news, ..sample(11) });
        check(&view, "memory_available_percent", Some(&FieldValue::Float(10.0)));
        check(&view, "memory_left_percent", Some(&FieldValue::Float(18.0)));
        check(&view, "load_1m", Some(&FieldValue::Float(1.0)));
        check(&view, "uptime_seconds", None);
    }

    #[test]
    fn a_stall_of_a_unit_is_that_units_and_ends_with_nobody_telling_of_another() {
        let web = Subject::Unit(UnitName::parse("web.service").unwrap());
        let mut view = View::default();
        let units = UnitsUpdate::Complete(vec![status(ActiveState::Active, None)]);
        let _ = view.take(&Sample { units: Some(units), ..sample(1) });
        let check = |view: &View, watched: bool, stalled: Option<i64>| {
            let read = |name| read_field(view, &web, name).value().cloned();
            assert_eq!(read("stalls_watched"), Some(FieldValue::Bool(watched)));
            assert_eq!(read("memory_stalled_1m"), stalled.map(FieldValue::Int));
            assert_eq!(read("io_stalled_1m"), None);
        };
        check(&view, false, None);
        let unit = || UnitName::parse("web.service").unwrap();
        let told =
            |watch| vec![HostNews::Unit(UnitStall { unit: unit(), resource: Resource::Memory, watch })];
        let watch = |stalled| Reading::Value(StallWatch { window: Duration::from_secs(2), stalled });
        for stalled in [false, true] {
            let touched = view.take(&Sample { host_news: told(watch(stalled)), ..sample(10) });
            assert_eq!(touched, BTreeSet::from([web.clone()]));
        }
        check(&view, true, Some(2));
        assert_eq!(view.unit_stall_watches().count(), 1);
        // Any news will do to see that a minute has passed.
        assert_eq!(view.take(&sample(70_000)), BTreeSet::from([web.clone()]));
        check(&view, true, Some(0));
        assert_eq!(view.take(&sample(71_000)), BTreeSet::new());
        let _ = view.take(&Sample { host_news: told(Reading::Failed("gone".into())), ..sample(72_000) });
        check(&view, true, None);
        let _ =
            view.take(&Sample { host_news: told(Reading::Absent(Absence::NotObserved)), ..sample(73_000) });
        check(&view, false, None);
        // Who is no longer followed when the sense works again is not failed for ever.
        let _ = view.take(&Sample { host_news: told(Reading::Failed("gone".into())), ..sample(74_000) });
        check(&view, true, None);
        let working = HostNews::Sense(SenseNews { sense: Sense::UnitPressure, state: SenseState::Working });
        let touched = view.take(&Sample { host_news: vec![working], ..sample(75_000) });
        assert!(touched.contains(&web));
        check(&view, false, None);
    }

    #[test]
    fn what_a_broken_sense_told_counts_as_failed_until_it_tells_again() {
        let mut view = View::default();
        let _ = view.take(&pass(10, 400));
        let watch = Reading::Value(StallWatch { window: Duration::from_secs(2), stalled: true });
        let stall = |watch| HostNews::Pressure { resource: Resource::Memory, watch, pressure: None };
        let _ = view.take(&Sample { host_news: vec![stall(watch.clone())], ..sample(20) });
        check(&view, "memory_stalled_1m", Some(&FieldValue::Int(2)));
        let tell = |view: &mut View, millis, state| {
            let host_news = vec![HostNews::Sense(SenseNews { sense: Sense::Pressure, state })];
            let touched = view.take(&Sample { host_news, ..sample(millis) });
            assert!(touched.contains(&Subject::Agent));
        };
        let off = |view: &View| read_field(view, &Subject::Agent, "senses_off").value().cloned();
        tell(&mut view, 30, SenseState::Broken { why: "a bad day".into() });
        let failed = read_field(&view, &Subject::Host, "memory_stalled_1m");
        assert!(failed.why_not().is_some_and(|why| why.contains("a bad day")), "{failed:?}");
        check(&view, "load_1m", Some(&FieldValue::Float(1.0)));
        assert_eq!((view.agent.senses_broken().len(), off(&view)), (1, Some(FieldValue::Int(0))));
        tell(&mut view, 40, SenseState::Working);
        check(&view, "memory_stalled_1m", None);
        assert_eq!(view.agent.senses_broken(), []);
        let _ = view.take(&Sample { host_news: vec![stall(watch)], ..sample(50) });
        check(&view, "memory_stalled_1m", Some(&FieldValue::Int(2)));
        tell(&mut view, 60, SenseState::Off { why: "another".into() });
        assert_eq!(off(&view), Some(FieldValue::Int(1)));
        check(&view, "memory_stalled_1m", None);
    }

    #[test]
    fn a_stall_counts_at_once_and_brings_fresh_pressure() {
        let mut view = View::default();
        let _ = view.take(&pass(10, 400));
        check(&view, "memory_stalled_1m", None);
        let told = |watch, pressure| HostNews::Pressure { resource: Resource::Memory, watch, pressure };
        let watch = |stalled| Reading::Value(StallWatch { window: Duration::from_secs(2), stalled });
        let mut take = |millis, news| view.take(&Sample { host_news: vec![news], ..sample(millis) });
        let _ = take(20, told(watch(false), None));
        let _ = take(30, told(watch(true), Some(pressure(9.0))));
        check(&view, "memory_stalled_1m", Some(&FieldValue::Int(2)));
        check(&view, "memory_pressure_some_avg60", Some(&FieldValue::Float(9.0)));
        // A trigger that is lost takes its word with it, and leaves what was read.
        let mut take = |millis, news| view.take(&Sample { host_news: vec![news], ..sample(millis) });
        let _ = take(40, told(Reading::Failed("gone".into()), None));
        check(&view, "memory_stalled_1m", None);
        check(&view, "memory_pressure_some_avg60", Some(&FieldValue::Float(9.0)));
    }
}

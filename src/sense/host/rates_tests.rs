//! Whatever the counters say, a rate is a number that can be, or there is none.

use proptest::prelude::*;

use super::*;
use crate::model::{Bytes, Ticks};

fn moment(boot: u64, awake: u64) -> PassTime {
    PassTime { boot: Duration::from_millis(boot), awake: Duration::from_millis(awake) }
}

#[test]
fn spans() {
    let check = |now: (u64, u64), want: Result<f64, Interruption>| {
        assert_eq!(span(moment(10_000, 9_000), moment(now.0, now.1)), want, "{now:?}");
    };
    check((11_000, 10_000), Ok(1.0));
    check((11_000, 9_950), Ok(1.0));
    check((70_000, 69_000), Ok(60.0));
    check((10_249, 9_249), Err(Interruption::TooShort));
    check((10_000, 9_000), Err(Interruption::TooShort));
    check((9_000, 8_000), Err(Interruption::TooShort));
    check((70_001, 69_001), Err(Interruption::TooLong));
    check((3_611_000, 10_000), Err(Interruption::Slept));
}

fn times(counts: [u64; 8]) -> CpuTimes {
    let [user, nice, system, idle, iowait, irq, softirq, steal] = counts.map(Ticks);
    CpuTimes {
        user,
        nice,
        system,
        idle,
        iowait,
        irq,
        softirq,
        steal: Some(steal),
        guest: None,
        guest_nice: None,
    }
}

fn online(bytes: &[u8]) -> OnlineCpus {
    crate::sense::procfs::online_cpus(bytes).unwrap_or_default()
}

#[test]
fn processors_that_come_and_go() {
    let (before, now) = (times([0; 8]), times([50, 0, 0, 50, 0, 0, 0, 0]));
    let two = online(b"cpu  1\ncpu0 1\ncpu1 1\n");
    let check = |cpus: &[u8], same: bool| {
        let shares = cpu((&before, two), (&now, online(cpus)));
        assert_eq!(shares.is_ok(), same, "{shares:?}");
        assert!(same || shares == Err(Interruption::ProcessorsChanged));
    };
    check(b"cpu  1\ncpu0 1\ncpu1 1\nintr 5\n", true);
    check(b"cpu  1\ncpu0 1\n", false);
    check(b"cpu  1\ncpu0 1\ncpu2 1\n", false);
    check(b"cpu  1\ncpu0 1\ncpu1 1\ncpu2 1\n", false);
}

#[test]
fn idle_time_that_steps_back_is_no_reset() {
    let all = online(b"cpu0 1\n");
    let (before, now) = (times([0, 0, 0, 100, 7, 0, 0, 0]), times([10, 0, 0, 190, 5, 0, 0, 0]));
    let shares = cpu((&before, all), (&now, all));
    assert!(shares.is_ok_and(|it| it.iowait.amount == 0.0 && it.user.amount / it.user.weight == 0.1));
    // Work does not become undone.
    let less = times([0, 0, 0, 500, 7, 0, 0, 0]);
    assert_eq!(cpu((&now, all), (&less, all)), Err(Interruption::CounterReset));
    // Nothing was counted: a container that shows zeros.
    assert_eq!(cpu((&now, all), (&now, all)), Err(Interruption::TooShort));
}

fn requests(completed: u64, bytes: u64, time: u64) -> Requests {
    Requests { completed, merged: 0, bytes: Bytes(bytes), time: Millis(time) }
}

fn counters() -> impl Strategy<Value = DiskCounters> {
    let amount = || prop_oneof![0..1000_u64, any::<u64>()];
    let kind =
        || (amount(), amount(), amount()).prop_map(|(count, bytes, time)| requests(count, bytes, time));
    (0..2_u32, kind(), kind(), amount(), amount()).prop_map(|(minor, reads, writes, busy, weighted)| {
        DiskCounters {
            device: DeviceNumber { major: 8, minor },
            reads,
            writes,
            busy: Millis(busy),
            weighted: Millis(weighted),
        }
    })
}

fn sound(part: Part) -> bool {
    part.amount.is_finite() && part.amount >= 0.0 && part.weight >= 0.0
}

proptest! {
    #[test]
    fn spans_are_within_bounds(a in 0..200_000_u64, b in 0..200_000_u64, c in 0..200_000_u64, d in 0..200_000_u64) {
        if let Ok(seconds) = span(moment(a, b), moment(c, d)) {
            prop_assert!((0.25..=60.0).contains(&seconds));
        }
    }

    #[test]
    fn counters_never_count_backwards(before in any::<u64>(), now in any::<u64>()) {
        match counted(before, now, 1.0) {
            Ok(part) => prop_assert!(now >= before && sound(part)),
            Err(why) => prop_assert!(now < before && why == Interruption::CounterReset),
        }
    }

    #[test]
    fn shares_of_processors_add_up_to_one_at_most(
        before in prop::array::uniform8(0..u64::MAX / 16),
        more in prop::array::uniform8(-2..2_000_i64),
    ) {
        let mut now = before;
        for (count, more) in now.iter_mut().zip(more) {
            *count = count.saturating_add_signed(more);
        }
        let all = online(b"cpu0 1\n");
        match cpu((&times(before), all), (&times(now), all)) {
            Ok(it) => {
                let parts = [it.user, it.system, it.iowait, it.steal];
                let sum: f64 = parts.iter().map(|part| part.amount / part.weight).sum();
                prop_assert!(parts.into_iter().all(sound) && sum <= 1.0 + 1e-9, "{:?}", it);
            }
            Err(why) => prop_assert!(matches!(why, Interruption::CounterReset | Interruption::TooShort)),
        }
    }

    #[test]
    fn a_disk_is_never_busier_than_time(before in counters(), now in counters(), seconds in 0.25..60.0) {
        if let Ok(it) = disk(&before, &now, seconds) {
            prop_assert_eq!(before.device, now.device);
            let parts = [it.busy, it.reads, it.writes, it.read_bytes, it.written_bytes, it.wait, it.queue];
            prop_assert!(parts.into_iter().all(sound) && it.busy.amount <= it.busy.weight, "{:?}", it);
        }
    }
}

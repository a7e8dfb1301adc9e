use super::*;

#[test]
fn only_what_ended_since_is_counted() {
    let ending = |number, maker| super::super::ending::Ending {
        number,
        lived: Duration::from_millis(2),
        group: 0,
        maker,
        thread: false,
        name: [0; 16],
        maker_name: [0; 16],
    };
    let before = Endings { processes: 8, threads: 2, newest: vec![ending(10, 5)] };
    let after =
        Endings { processes: 9, threads: 4, newest: vec![ending(10, 5), ending(11, 6), ending(13, 6)] };
    let seen = Seen::between(&before, &after);
    // Of three, one was just being written.
    assert_eq!((seen.processes, seen.threads, seen.tally.counted(), seen.brief), (1, 2, 2, 2));
    assert_eq!(seen.tally.top(5).iter().map(|it| (it.maker, it.count)).collect::<Vec<_>>(), [(6, 2)]);
}

#[test]
fn without_a_hook_the_scan_is_taken_and_says_why() {
    let looker = StormLooker::new("/proc".into());
    assert_eq!(looker.eye(), None);
    looker.take_hook(Err(Refusal::Capability));
    let eye = looker.eye().expect("it is known");
    assert_eq!(eye.way, StormWay::Scan);
    let begun = looker.begin(|| BootTime::ZERO);
    let look = looker.end(begun, BootTime::from_millis(1000));
    assert_eq!((look.way, &look.refused), (StormWay::Scan, &eye.refused));
    assert_eq!(look.ended, Reading::Absent(Absence::Unsupported));
    assert!(look.made.value().is_some(), "{look:?}");
}

#[test]
fn a_proc_that_can_not_be_listed_is_no_proc_without_processes() {
    let looker = StormLooker::new("/nowhere".into());
    let begun = looker.begin(|| BootTime::ZERO);
    let look = looker.end(begun, BootTime::from_millis(1000));
    assert!(matches!((&look.young, &look.made), (Reading::Failed(_), Reading::Failed(_))), "{look:?}");
    assert!(look.lines().iter().any(|line| line.contains("can't be read")), "{look:?}");
}

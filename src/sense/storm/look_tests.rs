use super::*;

fn tally(of: &[(i32, u64)]) -> Tally<Name> {
    let mut tally = Tally::default();
    for (maker, count) in of {
        tally.add((*maker, false), [0; 16], *count, None);
    }
    tally
}

#[track_caller]
fn check(ended: Option<u64>, made: u64, young: u64, reaped: u64, expected: StormGrounds) {
    let found = grounds(ended, &Reading::Value(made), &tally(&[(7, young)]), &tally(&[(7, reaped)]));
    assert_eq!(found, expected, "{ended:?} of {made}, {young} young, {reaped} reaped");
}

#[test]
fn names_rest_on_what_there_is_most_of() {
    check(Some(300), 310, 4, 0, StormGrounds::Ended);
    check(Some(0), 0, 0, 0, StormGrounds::Ended);
    // They don't end.
    check(Some(3), 900, 890, 0, StormGrounds::Young);
    check(None, 310, 4, 90_000, StormGrounds::Reaped);
    check(None, 900, 890, 90_000, StormGrounds::Young);
    // Nobody waits for them.
    check(None, 310, 4, 0, StormGrounds::Young);
}

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
    assert_eq!(seen.tally.top(5).0.iter().map(|it| (it.maker, it.count)).collect::<Vec<_>>(), [(6, 2)]);
}

#[test]
fn without_a_hook_the_scan_is_taken_and_says_why() {
    let looker = StormLooker::new("/proc".into());
    assert_eq!(looker.eye(), None);
    looker.take_hook(Err(Refusal::Capability));
    let eye = looker.eye().expect("it is known");
    assert_eq!(eye.way, StormWay::Scan);
    let begun = looker.begin(BootTime::ZERO);
    let look = looker.end(begun, BootTime::from_millis(1000));
    assert_eq!((look.way, &look.refused), (StormWay::Scan, &eye.refused));
    assert_eq!(look.ended, Reading::Absent(Absence::Unsupported));
    assert!(look.made.value().is_some(), "{look:?}");
}

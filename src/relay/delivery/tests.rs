//! Receivers of every kind, without a clock and without a network.

use proptest::prelude::*;

use super::*;

const SETTINGS: Settings = Settings { records_max: 100, bytes_max: 10_000, per_second: 1_000_000 };

/// A receiver of a test: what it does with a parcel at a time.
type Receiver<'a> = Box<dyn FnMut(Duration, &Range<usize>) -> Answer + 'a>;

/// What came of it: per receiver what it took, in order; what was set aside; when it was over.
#[derive(Debug, PartialEq)]
struct Story {
    taken: Vec<Vec<usize>>,
    aside: Vec<usize>,
    requests: usize,
    over: Option<Duration>,
}

/// Delivers one page of records of 10 bytes, jumping from step to step, for at most a day.
fn check(records: usize, mut receivers: Vec<Receiver<'_>>) -> Story {
    let mut delivery = Delivery::new(SETTINGS, receivers.len(), Chance::new(7));
    delivery.load(&vec![10; records]);
    let mut story = Story { taken: vec![vec![]; receivers.len()], aside: vec![], requests: 0, over: None };
    let (mut now, mut settled) = (Duration::ZERO, 0);
    while now < Duration::from_secs(86_400) && story.requests < 100_000 {
        match delivery.step(now) {
            Step::Done => {
                assert_eq!(settled, records, "done is when all are settled");
                story.over = Some(now);
                return story;
            }
            Step::Wait(until) => {
                assert!(until > now, "a wait that does not wait would spin");
                now = until;
            }
            Step::Send(parcel) => {
                story.requests += 1;
                now += Duration::from_millis(10);
                let answer = receivers[parcel.receiver](now, &parcel.records);
                match delivery.answered(now, &parcel, answer) {
                    Settled::Nothing => {}
                    Settled::Taken { records, .. } => {
                        assert_eq!(records.start, settled, "in order");
                        settled = records.end;
                        story.taken[parcel.receiver].extend(records);
                    }
                    Settled::SetAside { record, .. } => {
                        assert_eq!(record, settled, "in order");
                        settled += 1;
                        story.aside.push(record);
                    }
                }
            }
        }
    }
    story
}

fn taken() -> Answer {
    Answer::Taken { rejected: 0, why: String::new() }
}

fn good() -> Receiver<'static> {
    Box::new(|_, _| taken())
}

#[test]
fn a_good_receiver_takes_all_in_few_requests() {
    let story = check(1000, vec![good()]);
    assert_eq!((story.taken[0].len(), story.requests), (1000, 10));
}

#[test]
fn large_records_make_small_parcels() {
    let mut delivery = Delivery::new(SETTINGS, 1, Chance::new(1));
    delivery.load(&[4_000, 4_000, 4_000, 50_000, 1]);
    assert_eq!(Vec::from(delivery.left), [0..2, 2..3, 3..4, 4..5]);
}

#[test]
fn the_next_receiver_takes_over_and_the_first_is_returned_to() {
    let back = Duration::from_secs(300);
    let first: Receiver<'_> =
        Box::new(|now, _| if now < back { Answer::Failed("away".into()) } else { taken() });
    let mut delivery = Delivery::new(Settings { per_second: 10, ..SETTINGS }, 2, Chance::new(3));
    let mut receivers = [first, good()];
    let (mut now, mut by) = (Duration::ZERO, Vec::new());
    while now < Duration::from_secs(600) {
        delivery.load(&[10]);
        match delivery.step(now) {
            Step::Send(parcel) => {
                let answer = receivers[parcel.receiver](now, &parcel.records);
                let well = answer == taken();
                delivery.answered(now, &parcel, answer);
                by.push((now, parcel.receiver, well));
                now += Duration::from_secs(1);
            }
            Step::Wait(until) => now = until,
            Step::Done => unreachable!("a page was loaded"),
        }
    }
    let tries = by.iter().filter(|(at, receiver, _)| *receiver == 0 && *at < back).count();
    assert!((5..20).contains(&tries), "{tries} tries of a receiver that is away for five minutes");
    let returned = by.iter().find(|(_, receiver, well)| *receiver == 0 && *well).map(|(at, ..)| *at);
    assert!(returned.is_some_and(|at| at < back + DELAYS.most), "returned to at {returned:?}");
    assert!(by.iter().filter(|(at, ..)| Some(*at) > returned).all(|(_, receiver, _)| *receiver == 0));
}

#[test]
fn retry_after_is_kept_to() {
    let mut asked = 0;
    let mut early = 0;
    let story = check(
        10,
        vec![Box::new(|now, _| {
            asked += 1;
            if asked == 1 {
                return Answer::Busy { retry_after: Some(Duration::from_secs(120)), why: String::new() };
            }
            early += u32::from(now < Duration::from_secs(120));
            taken()
        })],
    );
    assert_eq!((story.taken[0].len(), early), (10, 0));
}

#[test]
fn what_is_too_large_is_split_and_one_that_always_is_goes_aside() {
    let limit = 30;
    let receiver: Receiver<'_> =
        Box::new(
            move |_, records| {
                if records.len() > limit || records.contains(&57) { Answer::TooLarge } else { taken() }
            },
        );
    let story = check(100, vec![receiver]);
    assert_eq!(story.aside, [57]);
    assert_eq!(story.taken[0].len(), 99);
}

#[test]
fn one_record_that_is_refused_is_found_and_set_aside() {
    let story = check(
        100,
        vec![Box::new(
            |_, records| {
                if records.contains(&31) { Answer::Refused("400".into()) } else { taken() }
            },
        )],
    );
    assert_eq!(story.aside, [31]);
    assert_eq!(story.taken[0].len(), 99);
    assert!(story.requests < 40, "{}", story.requests);
}

#[test]
fn a_receiver_that_refuses_everything_loses_nothing() {
    let story = check(100, vec![Box::new(|_, _| Answer::Refused("no".into()))]);
    assert_eq!((story.over, story.aside.len(), story.taken[0].len()), (None, 0, 0));
    let story = check(100, vec![Box::new(|_, _| Answer::Refused("no".into())), good()]);
    assert_eq!((story.aside.len(), story.taken[1].len()), (0, 100));
}

#[test]
fn a_receiver_that_takes_only_nothing_gets_few_set_aside() {
    let story = check(
        100,
        vec![Box::new(|_, records| if records.is_empty() { taken() } else { Answer::Refused("no".into()) })],
    );
    assert_eq!((story.over, story.aside.len()), (None, SET_ASIDE_IN_A_ROW_MAX as usize));
}

#[test]
fn what_one_receiver_refuses_another_one_may_take() {
    let picky = || -> Receiver<'static> {
        Box::new(|_, records| if records.is_empty() { taken() } else { Answer::Refused("no".into()) })
    };
    let story = check(100, vec![picky(), good()]);
    assert_eq!((story.aside.len(), story.taken[1].len()), (0, 100));
    // Nor is one lost that is too large for one of them.
    let small: Receiver<'_> =
        Box::new(|_, records| if records.contains(&57) { Answer::TooLarge } else { taken() });
    let story = check(100, vec![small, good()]);
    assert_eq!((story.aside.len(), story.taken[0].len(), story.taken[1].clone()), (0, 99, vec![57]));
    // The other one refuses it as well, or has been away for long.
    let fussy = || -> Receiver<'static> {
        Box::new(|_, records| if records.contains(&31) { Answer::Refused("no".into()) } else { taken() })
    };
    assert_eq!(check(100, vec![fussy(), fussy()]).aside, [31]);
    assert_eq!(check(100, vec![fussy(), Box::new(|_, _| Answer::Failed("away".into()))]).aside, [31]);
}

#[test]
fn to_take_a_request_and_nothing_in_it_is_to_refuse_it() {
    let swallows = || -> Receiver<'static> {
        Box::new(|_, records| Answer::Taken { rejected: records.len() as u64, why: "no".into() })
    };
    let story = check(100, vec![swallows()]);
    assert_eq!((story.over, story.aside.len()), (None, SET_ASIDE_IN_A_ROW_MAX as usize));
    let story = check(100, vec![swallows(), good()]);
    assert_eq!((story.aside.len(), story.taken[1].len()), (0, 100));
}

#[test]
fn the_rate_holds_and_starts_slowly_after_trouble() {
    let settings = Settings { per_second: 1600, ..SETTINGS };
    let mut delivery = Delivery::new(settings, 1, Chance::new(5));
    let (mut now, mut sent) = (Duration::ZERO, Vec::new());
    while now < Duration::from_secs(60) {
        delivery.load(&[10; 50]);
        match delivery.step(now) {
            Step::Send(parcel) => {
                let trouble = now < Duration::from_secs(10);
                let answer = if trouble { Answer::Failed("away".into()) } else { taken() };
                if let Settled::Taken { records, .. } = delivery.answered(now, &parcel, answer) {
                    sent.push((now, records.len()));
                }
            }
            Step::Wait(until) => now = until,
            Step::Done => unreachable!("a page was loaded"),
        }
    }
    let begin = sent.first().map_or(Duration::MAX, |(at, _)| *at);
    let within = |from: u64, to: u64| -> usize {
        let window = begin + Duration::from_secs(from)..begin + Duration::from_secs(to);
        sent.iter().filter(|(at, _)| window.contains(at)).map(|(_, n)| n).sum()
    };
    assert!(within(0, 1) <= 300, "{} in the first second", within(0, 1));
    let steady = within(8, 10);
    assert!((2800..=3600).contains(&steady), "{steady} in two seconds at the full rate");
}

proptest! {
    /// Receivers that fail at random, at random places, for as long as luck has it.
    #[test]
    fn nothing_is_lost_and_nothing_out_of_order(
        records in 0_usize..400,
        script in prop::collection::vec((0_u8..8, 0_u64..30), 0..60),
        bad in prop::collection::btree_set(0_usize..400, 0..4),
    ) {
        let mut script = script.into_iter();
        let poison = bad.clone();
        let story = check(records, vec![Box::new(move |_, parcel| {
            match script.next() {
                Some((0, _)) => Answer::Failed("away".into()),
                Some((1, seconds)) => {
                    Answer::Busy { retry_after: Some(Duration::from_secs(seconds)), why: String::new() }
                }
                Some((2, _)) if parcel.len() > 1 => Answer::TooLarge,
                _ if parcel.clone().any(|record| poison.contains(&record)) => Answer::Refused("no".into()),
                _ => taken(),
            }
        })]);
        prop_assert!(story.over.is_some());
        let expected: Vec<usize> = bad.into_iter().filter(|record| *record < records).collect();
        prop_assert_eq!(story.taken[0].len() + story.aside.len(), records);
        prop_assert_eq!(story.aside, expected);
    }
}

//! Routes that work, fail and come back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::ledger::ChainId;
use crate::model::{Id128, Peer, RecordBody, WallTime};
use crate::relay::host::HostIdentity;
use crate::relay::story::tests::{escalated, opened, resolved, told};

fn rules(name: &str, page: bool, ticket: bool, forgets: bool) -> RouteRules {
    RouteRules {
        name: name.into(),
        page,
        ticket,
        forgets,
        acknowledges: !forgets,
        batch: if forgets { BATCH_MAX } else { 1 },
    }
}

fn book(routes: Vec<RouteRules>) -> Book {
    Book::new(routes, Duration::from_secs(300), Told::new(), Chance::new(1))
}

fn stories(records: Vec<RecordBody>) -> Stories {
    let mut stories = Stories::default();
    told(&mut stories, records);
    stories
}

/// Lets routes answer from second to second; `works` says which do. What was taken: route, incident, news.
fn check(
    book: &mut Book,
    stories: &Stories,
    seconds: std::ops::Range<u64>,
    works: impl Fn(usize, u64) -> bool,
) -> Vec<(u64, usize, u64, News)> {
    let mut taken = Vec::new();
    for second in seconds {
        let now = Duration::from_secs(second);
        while let Some(batch) = book.due(stories, now) {
            book.offer(&batch);
            let works = works(batch.route, second);
            if works {
                taken.extend(batch.news.iter().map(|(id, news)| (second, batch.route, id.0, *news)));
            }
            let verdict = if works { Verdict::Taken } else { Verdict::NotTaken { retry_after: None } };
            book.answered(&batch, stories, verdict, now);
        }
        assert!(book.wake(now) > now);
    }
    taken
}

fn page(incident: u64) -> Vec<RecordBody> {
    vec![opened(incident), escalated(incident, Severity::Page)]
}

#[test]
fn only_what_people_are_called_for_is_told_and_only_once() {
    let mut book = book(vec![rules("hook", true, true, false)]);
    let mut records = page(1);
    records.push(opened(2));
    let taken = check(&mut book, &stories(records), 0..500, |_, _| true);
    assert_eq!(taken, [(0, 0, 1, News::Firing)]);
}

#[test]
fn an_alertmanager_is_told_again_and_again_until_the_end() {
    let mut book = book(vec![rules("am", true, true, true)]);
    let taken = check(&mut book, &stories(page(1)), 0..181, |_, _| true);
    assert_eq!(taken.iter().map(|(second, ..)| *second).collect::<Vec<_>>(), [0, 60, 120, 180]);
    let over = stories(page(1).into_iter().chain([resolved(1)]).collect());
    assert!(!book.is_done(IncidentId(1), over.get(IncidentId(1)).unwrap()));
    assert_eq!(check(&mut book, &over, 200..400, |_, _| true), [(200, 0, 1, News::Ended)]);
    assert!(book.is_done(IncidentId(1), over.get(IncidentId(1)).unwrap()));
}

#[test]
fn the_second_route_is_taken_when_the_first_has_failed_for_long_enough() {
    let routes = vec![rules("first", true, true, false), rules("second", true, true, false)];
    let mut book = book(routes);
    let stories = stories(page(1));
    let taken = check(&mut book, &stories, 0..1000, |route, second| route == 1 || second > 800);
    let (second, route, ..) = taken[0];
    assert_eq!((second, route), (300, 1));
    assert!(taken[1].0 > 800 && taken[1].1 == 0, "the first hears of it when it is back: {taken:?}");
    assert_eq!(taken.len(), 2);
}

#[test]
fn a_route_that_takes_a_few_at_a_time_hears_of_each_once() {
    let mut book = book(vec![rules("pager", true, true, false)]);
    let stories = stories((1..=40).flat_map(page).collect());
    let mut left = 20;
    let mut heard = Vec::new();
    for second in 0..600 {
        let now = Duration::from_secs(second);
        left = if second % 60 == 0 { 20 } else { left };
        while let Some(batch) = book.due(&stories, now) {
            let verdict = if left > 0 {
                left -= 1;
                heard.extend(batch.news.iter().map(|(id, _)| id.0));
                Verdict::Taken
            } else {
                Verdict::NotTaken { retry_after: Some(Duration::from_secs(30)) }
            };
            book.answered(&batch, &stories, verdict, now);
        }
    }
    assert_eq!(heard, (1..=40).collect::<Vec<_>>());
}

#[test]
fn what_a_route_does_not_like_holds_up_nothing_else_and_goes_to_the_next() {
    for forgets in [true, false] {
        let mut book = book(vec![rules("first", true, true, forgets), rules("second", true, true, false)]);
        let stories = stories((1..=5).flat_map(page).collect());
        let mut heard = vec![Vec::new(); 2];
        for second in 0..59 {
            let now = Duration::from_secs(second);
            while let Some(batch) = book.due(&stories, now) {
                let refuses = batch.route == 0 && batch.news.iter().any(|(id, _)| id.0 == 3);
                let verdict = if refuses { Verdict::Refused } else { Verdict::Taken };
                if !refuses {
                    heard[batch.route].extend(batch.news.iter().map(|(id, _)| id.0));
                }
                book.answered(&batch, &stories, verdict, now);
            }
        }
        heard.iter_mut().for_each(|heard| heard.sort_unstable());
        assert_eq!(heard, [vec![1, 2, 4, 5], vec![3]], "{forgets}");
    }
}

#[test]
fn what_no_route_wants_does_not_wait() {
    let book = book(vec![rules("pages", true, false, false)]);
    let stories = stories(vec![opened(1), escalated(1, Severity::Ticket)]);
    assert_eq!(book.waiting(&stories), 0);
}

#[test]
fn the_end_goes_to_whoever_heard_of_the_beginning() {
    let routes = vec![rules("pages", true, false, false), rules("tickets", false, true, false)];
    let mut book = book(routes);
    let mut records = page(1);
    records.extend([opened(2), escalated(2, Severity::Ticket)]);
    let taken = check(&mut book, &stories(records.clone()), 0..10, |_, _| true);
    assert_eq!(taken, [(0, 0, 1, News::Firing), (0, 1, 2, News::Firing)]);
    records.extend([resolved(1), resolved(2), opened(3), escalated(3, Severity::Page), resolved(3)]);
    let taken = check(&mut book, &stories(records), 10..20, |_, _| true);
    assert_eq!(taken, [(10, 0, 1, News::Ended), (10, 1, 2, News::Ended)], "of 3 nobody had heard");
}

#[test]
fn what_was_told_survives_a_restart() {
    let mut first = book(vec![rules("hook", true, true, false)]);
    let by = Peer { uid: 0, pid: 1, name: "root".into() };
    let mut records = page(1);
    check(&mut first, &stories(records.clone()), 0..2, |_, _| true);
    let text = serde_json::to_string(first.told()).unwrap();
    let told: Told = serde_json::from_str(&text).unwrap();
    let mut second =
        Book::new(vec![rules("hook", true, true, false)], Duration::from_secs(300), told, Chance::new(2));
    assert_eq!(check(&mut second, &stories(records.clone()), 0..100, |_, _| true), []);
    records.push(RecordBody::Acknowledged { incident: IncidentId(1), by });
    let taken = check(&mut second, &stories(records), 0..100, |_, _| true);
    assert_eq!(taken, [(0, 0, 1, News::Acknowledged)]);
}

#[test]
fn a_ticket_that_becomes_a_page_is_told_again_and_a_returned_fault_is_not() {
    let mut book = book(vec![rules("hook", true, true, false)]);
    let mut records = vec![opened(1), escalated(1, Severity::Ticket)];
    assert_eq!(check(&mut book, &stories(records.clone()), 0..9, |_, _| true).len(), 1);
    records.push(escalated(1, Severity::Page));
    assert_eq!(check(&mut book, &stories(records.clone()), 9..99, |_, _| true), [(9, 0, 1, News::Firing)]);
    records.push(resolved(1));
    assert_eq!(
        check(&mut book, &stories(records.clone()), 100..101, |_, _| true),
        [(100, 0, 1, News::Ended)]
    );
    let RecordBody::IncidentOpened { finding, .. } = opened(1) else { unreachable!("it opens") };
    records.push(RecordBody::IncidentReopened { incident: IncidentId(1), finding });
    assert_eq!(check(&mut book, &stories(records.clone()), 101..201, |_, _| true), []);
    records.push(escalated(1, Severity::Page));
    assert_eq!(check(&mut book, &stories(records), 201..301, |_, _| true), [(201, 0, 1, News::Firing)]);
}

fn host() -> HostIdentity {
    HostIdentity {
        id: "4fd2".into(),
        name: "web-1".into(),
        os: "Debian GNU/Linux 12".into(),
        version: "0.1.0".into(),
        attributes: BTreeMap::new(),
    }
}

#[test]
fn the_words_of_each() {
    let stories = stories(page(1));
    let (host, story) = (host(), stories.get(IncidentId(1)).unwrap());
    let chain = ChainId(Id128::from_bytes([6; 16]));
    let envelope = Envelope { host: &host, chain, now: WallTime::from_unix_millis(1_790_000_000_000) };
    let pretty = |bytes: Vec<u8>| {
        serde_json::to_string_pretty(&serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()).unwrap()
    };
    let id = IncidentId(1);
    let hook = webhook(envelope, id, News::Firing, story, b"secret");
    insta::assert_snapshot!(format!(
        "{}\n\n{}\n{}\n\n{}\n{}",
        pretty(alertmanager(envelope, &[(id, News::Firing, story)])),
        hook.signature,
        pretty(hook.body),
        pretty(pagerduty(envelope, id, News::Firing, story, "KEY")),
        pretty(pagerduty(envelope, id, News::Ended, story, "KEY")),
    ));
}

/// One page is offered, with this outcome or none at all, and its incident ends. What the route hears after that, from
/// this relay or from the one that starts with what it had on the disk.
fn check_end_after(verdict: Option<Verdict>, starts_anew: bool, wanted: &[News]) {
    let routes = || vec![rules("hook", true, true, false)];
    let mut book = book(routes());
    let open = stories(page(1));
    let batch = book.due(&open, Duration::ZERO).unwrap();
    book.offer(&batch);
    let on_disk = book.told().clone();
    if let Some(verdict) = verdict {
        book.answered(&batch, &open, verdict, Duration::ZERO);
    }
    if starts_anew {
        book = Book::new(routes(), Duration::from_secs(300), on_disk, Chance::new(2));
    }
    let over = stories(page(1).into_iter().chain([resolved(1)]).collect());
    let heard = check(&mut book, &over, 100..200, |_, _| true);
    assert_eq!(heard.iter().map(|(.., news)| *news).collect::<Vec<_>>(), wanted, "{verdict:?} {starts_anew}");
    assert!(book.is_done(IncidentId(1), over.get(IncidentId(1)).unwrap()));
}

#[test]
fn the_end_is_told_to_whom_may_have_heard_of_the_beginning() {
    let refused = Some(Verdict::NotTaken { retry_after: None });
    check_end_after(Some(Verdict::Taken), false, &[News::Ended]);
    check_end_after(Some(Verdict::Unclear), false, &[News::Ended]);
    check_end_after(refused, false, &[]);
    check_end_after(None, true, &[News::Ended]);
    check_end_after(Some(Verdict::Unclear), true, &[News::Ended]);
    check_end_after(refused, true, &[News::Ended]);
}

#[test]
fn what_is_unclear_is_told_again_while_it_lasts_and_counts_as_waiting() {
    let mut book = book(vec![rules("hook", true, true, false)]);
    let open = stories(page(1));
    let batch = book.due(&open, Duration::ZERO).unwrap();
    book.offer(&batch);
    book.answered(&batch, &open, Verdict::Unclear, Duration::ZERO);
    assert_eq!(book.waiting(&open), 1);
    let taken = check(&mut book, &open, 1..100, |_, _| true);
    assert_eq!(taken.iter().map(|(.., news)| *news).collect::<Vec<_>>(), [News::Firing]);
    assert_eq!(book.waiting(&open), 0);
}

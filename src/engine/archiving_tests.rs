//! What loses nothing goes further than what does.

use super::*;

/// A disk that was so full at each second, until its logs are about to be archived.
fn archiving(free: impl Fn(u64) -> u64) -> Life {
    let mut policy = policy();
    for rule in policy.rules.iter_mut().filter(|rule| !rule.ladder.is_empty()) {
        rule.ladder = vec![Remedy::ArchiveLogs];
    }
    let mut life = Life::under(policy, Memory::new());
    for second in 10..=80 {
        tell(&mut life, disk("/", free(second)), i64::try_from(second).unwrap());
        life.handle(Input::Tick, i64::try_from(second).unwrap());
        let waits: Vec<_> = life.engine.snapshot().incidents.iter().map(|it| it.id).collect();
        for incident in waits {
            life.handle(
                Input::EvidenceTaken { incident, evidence: look().into() },
                i64::try_from(second).unwrap(),
            );
        }
        if life.acts > 0 {
            return life;
        }
    }
    panic!("nothing was done: {:?}", life.records);
}

fn wants_to_archive(life: &mut Life, free: u64, second: i64) {
    let archive = PathText::of(b"/var/log/app.log-20261123-183000.gz");
    let part = Removal { fate: Fate::Archived { archive, from: Bytes(0) }, ..removal(1, GIB) };
    life.handle(Input::Removing { action: ActionId(1), usage: usage(free), removals: vec![part] }, second);
}

#[test]
fn what_loses_nothing_goes_on_while_the_disk_would_soon_be_full_again() {
    let mut life = archiving(|second| (80_u64.saturating_sub(second) * GIB / 5).max(GIB / 4));
    wants_to_archive(&mut life, GIB, 81);
    wants_to_archive(&mut life, 50 * GIB, 82);
    assert_eq!(life.went_on, [Ok(()), Ok(())]);
    // A disk that has been full for long is left at the threshold.
    let mut life = archiving(|_| FULL);
    wants_to_archive(&mut life, GIB, 81);
    wants_to_archive(&mut life, 50 * GIB, 82);
    assert_eq!(life.went_on, [Ok(()), Err("there is room enough".into())]);
}

#[test]
fn what_is_in_an_archive_does_not_count_as_removed() {
    let mut life = archiving(|_| FULL);
    for _ in 0..3 {
        wants_to_archive(&mut life, GIB, 81);
    }
    let (files, _) = life.engine.memory.removed.left(at(81).boot).unwrap();
    assert_eq!(files, REMOVED_PER_DAY);
}

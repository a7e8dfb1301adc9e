//! Which units are to be read again, and when. A pure state machine; time is the duration since any fixed moment.
//!
//! The first change of a unit is read at once; those that follow within [`GAP`] are read together at its end, and a
//! unit is never read twice at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::UnitName;

/// Shortest time between two reads of one unit.
pub(super) const GAP: Duration = Duration::from_millis(5);
/// Most units that wait. More than these change at once only when the whole host does (reload, boot, a target
/// isolated): one list is cheaper then.
pub(super) const WAITING_MAX: usize = 512;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// When each is due.
    waiting: BTreeMap<UnitName, Duration>,
    /// When each was last begun, no longer than [`GAP`] ago.
    begun: BTreeMap<UnitName, Duration>,
    reading: BTreeSet<UnitName>,
}

/// Too many units wait: they are forgotten, and all must be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Dirty {
    /// A unit changed.
    ///
    /// # Errors
    /// [`TooMany`] when it is one too many.
    pub(super) fn mark(&mut self, unit: &UnitName, now: Duration) -> Result<(), TooMany> {
        if self.waiting.contains_key(unit) {
            return Ok(());
        }
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.clear();
            return Err(TooMany);
        }
        let due = self.begun.get(unit).map_or(now, |begun| now.max(*begun + GAP));
        self.waiting.insert(unit.clone(), due);
        Ok(())
    }

    /// A unit that is due and not being read, now begun; the longest due first.
    pub(super) fn take(&mut self, now: Duration) -> Option<UnitName> {
        self.begun.retain(|_, begun| *begun + GAP > now);
        let unit = self.ready().filter(|(due, _)| *due <= now).min()?.1.clone();
        self.waiting.remove(&unit);
        self.begun.insert(unit.clone(), now);
        self.reading.insert(unit.clone());
        Some(unit)
    }

    /// When the next unit is due; units being read wait for [`Dirty::done`] instead.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.ready().map(|(due, _)| due).min()
    }

    /// A read ended.
    pub(super) fn done(&mut self, unit: &UnitName) {
        self.reading.remove(unit);
    }

    /// Nothing is to be read any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn ready(&self) -> impl Iterator<Item = (Duration, &UnitName)> {
        self.waiting.iter().filter(|(unit, _)| !self.reading.contains(*unit)).map(|(unit, due)| (*due, unit))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn unit(number: usize) -> UnitName {
        UnitName::parse(format!("u{number}.service")).unwrap()
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_change_waits_for_nothing_and_the_next_for_the_gap() {
        let (mut dirty, web) = (Dirty::default(), unit(0));
        dirty.mark(&web, ms(100)).unwrap();
        assert_eq!(dirty.take(ms(100)), Some(web.clone()));
        dirty.mark(&web, ms(101)).unwrap();
        dirty.mark(&web, ms(102)).unwrap();
        assert_eq!(dirty.next_due(), None, "it is being read");
        dirty.done(&web);
        assert_eq!(dirty.next_due(), Some(ms(105)));
        assert_eq!(dirty.take(ms(104)), None);
        assert_eq!(dirty.take(ms(105)), Some(web));
        assert_eq!(dirty.next_due(), None);
    }

    #[test]
    fn a_storm_is_one_list() {
        let mut dirty = Dirty::default();
        for number in 0..WAITING_MAX {
            dirty.mark(&unit(number), ms(0)).unwrap();
        }
        assert_eq!(dirty.mark(&unit(0), ms(1)), Ok(()), "it waits already");
        assert_eq!(dirty.mark(&unit(WAITING_MAX), ms(1)), Err(TooMany));
        assert_eq!(dirty.take(ms(9)), None);
    }

    proptest! {
        /// Whatever the order of changes, takes and ends: every change is followed by a read that began after it, no
        /// unit is read twice at a time or twice within the gap.
        #[test]
        fn no_change_goes_unread(steps in prop::collection::vec((0..3_u8, 0..4_usize, 0..4_u64), 1..200)) {
            let mut dirty = Dirty::default();
            let (mut now, mut reading) = (ms(0), BTreeSet::new());
            let (mut changed, mut begun) = (BTreeMap::new(), BTreeMap::<UnitName, Duration>::new());
            for (kind, number, passed) in steps {
                now += ms(passed);
                match kind {
                    0 => {
                        dirty.mark(&unit(number), now).unwrap();
                        changed.insert(unit(number), now);
                    }
                    1 => {
                        if let Some(taken) = dirty.take(now) {
                            prop_assert!(reading.insert(taken.clone()));
                            if let Some(before) = begun.insert(taken.clone(), now) {
                                prop_assert!(now >= before + GAP);
                            }
                            changed.remove(&taken);
                        }
                    }
                    _ => if reading.remove(&unit(number)) { dirty.done(&unit(number)) },
                }
            }
            for unit in reading { dirty.done(&unit) }
            now += GAP;
            while let Some(taken) = dirty.take(now) { changed.remove(&taken); }
            prop_assert!(changed.is_empty(), "never read: {changed:?}");
            prop_assert_eq!(dirty.next_due(), None);
        }
    }
}

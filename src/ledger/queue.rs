//! Records that wait in memory while the disk takes none.

use std::collections::VecDeque;

use crate::model::Durability;

use super::prepared::Prepared;

/// Most records that wait. A host in trouble makes some tens a second; this is minutes of them.
pub const QUEUE_RECORDS_MAX: usize = 10_000;
/// Most bytes that wait: an agent that heals a full disk must not fill the memory.
pub const QUEUE_BYTES_MAX: usize = 8 << 20;

/// A queue with an end. When it is full the least durable go first, of these the oldest.
#[derive(Debug)]
pub(super) struct Queue {
    entries: VecDeque<Prepared>,
    bytes: usize,
    /// How many of `entries` are merely [`Durability::Written`].
    written: usize,
    lost: u64,
    records_max: usize,
    bytes_max: usize,
}

impl Queue {
    pub(super) const fn new(records_max: usize, bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, written: 0, lost: 0, records_max, bytes_max }
    }

    /// Adds a record at the end, dropping others, or it, if there is no place.
    pub(super) fn push(&mut self, entry: Prepared) {
        self.bytes += entry.json().len();
        self.written += usize::from(entry.durability() == Durability::Written);
        self.entries.push_back(entry);
        while self.entries.len() > self.records_max || self.bytes > self.bytes_max {
            self.drop_one();
        }
    }

    fn drop_one(&mut self) {
        let least = if self.written > 0 { Durability::Written } else { Durability::Synced };
        let place = self.entries.iter().position(|entry| entry.durability() == least);
        if let Some(entry) = place.and_then(|place| self.entries.remove(place)) {
            self.forget(&entry);
            self.lost += 1;
        }
    }

    fn forget(&mut self, entry: &Prepared) {
        self.bytes -= entry.json().len();
        self.written -= usize::from(entry.durability() == Durability::Written);
    }

    /// At most `records` from the front, in order.
    pub(super) fn take(&mut self, records: usize) -> Vec<Prepared> {
        let taken: Vec<_> = self.entries.drain(..records.min(self.entries.len())).collect();
        taken.iter().for_each(|entry| self.forget(entry));
        taken
    }

    /// Records dropped since [`Self::take_lost`].
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Records dropped since the last time this was asked.
    pub(super) const fn take_lost(&mut self) -> u64 {
        std::mem::replace(&mut self.lost, 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::support::{synced, written};
    use super::*;

    fn numbers(entries: &[Prepared]) -> Vec<String> {
        entries.iter().map(|entry| entry.json().to_owned()).collect()
    }

    #[test]
    fn least_durable_oldest_go_first() {
        let mut queue = Queue::new(2, usize::MAX);
        for entry in [written(1), synced(2), written(3), synced(4), synced(5)] {
            queue.push(entry);
        }
        assert_eq!(numbers(&queue.take(9)), numbers(&[synced(4), synced(5)]));
        assert_eq!(queue.take_lost(), 3);
        assert_eq!(queue.take_lost(), 0);
    }

    proptest! {
        #[test]
        fn bounded_ordered_and_counted(
            plan in proptest::collection::vec(any::<bool>(), 0..60), records in 1..20_usize, bytes in 0..4000_usize,
        ) {
            let mut queue = Queue::new(records, bytes);
            let all: Vec<_> =
                (0_u64..).zip(&plan).map(|(n, safe)| if *safe { synced(n) } else { written(n) }).collect();
            for entry in &all {
                queue.push(entry.clone());
                prop_assert!(queue.entries.len() <= records && queue.bytes <= bytes);
            }
            let kept = numbers(&queue.take(usize::MAX));
            prop_assert_eq!(kept.len() as u64 + queue.take_lost(), all.len() as u64);
            prop_assert_eq!((queue.bytes, queue.written), (0, 0));
            // In order: what is kept is what is left of all when the others are struck out.
            let mut rest = kept.iter().peekable();
            for json in numbers(&all) {
                rest.next_if(|kept| **kept == json);
            }
            prop_assert_eq!(rest.next(), None);
        }
    }
}

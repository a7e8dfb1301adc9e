//! Who made how many: a table of bounded size, and its largest. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Makers that are told apart. A ring of endings has no more ([`super::ending::RING`]); of a scan those that come
/// behind are counted together.
pub(super) const MAKERS_KEPT: usize = 512;
/// Names of children, and groups, that are told apart for each maker.
const WORDS_KEPT: usize = 8;

/// Something that was counted by what it was, up to a few different ones.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words<T>(BTreeMap<T, u64>);

impl<T: Ord + Copy> Words<T> {
    fn add(&mut self, word: T) {
        if self.0.len() < WORDS_KEPT || self.0.contains_key(&word) {
            let count = self.0.entry(word).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// The most frequent first.
    fn top(&self) -> Vec<T> {
        let mut words: Vec<_> = self.0.iter().map(|(word, count)| (Reverse(*count), *word)).collect();
        words.sort_unstable();
        words.into_iter().map(|(_, word)| word).collect()
    }
}

/// One maker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made<N> {
    pub(super) maker: i32,
    pub(super) thread: bool,
    pub(super) name: N,
    pub(super) count: u64,
    /// What it made, the most frequent first; bounded.
    pub(super) names: Vec<N>,
    /// The groups of what it made, the most frequent first; bounded. 0 is none that is known.
    pub(super) groups: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Entry<N> {
    name: N,
    count: u64,
    names: Words<N>,
    groups: Words<u64>,
}

/// Counts by maker. `N` is a name.
#[derive(Clone, Debug)]
pub(super) struct Tally<N> {
    makers: BTreeMap<(i32, bool), Entry<N>>,
    /// Those that found no room as well.
    counted: u64,
}

impl<N> Default for Tally<N> {
    fn default() -> Self {
        Self { makers: BTreeMap::new(), counted: 0 }
    }
}

impl<N: Ord + Copy> Tally<N> {
    /// Counts `count` for this maker; `thread`: threads of its own. `child` is the name and the group of what it made.
    pub(super) fn add(&mut self, maker: (i32, bool), name: N, count: u64, child: Option<(N, u64)>) {
        self.counted = self.counted.saturating_add(count);
        if self.makers.len() >= MAKERS_KEPT && !self.makers.contains_key(&maker) {
            return;
        }
        let new = || Entry { name, count: 0, names: Words(BTreeMap::new()), groups: Words(BTreeMap::new()) };
        let entry = self.makers.entry(maker).or_insert_with(new);
        entry.count = entry.count.saturating_add(count);
        if let Some((name, group)) = child {
            entry.names.add(name);
            entry.groups.add(group);
        }
    }

    /// All that was counted.
    #[must_use]
    pub(super) const fn counted(&self) -> u64 {
        self.counted
    }

    /// The largest.
    #[must_use]
    pub(super) fn top(&self, most: usize) -> Vec<Made<N>> {
        let mut order: Vec<_> =
            self.makers.iter().map(|(maker, entry)| (Reverse(entry.count), *maker)).collect();
        order.sort_unstable();
        order.truncate(most);
        let made = |(_, maker): &(Reverse<u64>, (i32, bool))| {
            let entry = self.makers.get(maker)?;
            Some(Made {
                maker: maker.0,
                thread: maker.1,
                name: entry.name,
                count: entry.count,
                names: entry.names.top(),
                groups: entry.groups.top(),
            })
        };
        order.iter().filter_map(made).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const _: () = assert!(super::super::ending::RING <= MAKERS_KEPT, "a ring has room in the table");

    proptest! {
        /// Nothing is lost, nothing is counted twice, and there is an end to what is kept.
        #[test]
        fn everything_is_counted_once_and_little_is_kept(
            made in prop::collection::vec((0..1500_i32, any::<bool>(), 0..20_u64, 0..30_u8, 0..30_u64), 0..3000),
            most in 0..12_usize,
        ) {
            let mut tally = Tally::default();
            let mut exact = BTreeMap::<(i32, bool), u64>::new();
            for (maker, thread, count, name, group) in &made {
                tally.add((*maker, *thread), 0, *count, Some((*name, *group)));
                *exact.entry((*maker, *thread)).or_default() += count;
            }
            let total: u64 = exact.values().sum();
            prop_assert_eq!(tally.counted(), total);
            prop_assert!(tally.makers.len() <= MAKERS_KEPT);
            let kept: u64 = tally.top(usize::MAX).iter().map(|it| it.count).sum();
            prop_assert!(kept == total || exact.len() > MAKERS_KEPT && kept < total);
            let top = tally.top(most);
            prop_assert!(top.len() <= most);
            prop_assert!(top.windows(2).all(|two| two[0].count >= two[1].count));
            for it in &top {
                prop_assert_eq!(exact[&(it.maker, it.thread)], it.count);
                prop_assert!(it.names.len() <= WORDS_KEPT && it.groups.len() <= WORDS_KEPT);
            }
            // With room for all, the largest is found.
            if exact.len() <= MAKERS_KEPT && most > 0 && total > 0 {
                prop_assert_eq!(Some(top[0].count), exact.values().copied().max());
            }
        }
    }

    #[test]
    fn children_are_told_by_how_often_they_came() {
        let mut tally = Tally::default();
        for name in ["sed", "date", "sed", "sh", "sed", "date"] {
            tally.add((7, false), "sh", 1, Some((name, 42)));
        }
        tally.add((9, true), "java", 2, None);
        let top = tally.top(1);
        assert_eq!((top[0].maker, top[0].count, tally.counted()), (7, 6, 8));
        assert_eq!((&top[0].names, &top[0].groups), (&vec!["sed", "date", "sh"], &vec![42]));
    }
}

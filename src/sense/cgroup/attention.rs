//! Which groups are looked at closely, and how often all are looked at. Pure.

use std::time::Duration;

/// Groups looked at closely at one time: a host has few culprits, and each costs seven files.
pub const ATTENTION_MAX: usize = 16;
/// A thousandth of a processor: what does less makes nothing slow.
const HOT_PER_MILLE: u64 = 1;
/// Growing by less than this in a second fills no host within hours.
const GROWING: u64 = 64 * 1024;

/// What the cheap look says of a group that may draw attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Of the group.
    pub id: u64,
    /// Thousandths of one processor.
    pub cpu_per_mille: u64,
    /// Bytes of memory a second.
    pub growth: u64,
    /// It ran into its limit of memory since the look before.
    pub at_limit: bool,
}

impl Interest {
    /// Ordered: at its limit first, then what grows fast, against what is hot: a processor for 64 MiB a second.
    const fn score(self) -> Option<(bool, u64)> {
        let hot = if self.cpu_per_mille >= HOT_PER_MILLE { self.cpu_per_mille } else { 0 };
        let growing = if self.growth >= GROWING { self.growth / GROWING } else { 0 };
        let score = hot.saturating_add(growing);
        if self.at_limit || score > 0 { Some((self.at_limit, score)) } else { None }
    }
}

/// Keeps those that draw attention, at most [`ATTENTION_MAX`], the most interesting first.
pub fn attention(groups: &mut Vec<Interest>) {
    groups.retain(|group| group.score().is_some());
    groups.sort_unstable_by_key(|group| (std::cmp::Reverse(group.score()), group.id));
    groups.truncate(ATTENTION_MAX);
}

/// How long to rest after work that took so long, so that it takes no more than one part in `parts` of a processor;
/// within these bounds.
#[must_use]
pub fn rest(took: Duration, parts: u32, least: Duration, most: Duration) -> Duration {
    took.saturating_mul(parts).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(id: u64, cpu_per_mille: u64, growth: u64, at_limit: bool) -> Interest {
        Interest { id, cpu_per_mille, growth, at_limit }
    }

    fn check(mut groups: Vec<Interest>, expected: &[u64]) {
        attention(&mut groups);
        assert_eq!(groups.iter().map(|group| group.id).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_hot_the_growing_and_those_at_their_limit() {
        check(vec![group(1, 0, 0, false), group(2, 0, GROWING - 1, false)], &[]);
        check(
            vec![group(1, 20, 0, false), group(2, 900, 0, false), group(3, 0, 40 << 20, false)],
            &[2, 3, 1],
        );
        check(vec![group(1, 4000, 0, false), group(2, 0, 0, true)], &[2, 1]);
    }

    fn some() -> impl Strategy<Value = Vec<Interest>> {
        let one = (any::<u64>(), 0..64_000_u64, 0..1_u64 << 40, any::<bool>());
        prop::collection::vec(one.prop_map(|(id, cpu, growth, limit)| group(id, cpu, growth, limit)), 0..100)
    }

    proptest! {
        #[test]
        fn few_are_chosen_and_none_that_is_left_out_is_more_interesting(all in some()) {
            let mut chosen = all.clone();
            attention(&mut chosen);
            prop_assert!(chosen.len() <= ATTENTION_MAX);
            prop_assert!(chosen.iter().all(|group| all.contains(group) && group.score().is_some()));
            let least = chosen.iter().map(|group| group.score()).min();
            for group in all.iter().filter(|group| !chosen.contains(group)) {
                prop_assert!(
                    group.score().is_none() || (chosen.len() == ATTENTION_MAX && Some(group.score()) <= least)
                );
            }
        }

        #[test]
        fn the_share_of_a_processor_is_kept(took in 0..10_000_u64, parts in 1..10_000_u32) {
            let (took, most) = (Duration::from_millis(took), Duration::from_secs(300));
            let rest = rest(took, parts, Duration::from_secs(5), most);
            prop_assert!((Duration::from_secs(5)..=most).contains(&rest));
            prop_assert!(rest == most || rest >= took * parts);
        }
    }
}

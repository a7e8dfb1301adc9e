//! The few largest of many.

/// Keeps so many.
#[derive(Clone, Debug)]
pub(super) struct Top<T> {
    most: usize,
    /// Largest first.
    kept: Vec<(u64, T)>,
}

impl<T> Top<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, kept: Vec::new() }
    }

    /// Whether one of this size would be kept: what it is need be made only then.
    pub(super) fn takes(&self, size: u64) -> bool {
        size > 0 && (self.kept.len() < self.most || self.kept.last().is_some_and(|(least, _)| size > *least))
    }

    /// Takes in one that it [`Self::takes`].
    pub(super) fn add(&mut self, size: u64, what: T) {
        let place = self.kept.partition_point(|(larger, _)| *larger >= size);
        self.kept.insert(place, (size, what));
        self.kept.truncate(self.most);
    }

    /// Largest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.kept.iter().map(|(_, what)| what)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_largest_are_kept(sizes in prop::collection::vec(0..100_u64, 0..50)) {
            let mut top = Top::new(4);
            for size in &sizes {
                if top.takes(*size) {
                    top.add(*size, *size);
                }
            }
            let mut expected: Vec<u64> = sizes.into_iter().filter(|size| *size > 0).collect();
            expected.sort_unstable_by(|a, b| b.cmp(a));
            expected.truncate(4);
            prop_assert_eq!(top.all().copied().collect::<Vec<_>>(), expected);
        }
    }
}

//! Numbers as bytes: seven bits in each, the lowest first (LEB128); the sign in the lowest bit. Pure.

use crate::model::{Gap, Interruption};

/// A number of 64 bits.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

/// The lowest seven bits.
const fn low_byte(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// With a sign.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// 0, -1, 1, -2 … → 0, 1, 2, 3 …
pub(super) const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Bytes that are taken from the front; nothing when there are too few, or none that could have been written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken<'a>(pub(super) &'a [u8]);

impl<'a> Taken<'a> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        self.number().map(unzigzag)
    }
}

/// A reason as a number: part of the format, never reused.
pub(super) const fn gap_code(gap: Gap) -> u8 {
    match gap {
        Gap::Unsupported => 0,
        Gap::NotApplicable => 1,
        Gap::NotObserved => 2,
        Gap::TooEarly => 3,
        Gap::Failed => 4,
        Gap::Withheld => 5,
        Gap::Interrupted(Interruption::CounterReset) => 8,
        Gap::Interrupted(Interruption::Slept) => 9,
        Gap::Interrupted(Interruption::TooShort) => 10,
        Gap::Interrupted(Interruption::TooLong) => 11,
        Gap::Interrupted(Interruption::ProcessorsChanged) => 12,
        Gap::Interrupted(Interruption::Replaced) => 13,
    }
}

/// And back. A reason that a later version may have is one that this one does not know.
pub(super) const fn gap_of(code: u8) -> Gap {
    match code {
        0 => Gap::Unsupported,
        1 => Gap::NotApplicable,
        3 => Gap::TooEarly,
        4 => Gap::Failed,
        5 => Gap::Withheld,
        8 => Gap::Interrupted(Interruption::CounterReset),
        9 => Gap::Interrupted(Interruption::Slept),
        10 => Gap::Interrupted(Interruption::TooShort),
        11 => Gap::Interrupted(Interruption::TooLong),
        12 => Gap::Interrupted(Interruption::ProcessorsChanged),
        13 => Gap::Interrupted(Interruption::Replaced),
        _ => Gap::NotObserved,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in proptest::collection::vec(any::<i64>(), 0..20)) {
            let mut bytes = Vec::new();
            values.iter().for_each(|value| put_signed(&mut bytes, *value));
            let mut taken = Taken(&bytes);
            for value in values {
                prop_assert_eq!(taken.signed(), Some(value));
            }
            prop_assert!(taken.is_empty() && taken.signed().is_none());
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut taken = Taken(&bytes);
            while taken.number().is_some() {}
        }
    }

    #[test]
    fn reasons_come_back() {
        for code in 0..=u8::MAX {
            let gap = gap_of(code);
            assert!(gap_code(gap) == code || gap == Gap::NotObserved, "{code}");
        }
    }
}

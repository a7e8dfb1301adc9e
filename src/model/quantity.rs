//! Amounts with their unit in the type.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of memory or storage in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Binary units, one decimal: `1.5 MiB`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
        let mut amount = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while amount >= 1024.0 && unit + 1 < UNITS.len() {
            amount /= 1024.0;
            unit += 1;
        }
        write!(f, "{amount:.1} {}", UNITS[unit])
    }
}

/// A share of a whole, 0 to 100 (CPU of one core may exceed 100).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", self.0)
    }
}

/// A quantity that only counts up, in a unit of its own.
macro_rules! counted {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// What was added since `earlier`; `None` when the counter is behind it: it wrapped or was reset, and
            /// there is no rate.
            #[must_use]
            pub const fn since(self, earlier: Self) -> Option<Self> {
                match self.0.checked_sub(earlier.0) {
                    Some(more) => Some(Self(more)),
                    None => None,
                }
            }
        }

        impl From<u64> for $name {
            fn from(count: u64) -> Self {
                Self(count)
            }
        }
    };
}

counted!(
    /// Memory in pages, as the kernel counts it: 4, 16 or 64 KiB each, by the machine.
    Pages
);
counted!(
    /// Time in clock ticks of the kernel's interface to programs (`USER_HZ`, `sysconf(_SC_CLK_TCK)`).
    Ticks
);
counted!(
    /// Time in milliseconds.
    Millis
);
counted!(
    /// Time in microseconds.
    Micros
);
counted!(
    /// Time in nanoseconds.
    Nanos
);

impl Pages {
    /// In bytes; `None` when that is more than can be.
    #[must_use]
    pub const fn bytes(self, page_size: Bytes) -> Option<Bytes> {
        match self.0.checked_mul(page_size.0) {
            Some(bytes) => Some(Bytes(bytes)),
            None => None,
        }
    }
}

impl Ticks {
    /// In milliseconds, at so many ticks a second; `None` for none a second or for more than can be.
    #[must_use]
    pub const fn millis(self, hertz: u64) -> Option<Millis> {
        if hertz == 0 {
            return None;
        }
        // Whole seconds first: ticks of all processors since boot must not run over.
        match (self.0 / hertz).checked_mul(1000) {
            Some(whole) => match whole.checked_add((self.0 % hertz).saturating_mul(1000) / hertz) {
                Some(millis) => Some(Millis(millis)),
                None => None,
            },
            None => None,
        }
    }
}

impl From<u64> for Bytes {
    fn from(count: u64) -> Self {
        Self(count)
    }
}

/// How far something may go: the kernel writes `max` or `unlimited` where nothing holds it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit<T> {
    At(T),
    Unlimited,
}

impl<T> Limit<T> {
    /// The same limit in another unit.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Limit<U> {
        match self {
            Self::At(value) => Limit::At(change(value)),
            Self::Unlimited => Limit::Unlimited,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_went_back_have_no_rate() {
        assert_eq!(Ticks(5).since(Ticks(3)), Some(Ticks(2)));
        assert_eq!(Ticks(3).since(Ticks(5)), None);
    }

    #[test]
    fn pages_and_ticks_become_bytes_and_time() {
        assert_eq!(Pages(2).bytes(Bytes(65_536)), Some(Bytes(131_072)));
        assert_eq!(Pages(u64::MAX).bytes(Bytes(2)), None);
        assert_eq!(Ticks(150).millis(100), Some(Millis(1500)));
        assert_eq!(Ticks(7).millis(1000), Some(Millis(7)));
        assert_eq!((Ticks(1).millis(0), Ticks(u64::MAX).millis(1)), (None, None));
    }
}

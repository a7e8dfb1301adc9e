//! What the passes of an interval add up to: mean and peak.
//!
//! Must not allocate: it is fed each second, and asked when the sample is told.

use std::path::Path;

use crate::model::{Absence, Gap, Interruption, MeanPeak, Measured, Reading};

use super::kept::Trouble;
use super::rates::Part;

/// Why a pass gave no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPart {
    /// It was the first.
    First,
    Interrupted(Interruption),
    Trouble(Trouble),
}

impl From<Interruption> for NoPart {
    fn from(why: Interruption) -> Self {
        Self::Interrupted(why)
    }
}

impl From<Trouble> for NoPart {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl NoPart {
    pub(super) fn told<T>(self, path: &Path) -> Reading<T> {
        match self {
            Self::First => Reading::Absent(Absence::TooEarly),
            Self::Interrupted(why) => Reading::Absent(Absence::Interrupted(why)),
            Self::Trouble(trouble) => trouble.told(path),
        }
    }
}

impl From<NoPart> for Gap {
    fn from(why: NoPart) -> Self {
        match why {
            NoPart::First => Self::TooEarly,
            NoPart::Interrupted(why) => Self::Interrupted(why),
            NoPart::Trouble(trouble) => trouble.into(),
        }
    }
}

/// What one pass gave, `scale` times. A part without weight says nothing.
pub(super) fn measured(part: Result<Part, NoPart>, scale: f64) -> Measured {
    let part = part?;
    if part.weight > 0.0 { Ok(part.amount / part.weight * scale) } else { Err(Gap::NotApplicable) }
}

/// One quantity over the interval.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gather {
    amount: f64,
    weight: f64,
    peak: f64,
}

impl Gather {
    /// One pass more. A part without weight says nothing.
    pub(super) fn add(&mut self, part: Part) {
        if part.weight > 0.0 {
            self.amount += part.amount;
            self.weight += part.weight;
            self.peak = self.peak.max(part.amount / part.weight);
        }
    }

    /// One pass more of something that is no counter.
    pub(super) fn level(&mut self, amount: u64) {
        #[expect(clippy::cast_precision_loss, reason = "counts of tasks")]
        self.add(Part { amount: amount as f64, weight: 1.0 });
    }

    /// As `scale` times the parts; nothing when no pass gave any.
    pub(super) fn told(&self, scale: f64) -> Option<MeanPeak> {
        let told = MeanPeak { mean: self.amount / self.weight * scale, peak: self.peak * scale };
        (self.weight > 0.0).then_some(told)
    }
}

/// Several quantities of one source, and whether it still gives any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<G> {
    pub(super) gathered: G,
    /// Why the newest pass gave none.
    missing: Option<NoPart>,
    any: bool,
}

impl<G: Default> Source<G> {
    pub(super) fn new() -> Self {
        Self { gathered: G::default(), missing: Some(NoPart::First), any: false }
    }

    /// One pass more.
    pub(super) fn add<P>(&mut self, part: Result<P, NoPart>, take: impl FnOnce(&mut G, P)) {
        match part {
            Ok(part) => {
                take(&mut self.gathered, part);
                self.any = true;
                self.missing = None;
            }
            Err(why) => self.missing = Some(why),
        }
    }

    /// A pass of this interval gave something.
    pub(super) const fn has_any(&self) -> bool {
        self.any
    }

    /// The interval is over. A source that fails now is not told by what it gave before.
    pub(super) fn tell<T>(&mut self, path: &Path, told: impl FnOnce(&G) -> Option<T>) -> Reading<T> {
        let reading = match self.missing {
            Some(why @ NoPart::Trouble(_)) => why.told(path),
            why if !self.any => why.unwrap_or(NoPart::First).told(path),
            Some(_) | None => {
                told(&self.gathered).map_or(Reading::Absent(Absence::NotApplicable), Reading::Value)
            }
        };
        self.gathered = G::default();
        self.any = false;
        reading
    }
}

//! The engine never spins, never floods, and never grows without end.

use crate::sim::world::Moment;

use super::{Checker, Facts, Seen};

/// Calls in one simulated hour: a waiting repair looks twice in two seconds, thirty units may wait at once.
const CALLS_AN_HOUR: u64 = 150_000;
/// Effects of one call: some for each of the units of a host where everything fails at once.
const EFFECTS_A_CALL: usize = 1000;
/// Ended incidents that are kept.
const ENDED_KEPT: usize = 200;
/// Incidents that can be open for one unit: one for each rule.
const OPEN_A_UNIT: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Effort {
    hour: Moment,
    calls: u64,
}

impl Checker for Effort {
    fn name(&self) -> &'static str {
        "no spinning"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        let Seen::Handled { effects, next } = seen else { return Ok(()) };
        if next.is_some_and(|next| next <= facts.now.boot) {
            return Err(format!("the next deadline, {next:?}, is not after now, {:?}", facts.now.boot));
        }
        if *effects > EFFECTS_A_CALL {
            return Err(format!("{effects} effects of one call"));
        }
        let hour = facts.t / 3_600_000;
        if hour != self.hour {
            self.hour = hour;
            self.calls = 0;
        }
        self.calls += 1;
        if self.calls > CALLS_AN_HOUR {
            return Err(format!("more than {CALLS_AN_HOUR} calls in one hour"));
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Bounded;

impl Checker for Bounded {
    fn name(&self) -> &'static str {
        "bounded memory"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        let Seen::Sizes { sizes } = seen else { return Ok(()) };
        let units = facts.world.units.len() + 2;
        if sizes.incidents > ENDED_KEPT + units * OPEN_A_UNIT {
            return Err(format!("{} incidents are kept", sizes.incidents));
        }
        if sizes.histories > units {
            return Err(format!("{} histories are kept", sizes.histories));
        }
        if sizes.conditions > units * OPEN_A_UNIT || sizes.looks > units || sizes.waiting > units * 4 {
            return Err(format!("too much is kept: {sizes:?}"));
        }
        Ok(())
    }
}

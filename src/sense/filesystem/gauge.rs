//! How much may have been written to this host's file systems, read off numbers that the pass of each second has anyway.
//!
//! Pure. Counts too much rather than too little: memory that programs took counts as a file in memory. A host that does not
//! tell one of the numbers is looked at as rarely as if nothing were written.

use std::time::Duration;

use crate::model::{Bytes, HostSecond, Measured};

/// What was written so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteGauge {
    written: f64,
    /// Waits to be written, and memory that is left, as of the last pass.
    dirty: Option<f64>,
    available: Option<f64>,
}

impl WriteGauge {
    /// Takes in a pass, and the time since the one before; how much it is by now.
    pub fn take(&mut self, second: &HostSecond, since: Duration) -> Bytes {
        let value = |measured: &Measured| measured.as_ref().ok().copied();
        self.written += value(&second.disks_written).unwrap_or(0.0) * since.as_secs_f64();
        let (dirty, available) = (value(&second.memory_dirty), value(&second.memory_available));
        self.written += rise(self.dirty, dirty) + rise(available, self.available);
        (self.dirty, self.available) = (dirty, available);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturating, never negative"
        )]
        Bytes(self.written as u64)
    }
}

fn rise(from: Option<f64>, to: Option<f64>) -> f64 {
    from.zip(to).map_or(0.0, |(from, to)| (to - from).max(0.0))
}

//! Pressure that is told instead of looked for: triggers of the kernel on the pressure files, and a tripwire on the
//! memory that is left.
//!
//! Both are needed. A trigger costs nothing while nothing happens, and sees thrashing, swapping and throttling. But
//! without swap the kernel stalls nobody before the last page is gone, and its killer comes first: for that, memory has
//! to be looked at, the more often the nearer its end is. Must not judge what is too much for a host: rules do.

mod memory;
mod trigger;
mod tripwire;

pub use memory::MemoryReader;
pub use trigger::{NoTrigger, Patience, PressureTrigger, TriggerGone};
pub use tripwire::{FillRate, LOOK_LATEST, LOOK_SOONEST, Look, Tripwire, next_look};

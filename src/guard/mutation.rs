//! Breaks one guard on purpose, in tests only: a checker that does not notice is no checker.

use std::cell::Cell;

use crate::model::GuardName;

thread_local! {
    static BROKEN: Cell<Option<GuardName>> = const { Cell::new(None) };
}

/// Whether this thread has broken the guard.
pub(crate) fn is_broken(guard: GuardName) -> bool {
    BROKEN.get() == Some(guard)
}

/// Runs `body` with one guard always saying yes.
pub(crate) fn with_broken<T>(guard: GuardName, body: impl FnOnce() -> T) -> T {
    BROKEN.set(Some(guard));
    let result = body();
    BROKEN.set(None);
    result
}

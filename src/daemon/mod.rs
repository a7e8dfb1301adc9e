//! The shell around the engine: clocks, signals, tasks, watchdog. Branches on nothing that means something.

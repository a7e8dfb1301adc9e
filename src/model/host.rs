//! The machine as a whole.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::{BootId, Bytes, Percent, Reading};

/// Averages of one PSI line (`Documentation/accounting/psi.rst`), percent of wall time stalled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PressureAverages {
    pub avg10: Percent,
    pub avg60: Percent,
    pub avg300: Percent,
    /// Total stall time since boot.
    pub total: Duration,
}

/// `some` and `full` of one resource; the kernel has no `full` for CPU before 5.13.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    pub some: Reading<PressureAverages>,
    pub full: Reading<PressureAverages>,
}

/// `/proc/meminfo`, what decisions need of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub total: Bytes,
    pub available: Bytes,
    pub swap_total: Bytes,
    pub swap_free: Bytes,
}

/// `/proc/loadavg`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadAverage {
    pub one: f64,
    pub five: f64,
    pub fifteen: f64,
}

/// Numbers of the host in one pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostVitals {
    pub boot: BootId,
    pub uptime: Reading<Duration>,
    pub load: Reading<LoadAverage>,
    pub memory: Reading<Memory>,
    pub cpu_pressure: Reading<Pressure>,
    pub memory_pressure: Reading<Pressure>,
    pub io_pressure: Reading<Pressure>,
    pub processors: Reading<u32>,
}

/// What the service manager says of the whole system (systemd's `SystemState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemState {
    /// `initializing` and `starting`.
    Starting,
    Running,
    Degraded,
    /// Rescue or emergency mode: a person is at work.
    Maintenance,
    Stopping,
}

/// A package manager that holds its lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageManager {
    /// The lock file that is held.
    pub lock: String,
    /// Its holder, where the kernel tells.
    pub pid: Reading<i32>,
}

/// What others are doing to the host right now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostActivity {
    pub system_state: Reading<SystemState>,
    /// `Absent(NotApplicable)` when no lock is held.
    pub package_manager: Reading<PackageManager>,
    /// The service manager is re-reading its units (`Reloading`): what it says may be in motion.
    pub manager_reloading: bool,
}

//! Fields of the host that come from its rates and limits ([`HostNumbers`]).

use std::sync::Arc;

use crate::model::{
    Absence, ClockState, CpuUse, FieldValue, Fill, HostNumbers, MeanPeak, MemoryErrors, Reading, TaskRates,
    TrafficRates,
};

/// The field of this name; `None` when it is not one of these.
pub(super) fn field(numbers: &Reading<Arc<HostNumbers>>, name: &str) -> Option<Reading<FieldValue>> {
    let pick = pick(name)?;
    Some(match numbers {
        Reading::Value(numbers) => pick.of(numbers),
        Reading::Absent(reason) => Reading::Absent(reason.clone()),
        Reading::Failed(error) => Reading::Failed(error.clone()),
    })
}

/// Where a field is found. A rate counts by its mean: what is short is over before anything could be done about it.
#[derive(Clone, Copy)]
enum Pick {
    Cpu(fn(&CpuUse) -> MeanPeak),
    Tasks(fn(&TaskRates) -> MeanPeak),
    Full(fn(&HostNumbers) -> &Reading<Fill>),
    Clock(fn(&ClockState) -> FieldValue),
    Network(fn(&TrafficRates) -> MeanPeak),
    MemoryErrors(fn(&MemoryErrors) -> u64),
    Temperature,
    BusiestDevice,
}

fn pick(name: &str) -> Option<Pick> {
    Some(match name {
        "cpu_percent" => Pick::Cpu(|cpu| cpu.busy),
        "cpu_system_percent" => Pick::Cpu(|cpu| cpu.system),
        "iowait_percent" => Pick::Cpu(|cpu| cpu.iowait),
        "steal_percent" => Pick::Cpu(|cpu| cpu.steal),
        "forks_per_second" => Pick::Tasks(|tasks| tasks.forks),
        "context_switches_per_second" => Pick::Tasks(|tasks| tasks.context_switches),
        "running_tasks" => Pick::Tasks(|tasks| tasks.running),
        "blocked_tasks" => Pick::Tasks(|tasks| tasks.blocked),
        "pids_percent" => Pick::Full(|numbers| &numbers.pids),
        "open_files_percent" => Pick::Full(|numbers| &numbers.open_files),
        "conntrack_percent" => Pick::Full(|numbers| &numbers.conntrack),
        "clock_synchronised" => Pick::Clock(|clock| FieldValue::Bool(clock.synchronised)),
        "clock_offset_ms" => Pick::Clock(|clock| FieldValue::Float(clock.offset_ms)),
        "network_errors_per_second" => Pick::Network(|network| network.errors),
        "network_drops_per_second" => Pick::Network(|network| network.drops),
        "memory_errors_corrected" => Pick::MemoryErrors(|errors| errors.corrected),
        "memory_errors_uncorrected" => Pick::MemoryErrors(|errors| errors.uncorrected),
        "temperature_celsius" => Pick::Temperature,
        "busiest_disk_percent" => Pick::BusiestDevice,
        _ => return None,
    })
}

impl Pick {
    fn of(self, numbers: &HostNumbers) -> Reading<FieldValue> {
        match self {
            Self::Cpu(pick) => numbers.cpu.as_ref().map(|cpu| mean(pick(cpu))),
            Self::Tasks(pick) => numbers.tasks.as_ref().map(|tasks| mean(pick(tasks))),
            Self::Network(pick) => numbers.network.as_ref().map(|network| mean(pick(network))),
            Self::Clock(pick) => numbers.clock.as_ref().map(pick),
            Self::Temperature => numbers.temperature.clone().map(FieldValue::Float),
            Self::BusiestDevice => numbers.busiest_device().map(FieldValue::Float),
            Self::MemoryErrors(pick) => {
                let count = |errors| FieldValue::Int(i64::try_from(pick(errors)).unwrap_or(i64::MAX));
                numbers.memory_errors.as_ref().map(count)
            }
            Self::Full(pick) => match pick(numbers).as_ref().map(Fill::share) {
                Reading::Value(Some(share)) => Reading::Value(FieldValue::Float(share.0)),
                // A limit of nothing has no share.
                Reading::Value(None) => Reading::Absent(Absence::NotApplicable),
                Reading::Absent(reason) => Reading::Absent(reason),
                Reading::Failed(error) => Reading::Failed(error),
            },
        }
    }
}

const fn mean(quantity: MeanPeak) -> FieldValue {
    FieldValue::Float(quantity.mean)
}

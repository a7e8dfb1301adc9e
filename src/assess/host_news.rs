//! News of one part of the host, taken into what is known of the whole.

use crate::model::{BootTime, HostNews, Reading, Resource};

use super::View;

impl View {
    /// A part of the host alone. Before the first whole pass there is nothing to put it into: it comes at once. What
    /// was read before a pass began is older than what the pass brought.
    pub(super) fn take_host_news(&mut self, news: &HostNews, at: BootTime) {
        if let HostNews::Pressure { resource, watch, .. } = news {
            self.stalls.take(*resource, watch, at);
        }
        let Reading::Value(vitals) = &mut self.vitals else { return };
        if at < self.vitals_at {
            return;
        }
        match news {
            HostNews::Memory(memory) => vitals.memory = memory.clone(),
            HostNews::Pressure { pressure: None, .. } | HostNews::Unit(_) | HostNews::Sense(_) => {}
            HostNews::Pressure { resource, pressure: Some(pressure), .. } => {
                let place = match resource {
                    Resource::Memory => &mut vitals.memory_pressure,
                    Resource::Io => &mut vitals.io_pressure,
                    Resource::Cpu => &mut vitals.cpu_pressure,
                };
                *place = pressure.clone();
            }
        }
    }
}

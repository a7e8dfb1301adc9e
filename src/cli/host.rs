//! `prunella host`: what the host does, how near it is to its limits, and what it is made of.

use comfy_table::{CellAlignment, Table};

use crate::model::{
    Bytes, DeviceNumbers, Disk, Fill, HostNumbers, HostVitals, InterfaceNumbers, Inventory, MeanPeak,
    Pressure, Reading, TrafficRates,
};
use crate::serve::Host;

use super::listing::table;
use super::page::{Page, Terminal, Tone, ago, lasting, safe};

/// The page.
pub(super) fn page(host: &Host, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    match &host.numbers {
        Reading::Value(numbers) => told(&mut page, numbers, &host.vitals),
        Reading::Absent(_) | Reading::Failed(_) => {
            let why = host.numbers.why_not().unwrap_or_default();
            page.labelled(Tone::Bad, "IMPAIRED", &format!("nothing is known of the host: {}", safe(&why)));
        }
    }
    page.blank();
    page.line(Tone::Faint, &format!("As the agent knew it {}.", ago(host.at, host.now)));
    page.finish()
}

fn told(page: &mut Page, numbers: &HostNumbers, vitals: &Reading<HostVitals>) {
    if let Reading::Value(inventory) = &numbers.inventory {
        made_of(page, inventory);
    }
    if let Reading::Value(vitals) = vitals {
        row(page, "up", &vitals.uptime, |up| lasting(*up));
        row(page, "load", &vitals.load, |load| {
            format!("{:.2}, {:.2}, {:.2} over 1, 5, 15 minutes", load.one, load.five, load.fifteen)
        });
        let pressures =
            [("cpu", &vitals.cpu_pressure), ("memory", &vitals.memory_pressure), ("io", &vitals.io_pressure)];
        page.labelled(Tone::Faint, "stalled", &pressures.map(stalled).join(", "));
    }
    work(page, numbers);
    limits(page, numbers);
    page.blank();
    if numbers.over.is_zero() {
        page.line(Tone::Plain, "Rates come with the next reading.");
    } else {
        page.line(Tone::Plain, &format!("Rates are means of the last {}.", lasting(numbers.over)));
    }
    page.blank();
    devices(page, numbers);
    page.blank();
    interfaces(page, numbers);
}

/// A line of a reading, or of why there is none.
fn row<T>(page: &mut Page, label: &str, reading: &Reading<T>, tell: impl FnOnce(&T) -> String) {
    let text = match reading {
        Reading::Value(value) => tell(value),
        Reading::Absent(reason) => reason.to_string(),
        Reading::Failed(error) => format!("could not be read: {}", safe(error)),
    };
    page.labelled(Tone::Faint, label, &text);
}

fn made_of(page: &mut Page, inventory: &Inventory) {
    let distribution = inventory.distribution.value().map(|name| format!(", {}", safe(name)));
    page.line(Tone::Strong, &format!("{}{}", safe(&inventory.kernel), distribution.unwrap_or_default()));
    let parts = [
        inventory.processors.value().map(|count| match count {
            1 => "1 processor".to_owned(),
            _ => format!("{count} processors"),
        }),
        inventory.memory.value().map(|memory| format!("{memory} of memory")),
        inventory.machine.value().map(|name| safe(name)),
        inventory.hypervisor.value().map(|name| format!("hypervisor {}", safe(name))),
        inventory.container.value().map(|name| format!("in a container ({})", safe(name))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    page.labelled(Tone::Faint, "made of", &parts.join(", "));
}

/// In the last minute.
fn stalled((resource, reading): (&str, &Reading<Pressure>)) -> String {
    let minute = match reading {
        Reading::Value(pressure) => pressure.some.as_ref().map(|some| some.avg60),
        Reading::Absent(reason) => Reading::Absent(reason.clone()),
        Reading::Failed(error) => Reading::Failed(error.clone()),
    };
    match minute {
        Reading::Value(share) => format!("{resource} {share}"),
        Reading::Absent(_) | Reading::Failed(_) => {
            format!("{resource} {}", safe(&minute.why_not().unwrap_or_default()))
        }
    }
}

fn work(page: &mut Page, numbers: &HostNumbers) {
    row(page, "cpu", &numbers.cpu, |cpu| {
        format!(
            "{:.1} % busy (user {:.1}, system {:.1}), peak {:.1} %; iowait {:.1} %, steal {:.1} %",
            cpu.busy.mean, cpu.user.mean, cpu.system.mean, cpu.busy.peak, cpu.iowait.mean, cpu.steal.mean
        )
    });
    row(page, "tasks", &numbers.tasks, |tasks| {
        format!(
            "{:.1} running, {:.1} blocked; {:.1} forks a second (peak {:.1}, {} since boot), {:.0} context switches",
            tasks.running.mean,
            tasks.blocked.mean,
            tasks.forks.mean,
            tasks.forks.peak,
            tasks.made,
            tasks.context_switches.mean
        )
    });
    row(page, "memory", &numbers.memory, |memory| {
        format!(
            "{} of {} available (lowest {}), {} cached, {} dirty, {} being written",
            memory.available,
            memory.total,
            memory.available_low,
            memory.cached,
            memory.dirty,
            memory.writeback
        )
    });
    row(page, "swap", &numbers.memory, |memory| match (memory.swap_total, numbers.swap.value()) {
        (Bytes(0), _) => "none".into(),
        (total, None) => format!("{} of {total} free", memory.swap_free),
        (total, Some(traffic)) => format!(
            "{} of {total} free, {} a second in, {} out",
            memory.swap_free,
            bytes(traffic.read),
            bytes(traffic.written)
        ),
    });
}

fn limits(page: &mut Page, numbers: &HostNumbers) {
    let full = |fill: &Fill| match fill.share() {
        // What systemd sets as fs.file-max is no number for people.
        Some(share) if fill.most < 1 << 48 => format!("{} of {} ({share})", fill.used, fill.most),
        Some(_) | None => fill.used.to_string(),
    };
    row(page, "pids", &numbers.pids, full);
    row(page, "open files", &numbers.open_files, full);
    row(page, "conntrack", &numbers.conntrack, full);
    row(page, "sockets", &numbers.sockets, |it| {
        format!(
            "{}; TCP {} in use, {} in time-wait, {} orphans; UDP {}",
            it.used, it.tcp, it.tcp_time_wait, it.tcp_orphans, it.udp
        )
    });
    row(page, "clock", &numbers.clock, |clock| match clock.synchronised {
        true => format!("synchronised; {:.3} ms to correct", clock.offset_ms),
        false => "not synchronised".into(),
    });
    row(page, "hottest", &numbers.temperature, |degrees| format!("{degrees:.0} °C"));
    row(page, "ECC", &numbers.memory_errors, |errors| {
        format!("{} errors corrected, {} not", errors.corrected, errors.uncorrected)
    });
}

fn right(table: &mut Table, columns: std::ops::RangeInclusive<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn devices(page: &mut Page, numbers: &HostNumbers) {
    let Reading::Value(devices) = &numbers.devices else {
        return page.labelled(Tone::Faint, "disks", &safe(&numbers.devices.why_not().unwrap_or_default()));
    };
    let disks = numbers.inventory.value().map_or(&[][..], |inventory| &inventory.disks);
    let header = ["DISK", "SIZE", "BUSY", "PEAK", "READS", "BYTES", "WRITES", "BYTES", "WAIT", "QUEUE"];
    let mut table = table(page, &header);
    right(&mut table, 1..=9);
    for device in devices {
        table.add_row(device_row(device, disks.iter().find(|disk| disk.name == device.name)));
    }
    page.block(&table.to_string());
    left_out(page, numbers.devices_left_out);
}

fn device_row(device: &DeviceNumbers, disk: Option<&Disk>) -> Vec<String> {
    let size = disk.and_then(|disk| disk.size.value()).map_or("-".into(), Bytes::to_string);
    let mut cells = vec![safe(&device.name), size];
    match &device.rates {
        Reading::Value(it) => cells.extend([
            format!("{:.0} %", it.busy.mean),
            format!("{:.0} %", it.busy.peak),
            format!("{:.0}", it.reads.mean),
            bytes(it.read_bytes.mean),
            format!("{:.0}", it.writes.mean),
            bytes(it.written_bytes.mean),
            it.await_ms.value().map_or("-".into(), |wait| format!("{:.1} ms", wait.mean)),
            format!("{:.1}", it.queue.mean),
        ]),
        Reading::Absent(_) | Reading::Failed(_) => cells.extend(vec!["-".to_owned(); 8]),
    }
    cells
}

fn interfaces(page: &mut Page, numbers: &HostNumbers) {
    let Reading::Value(interfaces) = &numbers.interfaces else {
        return page.labelled(
            Tone::Faint,
            "network",
            &safe(&numbers.interfaces.why_not().unwrap_or_default()),
        );
    };
    let mut table =
        table(page, &["INTERFACE", "KIND", "RECEIVED", "PEAK", "SENT", "PEAK", "ERRORS", "DROPS"]);
    right(&mut table, 2..=7);
    for InterfaceNumbers { name, kind, traffic } in interfaces {
        table.add_row([vec![safe(name), kind.as_str().into()], traffic_cells(traffic)].concat());
    }
    if interfaces.len() > 1 {
        table.add_row([vec!["all".into(), String::new()], traffic_cells(&numbers.network)].concat());
    }
    page.block(&table.to_string());
    left_out(page, numbers.interfaces_left_out);
}

fn traffic_cells(traffic: &Reading<TrafficRates>) -> Vec<String> {
    let Reading::Value(it) = traffic else { return vec!["-".to_owned(); 6] };
    let both = |rate: MeanPeak| [bytes(rate.mean), bytes(rate.peak)];
    let [received, received_peak] = both(it.received_bytes);
    let [sent, sent_peak] = both(it.sent_bytes);
    let few = |rate: MeanPeak| format!("{:.1}", rate.mean);
    vec![received, received_peak, sent, sent_peak, few(it.errors), few(it.drops)]
}

fn left_out(page: &mut Page, count: usize) {
    if count > 0 {
        page.line(Tone::Faint, &format!("and {count} more that are not counted"));
    }
}

fn bytes(amount: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shown with one decimal")]
    Bytes(amount.round() as u64).to_string()
}

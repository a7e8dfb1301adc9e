//! `prunella cgroups`: who uses the host, and who waits.

use comfy_table::CellAlignment;

use crate::model::{CgroupStatus, CgroupWatches, Percent, Pressure, Reading};
use crate::serve::Cgroups;

use super::listing::table;
use super::page::{Page, Terminal, Tone, ago, safe};

/// The groups, in the agent's order.
pub(super) fn page(cgroups: &Cgroups, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    if let Some(why) = &cgroups.cgroups_lost {
        page.labelled(Tone::Bad, "IMPAIRED", &format!("nothing is known of control groups: {}", safe(why)));
        return page.finish();
    }
    let header = ["GROUP", "CPU %", "MEMORY", "TASKS", "READ/S", "WRITE/S", "WAITS %"];
    let mut table = table(&page, &header);
    for column in 1..header.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for group in &cgroups.cgroups {
        table.add_row(row(group));
    }
    page.block(&table.to_string());
    page.blank();
    page.line(Tone::Faint, "Waits: cpu/memory/io, percent of the last ten seconds; - where none looked.");
    let shown = cgroups.cgroups.len();
    let mut told = format!("{shown} of {} groups", cgroups.total);
    if cgroups.left_out > 0 {
        told.push_str(&format!(", {} more could not be looked at", cgroups.left_out));
    }
    if let Some(first) = cgroups.cgroups.first() {
        told.push_str(&format!("; the first as it was {}", ago(first.at, cgroups.now)));
    }
    page.line(Tone::Faint, &format!("{told}."));
    if let Some(watches) = watches(&cgroups.watches) {
        page.line(Tone::Faint, &watches);
    }
    page.finish()
}

/// Who is asked now and then only, and why.
fn watches(watches: &CgroupWatches) -> Option<String> {
    let CgroupWatches { watched, unwatched, why } = watches;
    let why = why.as_deref().filter(|_| *unwatched > 0)?;
    let kills = "Kills for want of memory and refused forks are known at once of";
    Some(format!("{kills} {watched} services, of {unwatched} with the next look only: {}.", safe(why)))
}

fn row(group: &CgroupStatus) -> [String; 7] {
    let none = || "-".to_owned();
    let (read, written, waits) = match &group.closely {
        Reading::Value(closely) => {
            let waits = [&closely.cpu_pressure, &closely.memory_pressure, &closely.io_pressure].map(wait);
            (show(&closely.read), show(&closely.written), waits.join("/"))
        }
        Reading::Absent(_) | Reading::Failed(_) => (none(), none(), none()),
    };
    let cpu = group.cpu.value().map_or_else(none, |cpu| format!("{:.1}", cpu.0));
    [safe(&group.path), cpu, show(&group.memory), show(&group.tasks), read, written, waits]
}

fn show<T: std::fmt::Display>(reading: &Reading<T>) -> String {
    reading.value().map_or_else(|| "-".to_owned(), T::to_string)
}

fn wait(pressure: &Reading<Pressure>) -> String {
    let some = pressure.value().and_then(|pressure| pressure.some.value());
    some.map_or_else(
        || "-".to_owned(),
        |some| {
            let Percent(waited) = some.avg10;
            format!("{waited:.0}")
        },
    )
}

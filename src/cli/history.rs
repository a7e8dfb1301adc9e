//! `prunella history`: one number over time, as a line of bars and a small table; or what there is.

use std::time::Duration;

use comfy_table::CellAlignment;

use crate::model::{
    BootTime, Bytes, Gap, HistoryExtent, HistoryList, HistoryPoint, HistorySeries, HistoryTier, HistoryUnit,
    Timestamp, WallTime,
};

use super::listing::table;
use super::page::{Page, Terminal, Tone, clock, lasting, safe};
use super::status::plural;

/// From the least to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Rows without a value.
const NO_VALUE: char = '·';
/// No bars are wider than this, however wide the terminal is.
const COLUMNS_MAX: usize = 120;
/// Rows of the table.
const ROWS: usize = 12;
/// Where minutes are told, the next point may be as far away as this without anything being amiss.
const MINUTE_APART_MS: i64 = 125_000;

/// Rows go to the disk once a minute: what is newer is with the agent.
const TO_COME: Duration = Duration::from_secs(65);

/// What comes within a part of the time.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    sum: f64,
    min: f64,
    max: f64,
    values: u64,
    absent: u64,
    why: Option<Gap>,
    /// Nothing was read here, and no more is due: it is told by the minute.
    between: bool,
}

#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
const fn float(count: u64) -> f64 {
    count as f64
}

impl Bin {
    fn add(&mut self, point: &HistoryPoint) {
        self.absent += point.absent;
        self.why = point.why.or(self.why);
        let (Some(mean), Some(min), Some(max)) = (point.mean, point.min, point.max) else { return };
        (self.min, self.max) =
            if self.values == 0 { (min, max) } else { (self.min.min(min), self.max.max(max)) };
        self.sum += mean * float(point.values);
        self.values += point.values;
    }

    fn mean(&self) -> Option<f64> {
        (self.values > 0).then(|| self.sum / float(self.values))
    }
}

/// The time in so many parts.
fn bins(series: &HistorySeries, count: usize) -> Vec<Bin> {
    let mut bins = vec![Bin::default(); count];
    let place = |at: WallTime| {
        let passed = u128::from(at.since(series.from).as_millis().try_into().unwrap_or(u64::MAX));
        let whole = series.to.since(series.from).as_millis().max(1);
        usize::try_from(passed * count as u128 / whole).unwrap_or(usize::MAX).min(count.saturating_sub(1))
    };
    for run in &series.runs {
        let mut before: Option<&HistoryPoint> = None;
        for point in &run.points {
            let at = place(point.wall_ms);
            if let Some(before) = before
                && point.wall_ms.unix_millis().saturating_sub(before.wall_ms.unix_millis()) <= MINUTE_APART_MS
            {
                let from = place(before.wall_ms) + 1;
                bins.get_mut(from..at).into_iter().flatten().for_each(|bin| bin.between = true);
            }
            if let Some(bin) = bins.get_mut(at) {
                bin.add(point);
            }
            before = Some(point);
        }
    }
    bins
}

/// The page of one field.
pub(super) fn series(series: &HistorySeries, read_from: Option<&str>, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    let show = |value: f64| shown(value, series.unit);
    let whole = bins(series, 1).first().copied().unwrap_or_default();
    page.line(Tone::Strong, &format!("{}: {}", safe(&series.field), safe(&series.meaning)));
    let end = Timestamp::new(BootTime::ZERO, series.to);
    let time = |at: WallTime| clock(Timestamp::new(BootTime::ZERO, at), end);
    let length = series.to.since(series.from);
    page.line(
        Tone::Faint,
        &format!("from {} to {} ({})", time(series.from), time(series.to), lasting(length)),
    );
    page.blank();
    if whole.values + whole.absent == 0 {
        page.line(Tone::Plain, "Nothing is kept of this time.");
        page.next("prunella history");
        return page.finish();
    }
    let steps = usize::try_from(length.as_secs().div_ceil(series.step_seconds.max(1))).unwrap_or(usize::MAX);
    let columns = page.width().min(COLUMNS_MAX).min(steps).max(1);
    let (line, top) = bars(&bins(series, columns));
    page.line(Tone::Plain, &line);
    match whole.mean() {
        Some(mean) => {
            let text = format!("mean {}, least {}, most {}", show(mean), show(whole.min), show(whole.max));
            page.line(Tone::Plain, &format!("{text}; the highest bar is {}", show(top)));
        }
        None => page.line(Tone::Plain, &format!("No value: {}.", reason(whole.why))),
    }
    page.blank();
    page.block(&rows(&page, series, &time));
    remarks(&mut page, series, read_from);
    page.finish()
}

/// One bar for each, and the value of the highest.
fn bars(bins: &[Bin]) -> (String, f64) {
    let means = || bins.iter().filter_map(Bin::mean);
    let (low, top) = (means().fold(0.0, f64::min), means().fold(0.0, f64::max));
    let mut last = ' ';
    let bar = |bin: &Bin| {
        let drawn = match bin.mean() {
            Some(mean) if top > low => BARS[level((mean - low) / (top - low))],
            Some(_) => BARS[0],
            None if bin.absent > 0 => NO_VALUE,
            None if bin.between => last,
            None => ' ',
        };
        last = drawn;
        drawn
    };
    (bins.iter().map(bar).collect(), top)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of eight bars")]
fn level(share: f64) -> usize {
    ((share * 8.0) as usize).min(BARS.len() - 1)
}

fn rows(page: &Page, series: &HistorySeries, time: &dyn Fn(WallTime) -> String) -> String {
    let mut table = table(page, &["FROM", "MEAN", "LEAST", "MOST", "WITHOUT"]);
    for column in 1..=3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let length = series.to.since(series.from);
    let steps = length.as_secs().div_ceil(series.step_seconds.max(1));
    let parts = usize::try_from(steps).unwrap_or(ROWS).clamp(1, ROWS);
    let part = length / u32::try_from(parts).unwrap_or(1);
    let newest = series.runs.last().and_then(|run| run.points.last()).map(|point| point.wall_ms);
    for (index, bin) in (0_u32..).zip(bins(series, parts)) {
        let begin = series.from + part * index;
        let to_come = newest < Some(begin) && series.to.since(begin) <= TO_COME;
        let show = |value| bin.mean().map_or("-".to_owned(), |_| shown(value, series.unit));
        let without = match (bin.absent, bin.values) {
            (0, 0) if bin.between => String::new(),
            (0, 0) if to_come => "not written yet".to_owned(),
            (0, 0) => "nothing was read".to_owned(),
            (0, _) => String::new(),
            (absent, 0) => format!("all {absent}: {}", reason(bin.why)),
            (absent, values) => format!("{absent} of {}: {}", absent + values, reason(bin.why)),
        };
        let mean = bin.mean().unwrap_or_default();
        table.add_row([time(begin), show(mean), show(bin.min), show(bin.max), without]);
    }
    table.to_string()
}

fn remarks(page: &mut Page, series: &HistorySeries, read_from: Option<&str>) {
    let mut remarks = Vec::new();
    if series.runs.len() > 1 {
        let times = plural(count(series.runs.len() - 1), "time");
        remarks.push(format!("The host was started anew, or its clock was set back: {times}."));
    }
    if series.cut {
        remarks.push("Points are left out: the clock was set too often.".into());
    }
    if series.unreadable > 0 {
        remarks.push(damaged(series.unreadable));
    }
    remarks.extend(read_from.map(|folder| format!("Read from {}, without the agent.", safe(folder))));
    if !remarks.is_empty() {
        page.blank();
        remarks.iter().for_each(|remark| page.line(Tone::Faint, remark));
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn damaged(parts: u64) -> String {
    format!("Damaged and left out: {} of the files.", plural(parts, "part"))
}

fn reason(why: Option<Gap>) -> String {
    why.map_or_else(|| "not known".to_owned(), |why| why.to_string())
}

fn shown(value: f64, unit: HistoryUnit) -> String {
    match unit {
        HistoryUnit::Percent => format!("{value:.1} %"),
        HistoryUnit::PerSecond => format!("{value:.1}/s"),
        HistoryUnit::Count if value.fract().abs() < 0.005 => format!("{value:.0}"),
        HistoryUnit::Count | HistoryUnit::Load => format!("{value:.2}"),
        HistoryUnit::Bytes => bytes(value),
        HistoryUnit::BytesPerSecond => format!("{}/s", bytes(value)),
        HistoryUnit::Milliseconds => format!("{value:.2} ms"),
        HistoryUnit::Celsius => format!("{value:.0} °C"),
    }
}

fn bytes(amount: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shown with one decimal")]
    Bytes(amount.round().max(0.0) as u64).to_string()
}

/// What there is.
pub(super) fn list(list: &HistoryList, read_from: Option<&str>, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    page.line(Tone::Strong, &format!("The history in {}", safe(&list.folder)));
    for extent in &list.extents {
        page.labelled(Tone::Faint, extent.tier.as_str(), &told(extent));
    }
    page.blank();
    let (several, single): (Vec<_>, Vec<_>) = list.fields.iter().partition(|field| field.of_subject);
    let mut table = table(&page, &["FIELD", "WHAT"]);
    for field in &single {
        table.add_row([safe(&field.name), safe(&field.meaning)]);
    }
    for field in &several {
        table.add_row([format!("{}@…", safe(&field.name)), safe(&field.meaning)]);
    }
    page.block(&table.to_string());
    page.blank();
    let mut groups: Vec<(&str, &[String])> = Vec::new();
    for field in several.iter().filter(|field| !field.subjects.is_empty()) {
        let prefix = field.name.split('_').next().unwrap_or_default();
        if !groups.iter().any(|(known, _)| *known == prefix) {
            groups.push((prefix, &field.subjects));
        }
    }
    for (prefix, subjects) in groups {
        let names: Vec<String> = subjects.iter().map(|name| safe(name)).collect();
        page.labelled(Tone::Faint, prefix, &format!("@ {}", names.join(", ")));
    }
    page.next("prunella history cpu_percent --since 2h");
    if list.unreadable > 0 {
        page.line(Tone::Faint, &damaged(list.unreadable));
    }
    if let Some(folder) = read_from {
        page.line(Tone::Faint, &format!("Read from {}, without the agent.", safe(folder)));
    }
    page.finish()
}

fn told(extent: &HistoryExtent) -> String {
    let what = match extent.tier {
        HistoryTier::Full => "as it was read",
        HistoryTier::Reduced => "by the minute",
    };
    match (extent.from, extent.to) {
        (Some(from), Some(to)) => {
            let end = Timestamp::new(BootTime::ZERO, to);
            let from_text = clock(Timestamp::new(BootTime::ZERO, from), end);
            let length = Duration::from_secs(to.since(from).as_secs());
            format!(
                "{what}, {} from {from_text} to {}, {} in {}",
                lasting(length),
                clock(end, end),
                Bytes(extent.bytes),
                plural(count(extent.files), "file")
            )
        }
        (Some(_) | None, _) => format!("{what}: nothing so far"),
    }
}

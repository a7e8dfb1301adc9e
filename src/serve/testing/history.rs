//! A past that never changes: a quiet quarter of an hour, a sleep, a busy quarter, a reboot.

use crate::model::*;
use crate::serve::{HistorySource, NoAnswer};

/// The same for whoever asks.
pub(crate) struct FixedHistory;

const SLEPT: Gap = Gap::Interrupted(Interruption::Slept);

fn boot(n: u8) -> BootId {
    BootId(Id128::from_bytes([n; 16]))
}

/// `minute` after the beginning.
fn point(query: &HistoryQuery, minute: i64, value: Option<f64>) -> HistoryPoint {
    let missing = value.is_none();
    HistoryPoint {
        wall_ms: WallTime::from_unix_millis(query.from.unix_millis() + minute * 60_000),
        boot_ms: minute * 60_000,
        mean: value,
        min: value.map(|value| value / 2.0),
        max: value.map(|value| value * 2.0),
        values: if missing { 0 } else { 60 },
        absent: u64::from(missing),
        why: missing.then_some(SLEPT),
    }
}

impl HistorySource for FixedHistory {
    fn list(&self) -> Result<HistoryList, NoAnswer> {
        let at = |hours: i64| Some(WallTime::from_unix_millis(1_773_457_680_000 - hours * 3_600_000));
        let field = |name: &str, unit, meaning: &str, subjects: &[&str]| HistoryFieldInfo {
            name: name.into(),
            unit,
            meaning: meaning.into(),
            of_subject: !subjects.is_empty(),
            subjects: subjects.iter().map(|&name| name.to_owned()).collect(),
        };
        Ok(HistoryList {
            folder: "/var/lib/prunella/history".into(),
            extents: vec![
                HistoryExtent { tier: HistoryTier::Full, from: at(50), to: at(0), bytes: 9 << 20, files: 9 },
                HistoryExtent { tier: HistoryTier::Reduced, from: None, to: None, bytes: 0, files: 0 },
            ],
            fields: vec![
                field("cpu_percent", HistoryUnit::Percent, "time that all processors worked", &[]),
                field(
                    "disk_busy_percent",
                    HistoryUnit::Percent,
                    "time with a request",
                    &["vda", "evil\u{1b}[2J"],
                ),
            ],
            unreadable: 1,
        })
    }

    fn series(&self, query: &HistoryQuery) -> Result<HistorySeries, NoAnswer> {
        match query.field.as_str() {
            "cpu_percent" => {}
            "disk_busy_percent" => {
                return Err(NoAnswer::BadQuestion("disk_busy_percent needs a name".into()));
            }
            other => return Err(NoAnswer::NotFound(format!("there is no field {other}"))),
        }
        let mut first: Vec<_> = (0..15).map(|minute| point(query, minute, Some(10.0))).collect();
        first.push(point(query, 20, None));
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        first.extend((21..36).map(|minute| point(query, minute, Some(minute as f64))));
        let mut second: Vec<_> = (50..60).map(|minute| point(query, minute, Some(0.5))).collect();
        [&mut first, &mut second].into_iter().for_each(|run| run.retain(|point| point.wall_ms < query.to));
        Ok(HistorySeries {
            field: query.field.clone(),
            unit: HistoryUnit::Percent,
            meaning: "time that all processors worked, of all their time".into(),
            from: query.from,
            to: query.to,
            step_seconds: 60,
            runs: vec![
                HistoryRun { boot: boot(1), points: first },
                HistoryRun { boot: boot(2), points: second },
            ],
            unreadable: 0,
            cut: false,
        })
    }
}

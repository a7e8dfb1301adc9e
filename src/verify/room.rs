//! Whether there is room again after something was removed.

use crate::assess::View;
use crate::model::{Applied, BootTime, Bytes, Human, Intent, MountPoint, Reading, Usage, Verification};

use super::{Progress, Watch};

/// Judges the act by how full its file system is after it. `over` says whether the rule that asked for it calls the fault
/// over, by what is known now.
#[must_use]
pub fn judge_room(
    intent: &Intent,
    applied: &Applied,
    point: &MountPoint,
    view: &View,
    over: bool,
    watch: Watch,
    now: BootTime,
) -> Progress {
    if let Applied::Withdrawn { why } = applied {
        let why = format!("nothing was done: {why}");
        return Progress::Done(Verification::Inconclusive { why });
    }
    let deadline = watch.from + intent.expectation.within;
    let usage = match view.filesystems.room(point) {
        Reading::Value((usage, at)) if at >= watch.from => usage,
        Reading::Value(_) if now < deadline => return Progress::Look,
        Reading::Absent(_) | Reading::Failed(_) if now < deadline => {
            return Progress::Wait { until: deadline };
        }
        Reading::Value(_) | Reading::Absent(_) | Reading::Failed(_) => {
            let why = format!("how full {point} is was not seen within {}", Human(now.since(watch.from)));
            return Progress::Done(Verification::Inconclusive { why });
        }
    };
    let (did, left) = (what_it_did(intent, applied, usage), how_full(usage));
    Progress::Done(if over {
        Verification::Confirmed { why: format!("{did}, and {left}") }
    } else {
        Verification::Refuted { why: format!("{did}, but {left}") }
    })
}

fn what_it_did(intent: &Intent, applied: &Applied, usage: &Usage) -> String {
    match applied {
        Applied::Removed { files, freed, inodes_freed, why } => {
            format!("{files} files were removed, {freed} and {inodes_freed} inodes are free by it ({why})")
        }
        Applied::Archived { logs, content, freed, why } => {
            format!("{content} of {logs} logs were archived, {freed} are free by it ({why})")
        }
        Applied::Changed => match intent.expectation.free_before.value() {
            Some(before) if usage.free > *before => {
                format!("{} more are free than before", Bytes(usage.free.0 - before.0))
            }
            Some(_) | None => "it was carried out, and no more is free".into(),
        },
        Applied::Restrained { what, .. } => what.clone(),
        Applied::AlreadySo => "nothing that may be removed was found".into(),
        Applied::Failed { why } => format!("it failed ({why})"),
        Applied::Unknown { why } => format!("how far it came is unknown ({why})"),
        Applied::Withdrawn { why } => format!("nothing was done ({why})"),
    }
}

fn how_full(usage: &Usage) -> String {
    match usage.used() {
        Reading::Value(used) => format!("{:.1}% are in use, {} are available", used.0, usage.available),
        Reading::Absent(_) | Reading::Failed(_) => format!("{} are available", usage.available),
    }
}

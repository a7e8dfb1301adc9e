//! Have services let go of deleted files that they hold open: by a reload, or by a restart that a person agreed to.
//!
//! Who holds what is looked at once more right before the first order (guard 13): the incident's own look may be long
//! ago, and what a service does not hold any more is no reason to touch it.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::recheck::{self, Finding};
use super::{Applied, Order, Permit, ServiceManager, order};
use crate::model::{
    ActiveState, DeletedFiles, InvocationId, Reading, Remedy, RoomOrder, Timestamp, UnitName, UnitStatus,
};

/// What is less is worth no interruption.
const HELD_LEAST: u64 = 1 << 20;
/// Between two looks at whether they have let go: each goes through all of `/proc`.
const LOOK_GAP: Duration = Duration::from_millis(500);
/// A program that was told to open its logs anew does so when it next comes to it.
const LOOKS_MAX: usize = 10;

/// Who tells what is held open on a file system.
pub trait Holdings: Send + Sync {
    /// The deleted files that are open there, looked for after this pause. Bounded.
    fn deleted_after<'a>(
        &'a self,
        pause: Duration,
        order: &'a RoomOrder,
    ) -> BoxFuture<'a, Reading<DeletedFiles>>;
}

/// Uses the permit up. `now` is read when the call begins.
///
/// Bounded by the permit's deadline for each target, and by a few looks at what they hold; whoever calls it bounds the
/// whole.
pub async fn ask_holders(
    permit: Permit,
    manager: &dyn ServiceManager,
    holdings: &dyn Holdings,
    now: Timestamp,
) -> Applied {
    if now.boot > permit.expires().boot {
        return Applied::Withdrawn { why: "its permit had expired".into() };
    }
    let what = if permit.remedy() == Remedy::ReloadHolders {
        Order::Reload
    } else if permit.remedy() == Remedy::RestartHolders {
        Order::Restart
    } else {
        return Applied::Failed { why: format!("{} asks nobody to let go of files", permit.remedy()) };
    };
    let Some(room) = permit.room() else {
        return Applied::Failed { why: "its permit names no file system".into() };
    };
    let held = match holdings.deleted_after(Duration::ZERO, room).await {
        Reading::Value(held) => held,
        Reading::Absent(reason) => {
            return Applied::Withdrawn { why: format!("who holds deleted files is not known: {reason}") };
        }
        Reading::Failed(error) => {
            return Applied::Withdrawn { why: format!("who holds deleted files is not known: {error}") };
        }
    };
    // Those that did as they were told, what went wrong, and why the others were left alone.
    let (mut asked, mut failed, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for unit in permit.targets() {
        if !holds(&held, unit) {
            let sure = if held.complete { "" } else { ", as far as could be told in time" };
            left.push(format!("{unit} holds no deleted file there any more{sure}"));
            continue;
        }
        match look(what, unit, permit.invocation(), manager).await {
            Finding::AsJudged => {}
            Finding::NothingToDo => continue,
            Finding::Changed(why) => {
                left.push(why);
                continue;
            }
        }
        match order(&permit, manager, what, unit).await {
            Applied::Changed => asked.push(unit),
            Applied::Failed { why } => failed.push(format!("{unit}: {why}")),
            // What came of it nobody knows: the others are for another time.
            unknown @ (Applied::Unknown { .. }
            | Applied::Withdrawn { .. }
            | Applied::AlreadySo
            | Applied::Removed { .. }
            | Applied::Archived { .. }
            | Applied::Restrained { .. }) => return unknown,
        }
    }
    if asked.is_empty() && failed.is_empty() {
        return Applied::Withdrawn { why: left.join("; ") };
    }
    for _ in 0..LOOKS_MAX {
        match holdings.deleted_after(LOOK_GAP, room).await {
            Reading::Value(held) if !asked.iter().any(|unit| holds(&held, unit)) => break,
            Reading::Value(_) | Reading::Absent(_) | Reading::Failed(_) => {}
        }
    }
    if failed.is_empty() { Applied::Changed } else { Applied::Failed { why: failed.join("; ") } }
}

fn holds(held: &DeletedFiles, unit: &UnitName) -> bool {
    let its = held.largest.iter().filter(|file| file.unit.value().is_some_and(|name| name == unit.as_str()));
    its.map(|file| file.bytes.0).fold(0, u64::saturating_add) >= HELD_LEAST
}

/// Whether it is still one that may be asked.
async fn look(
    what: Order,
    unit: &UnitName,
    judged: &Reading<InvocationId>,
    manager: &dyn ServiceManager,
) -> Finding {
    let status = match manager.look(unit).await {
        Ok(status) => status,
        Err(error) => return Finding::Changed(format!("{unit} could not be looked at once more: {error}")),
    };
    if let Some(why) = recheck::belongs_to_others(&status, None) {
        return Finding::Changed(why);
    }
    if status.active != ActiveState::Active {
        return Finding::Changed(format!("{unit} is {}", status.active.as_str()));
    }
    match what {
        Order::Reload if !can_reload(&status) => Finding::Changed(format!("{unit} has no reload")),
        Order::Restart => match recheck::run(judged, &status) {
            Finding::AsJudged => recheck::rivals(&status, manager).await,
            found @ (Finding::NothingToDo | Finding::Changed(_)) => found,
        },
        Order::Reload | Order::Start | Order::Stop | Order::ResetFailed => Finding::AsJudged,
    }
}

fn can_reload(status: &UnitStatus) -> bool {
    status.service().value().is_some_and(|service| service.can_reload)
}

//! Reads units: one with all that is told of it, all in one list, and those that changed as they change.

#![expect(clippy::disallowed_methods, reason = "a list has a budget on the monotonic clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join};
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep};
use zbus::message::Message;
use zbus::{ObjectPath, Variant};

use super::link::{CallError, JOB, Link, Method, SERVICE, UNIT};
use super::properties::{Properties, states, status};
use super::shared::Shared;
use super::tracker::Announced;
use super::{path, words};
use crate::manager::News;
use crate::model::{
    Absence, ActiveState, JobKind, LoadState, Reading, UnitJob, UnitKind, UnitName, UnitStatus,
};

/// For the answer to one question. systemd answers in well under a millisecond, and not at all while it reads its
/// units anew, which takes seconds where there are thousands.
pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// For the list of all units, a message of a megabyte where there are thousands.
const LIST_DEADLINE: Duration = Duration::from_secs(20);
/// For the details that follow a list; units beyond it say that they were not read.
const DETAILS_BUDGET: Duration = Duration::from_secs(10);
/// Units read at the same time: enough that systemd never waits for us, few enough that others get a turn.
const AT_ONCE: usize = 16;

/// Why a unit could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// systemd knows no unit of this name.
    NoSuchUnit,
    Call(CallError),
}

impl From<CallError> for ReadError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// One unit with details, read now. An alias gives the unit that it stands for.
pub(super) async fn examine(link: &Link, shared: &Shared, unit: &UnitName) -> Result<UnitStatus, ReadError> {
    let at = path::of_unit(unit);
    let all = |interface: &'static str| {
        let at = at.clone();
        async move { link.call(Method::properties(&at, "GetAll"), &interface, CALL_DEADLINE).await }
    };
    let (of_unit, of_service) = if unit.kind() == UnitKind::Service {
        let (of_unit, of_service) = join(all(UNIT), all(SERVICE)).await;
        (of_unit, Some(of_service))
    } else {
        (all(UNIT).await, None)
    };
    let of_unit = match of_unit {
        Err(CallError::Answered { name, .. }) if is_unknown(&name) => return Err(ReadError::NoSuchUnit),
        other => other?,
    };
    let body = of_unit.body();
    let of_unit = parse(&body)?;
    let job = match of_unit.job() {
        None | Some(0) => Reading::Absent(Absence::NotApplicable),
        Some(id) => Reading::Value(job(link, shared, id).await),
    };
    let service_body;
    let of_service = match of_service {
        None => Reading::Absent(Absence::NotApplicable),
        Some(Ok(message)) => {
            service_body = message.body();
            parse(&service_body).map_or_else(|error| Reading::Failed(error.to_string()), Reading::Value)
        }
        Some(Err(error)) => Reading::Failed(error.to_string()),
    };
    let status = status(&of_unit, of_service, job).map_err(CallError::Garbled)?;
    if status.load == LoadState::NotFound && status.active == ActiveState::Inactive {
        return Err(ReadError::NoSuchUnit);
    }
    if let Reading::Value(run) = status.invocation() {
        shared.state().tracker.learn_run(&status.name, status.active, run);
    }
    Ok(status)
}

/// The errors of a unit that is not there, or not any more.
pub(super) fn is_unknown(error: &str) -> bool {
    matches!(error, "org.freedesktop.systemd1.NoSuchUnit" | "org.freedesktop.DBus.Error.UnknownObject")
}

fn parse(body: &zbus::message::Body) -> Result<Properties<'_>, CallError> {
    body.deserialize().map(Properties).map_err(|error| CallError::Garbled(error.to_string()))
}

/// A job that is on a unit; its kind is asked if the answer is not there yet.
async fn job(link: &Link, shared: &Shared, id: u32) -> UnitJob {
    let known = shared.state().tracker.kind(id);
    let kind = match known {
        Some(kind) => kind,
        None => ask_kind(link, shared, id).await,
    };
    UnitJob { id, kind, origin: shared.state().tracker.origin(id) }
}

/// What a job does; [`JobKind::Other`] when it is over.
async fn ask_kind(link: &Link, shared: &Shared, id: u32) -> JobKind {
    let at = path::of_job(id);
    let answer = link.call(Method::properties(&at, "Get"), &(JOB, "JobType"), CALL_DEADLINE).await;
    let kind = answer.ok().and_then(|answer| {
        let body = answer.body();
        match body.deserialize::<Variant<'_>>() {
            Ok(Variant::Str(word)) => Some(words::job_kind(word.as_str())),
            Ok(_) | Err(_) => None,
        }
    });
    if let Some(kind) = kind {
        shared.state().tracker.kind_told(id, kind);
    }
    kind.unwrap_or(JobKind::Other)
}

/// A row of `ListUnits`: name, description, load, active and sub state, followed unit, object path, job's number,
/// type and object path.
type Row<'m> =
    (&'m str, &'m str, &'m str, &'m str, &'m str, &'m str, ObjectPath<'m>, u32, &'m str, ObjectPath<'m>);

/// Every unit. Details for those that are not at rest and for `attention`, whose members are looked up also when they
/// are not loaded. One message for the rows, two for each unit with details: about 25 ms for 5,000 rows.
pub(super) async fn list(
    link: &Link,
    shared: &Shared,
    attention: &[UnitName],
) -> Result<Vec<UnitStatus>, CallError> {
    let message = link.call(Method::manager("ListUnits"), &(), LIST_DEADLINE).await?;
    let mut units = rows(&message, shared)?;
    let wanted: BTreeSet<UnitName> = attention
        .iter()
        .chain(units.values().filter(|unit| !at_rest(unit)).map(|unit| &unit.name))
        .cloned()
        .collect();
    let deadline = Instant::now() + DETAILS_BUDGET;
    let read = stream::iter(wanted)
        .map(|unit| async move {
            let result =
                if Instant::now() < deadline { Some(examine(link, shared, &unit).await) } else { None };
            (unit, result)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    for (unit, result) in read {
        match result {
            Some(Ok(status)) => {
                units.insert(status.name.clone(), status);
            }
            Some(Err(ReadError::NoSuchUnit)) => {
                // A unit that others refer to and that has no file stays, as the list shows it.
                if units.get(&unit).is_some_and(|row| row.load != LoadState::NotFound) {
                    units.remove(&unit);
                }
            }
            Some(Err(ReadError::Call(error @ (CallError::Cut(_) | CallError::NotSent(_))))) => {
                return Err(error);
            }
            Some(Err(ReadError::Call(error))) => not_read(&mut units, &unit, &error.to_string()),
            None => {
                not_read(&mut units, &unit, &format!("not read: the units before it took {DETAILS_BUDGET:?}"))
            }
        }
    }
    Ok(units.into_values().collect())
}

fn not_read(units: &mut BTreeMap<UnitName, UnitStatus>, unit: &UnitName, why: &str) {
    if let Some(row) = units.get_mut(unit) {
        row.details = Reading::Failed(why.to_owned());
    }
}

fn at_rest(unit: &UnitStatus) -> bool {
    let rests = matches!(unit.active, ActiveState::Active | ActiveState::Inactive);
    rests && unit.job.value().is_none() && !matches!(unit.details, Reading::Failed(_))
}

fn rows(message: &Message, shared: &Shared) -> Result<BTreeMap<UnitName, UnitStatus>, CallError> {
    let body = message.body();
    let rows: Vec<Row<'_>> = body.deserialize().map_err(|error| CallError::Garbled(error.to_string()))?;
    let mut state = shared.state();
    let (mut units, mut seeds) = (BTreeMap::new(), Vec::with_capacity(rows.len()));
    for (name, _, load, active, sub, _, _, job, kind, _) in rows {
        let name = match UnitName::parse(name) {
            Ok(name) => name,
            Err(error) => {
                tracing::debug!(name, %error, "a unit whose name is not one");
                continue;
            }
        };
        let (load, active, complaint) = states(load, active);
        seeds.push((name.clone(), Announced { active, sub: sub.to_owned(), job, invocation: None }));
        let job = if job == 0 {
            Reading::Absent(Absence::NotApplicable)
        } else {
            Reading::Value(UnitJob {
                id: job,
                kind: words::job_kind(kind),
                origin: state.tracker.origin(job),
            })
        };
        let details = complaint.map_or(Reading::Absent(Absence::NotObserved), Reading::Failed);
        units.insert(name.clone(), UnitStatus { name, load, active, sub: sub.to_owned(), job, details });
    }
    state.tracker.seed(seeds.into_iter());
    Ok(units)
}

/// Reads what changes, for as long as it is polled.
pub(super) async fn follow(link: Arc<Link>, shared: &Shared) {
    let mut running: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    loop {
        let due = start(&link, shared, &mut running);
        let pause = due.map(|due| due.saturating_sub(shared.now()));
        tokio::select! {
            () = shared.work.notified() => {}
            Some(()) = running.next(), if !running.is_empty() => {}
            () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// Begins what there is to do and there is room for; says when there will be more.
fn start<'a>(
    link: &Arc<Link>,
    shared: &'a Shared,
    running: &mut FuturesUnordered<BoxFuture<'a, ()>>,
) -> Option<Duration> {
    let mut state = shared.state();
    while running.len() < AT_ONCE {
        let link = Arc::clone(link);
        if let Some(id) = state.asks.pop_front() {
            if state.tracker.kind_is_open(id) {
                running.push(Box::pin(async move {
                    ask_kind(&link, shared, id).await;
                }));
            }
        } else if let Some(unit) = state.dirty.take(shared.now()) {
            running.push(Box::pin(async move { read_again(&link, shared, &unit).await }));
        } else {
            return state.dirty.next_due();
        }
    }
    None
}

/// Reads a unit that changed, and tells.
async fn read_again(link: &Link, shared: &Shared, unit: &UnitName) {
    let result = examine(link, shared, unit).await;
    let mut state = shared.state();
    state.dirty.done(unit);
    match result {
        Ok(status) => state.queue.changed(status),
        // `UnitRemoved` tells.
        Err(ReadError::NoSuchUnit) => return,
        Err(ReadError::Call(error)) => {
            tracing::debug!(%unit, %error, "a unit that changed could not be read");
            state.queue.other(News::ListAgain);
        }
    }
    drop(state);
    shared.heard.notify_one();
}

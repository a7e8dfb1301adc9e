//! The one reader of a connection: takes each message in the order of the wire, changes the shared state, and waits
//! for nothing but the next message.

use futures_util::StreamExt;
use zbus::message::{Message, Type};
use zbus::{MessageStream, ObjectPath};

use super::dirty::TooMany;
use super::link::{BUS, Link, MANAGER, MANAGER_PATH, PROPERTIES, SERVICE, SYSTEMD, UNIT};
use super::properties::{Properties, states};
use super::shared::{Shared, State};
use super::tracker::{Announced, Consequence, ServiceAnnounced};
use super::{path, words};
use crate::manager::News;
use crate::model::{MainExit, UnitName};

/// Most jobs whose kind waits to be asked; those beyond end as [`crate::model::JobKind::Other`].
const ASKS_MAX: usize = 256;

/// Reads until the connection ends, and says why it did.
pub(super) async fn read(mut stream: MessageStream, link: &Link, shared: &Shared) -> String {
    while let Some(message) = stream.next().await {
        match message {
            Ok(message) => take(message, link, shared),
            Err(error) => return format!("the connection to the bus broke: {error}"),
        }
    }
    "the bus closed the connection".to_owned()
}

fn take(message: Message, link: &Link, shared: &Shared) {
    match message.message_type() {
        Type::MethodReturn | Type::Error => reply(message, link, shared),
        Type::Signal => {
            if signal(&message, shared).is_none() {
                tracing::debug!(?message, "a signal that says nothing that can be used");
            }
        }
        Type::MethodCall => {}
    }
}

/// A reply goes to its waiter. That of an order names a job, which is ours from this message on: its `JobRemoved`
/// may be the next.
fn reply(message: Message, link: &Link, shared: &Shared) {
    let Some(mut waiter) = message.header().reply_serial().and_then(|serial| link.waiter(serial)) else {
        return;
    };
    if let Some(order) = waiter.job.take()
        && message.message_type() == Type::MethodReturn
        && let Some(job) = job_named(&message)
    {
        let mut state = shared.state();
        if !order.before.contains(&job) {
            state.tracker.is_ours(job);
        }
        state.waiting.insert(job, order.ended);
    }
    waiter.answer(message);
}

/// The job that the reply to an order names.
pub(super) fn job_named(message: &Message) -> Option<u32> {
    path::to_job(message.body().deserialize::<ObjectPath<'_>>().ok()?.as_str())
}

/// One signal; `None` when it is not as expected.
fn signal(message: &Message, shared: &Shared) -> Option<()> {
    let header = message.header();
    let (sender, at) = (header.sender()?.as_str(), header.path()?.as_str());
    let (interface, member) = (header.interface()?.as_str(), header.member()?.as_str());
    let mut state = shared.state();
    if sender == BUS {
        return if member == "NameOwnerChanged" {
            owner_changed(message, &mut state, shared)
        } else {
            Some(())
        };
    }
    // Whoever is on the bus may send us a signal directly, past all match rules.
    if state.owner.as_deref() != Some(sender) {
        return None;
    }
    match (interface, member) {
        (PROPERTIES, "PropertiesChanged") => properties_changed(message, at, &mut state, shared),
        (MANAGER, _) if at == MANAGER_PATH => manager_signal(message, member, &mut state, shared),
        _ => Some(()),
    }
}

fn owner_changed(message: &Message, state: &mut State, shared: &Shared) -> Option<()> {
    let body = message.body();
    let (name, _, new): (&str, &str, &str) = body.deserialize().ok()?;
    if name == SYSTEMD {
        state.owner_told = true;
        state.owner = (!new.is_empty()).then(|| new.to_owned());
        shared.owner_changed.notify_one();
    }
    Some(())
}

fn properties_changed(message: &Message, at: &str, state: &mut State, shared: &Shared) -> Option<()> {
    let Some(unit) = path::to_unit(at) else { return Some(()) };
    let body = message.body();
    let (interface, changed, _): (&str, std::collections::BTreeMap<&str, zbus::Variant<'_>>, Vec<&str>) =
        body.deserialize().ok()?;
    let changed = Properties(changed);
    match interface {
        SERVICE => {
            let announced = ServiceAnnounced {
                result: changed.text("Result")?.to_owned(),
                exit: match (changed.i32("ExecMainCode")?, changed.i32("ExecMainStatus")?) {
                    (0, _) => MainExit::None,
                    (1, status) => MainExit::Code(status),
                    (_, status) => MainExit::Signal(status),
                },
                restarts: changed.u32("NRestarts").unwrap_or(0),
                main_pid: changed.u32("MainPID")?,
            };
            state.tracker.service_announced(&unit, announced);
        }
        UNIT => {
            // Without a state in it, all that is known is that something changed.
            let consequence = match (changed.text("ActiveState"), changed.text("SubState"), changed.job()) {
                (Some(active), Some(sub), Some(job)) => {
                    let (_, active, _) = states("loaded", active);
                    let invocation = changed.invocation();
                    state.tracker.announced(&unit, Announced { active, sub: sub.to_owned(), job, invocation })
                }
                _ => Consequence { read: true, new_job: false },
            };
            if consequence.new_job
                && let Some(job) = changed.job()
            {
                ask(job, state, shared);
            }
            if consequence.read {
                mark(&unit, state, shared);
            }
        }
        _ => {}
    }
    Some(())
}

/// What a job does is asked at its first sight: it may be over in a millisecond.
fn ask(job: u32, state: &mut State, shared: &Shared) {
    if state.asks.len() < ASKS_MAX {
        state.asks.push_back(job);
        shared.work.notify_one();
    }
}

fn mark(unit: &UnitName, state: &mut State, shared: &Shared) {
    match state.dirty.mark(unit, shared.now()) {
        Ok(()) => shared.work.notify_one(),
        Err(TooMany) => news(News::ListAgain, state, shared),
    }
}

fn news(news: News, state: &mut State, shared: &Shared) {
    state.queue.other(news);
    shared.heard.notify_one();
}

fn manager_signal(message: &Message, member: &str, state: &mut State, shared: &Shared) -> Option<()> {
    let body = message.body();
    match member {
        "JobNew" => {
            let (id, _, unit): (u32, ObjectPath<'_>, &str) = body.deserialize().ok()?;
            if state.tracker.job_new(id, &UnitName::parse(unit).ok()?) {
                ask(id, state, shared);
            }
        }
        "JobRemoved" => {
            let (id, _, unit, result): (u32, ObjectPath<'_>, &str, &str) = body.deserialize().ok()?;
            let result = words::job_result(result);
            if let Some(waiter) = state.waiting.remove(&id) {
                // One who gave up waiting is passed over.
                let _ = waiter.send(result);
            }
            let event = state.tracker.job_removed(id, UnitName::parse(unit).ok()?, result);
            news(News::JobEnded(event), state, shared);
        }
        "UnitRemoved" => {
            // While systemd reads its units anew it says this of each; the list that follows tells who is gone.
            let (unit, _): (&str, ObjectPath<'_>) = body.deserialize().ok()?;
            let unit = UnitName::parse(unit).ok()?;
            if !state.reloading && state.tracker.removed(&unit) {
                state.queue.removed(unit);
                shared.heard.notify_one();
            }
        }
        "Reloading" => {
            let begins: bool = body.deserialize().ok()?;
            if state.reloading != begins {
                state.reloading = begins;
                news(News::Reloading(begins), state, shared);
            }
            // Without a link it will be said when there is one.
            if !begins && state.link.is_some() {
                news(News::ListAgain, state, shared);
            }
        }
        // `UnitNew` says that a unit was loaded, at rest; when it does anything, its properties change.
        _ => {}
    }
    Some(())
}

//! Keeps a connection for ever: connects, subscribes, notices silence, and begins again.

#![expect(clippy::disallowed_methods, reason = "waits between tries and between heartbeats")]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use zbus::Variant;

use super::backoff::Backoff;
use super::link::{CallError, Link, MANAGER, MANAGER_PATH, Method, PEER, SYSTEMD};
use super::reader::{CALL_DEADLINE, follow};
use super::shared::Shared;
use super::signals;

/// From one heartbeat to the next: how long a silence may go unnoticed when nothing is asked.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// For the answer to a heartbeat; beyond it systemd counts as lost.
const HEARTBEAT_DEADLINE: Duration = Duration::from_secs(5);
/// The same while systemd reads its units anew, when it answers nobody.
const RELOAD_DEADLINE: Duration = Duration::from_secs(60);
/// How long a silent connection is kept in the hope that its other end wakes: nothing is missed then.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// From systemd's leaving the bus to the alarm: a re-execution takes well under a second.
const OWNER_GRACE: Duration = Duration::from_secs(2);

/// What the bus is to send us: all of the manager's own signals, changes of units, and systemd's coming and going.
const RULES: [&str; 3] = [
    "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
     interface='org.freedesktop.systemd1.Manager'",
    "type='signal',sender='org.freedesktop.systemd1',path_namespace='/org/freedesktop/systemd1/unit',\
     interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',\
     arg0='org.freedesktop.systemd1'",
];

/// Never returns.
pub(super) async fn keep(address: String, shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    loop {
        let why = match Link::connect(&address).await {
            Err(why) => why,
            Ok((link, stream)) => {
                let link = Arc::new(link);
                shared.connected();
                let why = tokio::select! {
                    why = signals::read(stream, &link, &shared) => why,
                    why = hold(&link, &shared, &mut backoff) => why,
                    () = link.stuck() => "the bus takes no more messages".to_owned(),
                };
                link.cut();
                why
            }
        };
        tracing::debug!(why, "the connection to systemd ended");
        shared.lost(&why);
        sleep(backoff.next(chance())).await;
    }
}

/// Chance for the backoff's spread, from the keys that the standard library seeds its maps with.
fn chance() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Works over one connection until it is of no more use, and says why.
async fn hold(link: &Arc<Link>, shared: &Shared, backoff: &mut Backoff) -> String {
    for rule in RULES {
        if let Err(error) = link.call(Method::bus("AddMatch"), &rule, CALL_DEADLINE).await {
            return format!("the bus takes no subscription: {error}");
        }
    }
    match link.call(Method::bus("GetNameOwner"), &SYSTEMD, CALL_DEADLINE).await {
        Ok(answer) => {
            let owner = answer.body().deserialize::<&str>().ok().map(str::to_owned);
            let mut state = shared.state();
            if !state.owner_told {
                state.owner = owner;
            }
        }
        // systemd is not on the bus yet, or just left: its coming is signalled.
        Err(CallError::NotSent(_) | CallError::Answered { .. }) => {}
        Err(error) => return format!("the bus does not say who systemd is: {error}"),
    }
    loop {
        let owner = shared.state().owner.clone();
        let Some(owner) = owner else {
            // A re-execution leaves the bus for a moment, which is not worth an alarm.
            if timeout(OWNER_GRACE, shared.owner_changed.notified()).await.is_err() {
                shared.lost("systemd is not on the bus");
                shared.owner_changed.notified().await;
            }
            continue;
        };
        let work = async {
            subscribe(link, shared).await?;
            backoff.reset();
            shared.found(link);
            tokio::select! {
                why = heartbeat(link, shared) => Err(why),
                () = follow(Arc::clone(link), shared) => Ok(()),
            }
        };
        let moved = async {
            while shared.state().owner.as_ref() == Some(&owner) {
                shared.owner_changed.notified().await;
            }
        };
        let mut moved = std::pin::pin!(moved);
        let failed = tokio::select! {
            result = work => result.err(),
            () = &mut moved => None,
        };
        // systemd's leaving cuts calls off before it is signalled.
        if let Some(why) = failed
            && timeout(OWNER_GRACE, moved).await.is_err()
        {
            return why;
        }
        shared.state().forget("systemd left the bus");
    }
}

/// `Subscribe`, without which systemd tells nothing, and its version.
async fn subscribe(link: &Link, shared: &Shared) -> Result<(), String> {
    match link.call(Method::manager("Subscribe"), &(), CALL_DEADLINE).await {
        Ok(_) => {}
        // Kept over a re-execution.
        Err(CallError::Answered { name, .. }) if name == "org.freedesktop.systemd1.AlreadySubscribed" => {}
        Err(error) => return Err(format!("systemd takes no subscription: {error}")),
    }
    let version = link
        .call(Method::properties(MANAGER_PATH, "Get"), &(MANAGER, "Version"), CALL_DEADLINE)
        .await
        .map_err(|error| format!("systemd does not say its version: {error}"))?;
    let body = version.body();
    if let Ok(Variant::Str(version)) = body.deserialize::<Variant<'_>>() {
        version.as_str().clone_into(&mut shared.state().version);
    }
    Ok(())
}

/// Asks for a sign of life now and then. A silent systemd, or a bus that passes nothing on, is told at once and the
/// connection kept for a while; what waits in it is read when it wakes.
async fn heartbeat(link: &Arc<Link>, shared: &Shared) -> String {
    loop {
        sleep(HEARTBEAT).await;
        let within = if shared.state().reloading { RELOAD_DEADLINE } else { HEARTBEAT_DEADLINE };
        let ping = Method { destination: SYSTEMD, path: MANAGER_PATH, interface: PEER, member: "Ping" };
        let patience = within + SILENCE_MAX;
        let deadline = Instant::now() + patience;
        let pending = match link.send(ping, &(), None, deadline).await {
            Ok(pending) => pending,
            Err(error) => return format!("systemd can't be asked: {error}"),
        };
        let mut answer = std::pin::pin!(pending.reply(link, deadline, patience));
        let in_time = tokio::select! {
            biased;
            answer = &mut answer => Some(answer),
            () = sleep(within) => None,
        };
        let answer = match in_time {
            Some(answer) => answer,
            None => {
                shared.silent(&format!("systemd is silent for {within:?}"));
                let answer = answer.await;
                if answer.is_ok() {
                    shared.found(link);
                }
                answer
            }
        };
        match answer {
            // An error is a sign of life as well.
            Ok(_) | Err(CallError::Answered { .. }) => {}
            Err(error) => return format!("systemd gives no sign of life: {error}"),
        }
    }
}

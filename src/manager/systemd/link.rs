//! One connection to the bus: calls with a deadline, and the one reader that sees replies and signals in the order of
//! the wire.
//!
//! Replies are matched here and not by zbus, for two reasons. The order between a reply and the signals around it is
//! meaning: the reply to `StartUnit` names the job, and `JobRemoved` may be the next message. And a call that is given
//! up must leave nothing behind. zbus keeps one queue for the messages of a connection and stops reading when it is
//! full; the reader never waits for anything but the next message, so it never is.

#![expect(clippy::disallowed_methods, reason = "a call has a deadline on the monotonic clock")]

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use zbus::message::{Flags, Message};
use zbus::{Connection, DynamicType, MessageStream};

use crate::model::JobResult;

/// Messages that may wait for the reader while another task has the thread.
const QUEUED_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
/// To connect, authenticate and say Hello. dbus-daemon gives a client 5 s for it (`auth_timeout`).
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Where the system bus is unless told otherwise (D-Bus specification, "Well-known Message Bus Instances").
pub(super) const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
/// Most calls under way. The callers are few and each is bounded; beyond it something is wrong.
const CALLS_MAX: usize = 4096;

pub(super) const BUS: &str = "org.freedesktop.DBus";
pub(super) const SYSTEMD: &str = "org.freedesktop.systemd1";
pub(super) const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";
pub(super) const JOB: &str = "org.freedesktop.systemd1.Job";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub(super) const PEER: &str = "org.freedesktop.DBus.Peer";

/// Why a call has no answer of the kind that was hoped for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum CallError {
    /// It never left: nothing can have come of it.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It left, and the connection or its addressee went before an answer came.
    #[error("{0}")]
    Cut(String),
    /// It left, and no answer came in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The answer is an error.
    #[error("{name}: {message}")]
    Answered { name: String, message: String },
    /// The answer can't be read.
    #[error("an answer that can't be read: {0}")]
    Garbled(String),
}

/// What is to be called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method<'a> {
    pub(super) destination: &'static str,
    pub(super) path: &'a str,
    pub(super) interface: &'static str,
    pub(super) member: &'static str,
}

impl<'a> Method<'a> {
    /// A method of the bus itself.
    pub(super) const fn bus(member: &'static str) -> Self {
        Self { destination: BUS, path: "/org/freedesktop/DBus", interface: BUS, member }
    }

    /// A method of systemd's manager object.
    pub(super) const fn manager(member: &'static str) -> Self {
        Self { destination: SYSTEMD, path: MANAGER_PATH, interface: MANAGER, member }
    }

    /// A method of `Properties` on an object of systemd.
    pub(super) const fn properties(path: &'a str, member: &'static str) -> Self {
        Self { destination: SYSTEMD, path, interface: PROPERTIES, member }
    }
}

/// Who waits for a reply.
pub(super) struct Waiter {
    reply: oneshot::Sender<Message>,
    /// For an order: who waits for the end of the job that the reply names.
    pub(super) job: Option<Order>,
}

/// An order under way: its reply names a job, and whoever gave it waits for the job's end.
pub(super) struct Order {
    pub(super) ended: oneshot::Sender<JobResult>,
    /// Jobs that were on the unit before: one of these is not ours, even if systemd merged ours into it.
    pub(super) before: std::collections::BTreeSet<u32>,
}

/// See the module.
pub(super) struct Link {
    connection: Connection,
    waiting: Mutex<BTreeMap<NonZeroU32, Waiter>>,
    /// A message could not be sent in time; what follows on the wire would not be understood.
    stuck: Notify,
}

impl Link {
    /// Connects. The stream yields every message of this connection from the first on.
    pub(super) async fn connect(address: &str) -> Result<(Self, MessageStream), String> {
        let build = zbus::conn::Builder::address(address).max_queued(QUEUED_MAX).build();
        match timeout(CONNECT_DEADLINE, build).await {
            Ok(Ok(connection)) => {
                let stream = MessageStream::from(&connection);
                let link = Self { connection, waiting: Mutex::default(), stuck: Notify::new() };
                Ok((link, stream))
            }
            Ok(Err(error)) => Err(format!("no connection to the bus at {address}: {error}")),
            Err(_) => Err(format!("the bus at {address} did not greet within {CONNECT_DEADLINE:?}")),
        }
    }

    /// Pends until a message got stuck half-way: the connection is of no more use.
    pub(super) async fn stuck(&self) {
        self.stuck.notified().await;
    }

    /// Calls and waits for the reply.
    pub(super) async fn call<B>(
        &self,
        method: Method<'_>,
        body: &B,
        within: Duration,
    ) -> Result<Message, CallError>
    where
        B: Serialize + DynamicType + Sync,
    {
        let deadline = Instant::now() + within;
        let pending = self.send(method, body, None, deadline).await?;
        pending.reply(self, deadline, within).await
    }

    /// Sends a call. Given up by dropping what is returned.
    pub(super) async fn send<B>(
        &self,
        method: Method<'_>,
        body: &B,
        job: Option<Order>,
        deadline: Instant,
    ) -> Result<Pending, CallError>
    where
        B: Serialize + DynamicType + Sync,
    {
        let message = build(method, body).map_err(|error| CallError::NotSent(error.to_string()))?;
        let serial = message.primary_header().serial_num();
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.len() >= CALLS_MAX {
                waiting.retain(|_, waiter| !waiter.reply.is_closed());
            }
            if waiting.len() >= CALLS_MAX {
                return Err(CallError::NotSent(format!("{CALLS_MAX} calls wait for an answer already")));
            }
            waiting.insert(serial, Waiter { reply, job });
        }
        let pending = Pending { serial, answer };
        match timeout_at(deadline, self.connection.send(&message)).await {
            Ok(Ok(())) => Ok(pending),
            Ok(Err(error)) => {
                self.waiting().remove(&serial);
                Err(CallError::NotSent(error.to_string()))
            }
            Err(_) => {
                self.waiting().remove(&serial);
                self.stuck.notify_one();
                Err(CallError::Cut("the bus takes no more messages".to_owned()))
            }
        }
    }

    /// The reader saw a reply: who waited for it, taken off the list.
    pub(super) fn waiter(&self, serial: NonZeroU32) -> Option<Waiter> {
        self.waiting().remove(&serial)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<NonZeroU32, Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection is gone: nobody will be answered.
    pub(super) fn cut(&self) {
        self.waiting().clear();
    }
}

impl Waiter {
    /// Hands the reply over; one who no longer waits is passed over.
    pub(super) fn answer(self, message: Message) {
        drop(self.reply.send(message));
    }
}

/// A call that has been sent.
pub(super) struct Pending {
    serial: NonZeroU32,
    answer: oneshot::Receiver<Message>,
}

impl Pending {
    /// Waits for the reply until `deadline`, which was `within` away at the start.
    pub(super) async fn reply(
        mut self,
        link: &Link,
        deadline: Instant,
        within: Duration,
    ) -> Result<Message, CallError> {
        let answer = timeout_at(deadline, &mut self.answer).await;
        match answer {
            Ok(Ok(message)) => match message.message_type() {
                zbus::message::Type::Error => Err(answered(&message)),
                zbus::message::Type::MethodReturn
                | zbus::message::Type::MethodCall
                | zbus::message::Type::Signal => Ok(message),
            },
            Ok(Err(_)) => Err(CallError::Cut("the connection to the bus was lost".to_owned())),
            Err(_) => {
                link.waiting().remove(&self.serial);
                Err(CallError::Silent(within))
            }
        }
    }
}

fn build<B: Serialize + DynamicType>(method: Method<'_>, body: &B) -> zbus::Result<Message> {
    Message::method_call(method.path, method.member)
        .destination(method.destination)
        .interface(method.interface)
        // Never have systemd started by asking it: without it there is nothing to ask.
        .with_flags(Flags::NO_AUTO_START)
        .build(body)
}

/// Names of the errors by which the bus says that the addressee is not, or no longer, there.
const GONE: [&str; 5] = [
    "org.freedesktop.DBus.Error.NoReply",
    "org.freedesktop.DBus.Error.Disconnected",
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.NoServer",
];

fn answered(message: &Message) -> CallError {
    let header = message.header();
    let name = header.error_name().map(ToString::to_string).unwrap_or_default();
    let text = message.body().deserialize::<&str>().map(str::to_owned).unwrap_or_default();
    match GONE.iter().position(|gone| *gone == name) {
        // The first two come when the addressee left with the call in its hands, the others when it was not there.
        Some(0 | 1) => CallError::Cut(text),
        Some(_) => CallError::NotSent(text),
        None => CallError::Answered { name, message: text },
    }
}

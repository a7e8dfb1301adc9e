//! systemd over D-Bus.
//!
//! Owns the connection to the system bus, what is needed to keep it, and the translation of systemd's words and
//! properties into ours. Must not judge, and starts no process: the journal is read through a runner that is handed
//! in. Source: `org.freedesktop.systemd1(5)`, and systemd's sources for the order of its signals (see `tracker`).
//!
//! ```text
//!             bus ──► signals (the one reader, in wire order) ──► tracker, dirty ──► queue ──► news()
//!              ▲                                                        │              ▲
//!              └───────────── link (calls with deadlines) ◄── reader ◄──┘──────────────┘
//! ```
//!
//! Only what is heard from the owner of `org.freedesktop.systemd1` is believed. A status without a job is told after
//! the end of its last job: the reply that shows it comes behind `JobRemoved` on the wire, and what is read is queued
//! in that order.

mod backoff;
mod dirty;
mod journal;
mod link;
mod path;
mod properties;
mod queue;
mod reader;
mod restrain;
mod session;
mod shared;
mod signals;
mod tracker;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use zbus::Variant;

pub use self::journal::Runner;
use self::link::{CallError, Link, MANAGER, MANAGER_PATH, Method};
use self::reader::{CALL_DEADLINE, ReadError};
use self::shared::Shared;
use super::{ManagerError, News, Order, RestraintOrder, ServiceManager};
use crate::model::{JobResult, Reading, SystemState, UnitName, UnitStatus};

/// What errors call it.
const NAME: &str = "systemd";
/// How a job treats others on its unit: it takes their place, as `systemctl` asks for.
const MODE: &str = "replace";

/// systemd, as PID 1 of this host. Keeps its connection in a task of its own, which ends with it.
pub struct SystemdManager {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
    runner: Runner,
}

impl fmt::Debug for SystemdManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemdManager").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl SystemdManager {
    /// Begins to connect to the bus at `address` (a D-Bus address; `None` is the system bus), and goes on trying for
    /// ever. The first news is [`News::ListAgain`] once it has succeeded, or [`News::Lost`]. `runner` runs
    /// `journalctl`. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(address: Option<String>, runner: Runner) -> Self {
        let shared = Arc::new(Shared::new());
        let address = address.unwrap_or_else(|| link::SYSTEM_BUS.to_owned());
        let keeper = tokio::spawn(session::keep(address, Arc::clone(&shared)));
        Self { shared, keeper, runner }
    }

    fn link(&self) -> Result<Arc<Link>, ManagerError> {
        let state = self.shared.state();
        match &state.link {
            Some(link) => Ok(Arc::clone(link)),
            None => Err(ManagerError::Unreachable { manager: NAME, why: state.why_not.clone() }),
        }
    }

    async fn carry_out(
        &self,
        order: Order,
        unit: &UnitName,
        within: Duration,
    ) -> Result<JobResult, ManagerError> {
        let link = self.link()?;
        #[expect(clippy::disallowed_methods, reason = "an order has a deadline on the monotonic clock")]
        let deadline = Instant::now() + within;
        let unknown = |why: String| ManagerError::OutcomeUnknown { manager: NAME, why };
        let failed = |error: CallError| match error {
            // It left, so it may have been obeyed.
            CallError::Cut(why) => unknown(why),
            CallError::Silent(within) => unknown(format!("it did not answer within {within:?}")),
            CallError::Garbled(what) => unknown(what),
            error @ (CallError::NotSent(_) | CallError::Answered { .. }) => call_failed(error, unit),
        };
        let member = match order {
            Order::Start => "StartUnit",
            Order::Stop => "StopUnit",
            Order::Restart => "RestartUnit",
            Order::Reload => "ReloadUnit",
            Order::ResetFailed => {
                let name = unit.as_str();
                let answer = link.call(Method::manager("ResetFailedUnit"), &name, within).await;
                return answer.map(|_| JobResult::Done).map_err(failed);
            }
        };
        let (ended, end) = oneshot::channel();
        let before: BTreeSet<u32> = self.shared.state().tracker.jobs_on(unit);
        let pending = link
            .send(
                Method::manager(member),
                &(unit.as_str(), MODE),
                Some(link::Order { ended, before }),
                deadline,
            )
            .await
            .map_err(failed)?;
        let reply = pending.reply(&link, deadline, within).await.map_err(failed)?;
        let Some(job) = signals::job_named(&reply) else {
            return Err(unknown("its answer names no job".to_owned()));
        };
        let result = timeout_at(deadline, end).await;
        match result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(unknown(format!("it was lost before job {job} ended"))),
            Err(_) => {
                self.shared.state().waiting.remove(&job);
                Err(unknown(format!("job {job} did not end within {within:?}")))
            }
        }
    }

    async fn ask_system_state(&self) -> Reading<SystemState> {
        let link = match self.link() {
            Ok(link) => link,
            Err(error) => return Reading::Failed(error.to_string()),
        };
        let get = Method::properties(MANAGER_PATH, "Get");
        match link.call(get, &(MANAGER, "SystemState"), CALL_DEADLINE).await {
            Err(error) => Reading::Failed(error.to_string()),
            Ok(answer) => match answer.body().deserialize::<Variant<'_>>() {
                Ok(Variant::Str(word)) => words::system_state(word.as_str()).map_or_else(
                    || Reading::Failed(format!("systemd says SystemState={word}")),
                    Reading::Value,
                ),
                Ok(_) => Reading::Failed("SystemState is no text".to_owned()),
                Err(error) => Reading::Failed(error.to_string()),
            },
        }
    }
}

/// For a call that is known not to have been obeyed, or that only asked.
fn call_failed(error: CallError, unit: &UnitName) -> ManagerError {
    match error {
        CallError::NotSent(why) | CallError::Cut(why) => ManagerError::Unreachable { manager: NAME, why },
        CallError::Silent(within) => ManagerError::TimedOut { manager: NAME, within },
        CallError::Answered { name, .. } if reader::is_unknown(&name) => {
            ManagerError::NoSuchUnit(unit.clone())
        }
        CallError::Answered { .. } => ManagerError::Refused { manager: NAME, why: error.to_string() },
        CallError::Garbled(what) => {
            ManagerError::Refused { manager: NAME, why: format!("its answer can't be read: {what}") }
        }
    }
}

impl Drop for SystemdManager {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl ServiceManager for SystemdManager {
    fn name(&self) -> String {
        let version = self.shared.state().version.clone();
        // `252.39-1~deb12u2`: the first number is the version that its documentation speaks of.
        match version.split(|c: char| !c.is_ascii_digit()).next() {
            Some(number) if !number.is_empty() => format!("{NAME} {number}"),
            Some(_) | None => NAME.to_owned(),
        }
    }

    fn list<'a>(&'a self, attention: &'a [UnitName]) -> BoxFuture<'a, Result<Vec<UnitStatus>, ManagerError>> {
        Box::pin(async move {
            let link = self.link()?;
            reader::list(&link, &self.shared, attention).await.map_err(|error| match error {
                CallError::NotSent(why) | CallError::Cut(why) => {
                    ManagerError::Unreachable { manager: NAME, why }
                }
                CallError::Silent(within) => ManagerError::TimedOut { manager: NAME, within },
                CallError::Answered { .. } | CallError::Garbled(_) => {
                    ManagerError::Refused { manager: NAME, why: error.to_string() }
                }
            })
        })
    }

    fn look<'a>(&'a self, unit: &'a UnitName) -> BoxFuture<'a, Result<UnitStatus, ManagerError>> {
        Box::pin(async move {
            let link = self.link()?;
            reader::examine(&link, &self.shared, unit).await.map_err(|error| match error {
                ReadError::NoSuchUnit => ManagerError::NoSuchUnit(unit.clone()),
                ReadError::Call(error) => call_failed(error, unit),
            })
        })
    }

    fn system_state(&self) -> BoxFuture<'_, Reading<SystemState>> {
        Box::pin(self.ask_system_state())
    }

    fn news(&self) -> BoxFuture<'_, News> {
        Box::pin(async move {
            loop {
                let news = self.shared.state().queue.pop();
                match news {
                    Some(news) => return news,
                    None => self.shared.heard.notified().await,
                }
            }
        })
    }

    fn order<'a>(
        &'a self,
        order: Order,
        unit: &'a UnitName,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<JobResult, ManagerError>> {
        Box::pin(self.carry_out(order, unit, deadline))
    }

    fn restrain<'a>(&'a self, order: RestraintOrder<'a>) -> BoxFuture<'a, Result<String, ManagerError>> {
        Box::pin(async move {
            let link = self.link()?;
            restrain::restrain(&link, order).await
        })
    }

    fn last_lines<'a>(&'a self, unit: &'a UnitName, lines: usize) -> BoxFuture<'a, Reading<Vec<String>>> {
        Box::pin(journal::last_lines(&self.runner, unit, lines))
    }
}

//! The second service manager: services that the policy describes, on hosts without systemd.
//!
//! A service is known by one of three things, in this order: it is a *foreground* program that this manager started
//! itself; it has a *pid file*; or it has a *status command* (LSB exit codes). The first two are watched by pidfd, so
//! that an end is known at once, and looked at every second for what a pidfd can't tell; the last is asked every few
//! seconds. What was started or seen is kept in a state folder, so that a restarted agent finds it again and takes
//! no other process for it.
//!
//! Owns the runs of these services and the state folder. Must not judge, and starts nothing that it is not told to.
//! Dropping the manager stops watching; the services run on.

mod definition;
mod news;
mod orders;
mod phase;
mod pid_file;
mod record;
mod service;
mod status;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::task::JoinHandle;

use super::{ManagerError, News, Order, RestraintOrder, ServiceManager};
use crate::model::{BootId, JobResult, Reading, SystemState, UnitName, UnitStatus};
use crate::policy::ServiceDefinition;
use crate::sense::child::{ServiceCgroup, service_cgroup};
use crate::sense::host::{BootIdError, boot_id};

use news::NewsQueue;
use service::Service;

/// Its name in errors and for people.
const NAME: &str = "direct";

/// Why the manager can't begin.
#[derive(Debug, Error)]
pub enum DirectError {
    /// Runs of another boot could not be told from those of this one.
    #[error("this boot can't be identified")]
    Boot(#[from] BootIdError),
    /// The state folder can't be made, or others may write in it.
    #[error("the state folder {path} can't be used")]
    StateDir { path: PathBuf, source: std::io::Error },
}

/// What all services of the manager share.
#[derive(Debug)]
struct Shared {
    proc: PathBuf,
    state_dir: PathBuf,
    boot: BootId,
    /// Tells the control groups of two agents on one host apart.
    instance: String,
    news: NewsQueue,
    jobs: AtomicU32,
}

impl Shared {
    fn cgroup(&self, unit: &UnitName) -> Option<ServiceCgroup> {
        service_cgroup(&self.instance, unit)
    }

    fn next_job(&self) -> u32 {
        self.jobs.fetch_add(1, Ordering::Relaxed)
    }
}

/// Eight hexadecimal digits out of the place of the state folder.
fn instance(state_dir: &Path) -> String {
    let hash: [u8; 32] = Sha256::digest(state_dir.as_os_str().as_encoded_bytes()).into();
    hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A service and the task that watches it.
#[derive(Debug)]
struct Watched {
    service: Arc<Service>,
    watcher: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// The manager.
#[derive(Debug)]
pub struct DirectManager {
    shared: Arc<Shared>,
    services: Mutex<BTreeMap<UnitName, Watched>>,
}

impl DirectManager {
    /// Takes over what runs already and begins to watch. `proc` is `/proc`; `state_dir` is made with mode 0700.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// When the boot can't be told or the state folder is not safe.
    pub fn new(
        definitions: Vec<ServiceDefinition>,
        state_dir: &Path,
        proc: &Path,
    ) -> Result<Self, DirectError> {
        let boot = boot_id(proc)?;
        record::prepare_dir(state_dir)
            .map_err(|source| DirectError::StateDir { path: state_dir.to_owned(), source })?;
        let shared = Shared {
            proc: proc.to_owned(),
            state_dir: state_dir.to_owned(),
            boot,
            instance: instance(state_dir),
            news: NewsQueue::default(),
            jobs: AtomicU32::new(1),
        };
        shared.news.push(News::ListAgain);
        let manager = Self { shared: Arc::new(shared), services: Mutex::default() };
        manager.replace(definitions);
        Ok(manager)
    }

    /// These services and no others from now on. One that is known in the same way as before keeps its run; those
    /// left out are no longer watched, and run on.
    pub fn replace(&self, definitions: Vec<ServiceDefinition>) {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *services);
        for definition in definitions {
            let name = definition.name.clone();
            let kept = match old.remove(&name) {
                Some(watched) if watched.service.definition == definition => watched,
                Some(watched) => {
                    watched.watcher.abort();
                    self.watch(Service::successor(&watched.service, definition))
                }
                None => self.watch(Service::new(definition, Arc::clone(&self.shared))),
            };
            services.insert(name, kept);
        }
        drop(services);
        if !old.is_empty() {
            self.shared.news.push(News::Removed(old.into_keys().collect()));
        }
        self.shared.news.push(News::ListAgain);
    }

    fn watch(&self, service: Service) -> Watched {
        let service = Arc::new(service);
        let watcher = tokio::spawn(Arc::clone(&service).watch());
        Watched { service, watcher }
    }

    fn service(&self, unit: &UnitName) -> Result<Arc<Service>, ManagerError> {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let found = services.get(unit).map(|watched| Arc::clone(&watched.service));
        found.ok_or_else(|| ManagerError::NoSuchUnit(unit.clone()))
    }
}

impl ServiceManager for DirectManager {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    /// All services, all with details: there are few.
    fn list<'a>(
        &'a self,
        _attention: &'a [UnitName],
    ) -> BoxFuture<'a, Result<Vec<UnitStatus>, ManagerError>> {
        let all: Vec<_> = {
            let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
            services.values().map(|watched| Arc::clone(&watched.service)).collect()
        };
        async move { Ok(join_all(all.iter().map(|service| service.observe())).await) }.boxed()
    }

    fn look<'a>(&'a self, unit: &'a UnitName) -> BoxFuture<'a, Result<UnitStatus, ManagerError>> {
        async move { Ok(self.service(unit)?.observe().await) }.boxed()
    }

    /// Running: who shuts down a host without systemd kills the agent and its services alike, and says so nowhere
    /// that all of them share. `Absent` would hold back every repair for ever.
    fn system_state(&self) -> BoxFuture<'_, Reading<SystemState>> {
        std::future::ready(Reading::Value(SystemState::Running)).boxed()
    }

    fn news(&self) -> BoxFuture<'_, News> {
        self.shared.news.next().boxed()
    }

    fn order<'a>(
        &'a self,
        order: Order,
        unit: &'a UnitName,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<JobResult, ManagerError>> {
        async move {
            let service = self.service(unit)?;
            // A task of its own: a caller that goes away must not leave an order half carried out.
            let task = tokio::spawn(async move { service.order(order, deadline).await });
            task.await.unwrap_or_else(|gone| {
                Err(ManagerError::Refused { manager: NAME, why: format!("the order broke off: {gone}") })
            })
        }
        .boxed()
    }

    /// Its services have no control groups of their own.
    fn restrain<'a>(&'a self, order: RestraintOrder<'a>) -> BoxFuture<'a, Result<String, ManagerError>> {
        let why = format!("{} can't be held back: that takes systemd", order.unit);
        std::future::ready(Err(ManagerError::Refused { manager: NAME, why })).boxed()
    }

    fn last_lines<'a>(&'a self, unit: &'a UnitName, lines: usize) -> BoxFuture<'a, Reading<Vec<String>>> {
        async move {
            match self.service(unit) {
                Ok(service) => tail::last_lines(service.definition.log_file.clone(), lines).await,
                Err(error) => Reading::Failed(error.to_string()),
            }
        }
        .boxed()
    }
}

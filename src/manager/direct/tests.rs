#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "looks at the real processes and files that it made")]

mod known;
mod orders;
mod records;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::*;
use crate::model::{
    ActiveState, InvocationId, JobEvent, JobKind, JobOrigin, MainExit, ServiceDetails, ServiceResult,
};

/// Far beyond what anything here takes: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of scripts, pid files and state, and a service in it.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    fn definition(&self, start: &str) -> ServiceDefinition {
        ServiceDefinition {
            name: unit(),
            start: shell(start),
            stop: None,
            reload: None,
            status: None,
            pid_file: None,
            foreground: false,
            requires: Vec::new(),
            start_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(10),
            log_file: None,
        }
    }

    fn foreground(&self, start: &str) -> ServiceDefinition {
        ServiceDefinition { foreground: true, ..self.definition(start) }
    }

    /// Starts `program` in the background and writes its pid.
    fn daemon(&self, program: &str) -> ServiceDefinition {
        let pid_file = self.path("pid");
        let start = format!("{program} & echo $! > {0}.new; mv {0}.new {0}", pid_file.display());
        ServiceDefinition { pid_file: Some(pid_file), ..self.definition(&start) }
    }

    fn manager(&self, definition: ServiceDefinition) -> DirectManager {
        DirectManager::new(vec![definition], &self.state_dir(), Path::new("/proc")).unwrap()
    }
}

fn unit() -> UnitName {
    UnitName::parse("web.service").unwrap()
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

async fn look(manager: &DirectManager) -> UnitStatus {
    manager.look(&unit()).await.unwrap()
}

fn service(status: &UnitStatus) -> ServiceDetails {
    status.service().value().copied().unwrap().clone()
}

fn main_pid(status: &UnitStatus) -> i32 {
    *service(status).main_pid.value().unwrap()
}

fn run_of(status: &UnitStatus) -> InvocationId {
    *status.invocation().value().unwrap()
}

async fn obey(manager: &DirectManager, order: Order) -> JobResult {
    manager.order(order, &unit(), PATIENCE).await.unwrap()
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// The first news that fits; those before it are passed over.
async fn news<T>(manager: &DirectManager, fits: impl Fn(&News) -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = fits(&manager.news().await) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the news must come")
}

async fn news_of_state(manager: &DirectManager, state: ActiveState) -> UnitStatus {
    news(manager, |news| match news {
        News::Changed(all) => all.iter().find(|status| status.active == state).cloned(),
        _ => None,
    })
    .await
}

async fn news_of_job(manager: &DirectManager) -> JobEvent {
    news(manager, |news| match news {
        News::JobEnded(event) => Some(event.clone()),
        _ => None,
    })
    .await
}

/// Ends what a test leaves running.
async fn clear(manager: &DirectManager) {
    let _ = manager.order(Order::Stop, &unit(), PATIENCE).await;
}

//! From a process's end to knowing it: the bare pidfd, and the direct service manager. One JSON line.
//!
//! Each is killed by this program, which has nothing else to do: the time is from before the kill to the news.
#![expect(clippy::disallowed_methods, reason = "measures by the clock, and starts what it kills")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use prunella::manager::direct::DirectManager;
use prunella::manager::{News, Order, ServiceManager};
use prunella::model::{ActiveState, UnitName};
use prunella::policy::ServiceDefinition;
use prunella::sense::child::pidfd;
use rustix::process::{Pid, Signal, kill_process};

/// Ends of each kind, taken by turns.
const ENDS: usize = 100;
/// Only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(PATIENCE * 6, compare()).await? })
}

async fn compare() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let name = UnitName::parse("bench.service")?;
    let manager = DirectManager::new(vec![definition(&name)], &dir.path().join("state"), "/proc".as_ref())?;
    let (mut bare, mut managed) = (Vec::new(), Vec::new());
    for _ in 0..ENDS {
        bare.push(bare_end().await?);
        manager.order(Order::Start, &name, PATIENCE).await?;
        managed.push(managed_end(&manager, &name).await?);
    }
    report(&mut bare, &mut managed);
    Ok(())
}

fn definition(name: &UnitName) -> ServiceDefinition {
    ServiceDefinition {
        name: name.clone(),
        start: ["/bin/sleep", "1000"].map(str::to_owned).to_vec(),
        stop: None,
        reload: None,
        status: None,
        pid_file: None,
        foreground: true,
        requires: Vec::new(),
        start_timeout: PATIENCE,
        stop_timeout: PATIENCE,
        log_file: None,
    }
}

/// epoll on the descriptor: nothing is less.
async fn bare_end() -> anyhow::Result<Duration> {
    let mut child = Command::new("/bin/sleep").arg("1000").stdin(Stdio::null()).spawn()?;
    let pid = Pid::from_child(&child);
    let watch = pidfd(pid)?;
    let begun = Instant::now();
    kill_process(pid, Signal::KILL)?;
    drop(watch.readable().await?);
    let taken = begun.elapsed();
    child.wait()?;
    Ok(taken)
}

/// Until the manager says that the service failed, with its details read.
async fn managed_end(manager: &DirectManager, name: &UnitName) -> anyhow::Result<Duration> {
    let unit = manager.look(name).await?;
    let main = unit.service().value().and_then(|service| service.main_pid.value().copied());
    let pid = main.and_then(Pid::from_raw).ok_or_else(|| anyhow::anyhow!("it has no process: {unit:?}"))?;
    let begun = Instant::now();
    kill_process(pid, Signal::KILL)?;
    loop {
        if let News::Changed(units) = tokio::time::timeout(PATIENCE, manager.news()).await?
            && units.iter().any(|unit| unit.name == *name && unit.active == ActiveState::Failed)
        {
            return Ok(begun.elapsed());
        }
    }
}

#[expect(clippy::print_stdout, reason = "the result of the program")]
fn report(bare: &mut [Duration], managed: &mut [Duration]) {
    let of = |name: &str, taken: &mut [Duration]| {
        taken.sort();
        let at = |percent: usize| taken[(taken.len() - 1) * percent / 100].as_secs_f64() * 1e6;
        serde_json::json!({ "name": name, "p50_us": at(50), "p99_us": at(99), "ends": taken.len() })
    };
    let rows = [of("bare pidfd", bare), of("direct manager", managed)];
    println!("{}", serde_json::json!({ "reactions": rows }));
}

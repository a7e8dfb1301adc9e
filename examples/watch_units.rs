//! Prints what systemd tells, one JSON object a line: `watch_units [--address ADDRESS] [--attention UNIT]... [WORD...]`.
//!
//! Without words it lists on every `ListAgain` and prints news until it is killed. Words give an order and end:
//! `start|stop|restart|reload|reset-failed|look|lines UNIT`, `list`, `state`. For development and tests on real hosts.

#![expect(
    clippy::disallowed_methods,
    reason = "a tool for developers: it stamps what it prints and runs journalctl"
)]
#![expect(clippy::print_stdout, reason = "its output")]

use std::time::{Duration, Instant, SystemTime};

use prunella::manager::systemd::{Runner, SystemdManager};
use prunella::manager::{News, Order, ServiceManager};
use prunella::model::UnitName;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(90);

fn say(mut value: Value) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    value["at"] = json!(now.as_secs_f64());
    println!("{value}");
}

fn runner() -> Runner {
    Box::new(|argv| {
        Box::pin(async move {
            let (program, arguments) = argv.split_first().ok_or("nothing to run")?;
            let output = tokio::process::Command::new(program).args(arguments).output().await;
            output.map(|output| output.stdout).map_err(|error| error.to_string())
        })
    })
}

async fn obey(manager: &SystemdManager, words: &[String]) -> anyhow::Result<()> {
    let unit = || anyhow::Ok(UnitName::parse(words.get(1).cloned().unwrap_or_default())?);
    let order = match words[0].as_str() {
        "start" => Order::Start,
        "stop" => Order::Stop,
        "restart" => Order::Restart,
        "reload" => Order::Reload,
        "reset-failed" => Order::ResetFailed,
        "look" => return Ok(say(json!({ "look": manager.look(&unit()?).await? }))),
        "lines" => return Ok(say(json!({ "lines": manager.last_lines(&unit()?, 20).await }))),
        "state" => return Ok(say(json!({ "state": manager.system_state().await }))),
        "list" => return Ok(list(manager, &[]).await),
        other => anyhow::bail!("no such word: {other}"),
    };
    let begun = Instant::now();
    match manager.order(order, &unit()?, DEADLINE).await {
        Ok(result) => say(json!({ "result": result, "ms": begun.elapsed().as_secs_f64() * 1e3 })),
        Err(error) => say(json!({ "error": error.to_string(), "ms": begun.elapsed().as_secs_f64() * 1e3 })),
    }
    Ok(())
}

async fn list(manager: &SystemdManager, attention: &[UnitName]) {
    let begun = Instant::now();
    match manager.list(attention).await {
        Ok(units) => say(json!({
            "listed": units.len(),
            "details": units.iter().filter(|unit| unit.details.value().is_some()).count(),
            "failed": units.iter().filter(|unit| unit.active.as_str() == "failed").map(|unit| &unit.name).collect::<Vec<_>>(),
            "ms": begun.elapsed().as_secs_f64() * 1e3,
        })),
        Err(error) => say(json!({ "list": error.to_string() })),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let (mut address, mut attention, mut words) = (None, Vec::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--address" => address = arguments.next(),
            "--attention" => attention.push(UnitName::parse(arguments.next().unwrap_or_default())?),
            _ => words.push(argument),
        }
    }
    let manager = SystemdManager::new(address, runner());
    loop {
        match manager.news().await {
            News::ListAgain if !words.is_empty() => return obey(&manager, &words).await,
            News::ListAgain => {
                say(json!({ "list-again": manager.name() }));
                list(&manager, &attention).await;
            }
            News::Changed(units) => {
                for unit in units {
                    let result = unit.service().value().map(|service| service.result.clone());
                    say(
                        json!({ "changed": unit.name, "active": unit.active, "sub": unit.sub, "job": unit.job.value(),
                        "run": unit.invocation().value(), "result": result }),
                    );
                }
            }
            News::Removed(units) => say(json!({ "removed": units })),
            News::JobEnded(event) => {
                say(json!({ "job": event, "stopped-the-unit": event.stopped_the_unit() }));
            }
            News::Reloading(begins) => say(json!({ "reloading": begins })),
            News::Lost(why) => say(json!({ "lost": why })),
        }
    }
}

//! From flags to tasks, and back down again.

#![expect(clippy::disallowed_methods, reason = "the start reads the configuration and who the host is")]

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use sd_notify::NotifyState;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use crate::relay_options::Options;

use super::agent::Agent;
use super::clock::Clock;
use super::config::{CONFIG_BYTES_MAX, Config, ConfigError};
use super::delivery::Settings;
use super::host::HostIdentity;
use super::http::Caller;
use super::keep::{POSITION_FILE, acknowledge, keep};
use super::listen::{AgentPage, Page, listen};
use super::numbers::Numbers;
use super::pager::{ALERTS_FILE, Pager};
use super::place::Cursor;
use super::ship::Shipper;
use super::state::{Position, StateFolder};
use super::telemetry::{self, Pulse, QUEUE_MAX};

/// Runs the relay until it is asked to stop.
#[must_use]
pub fn run(options: &Options) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_new(&options.log);
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_ansi(false)
        .init();
    let outcome = read_config(&options.config).map_err(anyhow::Error::from).and_then(|config| {
        if options.check {
            tracing::info!("{} can be used", options.config.display());
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("the runtime could not be made")?;
        let outcome = runtime.block_on(live(options, config));
        // A name that is being looked up must not keep the relay from ending.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("prunella-relay can't go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the configuration.
///
/// # Errors
/// It can't be read, or has a mistake.
pub fn read_config(path: &Path) -> Result<Config, ConfigError> {
    let failed = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(CONFIG_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    Config::parse(path, &text)
}

async fn live(options: &Options, config: Config) -> anyhow::Result<()> {
    let clock = Clock::start();
    let numbers = Arc::new(Numbers::default());
    let host = Arc::new(identity(&config)?);
    let seed = seed(&host.id)?;
    let state = StateFolder::open(&options.state_dir)?;
    let agent = || Agent::new(config.socket.clone());
    let receivers = || config.receivers.iter().cloned().map(Caller::new).collect::<Vec<_>>();
    let mut tasks = JoinSet::new();
    if let Some(address) = config.listen {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("{address} can't be listened on"))?;
        tracing::info!(address = %listener.local_addr()?, "metrics are served");
        let page = Page {
            numbers: Arc::clone(&numbers),
            clock,
            version: env!("CARGO_PKG_VERSION"),
            agent: Mutex::new(AgentPage::new(agent())),
        };
        tasks.spawn(listen(listener, Arc::new(page)));
    }
    if !config.receivers.is_empty() {
        let (parcels, queue) = mpsc::channel(QUEUE_MAX);
        tasks.spawn(telemetry::send(receivers(), queue, clock, Arc::clone(&numbers), seed ^ 5));
        let position: Position = state.load(POSITION_FILE)?;
        let cursor = position.cursor.as_ref().and_then(|text| Cursor::try_from(text).ok());
        let ((reached, far), (kept, word)) = (watch::channel(None), watch::channel(cursor));
        tasks.spawn(keep(state.clone(), far, kept, clock, Arc::clone(&numbers)));
        tasks.spawn(acknowledge(agent(), word, clock));
        let delivery = config.delivery;
        let shipper = Shipper {
            host: Arc::clone(&host),
            clock,
            numbers: Arc::clone(&numbers),
            state: state.clone(),
            receivers: receivers(),
            settings: Settings {
                records_max: delivery.records_per_request,
                bytes_max: delivery.bytes_per_request,
                per_second: delivery.records_per_second,
            },
            traces: delivery.traces.then(|| parcels.clone()),
            reached,
            seed,
        };
        tasks.spawn(shipper.run(agent(), cursor, position.read_from));
        let pulse =
            Pulse { host: Arc::clone(&host), clock, numbers: Arc::clone(&numbers), delivery, parcels };
        tasks.spawn(pulse.run(agent()));
    }
    if !config.alerts.routes.is_empty() {
        let routes = config.alerts.routes.iter().cloned();
        let pager = Pager {
            host,
            clock,
            numbers,
            state: state.clone(),
            routes: routes.map(|route| (route.clone(), Caller::new(route.target))).collect(),
            next_route_after: config.alerts.next_route_after,
            seed: seed ^ 7,
        };
        tasks.spawn(pager.run(agent(), state.load(ALERTS_FILE)?));
    }
    // There is no service manager where this fails, and nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        receivers = config.receivers.len(),
        routes = config.alerts.routes.len(),
        "prunella-relay is at work"
    );
    let mut terminate = signal(SignalKind::terminate()).context("signals can't be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals can't be heard")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        // None of them has an end of its own: the service manager starts the relay anew.
        Some(ended) = tasks.join_next() => {
            let why = ended.map_or_else(|error| error.to_string(), |()| "it ended".to_owned());
            anyhow::bail!("a part of the relay broke off: {why}");
        }
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    // Everything that matters is on the disk; what is on its way is sent again, and dropped there by its id.
    tasks.shutdown().await;
    Ok(())
}

/// A line of a small file.
fn line(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().next()?.trim().to_owned()).filter(|line| !line.is_empty())
}

fn identity(config: &Config) -> anyhow::Result<HostIdentity> {
    let id = config.resource.host_id.clone().or_else(|| line("/etc/machine-id"));
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Ok(HostIdentity {
        id: id.context("/etc/machine-id says nothing: name the host by host_id in [resource]")?,
        name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        os: pretty.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        attributes: config.resource.attributes.clone(),
    })
}

/// Another one on each host and at each start.
fn seed(host: &str) -> anyhow::Result<u64> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .context("the kernel gives no random numbers")?;
    let digest = Sha256::new().chain_update(host).chain_update(random).finalize();
    let mut seed = [0; 8];
    seed.copy_from_slice(&digest[..8]);
    Ok(u64::from_le_bytes(seed))
}

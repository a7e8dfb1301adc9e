//! What is worth sending now or not at all: heartbeats, the host's numbers, traces. Records go before it, and are never
//! held up by it; what can't be sent is dropped and counted.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::model::WallTime;
use crate::serve::{Filesystems, Host, Status};

use super::agent::Agent;
use super::chance::{Backoff, Chance};
use super::clock::Clock;
use super::config::DeliveryConfig;
use super::delivery::DELAYS;
use super::host::HostIdentity;
use super::http::Caller;
use super::numbers::Numbers;
use super::otlp::{self, Heartbeat, HostView};
use super::receivers::{PROTOBUF, gzip, taken};

/// Requests that wait. A storm ends with hundreds of traces at once, of a few KiB each.
pub(super) const QUEUE_MAX: usize = 256;

/// One request.
#[derive(Debug)]
pub(super) struct Parcel {
    /// `/v1/traces`
    pub(super) path: &'static str,
    /// Compressed.
    pub(super) body: Bytes,
}

/// Sends what comes in, each to the first receiver that is not left alone.
pub(super) async fn send(
    mut receivers: Vec<Caller>,
    mut parcels: mpsc::Receiver<Parcel>,
    clock: Clock,
    numbers: Arc<Numbers>,
    seed: u64,
) {
    let mut backoffs = vec![Backoff::new(DELAYS); receivers.len()];
    let mut chance = Chance::new(seed);
    while let Some(Parcel { path, body }) = parcels.recv().await {
        let mut sent = false;
        for (receiver, backoff) in receivers.iter_mut().zip(&mut backoffs) {
            if backoff.until() > clock.now() {
                continue;
            }
            match taken(&receiver.post(path, PROTOBUF, true, None, body.clone()).await) {
                Ok(()) => {
                    backoff.succeeded();
                    numbers.bytes_sent.add(body.len() as u64);
                    sent = true;
                    break;
                }
                Err(retry_after) => backoff.failed(clock.now(), retry_after, &mut chance),
            }
        }
        if !sent {
            numbers.telemetry_dropped.one();
        }
    }
}

/// Makes heartbeats and looks at the host, each in its time.
#[derive(Debug)]
pub(super) struct Pulse {
    pub(super) host: Arc<HostIdentity>,
    pub(super) clock: Clock,
    pub(super) numbers: Arc<Numbers>,
    pub(super) delivery: DeliveryConfig,
    pub(super) parcels: mpsc::Sender<Parcel>,
}

impl Pulse {
    /// For ever.
    pub(super) async fn run(self, mut agent: Agent) {
        let started = self.clock.wall();
        let mut beat = every(self.delivery.heartbeat);
        let mut look = every(self.delivery.host_metrics.unwrap_or(self.delivery.heartbeat));
        loop {
            tokio::select! {
                _ = beat.tick() => self.beat(&mut agent).await,
                _ = look.tick(), if self.delivery.host_metrics.is_some() => self.look(&mut agent, started).await,
            }
        }
    }

    fn send(&self, path: &'static str, body: &[u8]) {
        if self.parcels.try_send(Parcel { path, body: gzip(body) }).is_err() {
            self.numbers.telemetry_dropped.one();
        }
    }

    async fn beat(&self, agent: &mut Agent) {
        let status = ask::<Status>(agent, "/v1/status").await;
        let host = ask::<Host>(agent, "/v1/host").await;
        let clock = host.as_ref().and_then(|host| host.numbers.value()?.clock.value().copied());
        let seq = |level: i64| (level > 0).then_some(crate::model::Seq(level.cast_unsigned()));
        let now = self.clock.wall();
        let beat = Heartbeat {
            agent_up: status.is_some(),
            policy: status.map(|status| status.policy_digest),
            head: seq(self.numbers.head.get()),
            shipped: seq(self.numbers.position.get()),
            oldest_waiting: Some(self.numbers.age(now.unix_millis())),
            set_aside: self.numbers.set_aside.get(),
            missed: self.numbers.missed.get(),
            clock_offset_ms: clock.map(|clock| clock.offset_ms),
        };
        self.send("/v1/logs", &otlp::heartbeat(&self.host, &beat, now));
    }

    async fn look(&self, agent: &mut Agent, started: WallTime) {
        let host = ask::<Host>(agent, "/v1/host").await;
        let filesystems = ask::<Filesystems>(agent, "/v1/filesystems").await;
        if let (Some(host), Some(filesystems)) = (&host, &filesystems) {
            let view = HostView { host, filesystems };
            self.send("/v1/metrics", &otlp::metrics(&self.host, view, started));
        }
    }
}

/// Nothing where the agent does not answer: that is told by whoever follows the ledger.
async fn ask<T: serde::de::DeserializeOwned>(agent: &mut Agent, path: &str) -> Option<T> {
    let body = agent.get(path, Duration::ZERO).await.ok()?;
    serde_json::from_slice(&body)
        .inspect_err(|error| tracing::warn!(path, %error, "the agent's answer is not understood"))
        .ok()
}

fn every(length: Duration) -> tokio::time::Interval {
    let mut ticks = interval(length);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

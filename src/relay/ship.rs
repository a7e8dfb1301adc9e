//! The shell around [`super::delivery`]: pages in, requests out. How far that came is kept by [`super::keep`].

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use hyper::body::Bytes;
use tokio::sync::{mpsc, watch};

use crate::ledger::ChainId;
use crate::model::{IncidentId, Seq};

use super::agent::Agent;
use super::chance::{Backoff, Chance};
use super::clock::Clock;
use super::delivery::{Answer, Delivery, Parcel, Settings, Settled, Step};
use super::follow::{FollowError, Follower, News};
use super::host::HostIdentity;
use super::http::{Caller, explain};
use super::keep::{AGENT_DELAYS, Reached, SAVE_AGAIN_AFTER};
use super::numbers::Numbers;
use super::otlp;
use super::place::{Cursor, Page, Shipment};
use super::receivers::{gzip, post_logs};
use super::state::StateFolder;
use super::story::Stories;
use super::telemetry::Parcel as Telemetry;

/// What shipping needs.
#[derive(Debug)]
pub(super) struct Shipper {
    pub(super) host: Arc<HostIdentity>,
    pub(super) clock: Clock,
    pub(super) numbers: Arc<Numbers>,
    pub(super) state: StateFolder,
    pub(super) receivers: Vec<Caller>,
    pub(super) settings: Settings,
    /// Traces go with the other telemetry; `None` where none are wanted.
    pub(super) traces: Option<mpsc::Sender<Telemetry>>,
    pub(super) reached: watch::Sender<Option<Reached>>,
    pub(super) seed: u64,
}

/// A page on its way.
struct Load {
    chain: ChainId,
    shipments: Vec<Shipment>,
    incidents: Vec<Option<IncidentId>>,
    /// Those that end in it.
    ended: Vec<IncidentId>,
}

/// A request that is kept for a second try.
type Encoded = Option<(Range<usize>, Bytes)>;

impl Shipper {
    /// Ships for ever, from where the position stands.
    pub(super) async fn run(mut self, agent: Agent, saved: Option<Cursor>, read_from: Option<Seq>) {
        self.numbers.position.set(saved.map_or(0, |cursor| signed(cursor.place.seq)));
        let mut follower = Follower::new(agent, saved, read_from);
        let mut delivery = Delivery::new(self.settings, self.receivers.len(), Chance::new(self.seed));
        let mut stories = Stories::default();
        // Read again for what they tell, and not shipped again.
        let mut skip = saved;
        let mut agent_backoff = Backoff::new(AGENT_DELAYS);
        let mut chance = Chance::new(self.seed ^ 1);
        let mut load: Option<Load> = None;
        loop {
            let ship = async {
                if let Some(load) = &load {
                    self.deliver(&mut delivery, load, &mut stories).await;
                }
            };
            let ((), next) = tokio::join!(ship, follower.next());
            load = None;
            match next {
                Ok((page, news)) => {
                    agent_backoff.succeeded();
                    match Self::forked(&page, news, skip) {
                        Some(back) => follower.rewind(page.chain, back),
                        None => load = self.take(page, news, &mut skip, &mut stories),
                    }
                }
                Err(error) => {
                    self.not_followed(&error);
                    agent_backoff.failed(self.clock.now(), None, &mut chance);
                    self.clock.sleep_until(agent_backoff.until()).await;
                }
            }
        }
    }

    /// Of a page that is read again up to what was shipped: whether the ledger has another record in that place, or none.
    /// From where to go back then.
    fn forked(page: &Page, news: News, skip: Option<Cursor>) -> Option<Seq> {
        let place = skip.filter(|skip| skip.chain == page.chain && news == News::None)?.place;
        let there = page.shipments.iter().find(|shipment| shipment.place.seq == place.seq);
        let other = there.is_some_and(|there| there.place != place) || page.head < place.seq;
        other.then(|| place.seq.min(page.head))
    }

    fn not_followed(&self, error: &FollowError) {
        self.numbers.agent_up.store(false, std::sync::atomic::Ordering::Relaxed);
        match error {
            FollowError::Agent(error) => tracing::warn!("{}; it is tried again", explain(error)),
            FollowError::Page(error) => {
                self.numbers.unproven.one();
                tracing::error!("{}; it is asked again", explain(error));
            }
        }
    }

    /// What a page means, and what of it is to be shipped.
    fn take(&self, page: Page, news: News, skip: &mut Option<Cursor>, stories: &mut Stories) -> Option<Load> {
        self.numbers.agent_up.store(true, std::sync::atomic::Ordering::Relaxed);
        let waited = self.numbers.waiting();
        self.numbers.head.set(signed(page.head));
        match news {
            News::None => {}
            News::NewChain => {
                // What was last seen to wait is in the ledger that the agent has set aside.
                self.numbers.missed.add(waited);
                tracing::warn!(chain = %page.chain, missed = waited, "the agent's ledger was begun anew");
                (*stories, *skip) = (Stories::default(), None);
                self.numbers.position.set(0);
            }
            News::Missed(records) => {
                self.numbers.missed.add(records);
                tracing::error!(records, "the agent dropped records before they could be shipped");
            }
            News::Forked => {
                self.numbers.forks.one();
                *skip = None;
                tracing::error!(
                    "the ledger does not go on where it was shipped: it lost its last records with the power, or was rewritten"
                );
            }
        }
        let mut load =
            Load { chain: page.chain, shipments: Vec::new(), incidents: Vec::new(), ended: Vec::new() };
        for shipment in page.shipments {
            let meaning = shipment.entry.as_ref().map(|entry| stories.take(shipment.place.seq, entry));
            let meaning = meaning.unwrap_or_default();
            if skip.is_some_and(|skip| shipment.place.seq <= skip.place.seq) {
                // Its trace was sent, and it need not be read again.
                if let (Some(incident), true) = (meaning.incident, meaning.ended) {
                    stories.forget(incident);
                }
                continue;
            }
            if let Some(shipped) = skip.map(|skip| skip.place.seq).filter(|_| load.shipments.is_empty()) {
                let missed = shipment.place.seq.0.saturating_sub(shipped.0 + 1);
                if missed > 0 {
                    self.numbers.missed.add(missed);
                    tracing::error!(
                        records = missed,
                        "the agent dropped records before they could be shipped"
                    );
                }
            }
            // What was shipped has been passed.
            *skip = None;
            if let (Some(incident), true) = (meaning.incident, meaning.ended) {
                load.ended.push(incident);
            }
            load.incidents.push(meaning.incident);
            load.shipments.push(shipment);
        }
        if load.shipments.is_empty() { None } else { Some(load) }
    }

    /// Delivers a page, however long it takes.
    async fn deliver(&mut self, delivery: &mut Delivery, load: &Load, stories: &mut Stories) {
        let sizes: Vec<usize> = load.shipments.iter().map(|shipment| shipment.text.len()).collect();
        delivery.load(&sizes);
        self.note_waiting(load.shipments.first());
        let mut encoded: Encoded = None;
        loop {
            match delivery.step(self.clock.now()) {
                Step::Done => break,
                Step::Wait(until) => self.clock.sleep_until(until).await,
                Step::Send(parcel) => {
                    let body = self.encode(load, &parcel.records, &mut encoded);
                    self.numbers.requests.one();
                    self.numbers.bytes_sent.add(body.len() as u64);
                    let answer = post_logs(&mut self.receivers[parcel.receiver], body).await;
                    self.tell(&parcel, &answer);
                    let settled = delivery.answered(self.clock.now(), &parcel, answer);
                    let failures = delivery.failures().collect();
                    *self.numbers.receiver_failures.lock().unwrap_or_else(PoisonError::into_inner) = failures;
                    self.settle(load, settled, stories).await;
                }
            }
        }
        for incident in &load.ended {
            self.send_trace(load.chain, *incident, stories);
            // It may come back, and then opens anew as far as its trace goes.
            stories.forget(*incident);
        }
    }

    fn encode(&self, load: &Load, records: &Range<usize>, kept: &mut Encoded) -> Bytes {
        if records.is_empty() {
            return gzip(&otlp::empty_logs());
        }
        if let Some((_, body)) = kept.as_ref().filter(|(range, _)| range == records) {
            return body.clone();
        }
        let (shipments, incidents) = (&load.shipments[records.clone()], &load.incidents[records.clone()]);
        let body = gzip(&otlp::logs(&self.host, load.chain, shipments, incidents, self.clock.wall()));
        *kept = Some((records.clone(), body.clone()));
        body
    }

    fn tell(&self, parcel: &Parcel, answer: &Answer) {
        let receiver = self.receivers[parcel.receiver].name();
        let why = match answer {
            Answer::Taken { rejected: 0, .. } => return,
            Answer::Taken { why, .. } | Answer::Refused(why) | Answer::Failed(why) => why,
            Answer::Busy { why, .. } => why,
            Answer::TooLarge => "413",
        };
        self.numbers.requests_failed.one();
        tracing::warn!(%receiver, records = parcel.records.len(), why, "records were not taken as they were sent");
    }

    async fn settle(&self, load: &Load, settled: Settled, stories: &Stories) {
        let last = match settled {
            Settled::Nothing => return,
            Settled::Taken { records, rejected, why } => {
                let taken = (records.len() as u64).saturating_sub(rejected);
                self.numbers.shipped.add(taken);
                self.numbers.rejected.add(rejected);
                if rejected > 0 {
                    tracing::error!(rejected, why, "the receiver took a request, and not all records in it");
                }
                records.end - 1
            }
            Settled::SetAside { record, why } => {
                self.numbers.set_aside.one();
                let shipment = &load.shipments[record];
                tracing::error!(seq = %shipment.place.seq, why, "a record that no receiver takes is set aside");
                // It is nowhere else but in the agent's ledger: not gone on from before it is kept.
                while let Err(error) = self.state.set_aside(shipment, &why) {
                    self.numbers.state_failed.one();
                    tracing::error!("{}; it is tried again", explain(&error));
                    self.clock.sleep_until(self.clock.now() + SAVE_AGAIN_AFTER).await;
                }
                record
            }
        };
        self.numbers.delivered_at.set(self.clock.wall().unix_millis());
        self.note_waiting(load.shipments.get(last + 1));
        let place = load.shipments[last].place;
        let cursor = Cursor { chain: load.chain, place };
        let read_from =
            stories.needed_from().map_or(Seq(place.seq.0 + 1), |seq| seq.min(Seq(place.seq.0 + 1)));
        self.numbers.position.set(signed(place.seq));
        self.reached.send_replace(Some(Reached { cursor, read_from }));
    }

    fn note_waiting(&self, oldest: Option<&Shipment>) {
        let at = oldest.and_then(|shipment| shipment.at).map_or(0, |at| at.wall.unix_millis());
        self.numbers.oldest_waiting.set(at);
    }

    fn send_trace(&self, chain: ChainId, incident: IncidentId, stories: &Stories) {
        let Some((traces, story)) = self.traces.as_ref().zip(stories.get(incident)) else { return };
        let Some(body) = otlp::trace(&self.host, chain, incident, story) else { return };
        if traces.try_send(Telemetry { path: "/v1/traces", body: gzip(&body) }).is_err() {
            self.numbers.telemetry_dropped.one();
        }
    }
}

fn signed(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

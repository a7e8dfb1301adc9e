//! The shell around [`super::alerts`]: follows the ledger by itself, so that people hear of an incident whatever becomes
//! of the shipping.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use tokio::sync::mpsc;

use crate::ledger::ChainId;
use crate::model::{IncidentId, Seq};

use super::agent::Agent;
use super::alerts::{self, BATCH_MAX, Batch, Book, Envelope, News as AlertNews, RouteRules, Told, Verdict};
use super::chance::{Backoff, Chance, Delays};
use super::clock::Clock;
use super::config::{Route, RouteKind};
use super::follow::{FollowError, Follower, News};
use super::host::HostIdentity;
use super::http::{Caller, HttpError, Reply, explain};
use super::numbers::Numbers;
use super::place::{Cursor, CursorText, Page};
use super::state::{AlertState, StateFolder};
use super::story::{Stories, Story};

/// The file of what was told.
pub(super) const ALERTS_FILE: &str = "alerts.json";
/// Between two tries of an agent that does not answer.
const AGENT_DELAYS: Delays = Delays { first: Duration::from_millis(500), most: Duration::from_secs(10) };
/// The place in the ledger is saved at least this often while it moves: so much is read again after a crash.
const SAVE_EVERY: Duration = Duration::from_secs(60);
const JSON: &str = "application/json";

/// What telling people needs.
#[derive(Debug)]
pub(super) struct Pager {
    pub(super) host: Arc<HostIdentity>,
    pub(super) clock: Clock,
    pub(super) numbers: Arc<Numbers>,
    pub(super) state: StateFolder,
    pub(super) routes: Vec<(Route, Caller)>,
    pub(super) next_route_after: Duration,
    pub(super) seed: u64,
}

/// What is known of the ledger so far.
#[derive(Debug)]
struct Known {
    cursor: Option<Cursor>,
    /// Everything that was there at the beginning has been read: what looks open is open.
    caught_up: bool,
    stories: Stories,
    saved_at: Duration,
    /// What the disk says was told.
    saved: Told,
}

/// Follows the ledger for the pager; ends with it.
async fn follow(
    mut follower: Follower,
    pages: mpsc::Sender<(Page, News)>,
    clock: Clock,
    numbers: Arc<Numbers>,
    seed: u64,
) {
    let mut backoff = Backoff::new(AGENT_DELAYS);
    let mut chance = Chance::new(seed);
    loop {
        match follower.next().await {
            Ok(page) => {
                backoff.succeeded();
                if pages.send(page).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if let FollowError::Page(error) = &error {
                    numbers.unproven.one();
                    tracing::error!("{}; it is asked again", explain(error));
                }
                backoff.failed(clock.now(), None, &mut chance);
                clock.sleep_until(backoff.until()).await;
            }
        }
    }
}

impl Pager {
    /// How a route is told apart in the state, and what it is for.
    fn rules(route: &Route) -> RouteRules {
        let (forgets, batch) = match route.kind {
            RouteKind::Alertmanager => (true, BATCH_MAX),
            RouteKind::Webhook { .. } | RouteKind::Pagerduty { .. } => (false, 1),
        };
        let acknowledges = !forgets;
        RouteRules {
            name: route.name(),
            page: route.page,
            ticket: route.ticket,
            forgets,
            acknowledges,
            batch,
        }
    }

    /// Tells for ever, from what is remembered.
    pub(super) async fn run(mut self, agent: Agent, saved: AlertState) {
        let AlertState { cursor, read_from, told } = saved;
        let cursor = cursor.as_ref().and_then(|text| Cursor::try_from(text).ok());
        let follower = Follower::new(agent, cursor, read_from);
        let (pages, mut incoming) = mpsc::channel(1);
        tokio::spawn(follow(follower, pages, self.clock, Arc::clone(&self.numbers), self.seed ^ 3));
        let mut book = self.book(told.clone());
        let mut known = Known {
            cursor,
            caught_up: false,
            stories: Stories::default(),
            saved_at: Duration::ZERO,
            saved: told,
        };
        loop {
            let wake = book.wake(self.clock.now());
            tokio::select! {
                page = incoming.recv() => match page {
                    Some((page, news)) => self.take(&mut known, &mut book, &page, news),
                    // The reader never ends by itself.
                    None => return,
                },
                () = self.clock.sleep_until(wake) => {}
            }
            if known.caught_up {
                self.tell(&mut known, &mut book).await;
            }
        }
    }

    fn book(&self, told: Told) -> Book {
        let rules = self.routes.iter().map(|(route, _)| Self::rules(route)).collect();
        Book::new(rules, self.next_route_after, told, Chance::new(self.seed))
    }

    fn take(&self, known: &mut Known, book: &mut Book, page: &Page, news: News) {
        if news == News::NewChain {
            // Of the incidents of the other ledger nothing more will be heard.
            known.stories = Stories::default();
            *book = self.book(Told::new());
        }
        for shipment in &page.shipments {
            if let Some(entry) = &shipment.entry {
                known.stories.take(shipment.place.seq, entry);
            }
        }
        let last = page.shipments.last().map(|last| Cursor { chain: page.chain, place: last.place });
        known.cursor = last.or(known.cursor.filter(|cursor| cursor.chain == page.chain));
        let reached = known.cursor.map_or(Seq(0), |cursor| cursor.place.seq);
        if !known.caught_up && (reached >= page.head || page.shipments.is_empty()) {
            known.caught_up = true;
            book.tidy(&known.stories);
        }
    }

    async fn tell(&mut self, known: &mut Known, book: &mut Book) {
        let before = book.told().clone();
        while let Some(batch) = book.due(&known.stories, self.clock.now()) {
            let chain = known.cursor.map(|cursor| cursor.chain);
            let Some(chain) = chain else { break };
            book.offer(&batch);
            if !covers(&known.saved, book.told()) {
                self.save(known, book);
            }
            let verdict = self.post(chain, &batch, &known.stories).await;
            if verdict == Verdict::Taken {
                self.numbers.alerts_sent.add(batch.news.len() as u64);
            } else {
                self.numbers.alerts_failed.one();
            }
            book.answered(&batch, &known.stories, verdict, self.clock.now());
        }
        let over: Vec<IncidentId> = known
            .stories
            .iter()
            .filter(|(incident, story)| book.is_done(*incident, story))
            .map(|(incident, _)| incident)
            .collect();
        over.into_iter().for_each(|incident| known.stories.forget(incident));
        self.numbers.alerts_waiting.set(i64::try_from(book.waiting(&known.stories)).unwrap_or(i64::MAX));
        if *book.told() != before || self.clock.now().saturating_sub(known.saved_at) >= SAVE_EVERY {
            self.save(known, book);
        }
    }

    fn save(&self, known: &mut Known, book: &Book) {
        known.saved_at = self.clock.now();
        let after = known.cursor.map(|cursor| Seq(cursor.place.seq.0 + 1));
        let state = AlertState {
            cursor: known.cursor.map(CursorText::from),
            read_from: known.stories.needed_from().or(after),
            told: book.told().clone(),
        };
        // Without it people may be told once more after a restart: that is better than not to tell.
        match self.state.save(ALERTS_FILE, &state) {
            Ok(()) => known.saved = state.told,
            Err(error) => {
                self.numbers.state_failed.one();
                tracing::error!("{}", explain(&error));
            }
        }
    }

    /// One batch to its route: an Alertmanager takes many at once, to the others it is one.
    async fn post(&mut self, chain: ChainId, batch: &Batch, stories: &Stories) -> Verdict {
        let (route, caller) = &mut self.routes[batch.route];
        let host = Arc::clone(&self.host);
        let envelope = Envelope { host: &host, chain, now: self.clock.wall() };
        let news: Vec<(IncidentId, AlertNews, &Story)> = batch
            .news
            .iter()
            .filter_map(|(incident, news)| Some((*incident, *news, stories.get(*incident)?)))
            .collect();
        if route.kind == RouteKind::Alertmanager {
            let body = alerts::alertmanager(envelope, &news).into();
            let answer = post_json(caller, "/api/v2/alerts", None, body).await;
            return verdict(caller, answer);
        }
        for (incident, news, story) in news {
            let answer = match &route.kind {
                RouteKind::Alertmanager => continue,
                RouteKind::Webhook { secret } => match secret.read() {
                    Ok(secret) => {
                        let signed = alerts::webhook(envelope, incident, news, story, &secret);
                        let value = HeaderValue::from_str(&signed.signature).ok();
                        let header = value.map(|value| (SIGNATURE.clone(), value));
                        post_json(caller, "", header, signed.body.into()).await
                    }
                    Err(error) => Err(error),
                },
                RouteKind::Pagerduty { key } => match key.read() {
                    Ok(key) => {
                        let key = String::from_utf8_lossy(&key);
                        let body = alerts::pagerduty(envelope, incident, news, story, &key).into();
                        post_json(caller, "/v2/enqueue", None, body).await
                    }
                    Err(error) => Err(error),
                },
            };
            let verdict = verdict(caller, answer);
            if verdict != Verdict::Taken {
                return verdict;
            }
        }
        Verdict::Taken
    }
}

/// Whether what the disk says knows of every route that was offered something.
fn covers(saved: &Told, told: &Told) -> bool {
    told.iter().all(|(incident, routes)| {
        routes.keys().all(|name| saved.get(incident).is_some_and(|known| known.contains_key(name)))
    })
}

static SIGNATURE: HeaderName = HeaderName::from_static("x-prunella-signature");

async fn post_json(
    caller: &mut Caller,
    path: &str,
    header: Option<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<Reply, HttpError> {
    caller.post(path, JSON, false, header, body).await
}

fn verdict(caller: &Caller, answer: Result<Reply, HttpError>) -> Verdict {
    let (why, verdict) = match answer {
        Ok(reply) if (200..=299).contains(&reply.status) => return Verdict::Taken,
        // Of what is in it, not of a token or an address.
        Ok(reply) if matches!(reply.status, 400 | 413 | 422) => (reply.words(), Verdict::Refused),
        Ok(reply) => (reply.words(), Verdict::NotTaken { retry_after: reply.retry_after }),
        Err(error @ (HttpError::Exchange(_) | HttpError::Late(_))) => (explain(&error), Verdict::Unclear),
        Err(error) => (explain(&error), Verdict::NotTaken { retry_after: None }),
    };
    tracing::warn!(route = %caller.name(), why, "an alert was not taken");
    verdict
}

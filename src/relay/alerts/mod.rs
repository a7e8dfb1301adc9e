//! Who is told of which incident, by which route, and when again. Pure.
//!
//! An alert begins when the agent escalates or asks, and ends with its incident. It follows from the ledger alone; what
//! routes were told of it is remembered in the relay's state, so that a relay that starts anew does not page twice.

mod hmac;
mod words;

pub use hmac::hmac_sha256;
pub use words::{Envelope, Signing, alertmanager, pagerduty, webhook};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{IncidentId, Severity};

use super::chance::{Backoff, Chance, Delays};
use super::story::{Stories, Story};

/// Between two tries of a route. Shorter than for records: people wait.
pub const ROUTE_DELAYS: Delays = Delays { first: Duration::from_secs(1), most: Duration::from_secs(30) };
/// An Alertmanager forgets what is not repeated: it takes an alert for ended after five minutes (`resolve_timeout`).
pub const REPEAT_EVERY: Duration = Duration::from_secs(60);
/// Alerts of one request to an Alertmanager: more come with the next.
pub const BATCH_MAX: usize = 64;
/// What a route refuses for what is in it is offered again after this: others come first.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// What a route was told of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is being told, or was and nothing came back: it may know.
    Offered,
    Firing(Severity),
    /// A person has taken note.
    Acknowledged,
}

/// By incident and route: what was told. A route that is not there was told nothing.
pub type Told = BTreeMap<IncidentId, BTreeMap<String, Stage>>;

/// What a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRules {
    /// Its name in the state: kind, address and where its secret lies. A route that was changed is another one.
    pub name: String,
    pub page: bool,
    pub ticket: bool,
    /// It must be told again and again, or it forgets.
    pub forgets: bool,
    /// It can be told that somebody has taken note.
    pub acknowledges: bool,
    /// How many it is told of at once: what is taken is taken as a whole.
    pub batch: usize,
}

impl RouteRules {
    const fn takes(&self, severity: Severity) -> bool {
        match severity {
            Severity::Page => self.page,
            Severity::Ticket => self.ticket,
        }
    }
}

/// What to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    Firing,
    Acknowledged,
    Ended,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    NotTaken {
        retry_after: Option<Duration>,
    },
    /// Nothing came back: it may have been taken.
    Unclear,
    /// It does not like what is in it.
    Refused,
}

/// For one route, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub route: usize,
    pub news: Vec<(IncidentId, News)>,
}

#[derive(Debug)]
struct RouteState {
    rules: RouteRules,
    backoff: Backoff,
    /// Since when it has had something to tell and could not.
    failing_since: Option<Duration>,
    repeated: BTreeMap<IncidentId, Duration>,
    /// How many it is told of at once, for now: fewer after it refused some of them.
    batch: usize,
    /// What it does not like, and when.
    refused: BTreeMap<IncidentId, Duration>,
    /// What it may have been told without our knowing, in this life of the relay or in one before.
    unclear: BTreeSet<IncidentId>,
}

/// The book of what was told.
#[derive(Debug)]
pub struct Book {
    routes: Vec<RouteState>,
    next_route_after: Duration,
    told: Told,
    chance: Chance,
}

impl Book {
    /// With what is remembered.
    #[must_use]
    pub fn new(routes: Vec<RouteRules>, next_route_after: Duration, told: Told, chance: Chance) -> Self {
        let offered = |name: &str| {
            let of = |(incident, told): (&IncidentId, &BTreeMap<String, Stage>)| {
                (told.get(name) == Some(&Stage::Offered)).then_some(*incident)
            };
            told.iter().filter_map(of).collect()
        };
        let state = |rules: RouteRules| RouteState {
            batch: rules.batch,
            unclear: offered(&rules.name),
            rules,
            backoff: Backoff::new(ROUTE_DELAYS),
            failing_since: None,
            repeated: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        let routes = routes.into_iter().map(state).collect();
        Self { routes, next_route_after, told, chance }
    }

    /// What to remember.
    #[must_use]
    pub const fn told(&self) -> &Told {
        &self.told
    }

    /// Whether nobody needs to hear of the incident any more.
    #[must_use]
    pub fn is_done(&self, incident: IncidentId, story: &Story) -> bool {
        story.ended.is_some() && self.told.get(&incident).is_none_or(BTreeMap::is_empty)
    }

    /// The next batch for any route that may be tried now.
    #[must_use]
    pub fn due(&self, stories: &Stories, now: Duration) -> Option<Batch> {
        (0..self.routes.len()).find_map(|route| {
            if self.routes[route].backoff.until() > now {
                return None;
            }
            let news: Vec<_> = self.news(route, stories, now).take(self.routes[route].batch).collect();
            (!news.is_empty()).then_some(Batch { route, news })
        })
    }

    /// When to look again, if nothing happens before.
    #[must_use]
    pub fn wake(&self, now: Duration) -> Duration {
        let tries = self.routes.iter().map(|route| route.backoff.until()).filter(|until| *until > now);
        tries.min().unwrap_or(now + REPEAT_EVERY).min(now + REPEAT_EVERY)
    }

    /// Alerts that at least one route should have been told of and was not.
    #[must_use]
    pub fn waiting(&self, stories: &Stories) -> usize {
        let wanted = |severity| self.routes.iter().any(|route| route.rules.takes(severity));
        let waits = |(incident, story): &(IncidentId, &Story)| {
            let severity = story.call.as_ref().map(|call| call.severity);
            let calls = story.calling && story.ended.is_none() && severity.is_some_and(wanted);
            let told = self.told.get(incident);
            calls && told.is_none_or(|told| told.values().all(|stage| *stage == Stage::Offered))
        };
        stories.iter().filter(waits).count()
    }

    /// The batch is about to be told. What this leaves in [`Self::told`] belongs on the disk before it is: a relay that
    /// ends in between would never tell the end of what it does not know to have told.
    pub fn offer(&mut self, batch: &Batch) {
        let name = &self.routes[batch.route].rules.name;
        for (incident, _) in &batch.news {
            self.told.entry(*incident).or_default().entry(name.clone()).or_insert(Stage::Offered);
        }
    }

    /// What is known not to have been taken was not told, unless an earlier offer is unclear.
    fn withdraw(&mut self, batch: &Batch) {
        let RouteState { rules: RouteRules { name, .. }, unclear, .. } = &self.routes[batch.route];
        for (incident, _) in &batch.news {
            if !unclear.contains(incident)
                && let Some(told) = self.told.get_mut(incident)
                && told.get(name) == Some(&Stage::Offered)
            {
                told.remove(name);
            }
        }
        self.told.retain(|_, routes| !routes.is_empty());
    }

    /// The route took the batch, or did not.
    pub fn answered(&mut self, batch: &Batch, stories: &Stories, verdict: Verdict, now: Duration) {
        if matches!(verdict, Verdict::NotTaken { .. } | Verdict::Refused) {
            self.withdraw(batch);
        }
        let route = &mut self.routes[batch.route];
        match verdict {
            Verdict::Taken => {}
            Verdict::Unclear => {
                route.unclear.extend(batch.news.iter().map(|(incident, _)| *incident));
                route.backoff.failed(now, None, &mut self.chance);
                route.failing_since.get_or_insert(now);
                return;
            }
            Verdict::NotTaken { retry_after } => {
                route.backoff.failed(now, retry_after, &mut self.chance);
                route.failing_since.get_or_insert(now);
                return;
            }
            Verdict::Refused if batch.news.len() > 1 => {
                route.batch = batch.news.len() / 2;
                return;
            }
            Verdict::Refused => {
                route.refused.retain(|incident, _| stories.get(*incident).is_some());
                route.refused.extend(batch.news.iter().map(|(incident, _)| (*incident, now)));
                return;
            }
        }
        route.backoff.succeeded();
        route.failing_since = None;
        route.batch = route.batch.saturating_mul(2).min(route.rules.batch);
        for (incident, news) in &batch.news {
            route.refused.remove(incident);
            route.unclear.remove(incident);
            let told = self.told.entry(*incident).or_default();
            match news {
                News::Firing => {
                    let call = stories.get(*incident).and_then(|story| story.call.as_ref());
                    let severity = call.map_or(Severity::Ticket, |call| call.severity);
                    told.insert(route.rules.name.clone(), Stage::Firing(severity));
                    route.repeated.insert(*incident, now);
                }
                News::Acknowledged => {
                    told.insert(route.rules.name.clone(), Stage::Acknowledged);
                }
                News::Ended => {
                    told.remove(&route.rules.name);
                    route.repeated.remove(incident);
                }
            }
        }
        self.told.retain(|_, routes| !routes.is_empty());
    }

    /// Forgets what was told of incidents that nobody knows any more, and by routes that are no more.
    pub fn tidy(&mut self, stories: &Stories) {
        let names: Vec<&str> = self.routes.iter().map(|route| route.rules.name.as_str()).collect();
        self.told.retain(|incident, told| {
            told.retain(|name, _| names.contains(&name.as_str()));
            stories.get(*incident).is_some() && !told.is_empty()
        });
        for route in &mut self.routes {
            route.repeated.retain(|incident, _| stories.get(*incident).is_some());
            route.refused.retain(|incident, _| stories.get(*incident).is_some());
            route.unclear.retain(|incident| stories.get(*incident).is_some());
        }
    }

    fn news<'a>(
        &'a self,
        route: usize,
        stories: &'a Stories,
        now: Duration,
    ) -> impl Iterator<Item = (IncidentId, News)> + 'a {
        let state = &self.routes[route];
        stories.iter().filter_map(move |(incident, story)| {
            let refused = state.refused.get(&incident);
            if refused.is_some_and(|at| now.saturating_sub(*at) < REFUSED_AGAIN_AFTER) {
                return None;
            }
            let told = self.told.get(&incident).and_then(|told| told.get(&state.rules.name));
            let call = story.call.as_ref()?;
            let news = match (told, story.ended.is_some()) {
                (Some(_), true) => News::Ended,
                (None, true) => return None,
                (None | Some(Stage::Offered), false) => (story.calling
                    && self.wants(route, incident, call.severity, now))
                .then_some(News::Firing)?,
                // It has become worse, or people are called again.
                (Some(Stage::Firing(Severity::Ticket)), false)
                    if story.calling && call.severity == Severity::Page =>
                {
                    News::Firing
                }
                (Some(Stage::Acknowledged), false) if story.calling && !story.acknowledged => News::Firing,
                (Some(Stage::Firing(_)), false) if story.acknowledged && state.rules.acknowledges => {
                    News::Acknowledged
                }
                (Some(Stage::Firing(_) | Stage::Acknowledged), false) => {
                    let repeated = state.repeated.get(&incident);
                    let due = repeated.is_none_or(|at| now.saturating_sub(*at) >= REPEAT_EVERY);
                    (state.rules.forgets && due).then_some(News::Firing)?
                }
            };
            Some((incident, news))
        })
    }

    /// The first route for the severity is always wanted, each further one once all before it have failed for long enough,
    /// or will not have this one.
    fn wants(&self, route: usize, incident: IncidentId, severity: Severity, now: Duration) -> bool {
        let fails = |before: &RouteState| {
            before.refused.contains_key(&incident)
                || before
                    .failing_since
                    .is_some_and(|since| now.saturating_sub(since) >= self.next_route_after)
        };
        let mut before = self.routes[..route].iter().filter(|before| before.rules.takes(severity));
        self.routes[route].rules.takes(severity) && before.all(fails)
    }
}

#[cfg(test)]
mod tests;

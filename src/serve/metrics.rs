//! `GET /metrics`: Prometheus text format 0.0.4, written by hand: a page of names does not need a registry.
//!
//! Labels hold words of closed enums, the version and the policy's digest, never names of units or rules:
//! the number of series is fixed.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{GuardName, IncidentState, Mode, Seq, Severity, Snapshot, Timestamp};

use super::view::{AgentInfo, is_open};

/// `Content-Type` of the page.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the socket counts of itself.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) answered: AtomicU64,
    pub(super) client_errors: AtomicU64,
    pub(super) server_errors: AtomicU64,
    pub(super) not_permitted: AtomicU64,
    pub(super) throttled: AtomicU64,
    pub(super) turned_away: AtomicU64,
}

impl Traffic {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer by its status.
    pub(super) fn count_status(&self, status: u16) {
        Self::count(match status {
            403 => &self.not_permitted,
            429 => &self.throttled,
            400..=499 => &self.client_errors,
            500.. => &self.server_errors,
            _ => &self.answered,
        });
    }
}

/// What is on the page besides the snapshot.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) agent: &'a AgentInfo,
    pub(super) now: Timestamp,
    pub(super) head: Seq,
    pub(super) connections: usize,
    pub(super) traffic: &'a Traffic,
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

struct Page(String);

impl Page {
    fn family<'a>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, f64)>,
    ) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.0, "# HELP prunella_{name} {help}\n# TYPE prunella_{name} {kind}");
        for (labels, value) in series {
            let _ = write!(self.0, "prunella_{name}");
            for (i, (key, text)) in labels.iter().enumerate() {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = write!(self.0, "{}{key}=\"{text}\"", if i == 0 { '{' } else { ',' });
            }
            let end = if labels.is_empty() { "" } else { "}" };
            let _ = writeln!(self.0, "{end} {value}");
        }
    }

    fn one(&mut self, kind: Kind, name: &str, help: &str, value: f64) {
        self.family(kind, name, help, [(vec![], value)]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "the format's numbers are doubles")]
fn number(count: u64) -> f64 {
    count as f64
}

fn amount(count: usize) -> f64 {
    number(u64::try_from(count).unwrap_or(u64::MAX))
}

const SEVERITIES: [(Severity, &str); 2] = [(Severity::Ticket, "ticket"), (Severity::Page, "page")];
const MODES: [(Mode, &str); 3] =
    [(Mode::Observe, "observe"), (Mode::Approve, "approve"), (Mode::Auto, "auto")];
/// Words of [`IncidentState::as_str`] for an open incident.
const OPEN_STATES: [&str; 6] = ["open", "planned", "acting", "verifying", "escalated", "suppressed"];

/// The page.
pub(super) fn page(snapshot: &Snapshot, around: &Around<'_>) -> String {
    use Kind::{Counter, Gauge};
    let mut page = Page(String::with_capacity(8 * 1024));
    let flag = |on: bool| if on { 1.0 } else { 0.0 };
    let agent = around.agent;
    page.family(
        Gauge,
        "build_info",
        "The agent's version and service manager.",
        [(vec![("version", agent.version.as_str()), ("manager", agent.manager.as_str())], 1.0)],
    );
    page.family(
        Gauge,
        "policy_info",
        "Digest of the policy in force.",
        [(vec![("digest", snapshot.policy_digest.as_str())], 1.0)],
    );
    let started = agent.started.wall.unix_millis().max(0).cast_unsigned();
    page.one(Gauge, "start_time_seconds", "When the agent started, Unix time.", number(started) / 1000.0);
    let age = around.now.boot.since(snapshot.at.boot).as_secs_f64();
    page.one(Gauge, "engine_idle_seconds", "Time since the engine last moved.", age);
    incidents(&mut page, snapshot);
    let counts = &snapshot.counts;
    page.one(
        Counter,
        "incidents_total",
        "Incidents opened since the ledger began.",
        number(counts.incidents),
    );
    page.family(
        Counter,
        "incidents_ended_total",
        "Incidents that ended well, by how.",
        [
            (vec![("how", "repaired")], number(counts.repaired)),
            (vec![("how", "cleared-by-itself")], number(counts.cleared_by_themselves)),
        ],
    );
    page.one(Counter, "escalations_total", "Times that a person was told.", number(counts.escalated));
    let what = "Escalations and proposals that no hook would take.";
    page.one(Counter, "notices_undeliverable_total", what, number(counts.undeliverable));
    page.one(Counter, "actions_total", "Actions begun.", number(counts.actions));
    page.family(
        Counter,
        "verifications_total",
        "Verdicts on actions.",
        [
            (vec![("verdict", "confirmed")], number(counts.confirmed)),
            (vec![("verdict", "refuted")], number(counts.refuted)),
            (vec![("verdict", "inconclusive")], number(counts.inconclusive)),
        ],
    );
    page.family(
        Gauge,
        "agent_held",
        "1 for the guard that holds back every unit at present.",
        GuardName::ALL.map(|guard| {
            let holds = snapshot.held.as_ref().is_some_and(|refusal| refusal.guard == guard);
            (vec![("guard", guard.as_str())], flag(holds))
        }),
    );
    page.one(Gauge, "pauses", "Pauses in force.", amount(snapshot.pauses.len()));
    page.one(Gauge, "restraints", "Units that are held back.", amount(snapshot.restraints.len()));
    page.one(Gauge, "proposals_open", "Proposals that wait for a person.", amount(snapshot.proposals.len()));
    page.one(Gauge, "units_seen", "Units known to the agent.", amount(snapshot.units_seen));
    page.one(Gauge, "units_lost", "1 when nothing is known of units.", flag(snapshot.units_lost.is_some()));
    page.one(
        Gauge,
        "policy_rejected",
        "1 when the newest policy was refused.",
        flag(snapshot.policy_error.is_some()),
    );
    page.one(
        Gauge,
        "ledger_degraded",
        "1 when records can't be made durable.",
        flag(snapshot.ledger_degraded),
    );
    own_use(&mut page, snapshot);
    page.one(Counter, "ledger_records_total", "Place of the newest record.", number(around.head.0));
    traffic(&mut page, around);
    page.0
}

/// Not a number (`NaN` in this format) where it is not known.
fn own_use(page: &mut Page, snapshot: &Snapshot) {
    let own = snapshot.own.value();
    let known = |reading: Option<f64>| reading.unwrap_or(f64::NAN);
    let cpu = known(own.map(|own| own.cpu.0 / 100.0));
    page.one(Kind::Gauge, "agent_cpu_ratio", "Of one processor that the agent took in the last minute.", cpu);
    let memory = known(own.and_then(|own| own.memory.value().map(|memory| number(memory.0))));
    page.one(Kind::Gauge, "agent_memory_bytes", "Memory of the agent that no file backs.", memory);
    let files = known(own.and_then(|own| own.open_files.value().copied().map(number)));
    page.one(Kind::Gauge, "agent_open_files", "Files that the agent has open.", files);
    let slowdown = own.map_or(1.0, |own| f64::from(own.slowdown.times()));
    let what = "How many times less often the agent looks, since it takes too much.";
    page.one(Kind::Gauge, "agent_slowdown", what, slowdown);
}

fn incidents(page: &mut Page, snapshot: &Snapshot) {
    let open: Vec<_> = snapshot.incidents.iter().filter(|incident| is_open(&incident.state)).collect();
    let by_state = OPEN_STATES.iter().flat_map(|state| {
        let open = &open;
        SEVERITIES.map(move |(severity, word)| {
            let same = |state_of: &IncidentState| state_of.as_str() == *state;
            let n = open.iter().filter(|i| i.severity == severity && same(&i.state)).count();
            (vec![("state", *state), ("severity", word)], amount(n))
        })
    });
    page.family(Kind::Gauge, "incidents_open", "Open incidents.", by_state);
    let by_mode = MODES.map(|(mode, word)| {
        (vec![("mode", word)], amount(open.iter().filter(|incident| incident.mode == mode).count()))
    });
    page.family(Kind::Gauge, "incidents_open_by_mode", "Open incidents by what their rule may do.", by_mode);
    let by_guard = GuardName::ALL.map(|guard| {
        let held = open.iter().filter(|i| i.held.as_ref().is_some_and(|held| held.guard == guard));
        (vec![("guard", guard.as_str())], amount(held.count()))
    });
    page.family(Kind::Gauge, "incidents_held", "Open incidents that a guard holds back.", by_guard);
}

fn traffic(page: &mut Page, around: &Around<'_>) {
    let traffic = around.traffic;
    let of = |counter: &AtomicU64| number(counter.load(Ordering::Relaxed));
    page.one(Kind::Gauge, "api_connections", "Open connections to the socket.", amount(around.connections));
    page.family(
        Kind::Counter,
        "api_requests_total",
        "Requests to the socket by what became of them.",
        [
            (vec![("outcome", "answered")], of(&traffic.answered)),
            (vec![("outcome", "client-error")], of(&traffic.client_errors)),
            (vec![("outcome", "not-permitted")], of(&traffic.not_permitted)),
            (vec![("outcome", "throttled")], of(&traffic.throttled)),
            (vec![("outcome", "server-error")], of(&traffic.server_errors)),
        ],
    );
    page.one(
        Kind::Counter,
        "api_turned_away_total",
        "Connections closed unheard: no seat left, or too many in a second.",
        of(&traffic.turned_away),
    );
}

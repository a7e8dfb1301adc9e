//! What the relay counts of itself, and its page for Prometheus. The names are few and fixed.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// A value that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// As it stands.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A value that goes up and down.
#[derive(Debug, Default)]
pub struct Level(AtomicI64);

impl Level {
    /// It is this now.
    pub fn set(&self, now: i64) {
        self.0.store(now, Ordering::Relaxed);
    }

    /// As it stands.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Shared by all tasks of the relay.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Records that a receiver has taken.
    pub shipped: Counter,
    /// Records that a receiver took and then refused in part.
    pub rejected: Counter,
    /// Records that no receiver would take.
    pub set_aside: Counter,
    /// Records that were dropped by the agent before they were read.
    pub missed: Counter,
    /// Times that the ledger went another way than what was shipped.
    pub forks: Counter,
    /// Pages whose proof did not hold, or that were none.
    pub unproven: Counter,
    pub requests: Counter,
    pub requests_failed: Counter,
    pub bytes_sent: Counter,
    pub telemetry_dropped: Counter,
    pub alerts_sent: Counter,
    pub alerts_failed: Counter,
    pub alerts_waiting: Level,
    pub state_failed: Counter,
    pub agent_up: AtomicBool,
    /// The newest record of the ledger, and the last that is shipped.
    pub head: Level,
    pub position: Level,
    /// When the oldest record that waits was written, Unix milliseconds; 0 where none waits.
    pub oldest_waiting: Level,
    /// When a receiver last took something, Unix milliseconds.
    pub delivered_at: Level,
    /// Failures in a row of each receiver.
    pub receiver_failures: Mutex<Vec<u32>>,
}

impl Numbers {
    /// Records in the ledger that are not shipped.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.head.get().saturating_sub(self.position.get()).max(0).cast_unsigned()
    }

    /// Seconds since the oldest record that waits was written.
    #[must_use]
    pub fn age(&self, now_ms: i64) -> f64 {
        match self.oldest_waiting.get() {
            0 => 0.0,
            at => seconds(now_ms.saturating_sub(at).max(0)),
        }
    }

    /// The page of text.
    #[must_use]
    pub fn page(&self, version: &str, now_ms: i64) -> String {
        let mut page = Page(String::with_capacity(4096));
        let info = format!("{{version=\"{version}\"}}");
        page.line("relay_build_info", "gauge", "The relay's version.", &info, 1.0);
        let up = f64::from(u8::from(self.agent_up.load(Ordering::Relaxed)));
        page.line("agent_up", "gauge", "1 while the agent answers the relay.", "", up);
        for (name, help, counter) in [
            ("records_shipped_total", "Records that a receiver has taken.", &self.shipped),
            (
                "records_rejected_total",
                "Records that a receiver refused within a request that it took.",
                &self.rejected,
            ),
            ("records_set_aside_total", "Records that no receiver takes.", &self.set_aside),
            (
                "records_missed_total",
                "Records that the agent dropped before they were shipped.",
                &self.missed,
            ),
            (
                "ledger_forks_total",
                "Times that the ledger went another way than what was shipped.",
                &self.forks,
            ),
            ("pages_unproven_total", "Answers of the agent whose proof does not hold.", &self.unproven),
            ("requests_total", "Requests to receivers.", &self.requests),
            ("requests_failed_total", "Requests that no receiver took as a whole.", &self.requests_failed),
            ("sent_bytes_total", "Bytes of requests, compressed.", &self.bytes_sent),
            (
                "telemetry_dropped_total",
                "Traces, metrics and heartbeats that were not sent.",
                &self.telemetry_dropped,
            ),
            ("alerts_sent_total", "Alerts, repetitions and ends that a route took.", &self.alerts_sent),
            ("alerts_failed_total", "Tries of a route that failed.", &self.alerts_failed),
            (
                "state_failures_total",
                "Times that the relay's own files could not be written.",
                &self.state_failed,
            ),
        ] {
            page.line(&format!("relay_{name}"), "counter", help, "", number(counter.get()));
        }
        let waiting = number(self.waiting());
        page.line("relay_spool_records", "gauge", "Records that wait in the ledger.", "", waiting);
        let help = "Time since the oldest record that waits was written.";
        page.line("relay_spool_age_seconds", "gauge", help, "", self.age(now_ms));
        let delivered = seconds(self.delivered_at.get());
        let help = "When a receiver last took something, Unix time; 0 for never.";
        page.line("relay_delivered_timestamp_seconds", "gauge", help, "", delivered);
        let waiting = number(self.alerts_waiting.get().max(0).cast_unsigned());
        page.line("relay_alerts_waiting", "gauge", "Alerts that no route has taken.", "", waiting);
        let name = "relay_receiver_failures";
        page.head(name, "gauge", "Failures in a row, by place in the list of receivers.");
        let failures = self.receiver_failures.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, failures) in failures.iter().enumerate() {
            page.value(name, &format!("{{receiver=\"{place}\"}}"), f64::from(*failures));
        }
        page.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "the format's numbers are doubles")]
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(millis: i64) -> f64 {
    number(millis.max(0).cast_unsigned()) / 1000.0
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP prunella_{name} {help}\n# TYPE prunella_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.0, "prunella_{name}{labels} {value}");
    }

    fn line(&mut self, name: &str, kind: &str, help: &str, labels: &str, value: f64) {
        self.head(name, kind, help);
        self.value(name, labels, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page() {
        let numbers = Numbers::default();
        numbers.shipped.add(41);
        numbers.head.set(50);
        numbers.position.set(41);
        numbers.oldest_waiting.set(1_790_000_000_000);
        *numbers.receiver_failures.lock().unwrap_or_else(PoisonError::into_inner) = vec![3, 0];
        insta::assert_snapshot!(numbers.page("0.1.0", 1_790_000_001_500));
    }
}

//! `[limits]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::policy::diagnostic::Report;
use crate::policy::document::Document;
use crate::policy::limits::{Backoff, Budget, Limits};
use crate::policy::section::Section;

const fn seconds(from: u64, to: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(from)..=Duration::from_secs(to)
}

const DAY: u64 = 86_400;
/// Most attempts that a budget may grant: more is no limit.
const COUNT: RangeInclusive<u32> = 1..=10_000;
const WINDOW: RangeInclusive<Duration> = seconds(10, 7 * DAY);

const KEYS: &[&str] = &[
    "stale_after",
    "warm_up_boot",
    "warm_up_settle",
    "backoff",
    "attempts_per_subject",
    "attempts_per_rule",
    "attempts_per_host",
    "flapping",
    "settle",
    "stable_after",
    "permit_lifetime",
    "act_deadline",
    "proposal_lifetime",
    "evidence_deadline",
    "restrained_for",
    "agent_cpu_percent",
];

/// The limits: the defaults, with what the files change.
pub(super) fn limits(report: &mut Report<'_>, document: &Document<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(section) = document.table("limits") else { return limits };
    section.only(report, KEYS);
    let mut set = |key: &str, target: &mut Duration, allowed: RangeInclusive<Duration>| {
        if let Some(duration) = section.duration(report, key, &allowed) {
            *target = duration;
        }
    };
    set("stale_after", &mut limits.stale_after, seconds(5, DAY));
    set("warm_up_boot", &mut limits.warm_up_boot, seconds(0, DAY));
    set("warm_up_settle", &mut limits.warm_up_settle, seconds(0, DAY));
    set("settle", &mut limits.settle, seconds(1, DAY));
    set("stable_after", &mut limits.stable_after, seconds(10, 30 * DAY));
    set("permit_lifetime", &mut limits.permit_lifetime, seconds(1, 600));
    set("act_deadline", &mut limits.act_deadline, seconds(1, DAY));
    set("proposal_lifetime", &mut limits.proposal_lifetime, seconds(60, 30 * DAY));
    set("restrained_for", &mut limits.restrained_for, seconds(30, DAY));
    set(
        "evidence_deadline",
        &mut limits.evidence_deadline,
        Duration::from_millis(10)..=Duration::from_secs(30),
    );
    limits.agent_cpu_percent = section
        .number(
            report,
            "agent_cpu_percent",
            &(0.1..=100.0),
            "percent of one processor, as in `agent_cpu_percent = 5.0`",
        )
        .unwrap_or(limits.agent_cpu_percent);
    if limits.stable_after < limits.settle {
        report.error(
            &section.place_of("stable_after"),
            "`stable_after` is shorter than `settle`: the backoff would be forgotten before a repair is confirmed",
            "make `stable_after` longer, as in \"10m\"",
        );
    }
    if let Some(nested) = nested(report, document, section, "backoff", "{ first = \"10s\", factor = 3.0 }") {
        backoff(report, nested, &mut limits.backoff);
    }
    for (key, target) in [
        ("attempts_per_subject", &mut limits.attempts_per_subject),
        ("attempts_per_rule", &mut limits.attempts_per_rule),
        ("attempts_per_host", &mut limits.attempts_per_host),
        ("flapping", &mut limits.flapping),
    ] {
        if let Some(nested) = nested(report, document, section, key, "{ count = 4, window = \"10m\" }") {
            budget(report, nested, target);
        }
    }
    limits
}

/// A table within `[limits]`; anything else under its key is reported.
fn nested<'s, 'd>(
    report: &mut Report<'_>,
    document: &'s Document<'d>,
    section: &Section<'d>,
    key: &str,
    example: &str,
) -> Option<&'s Section<'d>> {
    section.table(report, key, example)?;
    document.nested_limits.get(key)
}

fn backoff(report: &mut Report<'_>, section: &Section<'_>, backoff: &mut Backoff) {
    section.only(report, &["first", "factor", "cap", "jitter"]);
    let errors = report.count();
    backoff.first = section.duration(report, "first", &seconds(1, DAY)).unwrap_or(backoff.first);
    backoff.factor = section
        .number(report, "factor", &(1.0..=100.0), "factor = 3.0 for gaps that grow threefold")
        .unwrap_or(backoff.factor);
    backoff.cap = section.duration(report, "cap", &seconds(1, 7 * DAY)).unwrap_or(backoff.cap);
    backoff.jitter = section
        .number(report, "jitter", &(0.0..=1.0), "the share of the gap, as in `jitter = 0.2` for a fifth")
        .unwrap_or(backoff.jitter);
    if report.count() == errors && backoff.first > backoff.cap {
        let key = if section.has("cap") { "cap" } else { "first" };
        report.error(
            &section.place_of(key),
            "the first gap is longer than the cap",
            "make `cap` at least as long as `first`",
        );
    }
}

fn budget(report: &mut Report<'_>, section: &Section<'_>, budget: &mut Budget) {
    section.only(report, &["count", "window"]);
    budget.count = section.count(report, "count", &COUNT).unwrap_or(budget.count);
    budget.window = section.duration(report, "window", &WINDOW).unwrap_or(budget.window);
}

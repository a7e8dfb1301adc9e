//! Every limit of the decision stages, with its default and its reason.

use std::time::Duration;

/// How attempts on one subject are spaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// After the first failed attempt. The first attempt itself is immediate.
    pub first: Duration,
    /// Each gap is this many times the one before.
    pub factor: f64,
    /// No gap is longer.
    pub cap: Duration,
    /// A gap is lengthened by up to this share of itself, so that a fleet does not act in step.
    pub jitter: f64,
}

/// At most `count` in any `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub count: u32,
    pub window: Duration,
}

/// Limits that hold for the whole agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Telemetry older than this authorises nothing. Twice the reconciliation interval and a bit.
    pub stale_after: Duration,
    /// After boot, at most this long is waited for the service manager to finish starting the host.
    pub warm_up_boot: Duration,
    /// After the agent's start, a resume from suspend, or a step of the wall clock.
    pub warm_up_settle: Duration,
    pub backoff: Backoff,
    /// Attempts on one subject. Four leave room for the start that broke it: five starts in ten minutes.
    pub attempts_per_subject: Budget,
    /// Attempts by one rule, over all its subjects.
    pub attempts_per_rule: Budget,
    /// Attempts on the host, by all rules.
    pub attempts_per_host: Budget,
    /// Recurrences of one incident in this window that make it flapping, which escalates.
    pub flapping: Budget,
    /// How long a repaired unit must hold before the repair is called confirmed.
    pub settle: Duration,
    /// How long it must hold before its backoff is forgotten.
    pub stable_after: Duration,
    /// An act that has not begun this long after it was permitted is not carried out.
    pub permit_lifetime: Duration,
    /// A job that takes longer counts as unknown. systemd's own default for a start is 90 s.
    pub act_deadline: Duration,
    /// An unanswered proposal lapses.
    pub proposal_lifetime: Duration,
    /// Evidence that takes longer is given up: a repair does not wait for a slow journal. All that comes between the
    /// failure and the start has half a second.
    pub evidence_deadline: Duration,
    /// For how long a unit is held back at the most: then it is let go, whatever became of the agent.
    pub restrained_for: Duration,
    /// What the agent itself may take of one processor, percent, over a minute: beyond it, it looks less often. Fifty
    /// times what it takes at rest, and more than what passes for people and storms of processes take (2 each).
    pub agent_cpu_percent: f64,
}

impl Default for Limits {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            stale_after: Duration::from_secs(45),
            warm_up_boot: minutes(3),
            warm_up_settle: Duration::from_secs(2),
            backoff: Backoff { first: Duration::from_secs(10), factor: 3.0, cap: minutes(30), jitter: 0.2 },
            attempts_per_subject: Budget { count: 4, window: minutes(10) },
            attempts_per_rule: Budget { count: 100, window: minutes(10) },
            attempts_per_host: Budget { count: 100, window: minutes(10) },
            flapping: Budget { count: 3, window: minutes(60) },
            settle: Duration::from_secs(3),
            stable_after: minutes(10),
            permit_lifetime: Duration::from_secs(10),
            act_deadline: Duration::from_secs(100),
            proposal_lifetime: minutes(60),
            evidence_deadline: Duration::from_millis(300),
            restrained_for: crate::model::RESTRAINED_FOR,
            agent_cpu_percent: 5.0,
        }
    }
}

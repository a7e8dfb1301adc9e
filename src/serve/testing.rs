//! Fixed snapshots and records, for the tests of the socket and of the CLI.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod filesystems;
mod history;
mod host;
mod processes;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::*;

use super::AgentInfo;

pub(crate) use history::FixedHistory;
pub(crate) use host::{busy_host, hidden_host};
pub(crate) use processes::processes;
pub(crate) use server::{CHAIN, TestServer};

/// Three in the morning, ten days after boot.
pub(crate) fn now() -> Timestamp {
    Timestamp::new(BootTime::from_millis(864_000_000), WallTime::from_unix_millis(1_773_457_680_000))
}

pub(crate) fn ago(seconds: u64) -> Timestamp {
    let now = now();
    Timestamp::new(
        now.boot - Duration::from_secs(seconds),
        WallTime::from_unix_millis(now.wall.unix_millis() - i64::try_from(seconds).unwrap() * 1000),
    )
}

pub(crate) fn ahead(seconds: u64) -> Timestamp {
    now() + Duration::from_secs(seconds)
}

pub(crate) fn unit(name: &str) -> UnitName {
    UnitName::parse(name).unwrap()
}

pub(crate) fn boot() -> BootId {
    BootId(Id128::from_bytes([7; 16]))
}

pub(crate) fn agent() -> AgentInfo {
    AgentInfo { version: "0.1.0".into(), pid: 412, started: ago(93_600), manager: "systemd 252".into() }
}

pub(crate) fn healthy() -> Snapshot {
    Snapshot {
        at: ago(3),
        policy_digest: "9f2c41d07ab3".into(),
        policy_error: None,
        ledger_degraded: false,
        own: Reading::Value(own_use()),
        units_seen: 212,
        units_lost: None,
        units: vec![],
        operator_stopped: vec![],
        host: Reading::Failed("/proc/loadavg: permission denied".into()),
        stall_watches: vec![],
        unit_stall_watches: vec![],
        senses_broken: vec![],
        numbers: Reading::Absent(Absence::NotObserved),
        filesystems: filesystems::filesystems(),
        filesystems_lost: None,
        held: None,
        pauses: vec![],
        proposals: vec![],
        restraints: vec![],
        conditions: vec![],
        incidents: vec![repaired()],
        counts: Counts {
            incidents: 12,
            repaired: 9,
            cleared_by_themselves: 2,
            escalated: 1,
            undeliverable: 0,
            actions: 14,
            confirmed: 9,
            refuted: 4,
            inconclusive: 1,
        },
    }
}

/// Of an agent at rest.
pub(crate) fn own_use() -> OwnUse {
    OwnUse {
        cpu: Percent(0.04),
        window: Duration::from_secs(60),
        memory: Reading::Value(Bytes(2_411_724)),
        threads: Reading::Value(6),
        open_files: Reading::Value(61),
        budget: OwnBudget { cpu: Percent(5.0), memory: Bytes(128 << 20) },
        slowdown: Slowdown::NONE,
    }
}

pub(crate) fn status_of(name: &str, active: ActiveState, sub: &str, result: ServiceResult) -> UnitStatus {
    UnitStatus {
        name: unit(name),
        load: LoadState::Loaded,
        active,
        sub: sub.into(),
        job: Reading::Absent(Absence::NotApplicable),
        details: Reading::Value(UnitDetails {
            invocation: Reading::Value(InvocationId(Id128::from_bytes([3; 16]))),
            file_state: UnitFileState::Enabled,
            relations: UnitRelations::default(),
            service: Reading::Value(ServiceDetails {
                service_type: ServiceType::Simple,
                restart: RestartSetting::No,
                result,
                exit: MainExit::Code(1),
                restarts: 0,
                restart_prevented: false,
                main_pid: Reading::Absent(Absence::NotApplicable),
                control_group: Reading::Absent(Absence::NotApplicable),
                memory: Reading::Absent(Absence::NotApplicable),
                tasks: Reading::Absent(Absence::NotApplicable),
                cpu_time: Reading::Absent(Absence::NotApplicable),
                can_reload: false,
            }),
        }),
    }
}

fn incident(id: u64, name: &str, what: &str, state: IncidentState) -> Incident {
    let rule = RuleName::new("unit-failed");
    let subject = Subject::Unit(unit(name));
    Incident {
        id: IncidentId(id),
        rule: rule.clone(),
        subject: subject.clone(),
        severity: Severity::Ticket,
        mode: Mode::Auto,
        owner: None,
        finding: Finding { rule, subject, what: what.into() },
        state,
        opened: ago(240),
        closed: None,
        evidence: None,
        ladder: vec![Remedy::ResetAndStart, Remedy::RestartWithDependencies],
        attempts: 0,
        tried: BTreeMap::new(),
        held: None,
        proposal: None,
        escalated: None,
        recurrences: 0,
        timeline: vec![TimelineEntry { at: ago(240), what: format!("found: {what}"), tried: None }],
    }
}

pub(crate) fn evidence() -> Evidence {
    Evidence {
        unit: Reading::Value(status_of(
            "api.service",
            ActiveState::Failed,
            "failed",
            ServiceResult::ExitCode,
        )),
        log: Reading::Value(vec![
            "api[991]: listening on 127.0.0.1:8080".into(),
            "api[991]: \u{1b}[31mFATAL\u{1b}[0m cannot open /etc/api/key.pem: No such file or directory"
                .into(),
            "systemd[1]: api.service: Main process exited, code=exited, status=1/FAILURE".into(),
        ]),
        processes: Reading::Absent(Absence::NotApplicable),
        storm: Reading::Absent(Absence::NotApplicable),
        space: Reading::Absent(Absence::NotApplicable),
        disk: Reading::Absent(Absence::NotApplicable),
        culprits: Reading::Absent(Absence::NotApplicable),
    }
}

fn entry(seconds: u64, what: &str, tried: Option<Tried>) -> TimelineEntry {
    TimelineEntry { at: ago(seconds), what: what.into(), tried }
}

fn tried(action: u64, remedy: Remedy, verification: Option<Verification>) -> Option<Tried> {
    Some(Tried { action: ActionId(action), remedy, verification })
}

pub(crate) fn repaired() -> Incident {
    let mut incident = incident(
        11,
        "cron.service",
        "active_state is \"failed\", result is \"signal\"",
        IncidentState::Resolved { how: Resolution::Repaired },
    );
    incident.opened = ago(7200);
    incident.closed = Some(ago(7196));
    incident.attempts = 1;
    let confirmed = Verification::Confirmed { why: "active with a new invocation for 3s".into() };
    incident.timeline = vec![
        entry(7200, "found: active_state is \"failed\", result is \"signal\"", None),
        entry(
            7199,
            "reset-and-start (attempt 1): it failed",
            tried(13, Remedy::ResetAndStart, Some(confirmed)),
        ),
        entry(7199, "carried out", None),
        entry(7196, "confirmed: active with a new invocation for 3s", None),
        entry(7196, "resolved: the repair is confirmed", None),
    ];
    incident
}

pub(crate) fn repairing() -> Snapshot {
    let mut incident = incident(
        12,
        "api.service",
        "active_state is \"failed\", result is \"exit-code\"",
        IncidentState::Verifying { action: ActionId(15) },
    );
    incident.opened = ago(8);
    incident.attempts = 1;
    incident.evidence = Some(evidence());
    incident.timeline = vec![
        entry(8, "found: active_state is \"failed\", result is \"exit-code\"", None),
        entry(7, "reset-and-start (attempt 1): it failed", tried(15, Remedy::ResetAndStart, None)),
        entry(6, "carried out", None),
    ];
    let mut snapshot = healthy();
    snapshot.units = vec![UnitView {
        status: status_of("api.service", ActiveState::Activating, "start", ServiceResult::ExitCode),
        left_alone: None,
    }];
    snapshot.incidents.insert(0, incident);
    snapshot
}

pub(crate) fn held() -> Snapshot {
    let mut backoff = incident(
        12,
        "api.service",
        "active_state is \"failed\", result is \"exit-code\"",
        IncidentState::Planned,
    );
    backoff.attempts = 2;
    for action in [13, 14] {
        let why = "failed again after 2s, exit-code 1";
        let refuted = Some(Verification::Refuted { why: why.into() });
        let at = 240 - action * 10;
        backoff.timeline.push(entry(
            at,
            "reset-and-start: it failed",
            tried(action, Remedy::ResetAndStart, refuted),
        ));
        backoff.timeline.push(entry(at - 4, &format!("refuted: {why}"), None));
    }
    backoff.held = Some(Refusal {
        guard: GuardName::Backoff,
        hold: Hold::Until(ahead(250)),
        why: "2 attempts failed; the third waits out its backoff".into(),
    });
    let mut apt = incident(
        13,
        "web.service",
        "active_state is \"failed\", result is \"signal\"",
        IncidentState::Planned,
    );
    apt.held = Some(Refusal {
        guard: GuardName::PackageManager,
        hold: Hold::UntilChange,
        why: "apt-get (pid 2201) holds /var/lib/dpkg/lock-frontend".into(),
    });
    let mut asks = incident(14, "db.service", "probe_failures is 3", IncidentState::Planned);
    asks.mode = Mode::Approve;
    asks.proposal = Some(ProposalId(4));
    asks.held = Some(Refusal {
        guard: GuardName::Approval,
        hold: Hold::UntilChange,
        why: "restart-with-dependencies needs a person's approval".into(),
    });
    let mut snapshot = healthy();
    snapshot.proposals = vec![Proposal {
        id: ProposalId(4),
        incident: IncidentId(14),
        remedy: Remedy::RestartWithDependencies,
        subject: Subject::Unit(unit("db.service")),
        targets: Vec::new(),
        invocation: Reading::Absent(Absence::NotObserved),
        expires: ahead(3360),
    }];
    snapshot.units = vec![
        UnitView {
            status: status_of("api.service", ActiveState::Failed, "failed", ServiceResult::ExitCode),
            left_alone: None,
        },
        UnitView {
            status: status_of("old.service", ActiveState::Inactive, "dead", ServiceResult::Success),
            left_alone: Some(
                "an operator stopped it on purpose; it stays down until somebody starts it".into(),
            ),
        },
    ];
    snapshot.operator_stopped = vec![unit("old.service")];
    snapshot.incidents.splice(0..0, [backoff, apt, asks]);
    snapshot
}

pub(crate) fn escalated() -> Snapshot {
    let mut incident = incident(
        12,
        "api.service",
        "active_state is \"failed\", result is \"exit-code\"",
        IncidentState::Escalated,
    );
    incident.severity = Severity::Page;
    incident.owner = Some("team-payments".into());
    incident.opened = ago(900);
    incident.escalated = Some(ago(300));
    incident.attempts = 2;
    incident.recurrences = 1;
    incident.evidence = Some(evidence());
    let why = "failed again after 2s, exit-code 1";
    let refuted = |action, remedy| tried(action, remedy, Some(Verification::Refuted { why: why.into() }));
    incident.timeline = vec![
        entry(900, "found: active_state is \"failed\", result is \"exit-code\"", None),
        entry(899, "reset-and-start (attempt 1): it failed", refuted(15, Remedy::ResetAndStart)),
        entry(898, "carried out", None),
        entry(896, &format!("refuted: {why}"), None),
        entry(
            880,
            "restart-with-dependencies (attempt 2): reset-and-start did not help",
            refuted(16, Remedy::RestartWithDependencies),
        ),
        entry(878, "carried out", None),
        entry(874, &format!("refuted: {why}"), None),
        entry(300, "escalated: the ladder is used up", None),
    ];
    let mut snapshot = healthy();
    snapshot.units = vec![UnitView {
        status: status_of("api.service", ActiveState::Failed, "failed", ServiceResult::ExitCode),
        left_alone: None,
    }];
    snapshot.incidents.insert(0, incident);
    snapshot
}

pub(crate) fn paused() -> Snapshot {
    let mut snapshot = healthy();
    let until = ahead(5400);
    snapshot.pauses = vec![
        Pause {
            id: PauseId(3),
            scope: PauseScope::Agent,
            until,
            by: "anna".into(),
            reason: "storage migration, CHG-118".into(),
        },
        Pause {
            id: PauseId(4),
            scope: PauseScope::Unit(unit("db.service")),
            until: ahead(86_400),
            by: "root".into(),
            reason: "replica rebuild".into(),
        },
    ];
    snapshot.held = Some(Refusal {
        guard: GuardName::Pause,
        hold: Hold::Until(until),
        why: "anna paused the agent: storage migration, CHG-118".into(),
    });
    snapshot
}

pub(crate) fn degraded() -> Snapshot {
    let mut snapshot = healthy();
    snapshot.at = ago(200);
    snapshot.ledger_degraded = true;
    snapshot.own =
        Reading::Value(OwnUse { cpu: Percent(9.31), slowdown: Slowdown::NONE.more().more(), ..own_use() });
    snapshot.units_lost = Some("systemd can't be reached: the system bus is gone".into());
    snapshot.held = Some(Refusal {
        guard: GuardName::Freshness,
        hold: Hold::UntilChange,
        why: "nothing has been heard of units for 3m 20s".into(),
    });
    snapshot
}

pub(crate) fn bad_policy() -> Snapshot {
    let mut snapshot = healthy();
    snapshot.policy_error = Some(
        "/etc/prunella/policy.d/50-web.toml:7:9: unknown field used_percnt\n  |\n7 | when = \"used_percnt > 90\"\n  |         ^^^^^^^^^^^ did you mean used_percent?"
            .into(),
    );
    snapshot
}

pub(crate) fn record(seq: u64, body: RecordBody) -> Record {
    Record { seq: Seq(seq), entry: Entry { at: ago(1000 - seq), boot: boot(), body } }
}

pub(crate) fn some_records() -> Vec<Record> {
    vec![
        record(1, RecordBody::ChainStarted { format: RECORD_FORMAT, previous: None }),
        record(
            2,
            RecordBody::AgentStarted { version: "0.1.0".into(), boot: boot(), policy: "9f2c41d07ab3".into() },
        ),
        record(
            3,
            RecordBody::IncidentReopened {
                incident: IncidentId(12),
                finding: Finding {
                    rule: RuleName::new("unit-failed"),
                    subject: Subject::Unit(unit("api.service")),
                    what: "active_state is \"failed\"".into(),
                },
            },
        ),
    ]
}

/// A slice with a database that waits for its disk, a backup that keeps it busy, and a service that was just started.
pub(crate) fn cgroups() -> Result<std::sync::Arc<CgroupTree>, String> {
    let waits = |percent: f64| {
        let line = PressureAverages {
            avg10: Percent(percent),
            avg60: Percent(0.0),
            avg300: Percent(0.0),
            total: Duration::ZERO,
        };
        Reading::Value(Pressure { some: Reading::Value(line), full: Reading::Value(line) })
    };
    let group = |path: &str, id, cpu: Reading<f64>, memory: u64| CgroupStatus {
        path: path.into(),
        id,
        at: ago(4),
        cpu: cpu.map(Percent),
        memory: Reading::Value(Bytes(memory << 20)),
        tasks: Reading::Value(id),
        populated: Reading::Value(true),
        oom_kills: Reading::Value(0),
        forks_refused: Reading::Value(0),
        closely: Reading::Absent(Absence::NotObserved),
    };
    let closely = |read: u64, written: u64, memory: f64, io: f64| {
        Reading::Value(CgroupClosely {
            at: ago(4),
            read: Reading::Value(Bytes(read << 10)),
            written: Reading::Value(Bytes(written << 10)),
            memory_max: Reading::Value(Limit::Unlimited),
            anonymous: Reading::Value(Bytes(700 << 20)),
            cpu_pressure: waits(1.2),
            memory_pressure: waits(memory),
            io_pressure: waits(io),
            frozen: Reading::Value(false),
        })
    };
    let groups = vec![
        group("/system.slice", 40, Reading::Value(31.25), 1500),
        CgroupStatus {
            closely: closely(200_000, 91_000, 0.0, 12.0),
            ..group("/system.slice/backup.service", 3, Reading::Value(9.0), 64)
        },
        CgroupStatus {
            closely: closely(1200, 40, 3.0, 81.5),
            ..group("/system.slice/db.service", 36, Reading::Value(22.25), 1400)
        },
        group("/system.slice/new.service", 1, Reading::Absent(Absence::TooEarly), 2),
    ];
    let watches = CgroupWatches { watched: 3, unwatched: 0, why: None };
    Ok(std::sync::Arc::new(CgroupTree { groups, left_out: 0, watches }))
}

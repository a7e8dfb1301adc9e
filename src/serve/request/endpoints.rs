//! What there is to ask for, in words.

/// Every endpoint, for `GET /v1`: method, path, meaning.
pub const ENDPOINTS: [(&str, &str, &str); 22] = [
    ("GET", "/v1", "this list"),
    ("GET", "/v1/status", "the agent, what it waits for, open incidents, counts"),
    ("GET", "/v1/units", "units that are not at rest or are left alone, with the reason"),
    ("GET", "/v1/filesystems", "every file system that is mounted: room, state, whether it answers"),
    ("GET", "/v1/processes?sort=cpu|memory|io|age&limit=N", "who takes most, and counts of all processes"),
    ("GET", "/v1/processes/{pid}?pss=true|false", "one process; pss also walks its memory map for its share"),
    (
        "GET",
        "/v1/cgroups?sort=cpu|memory|io|pressure&limit=N",
        "control groups, the greediest first: who makes the host slow",
    ),
    ("GET", "/v1/host", "the host: load, memory, disks, network, limits, what it is made of"),
    (
        "GET",
        "/v1/history?field=F&from=T&to=T&step=LENGTH",
        "a number over time; T is a length before now, RFC 3339, or seconds since 1970; without field, what there is",
    ),
    ("GET", "/v1/incidents?state=open|all", "incidents, open ones first"),
    ("GET", "/v1/incidents/{id}", "one incident with its evidence, timeline and records"),
    (
        "GET",
        "/v1/records?after=N&limit=N&wait=SECONDS&proof=true|false",
        "the ledger; waits up to 60 s for a new record; proof gives the hashes that chain the records",
    ),
    ("GET", "/v1/policy", "the policy in force"),
    ("GET", "/metrics", "Prometheus text"),
    ("POST", "/v1/pause", r#"{"scope": "agent" | {"rule": R} | {"unit": U}, "for": "2h", "reason": TEXT}"#),
    ("POST", "/v1/resume", r#"{"pause": ID}, or nothing for all pauses"#),
    ("POST", "/v1/actions/{id}/undo", "let go of what the action holds back"),
    ("POST", "/v1/proposals/{id}/approve", "let the agent do what it proposes"),
    ("POST", "/v1/proposals/{id}/deny", r#"{"reason": TEXT}"#),
    ("POST", "/v1/incidents/{id}/ack", "a person has taken note"),
    ("POST", "/v1/records/ack", r#"{"chain": ID, "through": N}: a relay has shipped these"#),
    ("POST", "/v1/reload", "read the policy files again"),
];

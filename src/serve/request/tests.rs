#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

const JSON: Option<&str> = Some("application/json");

fn get(path_and_query: &str) -> Result<Request, ApiError> {
    let (path, query) =
        path_and_query.split_once('?').map_or((path_and_query, None), |(path, query)| (path, Some(query)));
    parse(&Parts { method: "GET", path, query, content_type: None, body: b"" })
}

fn post(path: &str, body: &str) -> Result<Request, ApiError> {
    parse(&Parts { method: "POST", path, query: None, content_type: JSON, body: body.as_bytes() })
}

fn check(result: &Result<Request, ApiError>, code: ErrorCode, part: &str) {
    let error = result.as_ref().unwrap_err();
    assert_eq!(error.code, code, "{error:?}");
    assert!(error.message.contains(part), "{error:?}");
}

#[test]
fn what_there_is() {
    assert_eq!(get("/v1"), Ok(Request::Index));
    assert_eq!(get("/v1/status"), Ok(Request::Status));
    assert_eq!(get("/v1/units"), Ok(Request::Units));
    assert_eq!(get("/v1/incidents"), Ok(Request::Incidents(Which::Open)));
    assert_eq!(get("/v1/incidents?state=all"), Ok(Request::Incidents(Which::All)));
    assert_eq!(get("/v1/incidents/inc-7"), Ok(Request::Incident(IncidentId(7))));
    let list = |sort, limit| Ok(Request::Processes(ProcessesQuery { sort, limit }));
    assert_eq!(get("/v1/processes"), list(ProcessSort::Cpu, PROCESSES_DEFAULT));
    assert_eq!(get("/v1/processes?limit=500&sort=age"), list(ProcessSort::Age, PROCESSES_SHOWN_MAX));
    let look = |shares| Ok(Request::Process(ProcessQuery { pid: 412, shares }));
    assert_eq!(get("/v1/processes/412"), look(false));
    assert_eq!(get("/v1/processes/412?pss=true"), look(true));
    assert_eq!(get("/v1/history"), Ok(Request::History(None)));
    let ask = |field: &str, from, to, step| {
        let ask = HistoryAsk { field: field.into(), from: Moment::Ago(from), to, step };
        Ok(Request::History(Some(ask)))
    };
    assert_eq!(get("/v1/history?field=load_1m"), ask("load_1m", HISTORY_SINCE, None, None));
    let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
    assert_eq!(
        get("/v1/history?field=filesystem_used_percent@/my%20disk%26&from=1h&to=1m&step=60s"),
        ask("filesystem_used_percent@/my disk&", hour, Some(Moment::Ago(minute)), Some(minute))
    );
    assert_eq!(get("/v1/policy"), Ok(Request::Policy));
    assert_eq!(get("/metrics"), Ok(Request::Metrics));
    let page = |after, limit, wait| {
        Ok(Request::Records(RecordsQuery {
            after: Seq(after),
            limit,
            wait: Duration::from_secs(wait),
            proof: false,
        }))
    };
    assert_eq!(get("/v1/records"), page(0, PAGE_RECORDS_DEFAULT, 0));
    assert_eq!(get("/v1/records?wait=60&after=41&limit=1"), page(41, 1, 60));
    assert_eq!(post("/v1/reload", ""), Ok(Request::Reload));
    let proven = RecordsQuery { after: Seq(7), limit: 5, wait: Duration::ZERO, proof: true };
    assert_eq!(get("/v1/records?after=7&limit=5&proof=true"), Ok(Request::Records(proven)));
    let chain = ChainId(Id128::from_bytes([0xab; 16]));
    let body = format!(r#"{{"chain": "{chain}", "through": 41}}"#);
    let shipped = Shipped { chain, through: Seq(41) };
    assert_eq!(post("/v1/records/ack", &body), Ok(Request::Shipped(shipped)));
    assert!(post("/v1/records/ack", r#"{"chain": "x", "through": 41}"#).is_err());
}

#[test]
fn processes_that_can_not_be() {
    let bad = |path: &str, part: &str| check(&get(path), ErrorCode::BadRequest, part);
    bad("/v1/processes?sort=name", "cpu, memory, io, age");
    bad("/v1/processes?limit=0", "1 to 500");
    bad("/v1/processes?limit=501", "1 to 500");
    for pid in ["0", "-1", "+1", "1x", "self", "99999999999", ""] {
        bad(&format!("/v1/processes/{pid}"), "its pid");
    }
    bad("/v1/processes/1?pss=yes", "true or false");
}

#[test]
fn pasts_that_can_not_be() {
    let bad = |path: &str, part: &str| check(&get(path), ErrorCode::BadRequest, part);
    bad("/v1/history?from=1h", "needs a field");
    bad("/v1/history?field=%2", "no text");
    bad("/v1/history?field=%ff", "no text");
    bad("/v1/history?field=x&from=once", "before now");
    bad("/v1/history?field=x&step=fast", "numbers with units");
    let now = crate::model::WallTime::from_unix_millis(1_790_000_000_000);
    let resolved = |path: &str| match get(path) {
        Ok(Request::History(Some(ask))) => ask.resolve(now),
        other => panic!("{other:?}"),
    };
    let query = resolved("/v1/history?field=x&from=1h").unwrap();
    assert_eq!((query.step.as_secs(), query.to, query.to.since(query.from).as_secs()), (15, now, 3600));
    for path in ["from=1h&to=2h", "from=0s", "from=1h&step=0s", "from=14d&step=1s", "from=0&step=1m"] {
        assert!(resolved(&format!("/v1/history?field=x&{path}")).is_err(), "{path}");
    }
}

#[test]
fn commands() {
    let command = |request: Result<Request, ApiError>| {
        let Request::Command(command) = request.unwrap() else { panic!("no command") };
        command
    };
    assert_eq!(
        command(post("/v1/pause", r#"{"scope":{"unit":"db.service"},"for":"1h30m","reason":" CHG-1 "}"#)),
        Command::Pause {
            scope: PauseScope::Unit(UnitName::parse("db.service").unwrap()),
            length: Duration::from_secs(5400),
            reason: "CHG-1".into()
        }
    );
    assert_eq!(
        command(post("/v1/pause", r#"{"scope":"agent","for":"30d","reason":"x"}"#)),
        Command::Pause { scope: PauseScope::Agent, length: PAUSE_MAX, reason: "x".into() }
    );
    assert_eq!(command(post("/v1/resume", "")), Command::Resume { pause: None });
    assert_eq!(
        command(post("/v1/resume", r#"{"pause":"pause-3"}"#)),
        Command::Resume { pause: Some(PauseId(3)) }
    );
    assert_eq!(
        command(post("/v1/proposals/prop-4/approve", "{}")),
        Command::Approve { proposal: ProposalId(4) }
    );
    assert_eq!(
        command(post("/v1/proposals/4/deny", r#"{"reason":"no"}"#)),
        Command::Deny { proposal: ProposalId(4), reason: "no".into() }
    );
    assert_eq!(
        command(post("/v1/incidents/inc-1/ack", "")),
        Command::Acknowledge { incident: IncidentId(1) }
    );
}

#[test]
fn mistakes_get_a_status_and_a_sentence() {
    check(&get("/"), ErrorCode::NotFound, "no endpoint");
    check(&get("/v1/status/"), ErrorCode::NotFound, "no endpoint");
    check(&get("/v2/status"), ErrorCode::NotFound, "no endpoint");
    check(&get("/v1/status?x=1"), ErrorCode::BadRequest, "no parameter");
    check(&get("/v1/incidents?state=open&state=all"), ErrorCode::BadRequest, "twice");
    check(&get("/v1/incidents?state=closed"), ErrorCode::BadRequest, "open or all");
    check(&get("/v1/incidents/seven"), ErrorCode::BadRequest, "inc-NUMBER");
    check(&get("/v1/records?after=+1"), ErrorCode::BadRequest, "whole number");
    check(&get("/v1/records?after=-1"), ErrorCode::BadRequest, "whole number");
    check(&get("/v1/records?limit=0"), ErrorCode::BadRequest, "limit is 1 to");
    check(&get("/v1/records?limit=1001"), ErrorCode::BadRequest, "limit is 1 to");
    check(&get("/v1/records?wait=61"), ErrorCode::BadRequest, "at most 60");
    check(&get(&format!("/v1/records?{}", "a".repeat(600))), ErrorCode::TooLarge, "query");
    check(&get("/v1/pause"), ErrorCode::MethodNotAllowed, "does not take");
    assert_eq!(get("/v1/pause").unwrap_err().allow, Some("POST"));
    assert_eq!(post("/v1/status", "").unwrap_err().allow, Some("GET, HEAD"));
    check(&post("/v1/pause", "{"), ErrorCode::BadRequest, "can't be understood");
    check(&post("/v1/pause", r#"{"scope":"agent","for":"1h"}"#), ErrorCode::BadRequest, "reason");
    let pause = |scope: &str, length: &str, reason: &str| {
        post("/v1/pause", &format!(r#"{{"scope":{scope},"for":"{length}","reason":"{reason}"}}"#))
    };
    check(&pause("\"agent\"", "0s", "x"), ErrorCode::BadRequest, "30 days");
    check(&pause("\"agent\"", "31d", "x"), ErrorCode::BadRequest, "30 days");
    check(&pause("\"agent\"", "soon", "x"), ErrorCode::BadRequest, "length of time");
    check(&pause("\"agent\"", "1h", "  "), ErrorCode::BadRequest, "reason is needed");
    check(&pause("\"agent\"", "1h", r"a\u001b[2J"), ErrorCode::BadRequest, "control");
    check(&pause("\"all\"", "1h", "x"), ErrorCode::BadRequest, "can't be understood");
    check(&pause(r#"{"unit":"db"}"#, "1h", "x"), ErrorCode::BadRequest, "suffix");
    check(&pause(r#"{"rule":"No Rule"}"#, "1h", "x"), ErrorCode::BadRequest, "lower-case");
    check(&post("/v1/reload", r#"{"x":1}"#), ErrorCode::BadRequest, "can't be understood");
    check(&post("/v1/reload", &" ".repeat(BODY_BYTES_MAX + 1)), ErrorCode::TooLarge, "body");
    let form = Parts {
        method: "POST",
        path: "/v1/reload",
        query: None,
        content_type: Some("application/x-www-form-urlencoded"),
        body: b"{}",
    };
    check(&parse(&form), ErrorCode::WrongMediaType, "JSON");
    let typed = Parts { content_type: Some("Application/JSON; charset=utf-8"), ..form };
    assert_eq!(parse(&typed), Ok(Request::Reload));
}

/// Parts that come near to real requests, and noise.
fn any_path() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("v1".to_owned()),
        Just("status".to_owned()),
        Just("records".to_owned()),
        Just("incidents".to_owned()),
        Just("proposals".to_owned()),
        Just("pause".to_owned()),
        Just("resume".to_owned()),
        Just("approve".to_owned()),
        Just("deny".to_owned()),
        Just("ack".to_owned()),
        "(inc|prop)-[0-9]{1,25}",
        "\\PC{0,8}",
        any::<String>(),
    ];
    prop_oneof![
        prop::collection::vec(word, 0..5).prop_map(|words| format!("/{}", words.join("/"))),
        any::<String>()
    ]
}

proptest! {
    /// Whatever comes in: no panic; an error says something, safely and shortly; what is accepted is in bounds.
    #[test]
    fn anything_parses_or_is_refused(
        method in prop_oneof![Just("GET".to_owned()), Just("POST".to_owned()), "[A-Z]{1,8}"],
        path in any_path(),
        query in proptest::option::of("(after|limit|wait|state|x)=[0-9a-z+-]{0,30}(&(after|limit|wait)=[0-9]{0,5})?|\\PC{0,40}"),
        content_type in proptest::option::of(Just("application/json")),
        body in prop_oneof![
            Just(Vec::new()),
            Just(br#"{"scope":"agent","for":"1h","reason":"x"}"#.to_vec()),
            Just(br#"{"reason":"x"}"#.to_vec()),
            prop::collection::vec(any::<u8>(), 0..200),
            "\\PC{0,100}".prop_map(String::into_bytes),
            "\\{\"[a-z]{1,8}\":.{0,60}\\}".prop_map(String::into_bytes),
        ],
    ) {
        let parts = Parts { method: &method, path: &path, query: query.as_deref(), content_type, body: &body };
        match parse(&parts) {
            Err(error) => {
                prop_assert!(!error.message.is_empty());
                prop_assert!(error.message.chars().count() < 2000);
                prop_assert!(!error.message.chars().any(char::is_control), "{:?}", error.message);
                prop_assert!((400..500).contains(&error.code.status()));
                prop_assert_eq!(error.allow.is_some(), error.code == ErrorCode::MethodNotAllowed);
            }
            Ok(request) => {
                let reads = request.needs() == Right::Read;
                prop_assert_eq!(reads, matches!(method.as_str(), "GET" | "HEAD"));
                if let Request::Records(query) = &request {
                    prop_assert!((1..=PAGE_RECORDS_MAX).contains(&query.limit) && query.wait <= WAIT_MAX);
                }
            }
        }
    }

    /// What is asked for is what is understood.
    #[test]
    fn pages_round_trip(after: u64, limit in 1..=PAGE_RECORDS_MAX, wait in 0u64..=60) {
        let request = get(&format!("/v1/records?after={after}&limit={limit}&wait={wait}"));
        let wait = Duration::from_secs(wait);
        prop_assert_eq!(request, Ok(Request::Records(RecordsQuery { after: Seq(after), limit, wait, proof: false })));
    }
}

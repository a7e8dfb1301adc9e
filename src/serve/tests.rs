//! The whole socket: a real listener, real credentials, raw bytes. What other users get is tried on real hosts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::ledger::{ChainId, Place};
use crate::model::{Command, Id128, PauseScope, ProcessSort, RecordBody, Seq};

use super::limits::{BODY_BYTES_MAX, REQUESTS_BURST};
use super::run::Timeouts;
use super::testing::{CHAIN, TestServer, healthy, record};
use super::{
    Acknowledged, ErrorBody, ErrorCode, IncidentDetail, ProcessLook, Processes, ProvenPage, RecordPage,
    Status,
};

/// A test that hangs fails by this, not by its luck.
const PATIENCE: Duration = Duration::from_secs(20);

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One answer off the wire: status, head, body by its length.
fn answer(stream: &mut UnixStream) -> (u16, String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, head, body)
}

fn ask(stream: &mut UnixStream, request: &str) -> (u16, String, Vec<u8>) {
    stream.write_all(request.as_bytes()).unwrap();
    answer(stream)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn code(body: &[u8]) -> ErrorCode {
    serde_json::from_slice::<ErrorBody>(body).unwrap().error.code
}

const PAUSE: &str = r#"{"scope":"agent","for":"1h","reason":"test"}"#;

#[test]
fn reads_and_commands_on_one_connection() {
    let server = TestServer::start(healthy());
    let mut stream = connect(&server.socket);
    let (status, head, body) = ask(&mut stream, &get("/v1/status"));
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"));
    let view: Status = serde_json::from_slice(&body).unwrap();
    assert_eq!((view.units_seen, view.incidents.len()), (212, 0));
    for path in ["/v1", "/v1/units", "/v1/incidents?state=all", "/v1/policy"] {
        let (status, _, body) = ask(&mut stream, &get(path));
        assert_eq!(status, 200, "{path}");
        serde_json::from_slice::<serde_json::Value>(&body).unwrap();
    }
    let (_, _, body) = ask(&mut stream, &get("/v1/incidents/11"));
    let detail: IncidentDetail = serde_json::from_slice(&body).unwrap();
    assert_eq!(detail.incident, Some(super::testing::repaired()));
    assert_eq!(code(&ask(&mut stream, &get("/v1/incidents/99")).2), ErrorCode::NotFound);
    assert_eq!(ask(&mut stream, &post("/v1/pause", PAUSE)).0, 200);
    let heard = server.commands.lock().unwrap().clone();
    assert!(matches!(&heard[0].1, Command::Pause { scope: PauseScope::Agent, .. }));
    assert_eq!(heard[0].0.pid, i32::try_from(std::process::id()).unwrap());
    assert_eq!(ask(&mut stream, &post("/v1/proposals/9/approve", "")).0, 404);
    assert_eq!(ask(&mut stream, &post("/v1/proposals/8/approve", "")).0, 409);
    assert_eq!(ask(&mut stream, &post("/v1/reload", "")).0, 200);
    let (status, _, body) = ask(&mut stream, &post("/v1/reload", ""));
    assert_eq!((status, code(&body)), (422, ErrorCode::InvalidPolicy));
    let (status, head, _) = ask(&mut stream, &get("/v1/pause"));
    assert_eq!(status, 405);
    assert!(head.contains("allow: post"), "{head}");
}

#[test]
fn processes_are_listed_and_looked_at() {
    let server = TestServer::start(healthy());
    let mut stream = connect(&server.socket);
    let (status, _, body) = ask(&mut stream, &get("/v1/processes?sort=memory&limit=2"));
    let list: Processes = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, list.list.sort, list.list.processes.len()), (200, ProcessSort::Memory, 2));
    let (status, _, body) = ask(&mut stream, &get("/v1/processes/991?pss=true"));
    let look: ProcessLook = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, look.process.line.start_ticks), (200, 99_100));
    assert!(look.process.proportional.value().is_some());
    let (status, _, body) = ask(&mut stream, &get("/v1/processes/7"));
    assert_eq!((status, code(&body)), (404, ErrorCode::NotFound));
}

#[test]
fn a_user_over_the_rate_is_told_when_to_come_back() {
    let server = TestServer::start(healthy());
    let mut stream = connect(&server.socket);
    let mut throttled = None;
    for _ in 0..REQUESTS_BURST * 20 {
        let (status, head, body) = ask(&mut stream, &get("/v1"));
        if status == 429 {
            assert_eq!(code(&body), ErrorCode::TooManyRequests);
            throttled = Some(head);
            break;
        }
    }
    assert!(throttled.unwrap().contains("retry-after: "));
}

#[test]
fn big_and_broken_requests_are_refused() {
    let server = TestServer::start(healthy());
    let fresh = || connect(&server.socket);
    let big = post("/v1/pause", &" ".repeat(BODY_BYTES_MAX + 1));
    let (status, _, body) = ask(&mut fresh(), &big);
    assert_eq!((status, code(&body)), (413, ErrorCode::TooLarge));
    let wide = format!("GET /v1 HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    let mut stream = fresh();
    let _ = stream.write_all(wide.as_bytes());
    assert_eq!(answer(&mut stream).0, 431);
    let (status, _, _) = ask(&mut fresh(), "GET /v1 SMTP/1.1\r\n\r\n");
    assert_eq!(status, 400);
    let (_, _, body) = ask(&mut fresh(), &get("/v1/%1b%5b2J"));
    assert_eq!(code(&body), ErrorCode::NotFound);
    let chunked = "POST /v1/resume HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(ask(&mut fresh(), chunked).0, 400);
    assert_eq!(ask(&mut fresh(), &get("/v1/status")).0, 200, "and it goes on");
}

#[test]
fn slow_heads_and_slow_bodies_are_cut_off() {
    let quick = Duration::from_millis(50);
    let server = TestServer::start_with(healthy(), Timeouts { head: quick, body: quick });
    let mut stream = connect(&server.socket);
    stream.write_all(b"GET /v1 HTTP/1.1\r\nhost:").unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 2"), "closed, with or without a word");
    let mut idle = connect(&server.socket);
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "one that says nothing is closed as well");
    let mut stream = connect(&server.socket);
    let unfinished = post("/v1/resume", "{}").replace("content-length: 2", "content-length: 3");
    let (status, head, body) = ask(&mut stream, &unfinished);
    assert_eq!((status, code(&body)), (408, ErrorCode::TooSlow));
    assert!(head.contains("connection: close"));
}

#[test]
fn a_long_poll_wakes_with_the_record() {
    let server = TestServer::start(healthy());
    let mut stream = connect(&server.socket);
    stream.write_all(get("/v1/records?after=3&wait=60").as_bytes()).unwrap();
    // The answer can only come from the record: without it the poll outlasts the test's patience.
    server.records.push(record(4, RecordBody::AgentStopping { why: "test".into() }));
    let (status, _, body) = answer(&mut stream);
    let page: RecordPage = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, page.records.len(), page.next, page.head), (200, 1, Seq(4), Seq(4)));
    let (_, _, body) = ask(&mut stream, &get("/v1/records?after=4"));
    let page: RecordPage = serde_json::from_slice(&body).unwrap();
    assert_eq!((page.records.len(), page.next), (0, Seq(4)));
}

#[test]
fn pages_are_cut_by_count_and_by_size_and_miss_nothing() {
    let server = TestServer::start(healthy());
    for seq in 4..=60 {
        server.records.push(record(seq, RecordBody::AgentStopping { why: "x".repeat(50_000) }));
    }
    let mut stream = connect(&server.socket);
    let (mut after, mut pages, mut seen) = (Seq(0), 0, Vec::new());
    while after < Seq(60) {
        let (_, _, body) = ask(&mut stream, &get(&format!("/v1/records?after={after}&limit=1000")));
        assert!(body.len() < super::limits::PAGE_BYTES_MAX + 60_000);
        let page: RecordPage = serde_json::from_slice(&body).unwrap();
        seen.extend(page.records.iter().map(|record| record.seq.0));
        after = page.next;
        pages += 1;
    }
    assert_eq!(seen, (1..=60).collect::<Vec<_>>());
    assert!(pages > 2);
    let (_, _, body) = ask(&mut stream, &get("/v1/records?limit=5"));
    assert_eq!(serde_json::from_slice::<RecordPage>(&body).unwrap().records.len(), 5);
}

#[test]
fn a_proven_page_chains_over_the_texts_as_they_are() {
    let server = TestServer::start(healthy());
    let mut stream = connect(&server.socket);
    let mut place = Place::start_of(CHAIN);
    for after in 0..3 {
        let (_, _, body) = ask(&mut stream, &get(&format!("/v1/records?proof=true&limit=1&after={after}")));
        let page: ProvenPage = serde_json::from_slice(&body).unwrap();
        assert_eq!((page.chain, page.previous), (CHAIN.to_string(), place.hash.to_string()));
        assert_eq!((page.records.len(), page.next, page.head), (1, Seq(after + 1), Seq(3)));
        place = place.then(page.records[0].entry.get().as_bytes());
        assert_eq!(page.records[0].hash, place.hash.to_string());
    }
    let (_, _, body) = ask(&mut stream, &get("/v1/records?proof=true&after=3"));
    let page: ProvenPage = serde_json::from_slice(&body).unwrap();
    assert_eq!((page.records.len(), page.next, page.previous), (0, Seq(3), place.hash.to_string()));
}

#[test]
fn what_was_shipped_only_grows_and_belongs_to_a_chain() {
    let server = TestServer::start(healthy());
    let mut stream = connect(&server.socket);
    let mut said = |chain: ChainId, through: u64| {
        let body = format!(r#"{{"chain": "{chain}", "through": {through}}}"#);
        let (status, _, body) = ask(&mut stream, &post("/v1/records/ack", &body));
        (status, serde_json::from_slice::<Acknowledged>(&body).map(|answer| answer.acknowledged.0).ok())
    };
    assert_eq!(said(CHAIN, 2), (200, Some(2)));
    assert_eq!(said(CHAIN, 1), (200, Some(2)));
    assert_eq!(said(ChainId(Id128::from_bytes([1; 16])), 3), (409, None));
    assert_eq!(*server.records.shipped.lock().unwrap(), Seq(2));
    assert!(server.commands.lock().unwrap().is_empty(), "the engine hears nothing of it");
}

#[test]
fn stopping_ends_long_polls_and_removes_the_socket() {
    let server = TestServer::start(healthy());
    let socket = server.socket.clone();
    let mut idle = connect(&socket);
    let mut stream = connect(&socket);
    assert_eq!(ask(&mut stream, &get("/v1")).0, 200);
    stream.write_all(get("/v1/records?after=3&wait=60").as_bytes()).unwrap();
    drop(server);
    assert!(!socket.exists());
    // Ended or reset, depending on what the server had read: not hanging is the point.
    let _ = stream.read_to_end(&mut Vec::new());
    let _ = idle.read_to_end(&mut Vec::new());
}

#[test]
fn the_metrics_page() {
    let server = TestServer::start(super::testing::held());
    let (status, head, body) = ask(&mut connect(&server.socket), &get("/metrics"));
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"));
    insta::assert_snapshot!(String::from_utf8(body).unwrap());
}

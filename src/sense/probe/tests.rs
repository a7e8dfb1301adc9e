#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "makes scripts and sockets")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::http::final_status;
use super::*;
use crate::model::{ProbeName, UnitName};

/// Long enough for any answer that comes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Short, for answers that never come.
const SHORT: Duration = Duration::from_millis(150);

fn probe(kind: ProbeKind, timeout: Duration) -> Probe {
    Probe {
        name: ProbeName("web-http".into()),
        unit: UnitName::parse("web.service").unwrap(),
        kind,
        interval: Duration::from_secs(1),
        timeout,
        failures: 3,
        grace: Duration::ZERO,
    }
}

fn http(address: SocketAddr) -> ProbeKind {
    ProbeKind::Http { address, host: "localhost".into(), path: "/health?x=1".into(), expect: vec![200, 204] }
}

fn shell(script: &str) -> ProbeKind {
    ProbeKind::Exec { argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec() }
}

async fn health(kind: ProbeKind, timeout: Duration) -> Reading<Health> {
    run(&probe(kind, timeout)).await
}

fn check_healthy(reading: &Reading<Health>) {
    assert!(matches!(reading, Reading::Value(Health::Healthy { .. })), "{reading:?}");
}

fn check_unhealthy(reading: &Reading<Health>, part: &str) {
    assert!(
        matches!(reading, Reading::Value(Health::Unhealthy { why }) if why.contains(part)),
        "{reading:?}"
    );
}

fn check_failed(reading: &Reading<Health>, part: &str) {
    assert!(matches!(reading, Reading::Failed(why) if why.contains(part)), "{reading:?}");
}

/// A server that does this with every connection; the request comes back on the channel.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads the request and answers with these bytes.
async fn answering(answer: &'static [u8]) -> SocketAddr {
    server(move |mut stream| async move {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer).await;
    })
    .await
}

#[tokio::test]
async fn statuses() {
    let ok = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    check_healthy(&health(http(ok), PATIENCE).await);
    let empty = answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    check_healthy(&health(http(empty), PATIENCE).await);
    let old = answering(b"HTTP/1.0 200 OK\r\n\r\n").await;
    check_healthy(&health(http(old), PATIENCE).await);
    let interim = answering(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").await;
    check_healthy(&health(http(interim), PATIENCE).await);
    let broken = answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
    check_unhealthy(&health(http(broken), PATIENCE).await, "status 503, expected 200 or 204");
    let moved = answering(b"HTTP/1.1 301 Moved\r\nLocation: http://192.0.2.1/\r\n\r\n").await;
    check_unhealthy(&health(http(moved), PATIENCE).await, "status 301");
}

#[tokio::test]
async fn the_request_is_well_formed() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let address = server(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            request.truncate(length);
            tell.send(String::from_utf8(request).unwrap()).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        }
    })
    .await;
    check_healthy(&health(http(address), PATIENCE).await);
    let request = told.recv().await.unwrap();
    assert!(request.starts_with("GET /health?x=1 HTTP/1.1\r\nHost: localhost\r\n"), "{request:?}");
    assert!(request.ends_with("Connection: close\r\n\r\n"), "{request:?}");
}

#[tokio::test]
async fn servers_that_do_not_answer() {
    let hung = server(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    check_unhealthy(&health(http(hung), SHORT).await, "no answer within 150ms");
    let slow = server(|mut stream| async move {
        for byte in b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    check_unhealthy(&health(http(slow), SHORT).await, "no answer within");
    let closing = server(|stream| async move { drop(stream) }).await;
    let closed = health(http(closing), PATIENCE).await;
    assert!(matches!(closed, Reading::Value(Health::Unhealthy { .. })), "{closed:?}");
}

#[tokio::test]
async fn answers_that_are_none() {
    let garbage = answering(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    check_unhealthy(&health(http(garbage), PATIENCE).await, "not an HTTP answer");
    let half = answering(b"HTTP/1.1 200 OK\r\nX: y").await;
    let closed = health(http(half), PATIENCE).await;
    check_unhealthy(&closed, "clos");
    let endless = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    check_unhealthy(&health(http(endless), PATIENCE).await, "over 16384 bytes");
}

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn tcp() {
    let address = server(|_| async {}).await;
    check_healthy(&health(ProbeKind::Tcp { address }, PATIENCE).await);
    let address = free_address().await;
    check_unhealthy(&health(ProbeKind::Tcp { address }, PATIENCE).await, "connection refused");
    check_unhealthy(&health(http(address), PATIENCE).await, "connection refused");
}

#[tokio::test]
async fn nothing_but_loopback_is_spoken_to() {
    for address in ["192.0.2.1:80", "0.0.0.0:80", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80"] {
        let address = address.parse().unwrap();
        check_failed(&health(ProbeKind::Tcp { address }, PATIENCE).await, "not a loopback address");
        check_failed(&health(http(address), PATIENCE).await, "not a loopback address");
    }
}

#[tokio::test]
async fn a_request_can_not_be_smuggled() {
    let kind = ProbeKind::Http {
        address: free_address().await,
        host: "localhost".into(),
        path: "/ HTTP/1.1\r\nX: y".into(),
        expect: vec![200],
    };
    check_failed(&health(kind, PATIENCE).await, "control character");
}

#[tokio::test]
async fn unix_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let kind = || ProbeKind::Unix { path: path.clone() };
    check_unhealthy(&health(kind(), PATIENCE).await, "there is no socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    check_healthy(&health(kind(), PATIENCE).await);
    // Nobody accepts: the queue fills.
    rustix::net::listen(&listener, 0).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::net::UnixStream::connect(&path).await {
        waiting.push(stream);
    }
    check_unhealthy(&health(kind(), SHORT).await, "queue of connections is full");
    drop(listener);
    check_unhealthy(&health(kind(), PATIENCE).await, "connection refused");
    std::fs::remove_file(&path).unwrap();
    let _datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    check_failed(&health(kind(), PATIENCE).await, "wrong type");
}

#[tokio::test]
async fn commands() {
    check_healthy(&health(shell("exit 0"), PATIENCE).await);
    check_unhealthy(&health(shell("echo no room >&2; exit 2"), PATIENCE).await, "exit code 2: no room");
    check_unhealthy(&health(shell("printf '\\033[2Jx'; exit 1"), PATIENCE).await, "\\u{1b}[2Jx");
    check_unhealthy(&health(shell("sleep 1000"), SHORT).await, "no answer within 150ms");
    check_failed(&health(shell("kill -KILL $$"), PATIENCE).await, "signal 9");
    let missing = ProbeKind::Exec { argv: vec!["/no/such/check".into()] };
    check_failed(&health(missing, PATIENCE).await, "can't be started");
    let plain = ProbeKind::Exec { argv: vec!["/etc/passwd".into()] };
    check_failed(&health(plain, PATIENCE).await, "denied");
}

#[tokio::test]
async fn trouble_of_our_own_accuses_nobody() {
    for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::ACCESS, rustix::io::Errno::NOMEM] {
        assert!(matches!(socket::blame(&errno.into(), "x"), Attempt::Unable(_)), "{errno}");
    }
    for errno in [rustix::io::Errno::CONNREFUSED, rustix::io::Errno::CONNRESET] {
        assert!(matches!(socket::blame(&errno.into(), "x"), Attempt::Bad(_)), "{errno}");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_a_status_by_accident(bytes: Vec<u8>) {
        if let Ok(Some(status)) = final_status(&bytes) {
            prop_assert!(bytes.starts_with(b"HTTP/1.") && status >= 101);
        }
    }
}

/// Waits for the first connection, then for the gate; counts.
#[derive(Clone, Default)]
struct Gate {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    runs: Arc<AtomicUsize>,
}

async fn counting(gate: Gate, hold: Duration) -> SocketAddr {
    server(move |mut stream| {
        let gate = gate.clone();
        async move {
            let now = gate.now.fetch_add(1, Ordering::SeqCst) + 1;
            gate.most.fetch_max(now, Ordering::SeqCst);
            gate.runs.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            tokio::time::sleep(hold).await;
            gate.now.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    })
    .await
}

fn named(name: &str, unit: &str, address: SocketAddr, interval: Duration) -> Probe {
    let unit = UnitName::parse(unit).unwrap();
    Probe { name: ProbeName(name.into()), unit, interval, ..probe(http(address), PATIENCE) }
}

#[tokio::test]
async fn many_probes_run_a_few_at_a_time() {
    let gate = Gate::default();
    let address = counting(gate.clone(), Duration::from_millis(5)).await;
    let (runner, mut results) = ProbeRunner::start(1);
    let every = Duration::from_millis(100);
    let probes: Vec<_> = (0..100).map(|n| named(&format!("p{n}"), "web.service", address, every)).collect();
    runner.replace(probes).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 100 {
        let result = results.recv().await.unwrap();
        check_healthy(&result.health);
        seen.insert(result.probe);
    }
    assert!(gate.most.load(Ordering::SeqCst) <= PROBES_AT_ONCE);
}

#[tokio::test]
async fn one_probe_runs_again_and_again_but_never_twice_at_once() {
    let gate = Gate::default();
    let address = counting(gate.clone(), Duration::from_millis(150)).await;
    let (runner, mut results) = ProbeRunner::start(1);
    let probe = named("slow", "web.service", address, Duration::from_millis(100));
    runner.replace(vec![probe.clone()]).await;
    for _ in 0..4 {
        runner.probe_now(&probe.unit);
        results.recv().await.unwrap();
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_probe_can_be_asked_for_at_once() {
    let gate = Gate::default();
    let address = counting(gate.clone(), Duration::ZERO).await;
    let (runner, mut results) = ProbeRunner::start(1);
    let hourly = Duration::from_secs(3600);
    runner
        .replace(vec![named("a", "a.service", address, hourly), named("b", "b.service", address, hourly)])
        .await;
    for _ in 0..3 {
        runner.probe_now(&UnitName::parse("b.service").unwrap());
        assert_eq!(results.recv().await.unwrap().probe, ProbeName("b".into()));
    }
    assert_eq!(gate.runs.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_probe_that_was_taken_away_gives_no_result() {
    let hung = server(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let good = counting(Gate::default(), Duration::ZERO).await;
    let (runner, mut results) = ProbeRunner::start(1);
    let old = Probe { timeout: SHORT, ..named("old", "old.service", hung, Duration::from_secs(3600)) };
    runner.replace(vec![old.clone()]).await;
    runner.probe_now(&old.unit);
    let new = named("new", "new.service", good, Duration::from_millis(100));
    runner.replace(vec![new]).await;
    // Longer than the old one's timeout.
    for _ in 0..5 {
        assert_eq!(results.recv().await.unwrap().probe, ProbeName("new".into()));
    }
}

/// A service that hangs is found after `failures` times the interval and one timeout, not after as many timeouts.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_run_does_not_lengthen_the_interval() {
    let (runner, mut results) = ProbeRunner::start(7);
    let hung = server(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let interval = Duration::from_secs(10);
    let slow = named("slow", "web.service", hung, interval);
    runner.replace(vec![Probe { timeout: Duration::from_secs(4), ..slow }]).await;
    results.recv().await.unwrap();
    for _ in 0..20 {
        let before = tokio::time::Instant::now();
        results.recv().await.unwrap();
        let gap = before.elapsed().as_secs_f64();
        assert!((9.0..=11.01).contains(&gap), "{gap}");
    }
}

#[tokio::test(start_paused = true)]
async fn gaps_are_jittered_by_a_tenth() {
    let (runner, mut results) = ProbeRunner::start(7);
    // Answers without a socket: paused time runs ahead of real I/O.
    let address = "192.0.2.1:80".parse().unwrap();
    let interval = Duration::from_secs(10);
    let tick = named("tick", "web.service", address, interval);
    runner.replace(vec![Probe { kind: ProbeKind::Tcp { address }, ..tick }]).await;
    results.recv().await.unwrap();
    let mut before = tokio::time::Instant::now();
    let mut gaps = Vec::new();
    for _ in 0..200 {
        results.recv().await.unwrap();
        let now = tokio::time::Instant::now();
        gaps.push(now - before);
        before = now;
    }
    assert!(gaps.iter().all(|gap| (9.0..=11.01).contains(&gap.as_secs_f64())), "{gaps:?}");
    assert!(
        gaps.iter().min().unwrap().as_secs_f64() < 9.3 && gaps.iter().max().unwrap().as_secs_f64() > 10.7
    );
}

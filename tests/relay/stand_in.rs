//! A ledger on the disk, and a socket that gives it out as the agent's does.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use prunella::ledger::{ChainId, Ledger, Options, Place, Prepared, Reader, Stamp};
use prunella::model::{
    BootId, BootTime, Finding, Id128, IncidentId, Mode, RecordBody, Resolution, RuleName, Seq, Severity,
    Subject, Timestamp, UnitName, WallTime,
};
use prunella::serve::ProvenPage;
use tokio::sync::{oneshot, watch};

/// Now, for records; the wall clock is what alerts are about.
fn stamp() -> Stamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let millis = i64::try_from(since.as_millis()).unwrap();
    let at = Timestamp::new(BootTime::from_millis(1), WallTime::from_unix_millis(millis));
    Stamp { at, boot: BootId(Id128::from_bytes([1; 16])) }
}

struct Shared {
    state: PathBuf,
    head: watch::Sender<Seq>,
    acknowledged: Mutex<Seq>,
}

/// The stand-in. Its socket goes with it, its ledger stays.
pub(crate) struct StandIn {
    pub(crate) socket: PathBuf,
    ledger: Ledger,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl StandIn {
    /// `chain` makes the ledgers of a test differ.
    pub(crate) fn start(folder: &Path, chain: u8) -> Self {
        let state = folder.join(format!("state-{chain}"));
        let options =
            Options { chain_seed: [chain; 16], clock: Arc::new(stamp), reserve_bytes: 0, overflow: None };
        let (ledger, _) = Ledger::open(&state, options, &mut |_| {}).unwrap();
        let shared = Arc::new(Shared {
            state,
            head: watch::Sender::new(ledger.head().seq),
            acknowledged: Mutex::new(Seq(0)),
        });
        let socket = folder.join("agent.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(serve(listener, shared, stopped));
            }
        });
        Self { socket, ledger, shared, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn append(&mut self, bodies: impl IntoIterator<Item = RecordBody>) {
        let stamp = stamp();
        let entry = |body| prunella::model::Entry { at: stamp.at, boot: stamp.boot, body };
        let entries: Vec<Prepared> =
            bodies.into_iter().map(|body| Prepared::new(&entry(body)).unwrap()).collect();
        for batch in entries.chunks(500) {
            self.ledger.append(batch).unwrap();
        }
        self.shared.head.send_replace(self.ledger.head().seq);
    }

    /// So many records that mean nothing.
    pub(crate) fn fill(&mut self, records: usize) {
        self.append(
            (0..records).map(|n| RecordBody::PolicyRejected { error: format!("mistake {n} in line {n}") }),
        );
    }

    pub(crate) fn head(&self) -> Place {
        self.ledger.head()
    }

    pub(crate) fn chain(&self) -> ChainId {
        self.ledger.chain().unwrap()
    }

    pub(crate) fn acknowledged(&self) -> Seq {
        *self.shared.acknowledged.lock().unwrap()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

async fn serve(
    listener: std::os::unix::net::UnixListener,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let shared = Arc::clone(&shared);
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    };
    tokio::select! {
        () = accept => {}
        _ = stopped => {}
    }
}

fn number(query: &str, key: &str) -> Option<u64> {
    query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = match request.uri().path() {
        "/v1/records" => {
            let after = Seq(number(&query, "after").unwrap());
            let wait = Duration::from_secs(number(&query, "wait").unwrap());
            let mut head = shared.head.subscribe();
            let _ = tokio::time::timeout(wait, head.wait_for(|head| *head > after)).await;
            let limit = usize::try_from(number(&query, "limit").unwrap()).unwrap();
            let page = Reader::open(&shared.state).unwrap().page_after(after, limit, 1 << 20).unwrap();
            serde_json::to_vec(&ProvenPage::from(page)).unwrap()
        }
        "/v1/records/ack" => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let through = Seq(said["through"].as_u64().unwrap());
            let mut acknowledged = shared.acknowledged.lock().unwrap();
            // As the agent has it: never back.
            *acknowledged = through.max(*acknowledged);
            b"{\"acknowledged\":0}".to_vec()
        }
        "/metrics" => b"prunella_build_info{version=\"test\"} 1\n".to_vec(),
        _ => {
            let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
            *response.status_mut() = hyper::StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    Ok(Response::new(Full::new(Bytes::from(body))))
}

pub(crate) fn opened(incident: u64) -> RecordBody {
    let rule = RuleName::new("unit-failed");
    let subject = Subject::Unit(UnitName::parse("shop.service").unwrap());
    RecordBody::IncidentOpened {
        incident: IncidentId(incident),
        rule: rule.clone(),
        subject: subject.clone(),
        severity: Severity::Ticket,
        mode: Mode::Auto,
        owner: Some("shop".into()),
        ladder: vec![],
        finding: Finding { rule, subject, what: "it failed".into() },
    }
}

pub(crate) fn escalated(incident: u64, severity: Severity) -> RecordBody {
    let why = "nothing helped".into();
    RecordBody::Escalated { incident: IncidentId(incident), severity, why, tried: vec![], count: 1 }
}

pub(crate) fn resolved(incident: u64) -> RecordBody {
    let (how, why) = (Resolution::Repaired, "well again".into());
    RecordBody::IncidentResolved { incident: IncidentId(incident), how, why }
}

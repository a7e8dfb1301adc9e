//! `/metrics` over TCP, for Prometheus: the relay's numbers and, behind them, the agent's page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};

use super::agent::Agent;
use super::clock::Clock;
use super::numbers::Numbers;

/// Connections at once: a few Prometheus servers. What comes beyond waits in the kernel.
const CONNECTIONS_MAX: usize = 16;
/// A head that takes longer to arrive is closed (slow-loris).
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection is closed at this age, so that none keeps a seat for ever.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);
/// The agent's page is waited for less long than Prometheus waits for this one, which is ten seconds.
const AGENT_TIMEOUT: Duration = Duration::from_secs(5);
/// For so long one answer of the agent serves everybody: its allowance of requests is shared with the shipping of records.
const AGENT_PAGE_AGE_MAX: Duration = Duration::from_secs(1);
/// After a failed `accept` (no file descriptors left) the next is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the page is made of.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) numbers: Arc<Numbers>,
    pub(super) clock: Clock,
    pub(super) version: &'static str,
    /// Asked by one at a time.
    pub(super) agent: Mutex<AgentPage>,
}

/// The agent's own page, as it was last read, or could not be.
#[derive(Debug)]
pub(super) struct AgentPage {
    agent: Agent,
    read: Option<(Duration, Option<Bytes>)>,
}

impl AgentPage {
    pub(super) const fn new(agent: Agent) -> Self {
        Self { agent, read: None }
    }

    async fn text(&mut self, clock: Clock) -> Option<Bytes> {
        let fresh =
            |(at, _): &&(Duration, Option<Bytes>)| clock.now().saturating_sub(*at) < AGENT_PAGE_AGE_MAX;
        if let Some((_, text)) = self.read.as_ref().filter(fresh) {
            return text.clone();
        }
        let asked = tokio::time::timeout(AGENT_TIMEOUT, self.agent.get("/metrics", Duration::ZERO)).await;
        let text = asked.ok().and_then(Result::ok);
        self.read = Some((clock.now(), text.clone()));
        text
    }
}

/// Answers for ever.
pub(super) async fn listen(listener: TcpListener, page: Arc<Page>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let page = Arc::clone(&page);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let page = Arc::clone(&page);
                async move { Ok::<_, Infallible>(answer(&page, &request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            let _ended_or_cut = tokio::time::timeout(CONNECTION_AGE_MAX, connection).await;
            drop(seat);
        });
    }
}

async fn answer(page: &Page, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "The page is /metrics.\n".to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "The page is read with GET.\n".to_owned());
    }
    let asked = async { page.agent.lock().await.text(page.clock).await };
    let agent = tokio::time::timeout(AGENT_TIMEOUT, asked).await.ok().flatten();
    page.numbers.agent_up.store(agent.is_some(), std::sync::atomic::Ordering::Relaxed);
    let mut text = page.numbers.page(page.version, page.clock.wall().unix_millis());
    text.push_str(&String::from_utf8_lossy(&agent.unwrap_or_default()));
    plain(StatusCode::OK, text)
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

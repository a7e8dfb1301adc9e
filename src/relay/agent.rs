//! The agent, as seen through its socket: bounded in time and size, one connection, made anew when it breaks.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::http::explain;

/// Above every deadline inside the agent, so that its own sentence arrives first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A page of records ends soon after a MiB, plus its longest record; the page of metrics has some KiB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Why the agent did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("{} can't be reached", .path.display())]
    Unreachable { path: PathBuf, source: std::io::Error },
    #[error("the agent broke off: {0}")]
    Broken(String),
    #[error("the agent did not answer within {0:?}")]
    Late(Duration),
    #[error("the agent answered {status}: {words}")]
    Refused { status: u16, words: String },
}

/// A connection to the agent.
#[derive(Debug)]
pub struct Agent {
    socket: PathBuf,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Agent {
    /// Nothing is opened before the first question.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket, connection: None }
    }

    /// Asks; `wait` is how long the agent was asked to wait for news.
    ///
    /// # Errors
    /// There is no answer, or a refusal.
    pub async fn get(&mut self, path: &str, wait: Duration) -> Result<Bytes, AgentError> {
        self.ask(Method::GET, path, Bytes::new(), wait + ANSWER_TIMEOUT).await
    }

    /// Tells.
    ///
    /// # Errors
    /// There is no answer, or a refusal.
    pub async fn post(&mut self, path: &str, body: Bytes) -> Result<Bytes, AgentError> {
        self.ask(Method::POST, path, body, ANSWER_TIMEOUT).await
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, AgentError> {
        // What goes wrong on a connection ends it: the rest of an answer must not be taken for the next one.
        let connection = self.connection.take();
        let exchange = async {
            let mut connection = match connection {
                Some(connection) if connection.is_ready() => connection,
                Some(_) | None => self.connect().await?,
            };
            let answer = exchange(&mut connection, method, path, body).await;
            if answer.is_ok() {
                self.connection = Some(connection);
            }
            answer
        };
        tokio::time::timeout(within, exchange).await.unwrap_or(Err(AgentError::Late(within)))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, AgentError> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream =
            stream.map_err(|source| AgentError::Unreachable { path: self.socket.clone(), source })?;
        let broken = |error: hyper::Error| AgentError::Broken(explain(&error));
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with the sender, or with the agent.
        tokio::spawn(connection);
        Ok(sender)
    }
}

async fn exchange(
    connection: &mut SendRequest<Full<Bytes>>,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Bytes, AgentError> {
    let broken = |error: &(dyn std::error::Error + 'static)| AgentError::Broken(explain(error));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|error: hyper::http::uri::InvalidUri| broken(&error))?;
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("prunella"));
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let response = connection.send_request(request).await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| AgentError::Broken(error.to_string()))?.to_bytes();
    if status == 200 {
        return Ok(body);
    }
    let words = serde_json::from_slice::<crate::serve::ErrorBody>(&body)
        .map_or_else(|_| "without a word".to_owned(), |body| body.error.message);
    Err(AgentError::Refused { status, words: crate::serve::printable(&words, 200) })
}

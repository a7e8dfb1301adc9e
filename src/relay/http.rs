//! One request to one server, and what its answer means. Every part of it has an end: connecting, the whole exchange,
//! the size of the answer.

#![expect(clippy::disallowed_methods, reason = "it reads certificates, tokens and when they changed")]

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::config::{Secret, Target};

/// The largest answer that is read: what receivers say fits a page of text.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The largest file of certificates or a token.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// A connection that is not used for so long is closed; the next one looks the name up again.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// The host's own roots are read again this often: its packages renew them.
const ROOTS_FOR: Duration = Duration::from_hours(24);
/// Most of what a server says that is repeated to people, characters.
const WORDS_MAX: usize = 200;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{what} can't be used")]
    Setup { what: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// Not to be remembered: they may be installed in a moment.
    #[error("this host has no root certificates: install ca-certificates, or name a ca_file")]
    NoRoots,
    #[error("the secret {0} is empty")]
    NoSecret(String),
    /// Nothing of the request has left this host.
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("no answer: {0}")]
    Exchange(String),
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

impl Reply {
    /// The beginning of what it says, fit for a log.
    #[must_use]
    pub fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        format!("{} {}", self.status, crate::serve::printable(text.trim(), WORDS_MAX)).trim_end().to_owned()
    }
}

type Inner = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A server that is asked again and again.
#[derive(Debug)]
pub struct Caller {
    target: Target,
    client: Option<(Inner, Vec<Option<SystemTime>>)>,
}

impl Caller {
    /// Nothing is opened before the first request.
    #[must_use]
    pub const fn new(target: Target) -> Self {
        Self { target, client: None }
    }

    /// Its address, for people.
    #[must_use]
    pub fn name(&self) -> String {
        self.target.url.as_text()
    }

    /// One POST. `path` stands behind the address of the target.
    ///
    /// # Errors
    /// There is no answer, for whatever reason.
    pub async fn post(
        &mut self,
        path: &str,
        content_type: &'static str,
        gzipped: bool,
        extra: Option<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Reply, HttpError> {
        let setup = |what: &str, source: Box<dyn std::error::Error + Send + Sync>| HttpError::Setup {
            what: what.to_owned(),
            source,
        };
        let uri = self.target.url.join(path).map_err(|error| setup("the address", Box::new(error)))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("prunella-relay"));
        if gzipped {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some((name, value)) = extra {
            headers.insert(name, value);
        }
        if let Some(bearer) = &self.target.bearer {
            let token = bearer.read()?;
            let mut value = HeaderValue::from_bytes(&[b"Bearer ", token.as_slice()].concat())
                .map_err(|error| setup("the bearer token", Box::new(error)))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let client = self.client()?;
        let exchange = async {
            let response = client.request(request).await.map_err(|error| {
                let why = explain(&error);
                if error.is_connect() { HttpError::Unreachable(why) } else { HttpError::Exchange(why) }
            })?;
            read(response).await.map_err(HttpError::Exchange)
        };
        let timeout = self.target.timeout;
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(HttpError::Late(timeout)))
    }

    /// The client, made anew when a certificate has changed, or those of the host may have.
    fn client(&mut self) -> Result<Inner, HttpError> {
        let target = &self.target;
        let files = target.ca_file.iter().chain(target.identity.iter().flat_map(|(cert, key)| [cert, key]));
        let mut stamps: Vec<_> =
            files.map(|file| file.metadata().and_then(|metadata| metadata.modified()).ok()).collect();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let turn = now.as_secs() - now.as_secs() % ROOTS_FOR.as_secs();
        stamps.push(Some(SystemTime::UNIX_EPOCH + Duration::from_secs(turn)));
        if let Some((client, made)) = &self.client
            && *made == stamps
        {
            return Ok(client.clone());
        }
        let client = connect(target)?;
        self.client = Some((client.clone(), stamps));
        Ok(client)
    }
}

fn connect(target: &Target) -> Result<Inner, HttpError> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(target.connect_timeout));
    connector.set_nodelay(true);
    connector.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(target)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        // Requests to one server go one after the other.
        .pool_max_idle_per_host(1)
        .build(connector))
}

fn tls(target: &Target) -> Result<ClientConfig, HttpError> {
    let failed = |path: &Path, source: Box<dyn std::error::Error + Send + Sync>| HttpError::Setup {
        what: path.display().to_string(),
        source,
    };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, HttpError> {
        let pem = bounded(path).map_err(|error| failed(path, Box::new(error)))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(failed(path, "there is no certificate in it".into())),
            Err(error) => Err(failed(path, Box::new(error))),
        }
    };
    let mut roots = RootCertStore::empty();
    match &target.ca_file {
        Some(path) => {
            let (added, _) = roots.add_parsable_certificates(certificates(path)?);
            if added == 0 {
                return Err(failed(path, "none of its certificates can be used".into()));
            }
        }
        // Only where they are needed: a host without roots may still speak to its own loopback.
        None if target.url.is_https() => {
            let (added, _) = roots.add_parsable_certificates(native_roots());
            if added == 0 {
                return Err(HttpError::NoRoots);
            }
        }
        None => {}
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Setup { what: "TLS".to_owned(), source: Box::new(error) })?
        .with_root_certificates(roots);
    match &target.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let pem = bounded(key).map_err(|error| failed(key, Box::new(error)))?;
            let private =
                PrivateKeyDer::from_pem_slice(&pem).map_err(|error| failed(key, Box::new(error)))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, private)
                .map_err(|error| failed(certificate, Box::new(error)))
        }
    }
}

/// The host's own roots; those that can't be read are left out.
fn native_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a root certificate of the host can't be read");
    }
    found.certs
}

fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Secret {
    /// Its bytes, without the line break at the end.
    ///
    /// # Errors
    /// It can't be read, or is empty. What it holds is never said.
    pub fn read(&self) -> Result<Vec<u8>, HttpError> {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").unwrap_or_default();
                Path::new(&folder).join(name)
            }
        };
        let shown = path.display().to_string();
        let bytes = bounded(&path)
            .map_err(|error| HttpError::Setup { what: shown.clone(), source: Box::new(error) })?;
        let secret = bytes.trim_ascii().to_vec();
        if secret.is_empty() { Err(HttpError::NoSecret(shown)) } else { Ok(secret) }
    }
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Reply, String> {
    let status = response.status();
    let retry_after = retry_after(&response, status);
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| format!("{status}, and its answer broke off: {error}"))?.to_bytes();
    Ok(Reply { status: status.as_u16(), retry_after, body })
}

/// Seconds alone: the form with a date needs both clocks to agree, and no collector is known to send it.
fn retry_after<B>(response: &Response<B>, status: StatusCode) -> Option<Duration> {
    let limited = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let header = response.headers().get(header::RETRY_AFTER).filter(|_| limited)?;
    header.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// An error with its causes, in one line.
pub(super) fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

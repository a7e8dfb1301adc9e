//! `/etc/prunella/relay.toml`: read once into types that can't be wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Uri;
use serde::Deserialize;

use crate::serve::parse_duration;

/// Longest file, bytes. A page of endpoints takes a hundredth of it.
pub const CONFIG_BYTES_MAX: usize = 64 * 1024;
/// Receivers of records, and routes of alerts: each costs a try when all are away.
const LIST_MAX: usize = 16;
/// Resource attributes: they go with every request.
const ATTRIBUTES_MAX: usize = 64;
/// The longest of the lengths of time.
const LENGTH_MAX: Duration = Duration::from_secs(86_400);

/// Why the file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{} can't be read", .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} is longer than {CONFIG_BYTES_MAX} bytes", .0.display())]
    TooLong(PathBuf),
    /// The rest says line and column, with a caret.
    #[error("{}: {error}", .path.display())]
    Wrong { path: PathBuf, error: Box<toml::de::Error> },
    #[error("{}: {what}", .path.display())]
    Unfit { path: PathBuf, what: String },
}

/// What the relay does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub socket: PathBuf,
    pub resource: Resource,
    pub receivers: Vec<Target>,
    pub delivery: DeliveryConfig,
    /// Where Prometheus may look; `None` for nowhere.
    pub listen: Option<SocketAddr>,
    pub alerts: Alerts,
}

/// What is said of the host with everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resource {
    /// Instead of the machine's id.
    pub host_id: Option<String>,
    pub attributes: BTreeMap<String, String>,
}

/// How records and telemetry go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryConfig {
    pub records_per_request: usize,
    pub bytes_per_request: usize,
    pub records_per_second: u32,
    pub heartbeat: Duration,
    /// The host's numbers; `None` for none.
    pub host_metrics: Option<Duration>,
    pub traces: bool,
}

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// In the order in which they are tried.
    pub routes: Vec<Route>,
    /// After so long without success at one route, the next is taken as well.
    pub next_route_after: Duration,
}

/// One way to tell people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub kind: RouteKind,
    pub target: Target,
    pub page: bool,
    pub ticket: bool,
}

/// In which words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Prometheus Alertmanager, API v2.
    Alertmanager,
    /// JSON, signed with this secret.
    Webhook { secret: Secret },
    /// PagerDuty Events v2, with this routing key.
    Pagerduty { key: Secret },
}

/// A server, and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub url: Url,
    pub ca_file: Option<PathBuf>,
    /// Certificate and key that we show.
    pub identity: Option<(PathBuf, PathBuf)>,
    pub bearer: Option<Secret>,
    pub connect_timeout: Duration,
    /// Of a whole request, with its answer.
    pub timeout: Duration,
}

/// Where a secret is found. It is read when it is used, so that a new one holds at once, and is never kept or shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    File(PathBuf),
    /// `LoadCredential=` of the unit.
    Credential(String),
}

/// `http://` or `https://`, a host, and perhaps a path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url(Uri);

impl Url {
    /// With a path behind it.
    ///
    /// # Errors
    /// The path makes it no address any more.
    pub fn join(&self, path: &str) -> Result<Uri, hyper::http::uri::InvalidUri> {
        format!("{}{path}", self.as_text()).parse()
    }

    /// As it was written, without a slash at the end.
    #[must_use]
    pub fn as_text(&self) -> String {
        self.0.to_string().trim_end_matches('/').to_owned()
    }

    /// The server must show who it is.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    fn secret_is_safe(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        self.is_https() || matches!(host, "localhost" | "127.0.0.1" | "[::1]")
    }
}

impl TryFrom<String> for Url {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("\"{text}\" is not an address: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(format!("\"{text}\" is not an address: write it as https://HOST:PORT"));
        }
        if uri.query().is_some() || uri.authority().is_some_and(|it| it.as_str().contains('@')) {
            return Err(
                "an address has no query and no password here: name a file with the secret".to_owned()
            );
        }
        Ok(Self(uri))
    }
}

/// A length of time as people write it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Length(Duration);

impl TryFrom<String> for Length {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let length = parse_duration(&text).map_err(|error| format!("\"{text}\": {error}"))?;
        if length.is_zero() || length > LENGTH_MAX {
            return Err(format!("\"{text}\" is not between a second and a day"));
        }
        Ok(Self(length))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    #[serde(default)]
    agent: AgentDraft,
    #[serde(default)]
    resource: Resource,
    #[serde(default)]
    otlp: Vec<TargetDraft>,
    #[serde(default)]
    delivery: DeliveryDraft,
    #[serde(default)]
    prometheus: PrometheusDraft,
    #[serde(default)]
    alerts: AlertsDraft,
    #[serde(default)]
    route: Vec<RouteDraft>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AgentDraft {
    socket: PathBuf,
}

impl Default for AgentDraft {
    fn default() -> Self {
        Self { socket: "/run/prunella/prunella.sock".into() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetDraft {
    url: Url,
    ca_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    bearer_token_file: Option<PathBuf>,
    bearer_token_credential: Option<String>,
    connect_timeout: Option<Length>,
    timeout: Option<Length>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DeliveryDraft {
    records_per_request: usize,
    bytes_per_request: usize,
    records_per_second: u32,
    heartbeat: Length,
    host_metrics: bool,
    host_metrics_every: Length,
    traces: bool,
}

impl Default for DeliveryDraft {
    fn default() -> Self {
        Self {
            records_per_request: 1000,
            // Collectors commonly take four to twenty MiB.
            bytes_per_request: 4 << 20,
            // A day of a host in trouble, some hundred thousand records, is through in minutes.
            records_per_second: 2000,
            heartbeat: Length(Duration::from_secs(30)),
            host_metrics: true,
            host_metrics_every: Length(Duration::from_secs(60)),
            traces: true,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PrometheusDraft {
    enabled: bool,
    listen: SocketAddr,
}

impl Default for PrometheusDraft {
    /// The port that OpenTelemetry's exporters for Prometheus use.
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from(([127, 0, 0, 1], 9464)) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AlertsDraft {
    next_route_after: Length,
}

impl Default for AlertsDraft {
    fn default() -> Self {
        Self { next_route_after: Length(Duration::from_secs(300)) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindDraft {
    Alertmanager,
    Webhook,
    Pagerduty,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SeverityDraft {
    Page,
    Ticket,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteDraft {
    kind: KindDraft,
    url: Option<Url>,
    severities: Option<Vec<SeverityDraft>>,
    secret_file: Option<PathBuf>,
    secret_credential: Option<String>,
    ca_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    bearer_token_file: Option<PathBuf>,
    bearer_token_credential: Option<String>,
    connect_timeout: Option<Length>,
    timeout: Option<Length>,
}

/// Where PagerDuty takes events when no other address is given.
const PAGERDUTY: &str = "https://events.pagerduty.com";

impl Config {
    /// Reads a file's text.
    ///
    /// # Errors
    /// With the file, the line and what is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        if text.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLong(path.to_owned()));
        }
        let draft: Draft = toml::from_str(text)
            .map_err(|error| ConfigError::Wrong { path: path.to_owned(), error: Box::new(error) })?;
        draft.finish().map_err(|what| ConfigError::Unfit { path: path.to_owned(), what })
    }
}

impl Draft {
    fn finish(self) -> Result<Config, String> {
        if self.otlp.len() > LIST_MAX || self.route.len() > LIST_MAX {
            return Err(format!("at most {LIST_MAX} [[otlp]] and as many [[route]]"));
        }
        if self.resource.attributes.len() > ATTRIBUTES_MAX {
            return Err(format!("at most {ATTRIBUTES_MAX} attributes in [resource]"));
        }
        let delivery = self.delivery;
        // A page of the agent has at most a thousand records.
        if !(1..=1000).contains(&delivery.records_per_request) {
            return Err("records_per_request in [delivery] is 1 to 1000".to_owned());
        }
        if !(64 << 10..=64 << 20).contains(&delivery.bytes_per_request) {
            return Err("bytes_per_request in [delivery] is 65536 to 67108864".to_owned());
        }
        if !(1..=1_000_000).contains(&delivery.records_per_second) {
            return Err("records_per_second in [delivery] is 1 to 1000000".to_owned());
        }
        let receivers = self.otlp.into_iter().map(TargetDraft::finish).collect::<Result<_, _>>()?;
        let routes: Vec<Route> = self.route.into_iter().map(RouteDraft::finish).collect::<Result<_, _>>()?;
        let twice =
            |at: usize, route: &Route| routes[..at].iter().any(|before| before.name() == route.name());
        if let Some((_, route)) = routes.iter().enumerate().find(|(at, route)| twice(*at, route)) {
            return Err(format!("two [[route]] are the same: {}", route.name()));
        }
        Ok(Config {
            socket: self.agent.socket,
            resource: self.resource,
            receivers,
            delivery: DeliveryConfig {
                records_per_request: delivery.records_per_request,
                bytes_per_request: delivery.bytes_per_request,
                records_per_second: delivery.records_per_second,
                heartbeat: delivery.heartbeat.0,
                host_metrics: delivery.host_metrics.then_some(delivery.host_metrics_every.0),
                traces: delivery.traces,
            },
            listen: self.prometheus.enabled.then_some(self.prometheus.listen),
            alerts: Alerts { routes, next_route_after: self.alerts.next_route_after.0 },
        })
    }
}

impl Route {
    /// What tells it from the others, also in what is remembered: kind, address, and where its secret lies.
    #[must_use]
    pub fn name(&self) -> String {
        let url = self.target.url.as_text();
        match &self.kind {
            RouteKind::Alertmanager => format!("alertmanager {url}"),
            RouteKind::Webhook { secret } => format!("webhook {url} {}", secret.place()),
            RouteKind::Pagerduty { key } => format!("pagerduty {url} {}", key.place()),
        }
    }
}

impl Secret {
    /// Where it lies, never what it is.
    fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Credential(name) => format!("credential {name}"),
        }
    }
}

/// One of a file and a credential, or neither.
fn secret(what: &str, file: Option<PathBuf>, credential: Option<String>) -> Result<Option<Secret>, String> {
    match (file, credential) {
        (None, None) => Ok(None),
        (Some(file), None) => Ok(Some(Secret::File(file))),
        (None, Some(name)) if name.is_empty() || name.contains('/') || name.starts_with('.') => {
            Err(format!("{what}_credential is the name of a credential of the unit, not \"{name}\""))
        }
        (None, Some(name)) => Ok(Some(Secret::Credential(name))),
        (Some(_), Some(_)) => Err(format!("{what}_file and {what}_credential: one of the two")),
    }
}

impl TargetDraft {
    fn finish(self) -> Result<Target, String> {
        let url = self.url.as_text();
        let identity = match (self.certificate_file, self.key_file) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(format!("{url}: certificate_file and key_file belong together"));
            }
        };
        let bearer = secret("bearer_token", self.bearer_token_file, self.bearer_token_credential)?;
        if bearer.is_some() && !self.url.secret_is_safe() {
            return Err(format!("{url}: a bearer token goes over https, or to this host alone"));
        }
        let length = |length: Option<Length>, default| length.map_or(default, |length| length.0);
        Ok(Target {
            url: self.url,
            ca_file: self.ca_file,
            identity,
            bearer,
            connect_timeout: length(self.connect_timeout, Duration::from_secs(5)),
            timeout: length(self.timeout, Duration::from_secs(30)),
        })
    }
}

impl RouteDraft {
    fn finish(self) -> Result<Route, String> {
        let secret = secret("secret", self.secret_file, self.secret_credential)?;
        let url = match (self.url, self.kind) {
            (Some(url), _) => url,
            (None, KindDraft::Pagerduty) => Url::try_from(PAGERDUTY.to_owned())?,
            (None, KindDraft::Alertmanager | KindDraft::Webhook) => {
                return Err("a [[route]] needs a url".to_owned());
            }
        };
        let kind = match (self.kind, secret) {
            (KindDraft::Alertmanager, None) => RouteKind::Alertmanager,
            (KindDraft::Alertmanager, Some(_)) => {
                return Err(
                    "a [[route]] to an Alertmanager has no secret; bearer_token_file is there".to_owned()
                );
            }
            (KindDraft::Webhook, Some(secret)) => RouteKind::Webhook { secret },
            (KindDraft::Pagerduty, Some(key)) => RouteKind::Pagerduty { key },
            (KindDraft::Webhook | KindDraft::Pagerduty, None) => {
                return Err("a [[route]] of this kind needs secret_file or secret_credential".to_owned());
            }
        };
        if matches!(kind, RouteKind::Pagerduty { .. }) && !url.secret_is_safe() {
            return Err(format!("{}: a routing key goes over https, or to this host alone", url.as_text()));
        }
        let takes = |severity| self.severities.as_ref().is_none_or(|list| list.contains(&severity));
        let (page, ticket) = (takes(SeverityDraft::Page), takes(SeverityDraft::Ticket));
        let target = TargetDraft {
            url,
            ca_file: self.ca_file,
            certificate_file: self.certificate_file,
            key_file: self.key_file,
            bearer_token_file: self.bearer_token_file,
            bearer_token_credential: self.bearer_token_credential,
            connect_timeout: self.connect_timeout,
            timeout: self.timeout,
        };
        Ok(Route { kind, target: target.finish()?, page, ticket })
    }
}

#[cfg(test)]
mod tests;

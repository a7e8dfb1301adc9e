//! Method, path, query and body → a closed [`Request`]. Pure: everything a peer sends ends here.

use std::time::Duration;

use serde::Deserialize;

use crate::ledger::ChainId;
use crate::model::{
    ActionId, Command, HistoryAsk, Id128, IncidentId, Moment, PAUSE_MAX, PauseId, PauseScope, ProcessSort,
    ProposalId, RuleName, Seq, UnitName,
};

use super::access::Right;
use super::duration::parse_duration;
use super::error::{ApiError, ErrorCode, echo};
use super::history::{HISTORY_SINCE, parse_moment, percent_decode};
use super::limits::{
    BODY_BYTES_MAX, CGROUPS_DEFAULT, CGROUPS_MAX, PAGE_RECORDS_DEFAULT, PAGE_RECORDS_MAX, PROCESSES_DEFAULT,
    PROCESSES_SHOWN_MAX, QUERY_BYTES_MAX, REASON_CHARS_MAX, RULE_NAME_BYTES_MAX, WAIT_MAX,
};

/// Which incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Open,
    All,
}

/// By what control groups are ordered, the largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupSort {
    Cpu,
    Memory,
    /// Bytes from and to block devices.
    Io,
    /// The share of the last ten seconds in which its tasks waited, of the resource that they waited for most.
    Pressure,
}

/// Which control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupsQuery {
    pub sort: CgroupSort,
    /// 1 to [`CGROUPS_MAX`].
    pub limit: usize,
}

/// A page of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsQuery {
    /// The last record that the peer has; 0 for none.
    pub after: Seq,
    /// 1 to [`PAGE_RECORDS_MAX`].
    pub limit: usize,
    /// How long to wait for a record when there is none, up to [`WAIT_MAX`].
    pub wait: Duration,
    /// With what proves them: the chain, and the hash of each record over its exact text.
    pub proof: bool,
}

/// What the relay says of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    pub chain: ChainId,
    /// Every record up to this one has reached a receiver.
    pub through: Seq,
}

/// A list of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessesQuery {
    pub sort: ProcessSort,
    /// 1 to [`PROCESSES_SHOWN_MAX`].
    pub limit: usize,
}

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessQuery {
    pub pid: i32,
    /// With its share of memory, for which its whole memory map is walked.
    pub shares: bool,
}

/// Everything that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Index,
    Status,
    Units,
    Filesystems,
    Processes(ProcessesQuery),
    Process(ProcessQuery),
    Cgroups(CgroupsQuery),
    Host,
    /// One field over a time; nothing for the list of what there is.
    History(Option<HistoryAsk>),
    Incidents(Which),
    Incident(IncidentId),
    Records(RecordsQuery),
    Policy,
    Metrics,
    Shipped(Shipped),
    Command(Command),
    Reload,
}

impl Request {
    /// What the peer must be allowed to do.
    #[must_use]
    pub const fn needs(&self) -> Right {
        match self {
            Self::Index
            | Self::Status
            | Self::Units
            | Self::Filesystems
            | Self::Processes(_)
            | Self::Process(_)
            | Self::Cgroups(_)
            | Self::Host
            | Self::History(_)
            | Self::Incidents(_)
            | Self::Incident(_)
            | Self::Records(_)
            | Self::Policy
            | Self::Metrics => Right::Read,
            Self::Shipped(_) => Right::Acknowledge,
            Self::Command(_) | Self::Reload => Right::Command,
        }
    }
}

/// The parts of a request that mean something.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    pub method: &'a str,
    /// As sent, without the query.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// The one way in.
///
/// # Errors
/// With the status and sentence for the peer.
pub fn parse(parts: &Parts<'_>) -> Result<Request, ApiError> {
    if parts.body.len() > BODY_BYTES_MAX {
        return Err(too_large());
    }
    let segments: Vec<&str> = parts.path.split('/').skip(1).collect();
    match segments.as_slice() {
        ["v1"] => read(parts, &[]).map(|_| Request::Index),
        ["v1", "status"] => read(parts, &[]).map(|_| Request::Status),
        ["v1", "units"] => read(parts, &[]).map(|_| Request::Units),
        ["v1", "filesystems"] => read(parts, &[]).map(|_| Request::Filesystems),
        ["v1", "processes"] => processes(&read(parts, &["sort", "limit"])?).map(Request::Processes),
        ["v1", "processes", pid] => process(pid, &read(parts, &["pss"])?).map(Request::Process),
        ["v1", "cgroups"] => cgroups(&read(parts, &["sort", "limit"])?).map(Request::Cgroups),
        ["v1", "host"] => read(parts, &[]).map(|_| Request::Host),
        ["v1", "history"] => history(&read(parts, &["field", "from", "to", "step"])?).map(Request::History),
        ["v1", "policy"] => read(parts, &[]).map(|_| Request::Policy),
        ["metrics"] => read(parts, &[]).map(|_| Request::Metrics),
        ["v1", "incidents"] => incidents(&read(parts, &["state"])?).map(Request::Incidents),
        ["v1", "incidents", id] => {
            read(parts, &[])?;
            Ok(Request::Incident(incident_id(id)?))
        }
        ["v1", "records"] => {
            records(&read(parts, &["after", "limit", "wait", "proof"])?).map(Request::Records)
        }
        ["v1", "records", "ack"] => shipped(&command::<ShippedBody>(parts)?).map(Request::Shipped),
        ["v1", "pause"] => pause(command(parts)?).map(Request::Command),
        ["v1", "resume"] => resume(command(parts)?).map(Request::Command),
        ["v1", "reload"] => {
            command::<Nothing>(parts)?;
            Ok(Request::Reload)
        }
        ["v1", "actions", id, "undo"] => {
            command::<Nothing>(parts)?;
            let action = ActionId::parse(id)
                .ok_or_else(|| bad(format!("An action is act-NUMBER, not {}.", echo(id))))?;
            Ok(Request::Command(Command::Undo { action }))
        }
        ["v1", "proposals", id, "approve"] => {
            command::<Nothing>(parts)?;
            Ok(Request::Command(Command::Approve { proposal: proposal_id(id)? }))
        }
        ["v1", "proposals", id, "deny"] => {
            let body: DenyBody = command(parts)?;
            let reason = reason(&body.reason)?;
            Ok(Request::Command(Command::Deny { proposal: proposal_id(id)?, reason }))
        }
        ["v1", "incidents", id, "ack"] => {
            command::<Nothing>(parts)?;
            Ok(Request::Command(Command::Acknowledge { incident: incident_id(id)? }))
        }
        _ => Err(ApiError::new(ErrorCode::NotFound, format!("There is no endpoint {}.", echo(parts.path)))
            .hint("GET /v1 lists what there is.")),
    }
}

/// The refusal of a body over its limit.
pub(super) fn too_large() -> ApiError {
    ApiError::new(ErrorCode::TooLarge, format!("The body is over {BODY_BYTES_MAX} bytes."))
}

fn bad(message: impl AsRef<str>) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, message)
}

/// Checks that this is a plain GET, and takes its query apart.
fn read<'a>(parts: &Parts<'a>, known: &[&'static str]) -> Result<Vec<(&'static str, &'a str)>, ApiError> {
    if !matches!(parts.method, "GET" | "HEAD") {
        return Err(method_not_allowed(parts, "GET, HEAD"));
    }
    if !parts.body.is_empty() {
        return Err(bad("A GET has no body here."));
    }
    query(parts.query, known)
}

fn method_not_allowed(parts: &Parts<'_>, allow: &'static str) -> ApiError {
    let message = format!("{} does not take {}.", echo(parts.path), echo(parts.method));
    ApiError::new(ErrorCode::MethodNotAllowed, message).hint(format!("Use {allow}.")).allow(allow)
}

/// Known keys, each at most once. Values are as they were sent.
fn query<'a>(
    query: Option<&'a str>,
    known: &[&'static str],
) -> Result<Vec<(&'static str, &'a str)>, ApiError> {
    let text = query.unwrap_or_default();
    if text.len() > QUERY_BYTES_MAX {
        return Err(ApiError::new(
            ErrorCode::TooLarge,
            format!("The query is over {QUERY_BYTES_MAX} bytes."),
        ));
    }
    let mut pairs: Vec<(&'static str, &'a str)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(key) = known.iter().find(|name| **name == key) else {
            let message = format!("There is no parameter {} here.", echo(key));
            let hint = if known.is_empty() {
                "It takes none.".into()
            } else {
                format!("It takes {}.", known.join(", "))
            };
            return Err(bad(message).hint(hint));
        };
        if pairs.iter().any(|(seen, _)| seen == key) {
            return Err(bad(format!("The parameter {key} is given twice.")));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

fn value<'a>(pairs: &[(&'static str, &'a str)], key: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
}

fn incidents(pairs: &[(&'static str, &str)]) -> Result<Which, ApiError> {
    match value(pairs, "state") {
        None | Some("open") => Ok(Which::Open),
        Some("all") => Ok(Which::All),
        Some(other) => Err(bad(format!("state is open or all, not {}.", echo(other)))),
    }
}

fn number(pairs: &[(&'static str, &str)], key: &str, default: u64) -> Result<u64, ApiError> {
    let Some(text) = value(pairs, key) else { return Ok(default) };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| bad(format!("{key} is a whole number, not {}.", echo(text))))
}

fn processes(pairs: &[(&'static str, &str)]) -> Result<ProcessesQuery, ApiError> {
    let sort = value(pairs, "sort").unwrap_or(ProcessSort::Cpu.as_str());
    let known = ProcessSort::ALL.into_iter().find(|known| known.as_str() == sort);
    let sort = known.ok_or_else(|| {
        bad(format!("sort is {}, not {}.", ProcessSort::ALL.map(ProcessSort::as_str).join(", "), echo(sort)))
    })?;
    let limit = limit(pairs, PROCESSES_DEFAULT, PROCESSES_SHOWN_MAX)?;
    Ok(ProcessesQuery { sort, limit })
}

fn process(pid: &str, pairs: &[(&'static str, &str)]) -> Result<ProcessQuery, ApiError> {
    let digits = pid.bytes().all(|b| b.is_ascii_digit());
    let number = pid.parse().ok().filter(|pid| digits && *pid > 0);
    let pid = number.ok_or_else(|| bad(format!("A process is its pid, not {}.", echo(pid))))?;
    Ok(ProcessQuery { pid, shares: flag(pairs, "pss")? })
}

fn flag(pairs: &[(&'static str, &str)], key: &str) -> Result<bool, ApiError> {
    match value(pairs, key) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(bad(format!("{key} is true or false, not {}.", echo(other)))),
    }
}

/// 1 to `most`.
fn limit(pairs: &[(&'static str, &str)], default: usize, most: usize) -> Result<usize, ApiError> {
    let limit = usize::try_from(number(pairs, "limit", default as u64)?).ok();
    limit.filter(|limit| (1..=most).contains(limit)).ok_or_else(|| bad(format!("limit is 1 to {most}.")))
}

fn records(pairs: &[(&'static str, &str)]) -> Result<RecordsQuery, ApiError> {
    let after = Seq(number(pairs, "after", 0)?);
    let limit = limit(pairs, PAGE_RECORDS_DEFAULT, PAGE_RECORDS_MAX)?;
    let wait = Duration::from_secs(number(pairs, "wait", 0)?);
    if wait > WAIT_MAX {
        return Err(bad(format!("wait is at most {} seconds.", WAIT_MAX.as_secs())));
    }
    Ok(RecordsQuery { after, limit, wait, proof: flag(pairs, "proof")? })
}

fn cgroups(pairs: &[(&'static str, &str)]) -> Result<CgroupsQuery, ApiError> {
    let sort = match value(pairs, "sort") {
        None | Some("cpu") => CgroupSort::Cpu,
        Some("memory") => CgroupSort::Memory,
        Some("io") => CgroupSort::Io,
        Some("pressure") => CgroupSort::Pressure,
        Some(other) => {
            return Err(bad(format!("sort is cpu, memory, io or pressure, not {}.", echo(other))));
        }
    };
    let limit = usize::try_from(number(pairs, "limit", CGROUPS_DEFAULT as u64)?)
        .ok()
        .filter(|limit| (1..=CGROUPS_MAX).contains(limit))
        .ok_or_else(|| bad(format!("limit is 1 to {CGROUPS_MAX}.")))?;
    Ok(CgroupsQuery { sort, limit })
}

/// A field's name holds a mount point, so it is percent-encoded.
fn history(pairs: &[(&'static str, &str)]) -> Result<Option<HistoryAsk>, ApiError> {
    let Some(field) = value(pairs, "field") else {
        return match pairs.first() {
            None => Ok(None),
            Some((key, _)) => Err(bad(format!("{key} needs a field.")).hint("GET /v1/history lists them.")),
        };
    };
    let field = percent_decode(field).ok_or_else(|| bad("field is no text in percent-encoding."))?;
    let moment = |key: &str| {
        let text = value(pairs, key);
        text.map(|text| {
            parse_moment(text).ok_or_else(|| {
                bad(format!(
                    "{key} is a length of time before now, or a time of RFC 3339, not {}.",
                    echo(text)
                ))
            })
        })
        .transpose()
    };
    let step = value(pairs, "step")
        .map(|text| parse_duration(text).map_err(|error| bad(format!("step, {}: {error}.", echo(text)))));
    Ok(Some(HistoryAsk {
        field,
        from: moment("from")?.unwrap_or(Moment::Ago(HISTORY_SINCE)),
        to: moment("to")?,
        step: step.transpose()?,
    }))
}

fn incident_id(text: &str) -> Result<IncidentId, ApiError> {
    IncidentId::parse(text).ok_or_else(|| bad(format!("An incident is inc-NUMBER, not {}.", echo(text))))
}

fn proposal_id(text: &str) -> Result<ProposalId, ApiError> {
    ProposalId::parse(text).ok_or_else(|| bad(format!("A proposal is prop-NUMBER, not {}.", echo(text))))
}

/// Checks that this is a POST of JSON or of nothing, without a query, and reads the body.
fn command<T: for<'de> Deserialize<'de>>(parts: &Parts<'_>) -> Result<T, ApiError> {
    if parts.method != "POST" {
        return Err(method_not_allowed(parts, "POST"));
    }
    query(parts.query, &[])?;
    if !parts.body.is_empty() {
        let essence = parts.content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::new(ErrorCode::WrongMediaType, "The body must be JSON.")
                .hint("Send Content-Type: application/json."));
        }
    }
    let body = if parts.body.trim_ascii().is_empty() { b"{}" } else { parts.body };
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let shown = super::printable::printable(&text, 2 * super::error::ECHO_CHARS_MAX);
        bad(format!("The body can't be understood: {shown}.")).hint("GET /v1 shows the form.")
    })
}

/// `{}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenyBody {
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeBody {
    pause: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShippedBody {
    chain: String,
    through: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    scope: ScopeBody,
    #[serde(rename = "for")]
    length: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScopeBody {
    Agent,
    Rule(String),
    Unit(String),
}

/// Something that a person wrote, on one line.
fn reason(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(bad("A reason is needed: the next person on duty will read it."));
    }
    if text.chars().count() > REASON_CHARS_MAX {
        return Err(bad(format!("The reason is over {REASON_CHARS_MAX} characters.")));
    }
    if super::printable::printable(text, REASON_CHARS_MAX) != text {
        return Err(bad("The reason has control characters."));
    }
    Ok(text.to_owned())
}

fn pause(body: PauseBody) -> Result<Command, ApiError> {
    let scope = match body.scope {
        ScopeBody::Agent => PauseScope::Agent,
        ScopeBody::Rule(name) => PauseScope::Rule(rule_name(&name)?),
        ScopeBody::Unit(name) => PauseScope::Unit(
            UnitName::parse(name.clone()).map_err(|error| bad(format!("{}: {error}.", echo(&name))))?,
        ),
    };
    let length =
        parse_duration(&body.length).map_err(|error| bad(format!("{}: {error}.", echo(&body.length))))?;
    if length.is_zero() || length > PAUSE_MAX {
        return Err(bad("A pause lasts from one second to 30 days.")
            .hint("To stop the agent for good: systemctl disable --now prunellad"));
    }
    Ok(Command::Pause { scope, length, reason: reason(&body.reason)? })
}

fn shipped(body: &ShippedBody) -> Result<Shipped, ApiError> {
    let chain = Id128::parse(&body.chain)
        .ok_or_else(|| bad(format!("A chain is 32 hexadecimal digits, not {}.", echo(&body.chain))))?;
    Ok(Shipped { chain: ChainId(chain), through: Seq(body.through) })
}

fn rule_name(text: &str) -> Result<RuleName, ApiError> {
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if text.is_empty() || text.len() > RULE_NAME_BYTES_MAX || !text.bytes().all(word) {
        return Err(bad(format!("A rule's name is lower-case words joined by dashes, not {}.", echo(text))));
    }
    Ok(RuleName::new(text))
}

fn resume(body: ResumeBody) -> Result<Command, ApiError> {
    let pause = body
        .pause
        .map(|text| {
            PauseId::parse(&text).ok_or_else(|| bad(format!("A pause is pause-NUMBER, not {}.", echo(&text))))
        })
        .transpose()?;
    Ok(Command::Resume { pause })
}

mod endpoints;
#[cfg(test)]
mod tests;

pub use endpoints::ENDPOINTS;

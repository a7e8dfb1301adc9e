//! Each record of the ledger as one log record, its text whole in the body.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use prost::Message as _;

use crate::ledger::ChainId;
use crate::model::{IncidentId, RecordBody, Seq, Severity, WallTime};
use crate::relay::host::HostIdentity;
use crate::relay::place::Shipment;

use super::{SCHEMA, nanos, resource, scope, text, whole};

/// A request with records, and the incident that each belongs to.
#[must_use]
pub fn logs(
    host: &HostIdentity,
    chain: ChainId,
    shipments: &[Shipment],
    incidents: &[Option<IncidentId>],
    now: WallTime,
) -> Vec<u8> {
    let incidents = incidents.iter().copied().chain(std::iter::repeat(None));
    let records = shipments
        .iter()
        .zip(incidents)
        .map(|(shipment, incident)| record(host, chain, shipment, incident, now))
        .collect();
    request(host, records)
}

/// A request without a record: a receiver that works takes it.
#[must_use]
pub fn empty_logs() -> Vec<u8> {
    ExportLogsServiceRequest::default().encode_to_vec()
}

/// What the relay says of itself and of the agent, so that silence means something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heartbeat {
    /// The agent answers.
    pub agent_up: bool,
    pub policy: Option<String>,
    /// The newest record of the ledger.
    pub head: Option<Seq>,
    /// The last one that a receiver has.
    pub shipped: Option<Seq>,
    /// Seconds since the oldest record that waits was written.
    pub oldest_waiting: Option<f64>,
    pub set_aside: u64,
    pub missed: u64,
    /// What the kernel says of the clock, milliseconds.
    pub clock_offset_ms: Option<f64>,
}

/// A request with a heartbeat.
#[must_use]
pub fn heartbeat(host: &HostIdentity, beat: &Heartbeat, now: WallTime) -> Vec<u8> {
    let depth = beat.head.zip(beat.shipped).map(|(head, shipped)| head.0.saturating_sub(shipped.0));
    let mut attributes = vec![whole("prunella.agent.up", u64::from(beat.agent_up))];
    attributes.extend(beat.policy.clone().map(|policy| text("prunella.policy.digest", policy)));
    attributes.extend(beat.head.map(|head| whole("prunella.ledger.head", head.0)));
    attributes.extend(beat.shipped.map(|seq| whole("prunella.relay.shipped", seq.0)));
    attributes.extend(depth.map(|depth| whole("prunella.relay.spool.records", depth)));
    let double = |key: &str, value: f64| super::pair(key, Value::DoubleValue(value));
    attributes.extend(beat.oldest_waiting.map(|age| double("prunella.relay.spool.age", age)));
    attributes.extend(beat.clock_offset_ms.map(|offset| double("prunella.clock.offset", offset / 1000.0)));
    attributes.push(whole("prunella.relay.set_aside", beat.set_aside));
    attributes.push(whole("prunella.relay.missed", beat.missed));
    let record = LogRecord {
        time_unix_nano: nanos(now),
        observed_time_unix_nano: nanos(now),
        severity_number: SeverityNumber::Info.into(),
        severity_text: "INFO".to_owned(),
        event_name: "prunella.heartbeat".to_owned(),
        attributes,
        ..LogRecord::default()
    };
    request(host, vec![record])
}

fn request(host: &HostIdentity, log_records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { scope: Some(scope(host)), log_records, schema_url: SCHEMA.to_owned() }];
    let resource_logs =
        vec![ResourceLogs { resource: Some(resource(host)), scope_logs, schema_url: SCHEMA.to_owned() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn record(
    host: &HostIdentity,
    chain: ChainId,
    shipment: &Shipment,
    incident: Option<IncidentId>,
    now: WallTime,
) -> LogRecord {
    let place = shipment.place;
    let mut attributes = vec![
        text("log.record.uid", host.record_id(place)),
        text("prunella.chain.id", chain.to_string()),
        whole("prunella.record.seq", place.seq.0),
        text("prunella.record.hash", place.hash.to_string()),
        text("prunella.record.previous_hash", shipment.previous.to_string()),
    ];
    attributes.extend(incident.map(|incident| text("prunella.incident.id", incident.to_string())));
    let (severity, word) = severity(shipment.entry.as_ref().map(|entry| &entry.body));
    LogRecord {
        time_unix_nano: shipment.at.map_or(0, |at| nanos(at.wall)),
        observed_time_unix_nano: nanos(now),
        severity_number: severity.into(),
        severity_text: word.to_owned(),
        event_name: format!("prunella.{}", shipment.kind),
        body: Some(AnyValue { value: Some(Value::StringValue(shipment.text.clone())) }),
        attributes,
        trace_id: incident.map(|incident| host.trace(chain, incident).to_vec()).unwrap_or_default(),
        span_id: incident.map(|incident| host.span(chain, incident, "incident").to_vec()).unwrap_or_default(),
        ..LogRecord::default()
    }
}

const fn severity(body: Option<&RecordBody>) -> (SeverityNumber, &'static str) {
    match body {
        Some(RecordBody::Escalated { severity: Severity::Page, .. }) => (SeverityNumber::Error, "ERROR"),
        Some(
            RecordBody::Escalated { severity: Severity::Ticket, .. }
            | RecordBody::PolicyRejected { .. }
            | RecordBody::LedgerRecovered { .. }
            | RecordBody::IncidentOpened { .. }
            | RecordBody::IncidentReopened { .. }
            | RecordBody::Proposed(_),
        ) => (SeverityNumber::Warn, "WARN"),
        _ => (SeverityNumber::Info, "INFO"),
    }
}

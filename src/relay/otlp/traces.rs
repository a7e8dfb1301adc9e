//! An incident that has ended, as one trace: the whole, and below it each act and each verification.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use crate::ledger::ChainId;
use crate::model::{IncidentId, Resolution, WallTime};
use crate::relay::host::HostIdentity;
use crate::relay::story::Story;

use super::{SCHEMA, nanos, resource, scope, text, whole};

/// The trace of an incident; `None` while it has not ended.
#[must_use]
pub fn trace(host: &HostIdentity, chain: ChainId, incident: IncidentId, story: &Story) -> Option<Vec<u8>> {
    let (ended, how, _) = story.ended?;
    let spans = Spans { host, chain, incident };
    let root = spans.id("incident");
    let mut all = vec![Span {
        attributes: vec![
            text("prunella.incident.id", incident.to_string()),
            text("prunella.rule", story.rule.clone()),
            text("prunella.subject", story.subject.clone()),
            text("prunella.resolution", resolution(how)),
            whole("prunella.incident.returns", u64::from(story.returns)),
        ],
        ..spans.span("incident", &[], format!("incident {}", story.rule), story.opened, ended)
    }];
    if let Some(call) = &story.call {
        let span = spans.span("escalation", &root, "escalated".to_owned(), call.since, ended);
        all.push(Span { attributes: vec![text("prunella.why", call.why.clone())], ..span });
    }
    for act in &story.acts {
        let applied = act.applied.map_or(ended, |(at, _)| at);
        let what = act.applied.map_or("unknown", |(_, word)| word);
        let name = format!("act {}", act.remedy);
        let span = spans.span(&format!("act {}", act.action), &root, name, act.intended, applied);
        let went_well = !matches!(what, "failed" | "unknown");
        let attributes = vec![text("prunella.applied", what)];
        all.push(Span { attributes, status: Some(status(went_well, what)), ..span });
        if let Some((verified, verdict)) = act.verified {
            let part = format!("verify {}", act.action);
            let span = spans.span(&part, &root, format!("verify {}", act.remedy), applied, verified);
            let attributes = vec![text("prunella.verification", verdict)];
            all.push(Span { attributes, status: Some(status(verdict == "confirmed", verdict)), ..span });
        }
    }
    let scope_spans =
        vec![ScopeSpans { scope: Some(scope(host)), spans: all, schema_url: SCHEMA.to_owned() }];
    let resource = Some(resource(host));
    let resource_spans = vec![ResourceSpans { resource, scope_spans, schema_url: SCHEMA.to_owned() }];
    Some(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

const fn resolution(how: Resolution) -> &'static str {
    match how {
        Resolution::Repaired => "repaired",
        Resolution::ClearedByItself => "cleared-by-itself",
        Resolution::SubjectGone => "subject-gone",
        Resolution::RuleGone => "rule-gone",
    }
}

fn status(well: bool, message: &str) -> Status {
    let code = if well { StatusCode::Ok } else { StatusCode::Error };
    Status { code: code.into(), message: if well { String::new() } else { message.to_owned() } }
}

struct Spans<'a> {
    host: &'a HostIdentity,
    chain: ChainId,
    incident: IncidentId,
}

impl Spans<'_> {
    fn id(&self, part: &str) -> Vec<u8> {
        self.host.span(self.chain, self.incident, part).to_vec()
    }

    fn span(&self, part: &str, parent: &[u8], name: String, from: WallTime, to: WallTime) -> Span {
        Span {
            trace_id: self.host.trace(self.chain, self.incident).to_vec(),
            span_id: self.id(part),
            parent_span_id: parent.to_vec(),
            name,
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanos(from),
            // The wall clock may have been set back in between.
            end_time_unix_nano: nanos(to).max(nanos(from)),
            ..Span::default()
        }
    }
}

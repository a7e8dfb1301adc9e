//! Alerts in the words of those who take them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ledger::ChainId;
use crate::model::{IncidentId, Severity, WallTime};
use crate::relay::host::HostIdentity;
use crate::relay::story::Story;

use super::{News, hmac_sha256};

/// Whom it is about.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    pub host: &'a HostIdentity,
    pub chain: ChainId,
    pub now: WallTime,
}

/// How a webhook's body is signed.
#[derive(Debug)]
pub struct Signing {
    pub body: Vec<u8>,
    /// `X-Prunella-Signature`
    pub signature: String,
}

fn rfc3339(at: WallTime) -> String {
    Timestamp::from_millisecond(at.unix_millis()).map_or_else(|_| String::new(), |at| at.to_string())
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Page => "page",
        Severity::Ticket => "ticket",
    }
}

/// When people were called, how badly, and why: of the call, or where there is none, of the incident.
fn call(story: &Story) -> (WallTime, Severity, &str) {
    story.call.as_ref().map_or((story.opened, story.severity, story.what.as_str()), |call| {
        (call.since, call.severity, call.why.as_str())
    })
}

/// `POST /api/v2/alerts`
#[must_use]
pub fn alertmanager(envelope: Envelope<'_>, news: &[(IncidentId, News, &Story)]) -> Vec<u8> {
    let alerts: Vec<Value> = news
        .iter()
        .map(|(incident, news, story)| {
            let (since, badly, why) = call(story);
            let mut alert = json!({
                // What tells an alert from another: no words that change while it lasts.
                "labels": {
                    "alertname": "PrunellaIncident",
                    "severity": severity(badly),
                    "instance": envelope.host.name,
                    "host_id": envelope.host.id,
                    "incident": incident.to_string(),
                    "chain": envelope.chain.to_string(),
                    "rule": story.rule,
                    "subject": story.subject,
                    "owner": story.owner.clone().unwrap_or_default(),
                },
                "annotations": {
                    "summary": format!("{}: {} on {}", story.rule, story.subject, envelope.host.name),
                    "description": format!("{}; {why}", story.what),
                    "runbook": format!("prunella explain {incident}"),
                    "since": rfc3339(since),
                },
            });
            // Times of this host only where there is no way without: one that is slow would tell of an alert that has ended
            // already. An Alertmanager puts in its own, and ends what is not repeated (`resolve_timeout`).
            if let (News::Ended, Some((at, ..))) = (news, story.ended) {
                alert["startsAt"] = rfc3339(since).into();
                // An end before the beginning is refused.
                alert["endsAt"] = rfc3339(at.max(since)).into();
            }
            alert
        })
        .collect();
    Value::from(alerts).to_string().into_bytes()
}

/// One incident as JSON, signed.
#[must_use]
pub fn webhook(
    envelope: Envelope<'_>,
    incident: IncidentId,
    news: News,
    story: &Story,
    secret: &[u8],
) -> Signing {
    let (since, badly, why) = call(story);
    let status = match news {
        News::Firing => "firing",
        News::Acknowledged => "acknowledged",
        News::Ended => "resolved",
    };
    let body = json!({
        "version": 1,
        // The same each time it is sent: a receiver that must not act twice drops what it has seen.
        "key": format!("{}/{status}/{}", envelope.host.incident_key(envelope.chain, incident), severity(badly)),
        "status": status,
        "severity": severity(badly),
        "host": { "id": envelope.host.id, "name": envelope.host.name },
        "incident": {
            "id": incident.to_string(),
            "rule": story.rule,
            "subject": story.subject,
            "what": story.what,
            "owner": story.owner,
            "opened": rfc3339(story.opened),
            "returns": story.returns,
        },
        "since": rfc3339(since),
        "why": why,
        "question": story.call.as_ref().and_then(|call| call.question).map(|id| id.to_string()),
        "tried": story.acts.iter().map(|act| json!({
            "remedy": act.remedy,
            "applied": act.applied.map(|(_, word)| word),
            "verified": act.verified.map(|(_, word)| word),
        })).collect::<Vec<_>>(),
        "ended": story.ended.map(|(at, ..)| rfc3339(at)),
        // Within the signature: an old message that somebody sends again can be told by its time.
        "sent": rfc3339(envelope.now),
    })
    .to_string()
    .into_bytes();
    let code: String = hmac_sha256(secret, &body).iter().map(|byte| format!("{byte:02x}")).collect();
    Signing { signature: format!("sha256={code}"), body }
}

/// `POST /v2/enqueue`
#[must_use]
pub fn pagerduty(
    envelope: Envelope<'_>,
    incident: IncidentId,
    news: News,
    story: &Story,
    key: &str,
) -> Vec<u8> {
    let (since, badly, why) = call(story);
    let action = match news {
        News::Firing => "trigger",
        News::Acknowledged => "acknowledge",
        News::Ended => "resolve",
    };
    let mut event = json!({
        "routing_key": key,
        "event_action": action,
        "dedup_key": envelope.host.incident_key(envelope.chain, incident),
    });
    if news == News::Firing
        && let Some(event) = event.as_object_mut()
    {
        let payload = json!({
            "summary": format!("{}: {} on {}: {}", story.rule, story.subject, envelope.host.name, story.what),
            "source": envelope.host.name,
            "severity": if badly == Severity::Page { "critical" } else { "warning" },
            "timestamp": rfc3339(since),
            "component": story.subject,
            "class": story.rule,
            "custom_details": { "incident": incident.to_string(), "why": why, "owner": story.owner },
        });
        event.insert("client".to_owned(), json!("prunella"));
        event.insert("payload".to_owned(), payload);
    }
    event.to_string().into_bytes()
}

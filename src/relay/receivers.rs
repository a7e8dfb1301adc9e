//! Receivers of OTLP: a request goes out, and what comes back is given its meaning.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message as _;

use super::delivery::Answer;
use super::http::{Caller, HttpError, Reply};

/// What OTLP over HTTP is.
pub const PROTOBUF: &str = "application/x-protobuf";

/// Compressed, fast rather than small: records of one kind are alike, and shrink to a tenth all the same.
#[must_use]
pub fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4 + 64), Compression::fast());
    // Writing to memory does not fail.
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

/// Posts logs, and says what the answer means for their delivery.
pub async fn post_logs(receiver: &mut Caller, body: Bytes) -> Answer {
    understand(receiver.post("/v1/logs", PROTOBUF, true, None, body).await)
}

/// What an answer means. A receiver that does not speak OTLP is taken for broken, whatever it says: a portal that answers
/// 200 to everything must not swallow records.
#[must_use]
pub fn understand(answer: Result<Reply, HttpError>) -> Answer {
    let reply = match answer {
        Ok(reply) => reply,
        Err(error) => return Answer::Failed(super::http::explain(&error)),
    };
    match reply.status {
        200..=299 => partial(&reply),
        413 => Answer::TooLarge,
        // Of a token, an address or a method, not of what is in the request.
        400 | 422 => Answer::Refused(reply.words()),
        429 | 502 | 503 | 504 => Answer::Busy { retry_after: reply.retry_after, why: reply.words() },
        _ => Answer::Failed(reply.words()),
    }
}

fn partial(reply: &Reply) -> Answer {
    // Of receivers that answer protobuf with JSON.
    if let Ok(answer) = serde_json::from_slice::<JsonAnswer>(&reply.body) {
        let partial = answer.partial_success.unwrap_or_default();
        let rejected = match partial.rejected_log_records {
            Some(Count::Number(count)) => Some(count),
            Some(Count::Text(text)) => text.parse().ok(),
            None => Some(0),
        };
        return match rejected {
            Some(rejected) => Answer::Taken {
                rejected,
                why: crate::serve::printable(&partial.error_message.unwrap_or_default(), 200),
            },
            None => Answer::Failed(format!("it does not answer in OTLP: {}", reply.words())),
        };
    }
    match ExportLogsServiceResponse::decode(reply.body.as_ref()) {
        Ok(ExportLogsServiceResponse { partial_success: Some(partial) }) => Answer::Taken {
            rejected: u64::try_from(partial.rejected_log_records).unwrap_or(0),
            why: crate::serve::printable(&partial.error_message, 200),
        },
        Ok(ExportLogsServiceResponse { partial_success: None }) => {
            Answer::Taken { rejected: 0, why: String::new() }
        }
        Err(_) => Answer::Failed(format!("it does not answer in OTLP: {}", reply.words())),
    }
}

/// `ExportLogsServiceResponse` in the JSON mapping of protobuf, where numbers of 64 bits are strings. With anything else in
/// it, it is somebody else's answer.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonAnswer {
    #[serde(rename = "partialSuccess")]
    partial_success: Option<JsonPartial>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JsonPartial {
    rejected_log_records: Option<Count>,
    error_message: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Text(String),
}

/// Whether telemetry was taken; how long to leave the receiver alone where it was not.
///
/// # Errors
/// With that time, where the receiver says it.
pub fn taken(answer: &Result<Reply, HttpError>) -> Result<(), Option<Duration>> {
    match answer {
        Ok(reply) if (200..=299).contains(&reply.status) => Ok(()),
        Ok(reply) => Err(reply.retry_after),
        Err(_) => Err(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;

    fn check(status: u16, body: &[u8], expected: &Answer) {
        let reply = Reply { status, retry_after: None, body: body.to_vec().into() };
        let found = understand(Ok(reply));
        let same = match (&found, expected) {
            (Answer::Failed(_), Answer::Failed(_)) | (Answer::Refused(_), Answer::Refused(_)) => true,
            (Answer::Busy { .. }, Answer::Busy { .. }) => true,
            (found, expected) => found == expected,
        };
        assert!(same, "{status} {body:?}: {found:?}");
    }

    #[test]
    fn answers_and_what_they_mean() {
        let taken = Answer::Taken { rejected: 0, why: String::new() };
        let failed = Answer::Failed(String::new());
        check(200, b"", &taken);
        check(200, b"{}", &taken);
        check(200, br#"{"partialSuccess":{}}"#, &taken);
        let three = Answer::Taken { rejected: 3, why: "old".into() };
        check(200, br#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"old"}}"#, &three);
        check(200, br#"{"partialSuccess":{"rejectedLogRecords":3,"errorMessage":"old"}}"#, &three);
        check(200, br#"{"error":"please log in"}"#, &failed);
        check(200, b"<html>Please log in</html>", &failed);
        let partial = ExportLogsPartialSuccess { rejected_log_records: 3, error_message: "old".into() };
        let body = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        check(200, &body, &Answer::Taken { rejected: 3, why: "old".into() });
        check(413, b"", &Answer::TooLarge);
        check(400, b"", &Answer::Refused(String::new()));
        for status in [429, 502, 503, 504] {
            check(status, b"", &Answer::Busy { retry_after: None, why: String::new() });
        }
        for status in [301, 401, 403, 404, 405, 500, 501] {
            check(status, b"", &failed);
        }
    }
}

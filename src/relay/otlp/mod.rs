//! OTLP: records as logs, incidents as traces, the host's numbers as metrics. Pure: values in, bytes out.

mod logs;
mod metrics;
mod traces;

pub use logs::{Heartbeat, empty_logs, heartbeat, logs};
pub use metrics::{HostView, metrics};
pub use traces::trace;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::model::WallTime;

use super::host::HostIdentity;

/// Of the semantic conventions that the names are from.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

fn whole(key: &str, value: u64) -> KeyValue {
    pair(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanos(at: WallTime) -> u64 {
    at.unix_millis().max(0).cast_unsigned().saturating_mul(1_000_000)
}

fn resource(host: &HostIdentity) -> Resource {
    let mut attributes = vec![
        text("service.name", "prunella"),
        text("service.instance.id", host.id.clone()),
        text("host.id", host.id.clone()),
        text("host.name", host.name.clone()),
        text("os.type", "linux"),
        text("os.description", host.os.clone()),
    ];
    // What the operator says of the host goes before what is found out.
    attributes.retain(|found| !host.attributes.contains_key(&found.key));
    attributes.extend(host.attributes.iter().map(|(key, value)| text(key, value.clone())));
    Resource { attributes, ..Resource::default() }
}

fn scope(host: &HostIdentity) -> InstrumentationScope {
    InstrumentationScope {
        name: "prunella-relay".to_owned(),
        version: host.version.clone(),
        ..InstrumentationScope::default()
    }
}

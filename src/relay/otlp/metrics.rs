//! The host's numbers by the names of OpenTelemetry's semantic conventions, where these have one for what the agent
//! tells.
//!
//! The agent tells what is now, and shares over its last interval. So there are gauges and up-down sums here, and no
//! counters such as `system.disk.io`: made up from rates they would be wrong.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use prost::Message as _;

use crate::model::{Bytes, Inodes, MeanPeak, RoomAnswer, Usage, WallTime};
use crate::relay::host::HostIdentity;
use crate::serve::{Filesystems, Host};

use super::{SCHEMA, nanos, resource, scope, text};

/// File systems in one request: a host with more has mounts made by a program, and a receiver pays for each series.
const FILESYSTEMS_MAX: usize = 128;

/// What the agent says of the host.
#[derive(Clone, Copy, Debug)]
pub struct HostView<'a> {
    pub host: &'a Host,
    pub filesystems: &'a Filesystems,
}

/// A request with everything that is known at this moment. What is not known is not in it.
#[must_use]
pub fn metrics(identity: &HostIdentity, view: HostView<'_>, started: WallTime) -> Vec<u8> {
    let at = nanos(view.host.now.wall);
    let mut page = Page { at, started: nanos(started), metrics: Vec::new() };
    cpu(&mut page, view.host);
    memory(&mut page, view.host);
    filesystems(&mut page, view.filesystems);
    let scope_metrics = vec![ScopeMetrics {
        scope: Some(scope(identity)),
        metrics: page.metrics,
        schema_url: SCHEMA.to_owned(),
    }];
    let resource = Some(resource(identity));
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, schema_url: SCHEMA.to_owned() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

struct Page {
    at: u64,
    started: u64,
    metrics: Vec<Metric>,
}

impl Page {
    fn gauge(&mut self, name: &str, unit: &str, points: Vec<(Vec<KeyValue>, Value)>) {
        let data_points = self.points(points);
        self.push(name, unit, Data::Gauge(Gauge { data_points }));
    }

    /// An amount that adds up over its attributes.
    fn amount(&mut self, name: &str, unit: &str, points: Vec<(Vec<KeyValue>, u64)>) {
        let points = points.into_iter().map(|(attributes, value)| (attributes, whole(value))).collect();
        let data_points = self.points(points);
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        self.push(name, unit, Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: false }));
    }

    fn points(&self, points: Vec<(Vec<KeyValue>, Value)>) -> Vec<NumberDataPoint> {
        let point = |(attributes, value)| NumberDataPoint {
            attributes,
            start_time_unix_nano: self.started,
            time_unix_nano: self.at,
            value: Some(value),
            ..NumberDataPoint::default()
        };
        points.into_iter().map(point).collect()
    }

    fn push(&mut self, name: &str, unit: &str, data: Data) {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        self.metrics.push(Metric { name, unit, data: Some(data), ..Metric::default() });
    }
}

fn whole(value: u64) -> Value {
    Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX))
}

fn ratio(percent: f64) -> Value {
    Value::AsDouble(percent / 100.0)
}

fn share(part: u64, all: u64) -> Option<Value> {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    (all > 0).then(|| Value::AsDouble(part as f64 / all as f64))
}

fn cpu(page: &mut Page, host: &Host) {
    let vitals = host.vitals.value();
    if let Some(uptime) = vitals.and_then(|vitals| vitals.uptime.value()) {
        page.gauge("system.uptime", "s", vec![(vec![], Value::AsDouble(uptime.as_secs_f64()))]);
    }
    if let Some(processors) = vitals.and_then(|vitals| vitals.processors.value()) {
        page.amount("system.cpu.logical.count", "{cpu}", vec![(vec![], u64::from(*processors))]);
    }
    if let Some(load) = vitals.and_then(|vitals| vitals.load.value()) {
        for (name, value) in [("1m", load.one), ("5m", load.five), ("15m", load.fifteen)] {
            let name = format!("system.cpu.load_average.{name}");
            page.gauge(&name, "{thread}", vec![(vec![], Value::AsDouble(value))]);
        }
    }
    let Some(cpu) = host.numbers.value().and_then(|numbers| numbers.cpu.value()) else { return };
    let mode = |mode: &str, share: MeanPeak| (vec![text("cpu.mode", mode)], ratio(share.mean));
    let idle = (100.0 - cpu.busy.mean - cpu.iowait.mean - cpu.steal.mean).max(0.0);
    page.gauge(
        "system.cpu.utilization",
        "1",
        vec![
            mode("user", cpu.user),
            mode("system", cpu.system),
            mode("iowait", cpu.iowait),
            mode("steal", cpu.steal),
            (vec![text("cpu.mode", "idle")], ratio(idle)),
        ],
    );
}

fn memory(page: &mut Page, host: &Host) {
    let Some(memory) = host.numbers.value().and_then(|numbers| numbers.memory.value()) else { return };
    let used = memory.total.0.saturating_sub(memory.available.0);
    let state = |state: &str, value: u64| (vec![text("system.memory.state", state)], value);
    page.amount("system.memory.limit", "By", vec![(vec![], memory.total.0)]);
    page.amount("system.memory.linux.available", "By", vec![(vec![], memory.available.0)]);
    page.amount(
        "system.memory.usage",
        "By",
        // What can be had is free here, whatever it caches meanwhile: the two add up to the limit.
        vec![state("used", used), state("free", memory.available.0)],
    );
    let used = share(used, memory.total.0).map(|share| (vec![text("system.memory.state", "used")], share));
    page.gauge("system.memory.utilization", "1", used.into_iter().collect());
    let swapped = memory.swap_total.0.saturating_sub(memory.swap_free.0);
    let state = |state: &str, Bytes(value): Bytes| (vec![text("system.paging.state", state)], value);
    page.amount(
        "system.paging.usage",
        "By",
        vec![state("used", Bytes(swapped)), state("free", memory.swap_free)],
    );
}

fn filesystems(page: &mut Page, view: &Filesystems) {
    let (mut usage, mut shares, mut inodes) = (Vec::new(), Vec::new(), Vec::new());
    for filesystem in view.filesystems.iter().take(FILESYSTEMS_MAX) {
        let status = &filesystem.status;
        let RoomAnswer::Usage(room) = &status.room else { continue };
        let attributes = |state: &str| {
            vec![
                text("system.filesystem.mountpoint", status.mount_point.as_str()),
                text("system.filesystem.type", status.fs_type.clone()),
                text("system.filesystem.mode", if status.read_only { "ro" } else { "rw" }),
                text("system.device", status.source.clone()),
                text("system.filesystem.state", state),
            ]
        };
        let Usage { total, free, available, .. } = room;
        let used = total.0.saturating_sub(free.0);
        usage.push((attributes("used"), used));
        usage.push((attributes("free"), available.0));
        usage.push((attributes("reserved"), free.0.saturating_sub(available.0)));
        shares.extend(share(used, total.0).map(|share| (attributes("used"), share)));
        if let Some(Inodes { total, free }) = room.inodes.value() {
            inodes.push((attributes("used"), total.saturating_sub(*free)));
            inodes.push((attributes("free"), *free));
        }
    }
    page.amount("system.filesystem.usage", "By", usage);
    page.gauge("system.filesystem.utilization", "1", shares);
    page.amount("prunella.filesystem.inodes", "{inode}", inodes);
}

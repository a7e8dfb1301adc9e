//! `[[service]]`: services of the second manager, on hosts without systemd.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::UnitKind;
use crate::policy::diagnostic::Report;
use crate::policy::document::Entry;
use crate::policy::types::ServiceDefinition;

use super::words::{command, path, unit, units};

const KEYS: &[&str] = &[
    "name",
    "override",
    "start",
    "stop",
    "reload",
    "status",
    "pid_file",
    "foreground",
    "requires",
    "start_timeout",
    "stop_timeout",
    "log_file",
];
const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
/// systemd's own default (`DefaultTimeoutStartSec=`).
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(90);

/// A service; `None` when it is wrong, which was reported.
pub(super) fn service(report: &mut Report<'_>, entry: &Entry<'_>) -> Option<ServiceDefinition> {
    let section = &entry.section;
    section.only(report, KEYS);
    let name = unit(report, section, "name").filter(|name| {
        let is_service = name.kind() == UnitKind::Service;
        if !is_service {
            let what = format!("\"{name}\" is not the name of a service");
            report.error(&section.place_of("name"), what, "end it in .service");
        }
        is_service
    });
    let start = section
        .demand(report, "start", "start = [\"/usr/sbin/shop\", \"--daemon\"]")
        .then(|| command(report, section, "start"))
        .flatten();
    let stop = command(report, section, "stop");
    let reload = command(report, section, "reload");
    let status = command(report, section, "status");
    let pid_file = path(report, section, "pid_file");
    let foreground = section.boolean(report, "foreground").unwrap_or(false);
    if foreground && section.has("pid_file") {
        report.error(
            &section.place_of("pid_file"),
            "a service that stays in the foreground is known by its own process",
            "leave out `pid_file`, or write foreground = false",
        );
    }
    if !foreground && !section.has("pid_file") && !section.has("status") {
        report.error(
            &section.place,
            "nothing tells whether this service is alive",
            "add foreground = true, pid_file = \"/run/shop.pid\" or status = [\"/etc/init.d/shop\", \"status\"]",
        );
    }
    if !foreground && !section.has("pid_file") && !section.has("stop") {
        report.error(
            &section.place,
            "nothing tells how this service is stopped",
            "add stop = [\"/etc/init.d/shop\", \"stop\"], or a pid_file whose process is signalled",
        );
    }
    let requires = units(report, section, "requires");
    let start_timeout = section.duration(report, "start_timeout", &TIMEOUT).unwrap_or(TIMEOUT_DEFAULT);
    let stop_timeout = section.duration(report, "stop_timeout", &TIMEOUT).unwrap_or(TIMEOUT_DEFAULT);
    let log_file = path(report, section, "log_file");
    Some(ServiceDefinition {
        name: name?,
        start: start?,
        stop,
        reload,
        status,
        pid_file,
        foreground,
        requires,
        start_timeout,
        stop_timeout,
        log_file,
    })
}

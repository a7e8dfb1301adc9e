//! `[[probe]]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::ProbeName;
use crate::policy::diagnostic::Report;
use crate::policy::document::Entry;
use crate::policy::section::Section;
use crate::policy::types::{Probe, ProbeKind};

use super::words::{check_length, command, path, unit};

const KEYS: &[&str] = &[
    "name", "override", "unit", "http", "tcp", "unix", "exec", "status", "interval", "timeout", "failures",
    "grace",
];
const WAYS: &[&str] = &["http", "tcp", "unix", "exec"];

const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_hours(24);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_mins(5);
const FAILURES: RangeInclusive<u32> = 1..=1000;
const INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
const FAILURES_DEFAULT: u32 = 3;
const GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);
/// Most services answer within seconds, and a heavy one within a minute; a healthy answer ends it at once, so that it
/// costs time only where a service hangs in its very start.
const GRACE_DEFAULT: Duration = Duration::from_mins(1);
/// Any answer that is no error of the client or the server.
const STATUS_DEFAULT: RangeInclusive<u16> = 200..=399;
const STATUS: RangeInclusive<u32> = 100..=599;

const ONLY_LOOPBACK: &str = "write a loopback address (127.0.0.1, [::1] or localhost): the agent runs as root and opens no other socket";

/// A probe; `None` when it is wrong, which was reported.
pub(super) fn probe(report: &mut Report<'_>, entry: &Entry<'_>) -> Option<Probe> {
    let section = &entry.section;
    section.only(report, KEYS);
    let unit = section
        .demand(report, "unit", "unit = \"shop.service\"")
        .then(|| unit(report, section, "unit"))
        .flatten();
    let kind = kind(report, section);
    let interval = section.duration(report, "interval", &INTERVAL).unwrap_or(INTERVAL_DEFAULT);
    let timeout = match section.duration(report, "timeout", &TIMEOUT) {
        Some(timeout) => timeout,
        // A short interval alone must not be an error: the default gives way.
        None => TIMEOUT_DEFAULT.min(interval / 2),
    };
    if timeout >= interval {
        report.error(
            &section.place_of(if section.has("timeout") { "timeout" } else { "interval" }),
            "the timeout is not shorter than the interval: a hung service would pile up probes",
            "make `interval` longer or `timeout` shorter",
        );
    }
    let failures = section.count(report, "failures", &FAILURES).unwrap_or(FAILURES_DEFAULT);
    let grace = section.duration(report, "grace", &GRACE).unwrap_or(GRACE_DEFAULT);
    let name = ProbeName(entry.name.to_owned());
    Some(Probe { name, unit: unit?, kind: kind?, interval, timeout, failures, grace })
}

fn kind(report: &mut Report<'_>, section: &Section<'_>) -> Option<ProbeKind> {
    let given: Vec<&str> = WAYS.iter().copied().filter(|way| section.has(way)).collect();
    let way = match given.as_slice() {
        [] => {
            let help = "add one of http = \"http://127.0.0.1:8080/health\", tcp = \"127.0.0.1:5432\", \
                        unix = \"/run/shop.sock\" or exec = [\"/usr/bin/check-shop\"]";
            report.error(&section.place, "this [[probe]] does not say what to do", help);
            return None;
        }
        [way] => *way,
        [_, second, ..] => {
            let what = format!("a probe does one thing, this one has {}", given.join(" and "));
            report.error(
                &section.place_of(second),
                what,
                "leave one of them, and make the other a [[probe]] of its own",
            );
            return None;
        }
    };
    if way != "http" && section.has("status") {
        let what = format!("`status` is for http, this probe is {way}");
        report.error(&section.place_of("status"), what, "leave it out");
    }
    match way {
        "http" => http(report, section),
        "tcp" => {
            let text = section.text(report, "tcp")?;
            let place = section.place_of("tcp");
            match address(text, None) {
                Ok(address) => Some(ProbeKind::Tcp { address }),
                Err((what, help)) => {
                    report.error(&place, what, help);
                    None
                }
            }
        }
        "unix" => path(report, section, "unix").map(|path| ProbeKind::Unix { path }),
        _ => command(report, section, "exec").map(|argv| ProbeKind::Exec { argv }),
    }
}

fn http(report: &mut Report<'_>, section: &Section<'_>) -> Option<ProbeKind> {
    let expect = status(report, section);
    let text = section.text(report, "http")?;
    let place = section.place_of("http");
    let mut refuse = |what: String, help: &str| {
        report.error(&place, what, help);
        None
    };
    let example = "write it as in \"http://127.0.0.1:8080/health\"";
    let rest = match text.split_once("://") {
        Some(("http", rest)) => rest,
        Some(("https", _)) => {
            let help = "probe plain http on a loopback port, or use exec with a program that speaks TLS: \
                        the agent carries no TLS";
            return refuse("a probe can't speak https".into(), help);
        }
        Some((scheme, _)) => return refuse(format!("a probe can't speak {scheme}"), example),
        None => return refuse(format!("\"{text}\" is not a URL"), example),
    };
    let (host, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    if let Some(bad) = path.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        return refuse(
            format!("{bad:?} can't stand in the path of a URL"),
            "write it percent-encoded, as in %20",
        );
    }
    if host.contains('@') {
        return refuse("a probe sends no password".into(), "probe a path that needs none");
    }
    if host.contains('?') {
        return refuse("the question mark follows the host".into(), "write a / before the ?");
    }
    match address(host, Some(80)) {
        Ok(address) => {
            Some(ProbeKind::Http { address, host: host.to_owned(), path: path.to_owned(), expect })
        }
        Err((what, help)) => refuse(what, &help),
    }
}

fn status(report: &mut Report<'_>, section: &Section<'_>) -> Vec<u16> {
    let Some(items) = section.list(report, "status", "[200]") else { return STATUS_DEFAULT.collect() };
    check_length(report, section, "status", items.len());
    if items.is_empty() {
        report.error(
            &section.place_of("status"),
            "no status is ever right",
            "write one, as in [200], or leave it out",
        );
    }
    items
        .iter()
        .filter_map(|item| item.count(report, "an HTTP status", &STATUS))
        .filter_map(|status| u16::try_from(status).ok())
        .collect()
}

/// `HOST:PORT` on the loopback interface. `localhost` is 127.0.0.1: no resolver is asked.
fn address(text: &str, default_port: Option<u16>) -> Result<SocketAddr, (String, String)> {
    let form = || "write ADDRESS:PORT, as in \"127.0.0.1:5432\" or \"[::1]:5432\"".to_owned();
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((host, rest)) = rest.split_once(']') else {
            return Err((format!("\"{text}\": the bracket is never closed"), form()));
        };
        (host, rest.strip_prefix(':').or((!rest.is_empty()).then_some(rest)))
    } else if text.matches(':').count() > 1 {
        return Err((format!("\"{text}\": an IPv6 address stands in brackets"), form()));
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let ip = match host {
        "" => return Err((format!("\"{text}\" has no address"), form())),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        "*" | "0.0.0.0" | "::" => {
            return Err((
                format!("{host} is where a server listens, not where a client connects"),
                "write 127.0.0.1 or [::1]: the service that listens everywhere listens there too".into(),
            ));
        }
        _ => match host.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => return Err((format!("{host} is not a loopback address"), ONLY_LOOPBACK.into())),
        },
    };
    let loopback = match ip {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6 == Ipv6Addr::LOCALHOST,
    };
    if !loopback {
        return Err((format!("{host} is not a loopback address"), ONLY_LOOPBACK.into()));
    }
    let port = match (port, default_port) {
        (Some(port), _) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            Ok(_) | Err(_) => {
                return Err((format!("\"{port}\" is not a port"), "write a number from 1 to 65535".into()));
            }
        },
        (None, Some(port)) => port,
        (None, None) => return Err((format!("\"{text}\" has no port"), form())),
    };
    Ok(SocketAddr::new(ip, port))
}

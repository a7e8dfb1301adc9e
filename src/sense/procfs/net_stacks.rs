//! `/proc/net/snmp`, `sockstat` and `sockstat6`: TCP's counters, and the sockets of this network namespace.

use crate::model::Pages;
use crate::sense::Malformed;
use crate::sense::scan::{fields, lines, number, signed};

/// TCP since boot (RFC 4022, the names are the MIB's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpCounters {
    pub active_opens: u64,
    pub passive_opens: u64,
    pub attempt_fails: u64,
    pub established_resets: u64,
    /// Connections now; not a counter.
    pub established: u64,
    pub segments_in: u64,
    pub segments_out: u64,
    pub retransmitted: u64,
    pub errors_in: u64,
    pub resets_sent: u64,
}

impl TcpCounters {
    /// From `/proc/net/snmp`: a line of names and a line of values for each protocol.
    ///
    /// # Errors
    /// When TCP's pair of lines is missing, not understood or does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "net/snmp";
        let mut names = None;
        for line in lines(WHAT, bytes) {
            let line = line?;
            let Some(columns) = line.text.strip_prefix(b"Tcp:") else { continue };
            match names {
                None => names = Some(columns),
                Some(names) => {
                    return counters(names, columns).ok_or(Malformed::Line { what: WHAT, line: line.number });
                }
            }
        }
        Err(Malformed::Lacks { what: WHAT, field: "Tcp" })
    }
}

fn counters(names: &[u8], values: &[u8]) -> Option<TcpCounters> {
    let mut values = fields(values);
    let (mut active, mut passive, mut fails, mut resets, mut established) = (None, None, None, None, None);
    let (mut inward, mut outward, mut again, mut errors, mut sent) = (None, None, None, None, None);
    for name in fields(names) {
        let value = values.next()?;
        let place = match name {
            b"ActiveOpens" => &mut active,
            b"PassiveOpens" => &mut passive,
            b"AttemptFails" => &mut fails,
            b"EstabResets" => &mut resets,
            b"CurrEstab" => &mut established,
            b"InSegs" => &mut inward,
            b"OutSegs" => &mut outward,
            b"RetransSegs" => &mut again,
            b"InErrs" => &mut errors,
            b"OutRsts" => &mut sent,
            _ => {
                // `MaxConn` is -1.
                signed(value)?;
                continue;
            }
        };
        *place = Some(number(value)?);
    }
    Some(TcpCounters {
        active_opens: active?,
        passive_opens: passive?,
        attempt_fails: fails?,
        established_resets: resets?,
        established: established?,
        segments_in: inward?,
        segments_out: outward?,
        retransmitted: again?,
        errors_in: errors?,
        resets_sent: sent?,
    })
}

/// Sockets now. TCP's and UDP's are of IPv4 in `sockstat`; orphans, time-waits and memory are of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// Of all families.
    pub used: u64,
    pub tcp_in_use: u64,
    /// No program holds them any more.
    pub tcp_orphans: u64,
    pub tcp_time_wait: u64,
    pub tcp_allocated: u64,
    /// Of the whole host, not of the namespace: to be held against `tcp_mem`.
    pub tcp_memory: Pages,
    pub udp_in_use: u64,
    pub udp_memory: Pages,
}

impl Sockets {
    /// From `/proc/net/sockstat`.
    ///
    /// # Errors
    /// When a line is missing or not understood, or the last one does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let get = |protocol, name| value("net/sockstat", bytes, protocol, name);
        Ok(Self {
            used: get("sockets:", "used")?,
            tcp_in_use: get("TCP:", "inuse")?,
            tcp_orphans: get("TCP:", "orphan")?,
            tcp_time_wait: get("TCP:", "tw")?,
            tcp_allocated: get("TCP:", "alloc")?,
            tcp_memory: Pages(get("TCP:", "mem")?),
            udp_in_use: get("UDP:", "inuse")?,
            udp_memory: Pages(get("UDP:", "mem")?),
        })
    }
}

/// Sockets of IPv6 now; the file is missing on a host without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sockets6 {
    pub tcp_in_use: u64,
    pub udp_in_use: u64,
}

impl Sockets6 {
    /// From `/proc/net/sockstat6`.
    ///
    /// # Errors
    /// As [`Sockets::parse`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let get = |protocol| value("net/sockstat6", bytes, protocol, "inuse");
        Ok(Self { tcp_in_use: get("TCP6:")?, udp_in_use: get("UDP6:")? })
    }
}

/// `TCP: inuse 1 orphan 0 …`: of six lines, so looking again for each name costs nothing.
fn value(
    what: &'static str,
    bytes: &[u8],
    protocol: &'static str,
    name: &'static str,
) -> Result<u64, Malformed> {
    let mut found = Err(Malformed::Lacks { what, field: protocol });
    for line in lines(what, bytes) {
        let line = line?;
        let Some(columns) = line.text.strip_prefix(protocol.as_bytes()) else { continue };
        let mut fields = fields(columns);
        let value = fields.find(|field| *field == name.as_bytes()).and_then(|_| fields.number());
        found = value.ok_or(Malformed::Line { what, line: line.number });
    }
    found
}

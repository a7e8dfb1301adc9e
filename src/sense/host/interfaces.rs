//! `/proc/net/dev` from pass to pass.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::model::{InterfaceKind, InterfaceNumbers, Measured, Reading, TrafficRates};
use crate::sense::Malformed;
use crate::sense::procfs::{InterfaceRow, interfaces, read_bounded, single};

use super::gather::{Gather, NoPart, Source, measured};
use super::kept::{Kept, Scratch, Trouble};
use super::rates::{self, TrafficCounters, TrafficParts};
use super::table::Table;

/// `ARPHRD_LOOPBACK` of `linux/if_arp.h`.
const LOOPBACK: u64 = 772;
/// A type is a small number.
const TYPE_MAX: usize = 32;

#[derive(Clone, Copy, Debug, Default)]
struct TrafficGather {
    received: Gather,
    sent: Gather,
    errors: Gather,
    drops: Gather,
}

impl TrafficGather {
    fn add(&mut self, parts: TrafficParts) {
        self.received.add(parts.received);
        self.sent.add(parts.sent);
        self.errors.add(parts.errors);
        self.drops.add(parts.drops);
    }

    fn told(&self) -> Option<TrafficRates> {
        Some(TrafficRates {
            received_bytes: self.received.told(1.0)?,
            sent_bytes: self.sent.told(1.0)?,
            errors: self.errors.told(1.0)?,
            drops: self.drops.told(1.0)?,
        })
    }
}

#[derive(Debug)]
struct Held {
    kind: InterfaceKind,
    counters: TrafficCounters,
    source: Source<TrafficGather>,
}

/// What went through several in one pass.
#[derive(Debug, Default)]
struct Sum {
    parts: TrafficParts,
    any: bool,
    /// Why one of them gave no part.
    missing: Option<NoPart>,
}

impl Sum {
    fn add(&mut self, one: Result<TrafficParts, NoPart>) {
        let one = match one {
            Ok(one) => one,
            Err(why) => return self.missing = Some(why),
        };
        let pairs = [
            (&mut self.parts.received, one.received),
            (&mut self.parts.sent, one.sent),
            (&mut self.parts.errors, one.errors),
            (&mut self.parts.drops, one.drops),
        ];
        for (sum, one) in pairs {
            sum.amount += one.amount;
            // All of one pass are over the same time.
            sum.weight = one.weight;
        }
        self.any = true;
    }

    /// There is none of this kind.
    const fn is_empty(&self) -> bool {
        !self.any && self.missing.is_none()
    }
}

/// The network interfaces.
#[derive(Debug)]
pub(super) struct Interfaces {
    file: Kept,
    net: PathBuf,
    table: Table<Held>,
    total: Source<TrafficGather>,
    /// Of the newest pass.
    newest: Result<TrafficParts, NoPart>,
    trouble: Option<Trouble>,
}

impl Interfaces {
    pub(super) fn new(proc: &Path, sys: &Path) -> Self {
        Self {
            file: Kept::table(proc.join("net/dev")),
            net: sys.join("class/net"),
            table: Table::new(),
            total: Source::new(),
            newest: Err(NoPart::First),
            trouble: None,
        }
    }

    /// One pass; `span` are the seconds since the one before.
    pub(super) fn pass(&mut self, scratch: &mut Scratch, span: Result<f64, NoPart>) {
        let Self { file, net, table, total, newest, trouble } = self;
        let (mut hardware, mut others) = (Sum::default(), Sum::default());
        let taken = file.take(scratch, |bytes| {
            table.begin();
            for row in interfaces(bytes) {
                match take(table, net, row, span) {
                    Some((InterfaceKind::Hardware, parts)) => hardware.add(parts),
                    Some((InterfaceKind::Virtual, parts)) => others.add(parts),
                    Some((InterfaceKind::Loopback, _)) | None => {}
                }
            }
            table.end();
            Ok(())
        });
        *trouble = taken.err();
        if trouble.is_some() {
            // What was counted while nobody could look is of no known time.
            table.clear();
        }
        let sum = if hardware.is_empty() { others } else { hardware };
        let part = match (*trouble, sum.missing) {
            (Some(trouble), _) => Err(trouble.into()),
            (None, Some(why)) if !sum.any => Err(why),
            // No interface but loopback: nothing went through nothing.
            (None, _) => Ok(sum.parts),
        };
        *newest = part;
        total.add(part, TrafficGather::add);
    }

    /// What went through all cards in the newest pass, per second: bytes received and sent, errors, drops.
    pub(super) fn second(&self) -> [Measured; 4] {
        let part = |pick: fn(TrafficParts) -> rates::Part| measured(self.newest.map(pick), 1.0);
        [part(|it| it.received), part(|it| it.sent), part(|it| it.errors), part(|it| it.drops)]
    }

    /// Ends the interval: all together, each, and how many are left out.
    pub(super) fn tell(&mut self) -> (Reading<TrafficRates>, Reading<Vec<InterfaceNumbers>>, usize) {
        let path = self.file.path();
        let total = self.total.tell(path, TrafficGather::told);
        if let Some(trouble) = self.trouble {
            return (total, trouble.told(path), 0);
        }
        let told = self.table.rows_mut().iter_mut().map(|row| InterfaceNumbers {
            name: row.name.text(),
            kind: row.held.kind,
            traffic: row.held.source.tell(path, TrafficGather::told),
        });
        (total, Reading::Value(told.collect()), self.table.left_out())
    }
}

fn take(
    table: &mut Table<Held>,
    net: &Path,
    row: Result<InterfaceRow<'_>, Malformed>,
    span: Result<f64, NoPart>,
) -> Option<(InterfaceKind, Result<TrafficParts, NoPart>)> {
    let Ok(row) = row else {
        table.leave_out();
        return None;
    };
    let now = TrafficCounters {
        received: row.received.bytes.0,
        sent: row.sent.bytes.0,
        errors: row.received.errors.saturating_add(row.sent.errors),
        drops: row.received.dropped.saturating_add(row.sent.dropped),
    };
    let make = || Held { kind: kind(net, row.name), counters: now, source: Source::new() };
    let (held, new) = table.row(row.name, make)?;
    if new {
        return Some((held.kind, Err(NoPart::First)));
    }
    let parts = span.and_then(|seconds| Ok(rates::traffic(&held.counters, &now, seconds)?));
    held.source.add(parts, TrafficGather::add);
    held.counters = now;
    Some((held.kind, parts))
}

/// As sysfs says; by its name where that shows nothing.
fn kind(net: &Path, name: &[u8]) -> InterfaceKind {
    let Ok(text) = std::str::from_utf8(name) else { return InterfaceKind::Virtual };
    let interface = net.join(text);
    let arp_type = read_bounded(&interface.join("type"), TYPE_MAX).ok().and_then(|bytes| single(&bytes).ok());
    match arp_type {
        Some(LOOPBACK) => InterfaceKind::Loopback,
        None if name == b"lo" => InterfaceKind::Loopback,
        Some(_) | None if rustix::fs::access(interface.join("device"), Access::EXISTS).is_ok() => {
            InterfaceKind::Hardware
        }
        Some(_) | None => InterfaceKind::Virtual,
    }
}

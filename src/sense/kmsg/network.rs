//! Interfaces, and tables of the kernel that ran full.

use super::meaning::Meaning;
use super::text::{after_any, is_name, leading, name_before};
use crate::sense::HexText;
use crate::sense::scan::{find_text, split_text};

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableFull {
    /// `nf_conntrack_max`: new connections are dropped.
    Conntrack,
    /// `tcp_mem`.
    TcpMemory,
    /// `tcp_max_orphans`.
    TcpOrphans,
    /// `neigh/*/gc_thresh3`: hosts next door can't be reached.
    Neighbours,
    /// `fs.file-max`: programs get `ENFILE`.
    Files,
}

pub(super) fn meaning(text: &[u8]) -> Option<Meaning<'_>> {
    const TABLES: [(&[u8], TableFull); 6] = [
        (b"nf_conntrack: table full, dropping packet", TableFull::Conntrack),
        (b"nf_conntrack: nf_conntrack: table full, dropping packet", TableFull::Conntrack),
        (b"TCP: out of memory -- consider tuning tcp_mem", TableFull::TcpMemory),
        (b"TCP: too many orphaned sockets", TableFull::TcpOrphans),
        (b"neighbour: arp_cache: neighbor table overflow!", TableFull::Neighbours),
        (b"neighbour: ndisc_cache: neighbor table overflow!", TableFull::Neighbours),
    ];
    if let Some((_, table)) = TABLES.iter().find(|(line, _)| text.starts_with(line)) {
        return Some(Meaning::TableFull(*table));
    }
    if let Some(rest) = text.strip_prefix(b"VFS: file-max limit ") {
        return (leading(rest)?.1 == b" reached").then_some(Meaning::TableFull(TableFull::Files));
    }
    if let Some(path) = text.strip_prefix(b"cgroup: fork rejected by pids controller in ") {
        return path.starts_with(b"/").then_some(Meaning::ForkRefused { group: HexText::new(path) });
    }
    // `NETDEV WATCHDOG: eth0 (e1000e): transmit queue 0 timed out`; the driver is behind its own name since 6.5.
    let (interface, rest) = name_before(text.strip_prefix(b"NETDEV WATCHDOG: ")?, b" (")?;
    let (_, rest) = split_text(rest, b"): ")?;
    rest.starts_with(b"transmit queue ").then_some(Meaning::TransmitTimeout { interface })
}

/// Messages that begin with the names of driver, bus address and interface: `e1000e 0000:00:1f.6 eno1: NIC Link is
/// Down`. Drivers of virtual machines (virtio) say nothing.
pub(super) fn of_interface(text: &[u8]) -> Option<Meaning<'_>> {
    // Most lines hold neither.
    find_text(text, b"ink ").or_else(|| find_text(text, b" timed out"))?;
    bond(text).or_else(|| mlx4(text)).or_else(|| old_intel(text)).or_else(|| netdev(text))
}

/// `DRIVER ADDRESS INTERFACE: MESSAGE`. The address has colons, but none at its end: what a USB device says of itself
/// follows `usb 1-1: Product: `.
fn netdev(text: &[u8]) -> Option<Meaning<'_>> {
    let mut blanks = text.iter().enumerate().filter(|(_, byte)| **byte == b' ').map(|(at, _)| at);
    let (first, second) = (blanks.next()?, blanks.next()?);
    let (driver, address) = (&text[..first], &text[first + 1..second]);
    let (interface, message) = name_before(&text[second + 1..], b": ")?;
    if !is_name(driver) || driver.contains(&b':') || !is_name(address) || address.ends_with(b":") {
        return None;
    }
    // igb says `igb: eno1 NIC Link is Up …` there.
    let message =
        message.strip_prefix(driver).and_then(|rest| rest.strip_prefix(b": ")).map_or(message, |rest| {
            rest.strip_prefix(interface.written()).and_then(|rest| rest.strip_prefix(b" ")).unwrap_or(rest)
        });
    if message.starts_with(b"NETDEV WATCHDOG: ") {
        split_text(message, b" timed out")?;
        return Some(Meaning::TransmitTimeout { interface });
    }
    Some(Meaning::Link { interface, up: carrier(message)? })
}

/// `NIC Link is Up 1000 Mbps Full Duplex`, `Link is up at 1000 Mbps, full duplex`, `Link is Down`, and, alone on
/// its line because a process could be named so, `Link up`.
fn carrier(message: &[u8]) -> Option<bool> {
    match message {
        b"Link up" | b"Link Up" | b"link up" => return Some(true),
        b"Link down" | b"Link Down" | b"link down" => return Some(false),
        _ => {}
    }
    let rest = message.strip_prefix(b"NIC ").unwrap_or(message).strip_prefix(b"Link is ")?;
    let word = &rest[..rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len())];
    match word {
        b"Up" | b"up" => Some(true),
        b"Down" | b"down" => Some(false),
        _ => None,
    }
}

/// `bond0: (slave eth0): link status definitely down, disabling slave`, since 5.1; `bond0: link status definitely down
/// for interface eth0, disabling it` before.
fn bond(text: &[u8]) -> Option<Meaning<'_>> {
    let (_, rest) = name_before(text, b": ")?;
    let of_state = |rest: &[u8]| match rest {
        [b'd', b'o', b'w', b'n', ..] => Some(false),
        [b'u', b'p', ..] => Some(true),
        _ => None,
    };
    if let Some(rest) = rest.strip_prefix(b"(slave ") {
        let (interface, rest) = name_before(rest, b"): link status definitely ")?;
        return Some(Meaning::Link { interface, up: of_state(rest)? });
    }
    let rest = rest.strip_prefix(b"link status definitely ")?;
    let (interface, _) = name_before(split_text(rest, b" for interface ")?.1, b",")?;
    Some(Meaning::Link { interface, up: of_state(rest)? })
}

/// `mlx4_en: eth0: Link Up`.
fn mlx4(text: &[u8]) -> Option<Meaning<'_>> {
    let (interface, message) = name_before(text.strip_prefix(b"mlx4_en: ")?, b": ")?;
    Some(Meaning::Link { interface, up: carrier(message)? })
}

/// `e1000e: eth0 NIC Link is Up 1000 Mbps Full Duplex`, `igb: eth0 NIC Link is Down`, of older drivers.
fn old_intel(text: &[u8]) -> Option<Meaning<'_>> {
    const DRIVERS: [&[u8]; 4] = [b"e1000e: ", b"e1000: ", b"igb: ", b"ixgbe: "];
    let rest = after_any(text, &DRIVERS)?;
    let (interface, message) = name_before(rest, b" ")?;
    Some(Meaning::Link { interface, up: carrier(message)? })
}

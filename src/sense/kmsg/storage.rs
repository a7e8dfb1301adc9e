//! Block devices, NVMe and ATA (`block/blk-core.c`, `drivers/nvme/host/pci.c`, `drivers/ata/libata-*.c`).

use super::meaning::Meaning;
use super::text::{after_any, is_name, leading, leading_u32, name_before};
use crate::sense::HexText;
use crate::sense::scan::{find_text, split_text};

/// What a device answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IoErrorKind {
    /// Nothing more is known.
    Io,
    /// The medium is bad there.
    Medium,
    /// The device refused.
    Target,
    Transport,
    Timeout,
    /// A thin pool is full.
    Space,
    /// A checksum on the way did not fit.
    Protection,
    /// Another host holds a reservation.
    Reservation,
    /// The device is off-line.
    Offline,
    /// Of the device's or the kernel's resources, zones, or something new.
    Other,
    /// Told by the page cache: what was to be written is lost, or could not be read.
    Buffer,
}

/// What befell an NVMe controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NvmeTrouble {
    /// A request took too long; the queue is none where the line does not tell it.
    Timeout { queue: Option<u32> },
    /// The controller stopped and is reset.
    Reset,
    /// A reset failed, or it is removed: gone until somebody sees to it.
    Dead,
}

/// What befell an ATA port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AtaTrouble {
    /// A command failed; the lines after it tell why.
    Exception,
    /// A fault of cable, backplane or port, not of the medium.
    BusError,
    /// The medium is bad there.
    MediaError,
    HardReset,
    /// The port did not come back from a reset.
    ResetFailed,
    LinkDown,
    LinkUp,
    /// Given up.
    Disabled,
}

pub(super) fn meaning(text: &[u8]) -> Option<Meaning<'_>> {
    match text.first()? {
        b'a' => ata(text),
        b'n' => nvme(text),
        b'B' => buffer(text),
        _ => request(text),
    }
}

/// `I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 …` since 5.16; `blk_update_request: ` before it from 5.1
/// on, `print_req_error: ` before that.
fn request(text: &[u8]) -> Option<Meaning<'_>> {
    const KINDS: [(&[u8], IoErrorKind); 15] = [
        (b"I/O", IoErrorKind::Io),
        (b"critical medium", IoErrorKind::Medium),
        (b"critical target", IoErrorKind::Target),
        (b"critical nexus", IoErrorKind::Reservation),
        (b"reservation conflict", IoErrorKind::Reservation),
        (b"critical space allocation", IoErrorKind::Space),
        (b"recoverable transport", IoErrorKind::Transport),
        (b"timeout", IoErrorKind::Timeout),
        (b"protection", IoErrorKind::Protection),
        (b"device offline", IoErrorKind::Offline),
        (b"operation not supported", IoErrorKind::Other),
        (b"kernel resource", IoErrorKind::Other),
        (b"device resource", IoErrorKind::Other),
        (b"zone active resources exceeded", IoErrorKind::Other),
        (b"zone open resources exceeded", IoErrorKind::Other),
    ];
    let rest = after_any(text, &[b"blk_update_request: ", b"print_req_error: "]).unwrap_or(text);
    let (kind, rest) = KINDS
        .iter()
        .find_map(|(name, kind)| Some((*kind, rest.strip_prefix(*name)?.strip_prefix(b" error, dev ")?)))?;
    let (device, rest) = name_before(rest, b", sector ")?;
    let (sector, rest) = leading(rest)?;
    let operation = split_text(rest, b":(")
        .and_then(|(_, rest)| split_text(rest, b")"))
        .map(|(name, _)| HexText::new(name));
    let ends = rest.is_empty() || rest.starts_with(b" ");
    ends.then_some(Meaning::IoError { device, kind, sector: Some(sector), operation })
}

/// `Buffer I/O error on dev sda1, logical block 9, lost async page write`.
fn buffer(text: &[u8]) -> Option<Meaning<'_>> {
    let rest = after_any(text, &[b"Buffer I/O error on dev ", b"Buffer I/O error on device "])?;
    let (device, _) = name_before(rest, b", logical block ")?;
    Some(Meaning::IoError { device, kind: IoErrorKind::Buffer, sector: None, operation: None })
}

/// `nvme nvme0: MESSAGE`; before the controller has its name, `nvme 0000:01:00.0: MESSAGE`.
fn nvme(text: &[u8]) -> Option<Meaning<'_>> {
    const RESETS: [&[u8]; 3] =
        [b"controller is down; will reset: ", b"resetting controller", b"reset controller"];
    const DEATHS: [&[u8]; 5] = [
        b"Removing after probe failure status: ",
        b"Disabling device after reset failure: ",
        b"Device not ready; aborting ",
        b"Device shutdown incomplete; abort shutdown",
        b"failed to mark controller live state",
    ];
    let (device, rest) = name_before(text.strip_prefix(b"nvme ")?, b": ")?;
    let trouble = if rest.starts_with(b"I/O ") {
        let at = find_text(rest, b" timeout, ")?;
        let queue =
            split_text(&rest[..at], b" QID ").and_then(|(_, rest)| leading_u32(rest)).map(|(queue, _)| queue);
        NvmeTrouble::Timeout { queue }
    } else if after_any(rest, &RESETS).is_some() {
        NvmeTrouble::Reset
    } else {
        after_any(rest, &DEATHS)?;
        NvmeTrouble::Dead
    };
    Some(Meaning::Nvme { device, trouble })
}

/// `ata1: MESSAGE` for a port, `ata1.00: MESSAGE` for a device on it.
fn ata(text: &[u8]) -> Option<Meaning<'_>> {
    const STARTS: [(&[u8], AtaTrouble); 10] = [
        (b"exception Emask ", AtaTrouble::Exception),
        (b"hard resetting link", AtaTrouble::HardReset),
        (b"hard resetting port", AtaTrouble::HardReset),
        (b"SATA link down ", AtaTrouble::LinkDown),
        (b"SATA link up ", AtaTrouble::LinkUp),
        (b"COMRESET failed ", AtaTrouble::ResetFailed),
        (b"softreset failed ", AtaTrouble::ResetFailed),
        (b"reset failed, giving up", AtaTrouble::Disabled),
        (b"disabled", AtaTrouble::Disabled),
        (b"disable device", AtaTrouble::Disabled),
    ];
    let (port, rest) = name_before(text, b": ")?;
    let digits = port.written().strip_prefix(b"ata")?;
    let numbered = is_name(digits) && digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let trouble = STARTS.iter().find(|(start, _)| rest.starts_with(start)).map(|(_, trouble)| *trouble);
    // `cmd 60/…\x0a         res 40/… Emask 0x10 (ATA bus error)`.
    let result = || {
        rest.strip_prefix(b"cmd ")?;
        let (_, result) = split_text(rest, b" res ")?;
        let bus = find_text(result, b" (ATA bus error)").map(|_| AtaTrouble::BusError);
        bus.or_else(|| find_text(result, b" (media error)").map(|_| AtaTrouble::MediaError))
    };
    numbered.then_some(Meaning::Ata { port, trouble: trouble.or_else(result)? })
}

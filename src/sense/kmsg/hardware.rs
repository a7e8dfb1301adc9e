//! Machine checks, memory and heat (`arch/x86/kernel/cpu/mce`, `drivers/edac`, `mm/memory-failure.c`,
//! `drivers/thermal`).

use super::meaning::Meaning;
use super::text::{after_any, leading, leading_u32, name_before};
use crate::sense::scan::{find, hex, split_text};

/// What a machine check told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MachineCheck {
    /// Corrected, or not worth more than a note.
    Logged,
    /// With the bank that told.
    Bank { bank: u32 },
    /// Not corrected.
    Uncorrected,
    /// By the firmware (APEI), whose next lines say of what severity.
    Firmware,
}

/// Where the heat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sensor {
    Core,
    Package,
}

pub(super) fn meaning(text: &[u8]) -> Option<Meaning<'_>> {
    match text.first()? {
        b'm' => {
            let rest = text.strip_prefix(b"mce: ")?;
            machine_check(rest).or_else(|| heat(rest))
        }
        b'[' => machine_check(text),
        b'{' => firmware(text),
        b'C' => heat(text),
        b'E' => edac(text),
        b'M' => failure(text),
        b't' => critical(text),
        _ => None,
    }
}

/// `[Hardware Error]: Machine check events logged`, `[Hardware Error]: CPU 2: Machine Check[ Exception]: 5 Bank 4: …`,
/// `Uncorrected hardware memory error in user-access at …`.
fn machine_check(text: &[u8]) -> Option<Meaning<'_>> {
    if text.starts_with(b"Uncorrected hardware memory error ") {
        return Some(Meaning::MachineCheck { cpu: None, what: MachineCheck::Uncorrected });
    }
    let rest = text.strip_prefix(b"[Hardware Error]: ")?;
    if rest.starts_with(b"Machine check events logged") {
        return Some(Meaning::MachineCheck { cpu: None, what: MachineCheck::Logged });
    }
    let (cpu, rest) = leading_u32(rest.strip_prefix(b"CPU ")?)?;
    let rest = after_any(rest, &[b": Machine Check: ", b": Machine Check Exception: "])?;
    let (bank, _) = leading_u32(split_text(rest, b" Bank ")?.1)?;
    Some(Meaning::MachineCheck { cpu: Some(cpu), what: MachineCheck::Bank { bank } })
}

/// `{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0`.
fn firmware(text: &[u8]) -> Option<Meaning<'_>> {
    let (_, rest) = leading(text.strip_prefix(b"{")?)?;
    rest.strip_prefix(b"}[Hardware Error]: Hardware error from APEI ")?;
    Some(Meaning::MachineCheck { cpu: None, what: MachineCheck::Firmware })
}

/// `EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0 (…)`.
fn edac(text: &[u8]) -> Option<Meaning<'_>> {
    let (controller, rest) = leading_u32(text.strip_prefix(b"EDAC MC")?)?;
    let (count, rest) = leading(rest.strip_prefix(b": ")?)?;
    let corrected = match rest.get(..4)? {
        b" CE " => true,
        b" UE " => false,
        _ => return None,
    };
    Some(Meaning::MemoryErrors { controller, count, corrected })
}

/// `Memory failure: 0x1fc00: recovery action for dirty LRU page: Recovered`; other lines on the same page are passed
/// over.
fn failure(text: &[u8]) -> Option<Meaning<'_>> {
    let rest = text.strip_prefix(b"Memory failure: 0x")?;
    let colon = find(rest, b':')?;
    rest[colon..].strip_prefix(b": recovery action for ")?;
    Some(Meaning::MemoryFailure { frame: hex(&rest[..colon])? })
}

/// `CPU0: Core temperature above threshold, cpu clock throttled (total events = 1)`, `CPU0: Package temperature/speed
/// normal`; since 4.19 behind `mce: `.
fn heat(text: &[u8]) -> Option<Meaning<'_>> {
    let (cpu, rest) = leading_u32(text.strip_prefix(b"CPU")?)?;
    let rest = rest.strip_prefix(b": ")?;
    let (sensor, rest) = match rest.strip_prefix(b"Core ") {
        Some(rest) => (Sensor::Core, rest),
        None => (Sensor::Package, rest.strip_prefix(b"Package ")?),
    };
    let hot = rest.starts_with(b"temperature above threshold");
    (hot || rest.starts_with(b"temperature/speed normal")).then_some(Meaning::Thermal { cpu, sensor, hot })
}

/// `thermal thermal_zone0: [acpitz: ]critical temperature reached[ (105 C)], shutting down`.
fn critical(text: &[u8]) -> Option<Meaning<'_>> {
    let (zone, rest) = name_before(text.strip_prefix(b"thermal ")?, b": ")?;
    split_text(rest, b"critical temperature reached").map(|_| Meaning::ThermalCritical { zone })
}

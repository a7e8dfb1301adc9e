//! `/proc/stat`: what the processors did since boot (proc_stat(5), `Documentation/filesystems/proc.rst`).

use crate::model::Ticks;
use crate::sense::Malformed;
use crate::sense::scan::{Fields, Line, fields, lines};

const WHAT: &str = "stat";

/// Time of one processor, or of all together.
///
/// `idle` and `iowait` may step back by a few ticks, and a processor that went off-line and came again may start
/// over: a difference that is negative is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTimes {
    /// Guests included.
    pub user: Ticks,
    /// Guests of low priority included.
    pub nice: Ticks,
    pub system: Ticks,
    pub idle: Ticks,
    pub iowait: Ticks,
    pub irq: Ticks,
    pub softirq: Ticks,
    /// Taken by the hypervisor (2.6.11).
    pub steal: Option<Ticks>,
    /// Part of `user` (2.6.24).
    pub guest: Option<Ticks>,
    /// Part of `nice` (2.6.33).
    pub guest_nice: Option<Ticks>,
}

/// One processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuRow {
    pub cpu: u32,
    pub times: CpuTimes,
}

/// The file without its rows of single processors and its counts of interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostStat {
    /// All processors, those off-line included.
    pub total: CpuTimes,
    pub context_switches: u64,
    /// Seconds since 1970 by the clock as it is set now: it moves when the clock is stepped.
    pub boot_time: u64,
    /// Processes and threads made since boot.
    pub forks: u64,
    /// Runnable now.
    pub running: u64,
    /// Waiting for a disk now.
    pub blocked: u64,
}

impl HostStat {
    /// From the whole file.
    ///
    /// # Errors
    /// When one of the lines is missing or not understood, or the last one does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (mut total, mut switches, mut boot_time) = (None, None, None);
        let (mut forks, mut running, mut blocked) = (None, None, None);
        for line in lines(WHAT, bytes) {
            let line = line?;
            // Rows of processors and interrupts are most of the file.
            if matches!(line.text, [b'c', b'p', b'u', b'0'..=b'9', ..] | [b'i' | b's', ..]) {
                continue;
            }
            let mut fields = fields(line.text);
            let place = match fields.next() {
                Some(b"cpu") => {
                    total = Some(times(fields).ok_or_else(|| malformed(line))?);
                    continue;
                }
                Some(b"ctxt") => &mut switches,
                Some(b"btime") => &mut boot_time,
                Some(b"processes") => &mut forks,
                Some(b"procs_running") => &mut running,
                Some(b"procs_blocked") => &mut blocked,
                Some(_) | None => continue,
            };
            *place = Some(fields.number().ok_or_else(|| malformed(line))?);
        }
        let lacks = |field| Malformed::Lacks { what: WHAT, field };
        Ok(Self {
            total: total.ok_or(lacks("cpu"))?,
            context_switches: switches.ok_or(lacks("ctxt"))?,
            boot_time: boot_time.ok_or(lacks("btime"))?,
            forks: forks.ok_or(lacks("processes"))?,
            running: running.ok_or(lacks("procs_running"))?,
            blocked: blocked.ok_or(lacks("procs_blocked"))?,
        })
    }
}

/// Which processors are on line, as far as telling two readings apart needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnlineCpus {
    pub count: u32,
    /// Changes with the set of their numbers.
    mark: u64,
}

/// The processors that are on-line, without their times.
///
/// # Errors
/// When one of their rows has no number or does not end.
pub fn online_cpus(bytes: &[u8]) -> Result<OnlineCpus, Malformed> {
    let mut found = OnlineCpus::default();
    for line in lines(WHAT, bytes) {
        let line = line?;
        let Some(rest) = line.text.strip_prefix(b"cpu") else { break };
        if rest.first().is_some_and(u8::is_ascii_digit) {
            let number = fields(rest).number().ok_or_else(|| malformed(line))?;
            found.count = found.count.saturating_add(1);
            found.mark = found.mark.wrapping_mul(MARK_STEP).wrapping_add(number).wrapping_add(1);
        }
    }
    Ok(found)
}

/// Odd, so that no number is lost in the mark.
const MARK_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The processors that are on-line, by number: one that is missing is off-line.
pub fn cpus(bytes: &[u8]) -> impl Iterator<Item = Result<CpuRow, Malformed>> {
    lines(WHAT, bytes).take_while(|line| line.is_ok_and(is_cpu)).filter_map(|line| {
        let line = line.ok()?;
        let digits = fields(line.text).next()?.strip_prefix(b"cpu")?;
        if digits.is_empty() {
            return None;
        }
        let row = || {
            let mut fields = fields(line.text.strip_prefix(b"cpu")?);
            let cpu = u32::try_from(fields.number()?).ok()?;
            Some(CpuRow { cpu, times: times(fields)? })
        };
        Some(row().ok_or_else(|| malformed(line)))
    })
}

fn is_cpu(line: Line<'_>) -> bool {
    line.text.starts_with(b"cpu")
}

const fn malformed(line: Line<'_>) -> Malformed {
    Malformed::Line { what: WHAT, line: line.number }
}

fn times(mut fields: Fields<'_>) -> Option<CpuTimes> {
    Some(CpuTimes {
        user: fields.amount()?,
        nice: fields.amount()?,
        system: fields.amount()?,
        idle: fields.amount()?,
        iowait: fields.amount()?,
        irq: fields.amount()?,
        softirq: fields.amount()?,
        steal: fields.later()?,
        guest: fields.later()?,
        guest_nice: fields.later()?,
    })
}

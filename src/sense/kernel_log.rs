//! The kernel's log as it is written: records of `/dev/kmsg` to [`KernelEvent`]s.
//!
//! Owns the descriptor and the joining of messages that come in floods. What a message means is [`super::kmsg`]'s.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::model::{
    BootTime, KERNEL_LINE_BYTES_MAX, KernelEvent, KernelLogUpdate, KernelSubject, KernelTrouble, Micros,
};

use super::HexText;
use super::kmsg::{Meaning, OomScope, Record};
use super::watch::watch;

/// Longest record: the kernel's own bound is 8 KiB with everything escaped (`CONSOLE_EXT_LOG_MAX`).
const RECORD_MAX: usize = 16 * 1024;
/// A failing disk writes thousands of lines: what comes within this is told together.
const FLOOD: Duration = Duration::from_millis(200);
/// Records read before what they say is told; the rest waits in the kernel's ring.
const RECORDS_AT_ONCE: usize = 4096;
/// Different things told at once; beyond them only the count of what was lost goes up.
const EVENTS_AT_ONCE: usize = 256;

/// Reads the log, from its oldest record on or from where another reader broke off.
#[derive(Debug)]
pub struct KernelLog {
    device: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
    next_sequence: Option<u64>,
}

impl KernelLog {
    /// Needs a tokio runtime with its I/O driver, and `CAP_SYSLOG` where `dmesg_restrict` is set.
    ///
    /// # Errors
    /// When it may not be read, or is not the kernel's log: containers have other things in its place.
    pub fn open(path: &Path, next_sequence: Option<u64>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let device = rustix::fs::open(path, flags, Mode::empty())?;
        let kind = rustix::fs::fstat(&device)?;
        let number = (rustix::fs::major(kind.st_rdev), rustix::fs::minor(kind.st_rdev));
        // Documentation/admin-guide/devices.txt.
        if rustix::fs::FileType::from_raw_mode(kind.st_mode) != rustix::fs::FileType::CharacterDevice
            || number != (1, 11)
        {
            return Err(io::Error::other(format!("{} is not the kernel's log", path.display())));
        }
        Self::of(device, next_sequence)
    }

    /// The number of the first record that was not read, for the next reader: nothing is told twice.
    #[must_use]
    pub const fn next_sequence(&self) -> Option<u64> {
        self.next_sequence
    }

    fn of(device: OwnedFd, next_sequence: Option<u64>) -> io::Result<Self> {
        Ok(Self { device: watch(device, Interest::READABLE)?, buffer: vec![0; RECORD_MAX], next_sequence })
    }

    /// Waits for messages and tells what they mean; what means nothing to the agent wakes nobody else.
    pub async fn read(&mut self) -> KernelLogUpdate {
        let mut batch = Batch::default();
        loop {
            if let Err(error) = self.drain(&mut batch).await {
                return KernelLogUpdate::Unreadable { why: error.to_string() };
            }
            if batch.has_news() {
                tokio::time::sleep(FLOOD).await;
                return batch.told();
            }
        }
    }

    /// Waits for records, and takes what is there.
    async fn drain(&mut self, batch: &mut Batch) -> io::Result<()> {
        let mut ready = self.device.readable().await?;
        let suspended = suspended();
        for _ in 0..RECORDS_AT_ONCE {
            match rustix::io::read(self.device.get_ref(), &mut self.buffer[..]) {
                Ok(0) | Err(Errno::AGAIN) => {
                    ready.clear_ready();
                    break;
                }
                Ok(length) => match Record::parse(&self.buffer[..length]) {
                    Ok(record) if self.next_sequence.is_some_and(|next| record.sequence < next) => {}
                    Ok(record) => {
                        let expected = self.next_sequence.replace(record.sequence.saturating_add(1));
                        batch.lost += expected.map_or(0, |expected| record.sequence.saturating_sub(expected));
                        event_of(&record, suspended).into_iter().for_each(|event| batch.add(event));
                    }
                    Err(_malformed) => batch.lost += 1,
                },
                // The ring has gone over the reader; the next read is of the oldest record that there still is.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// Events that wait to be told.
#[derive(Debug, Default)]
struct Batch {
    events: BTreeMap<(KernelTrouble, KernelSubject), KernelEvent>,
    lost: u64,
}

impl Batch {
    fn add(&mut self, event: KernelEvent) {
        let key = (event.trouble, event.about.clone());
        if let Some(known) = self.events.get_mut(&key) {
            known.count = known.count.saturating_add(event.count);
            known.at = event.at;
            known.line = event.line;
        } else if self.events.len() < EVENTS_AT_ONCE {
            self.events.insert(key, event);
        } else {
            self.lost += 1;
        }
    }

    fn has_news(&self) -> bool {
        !self.events.is_empty()
    }

    fn told(self) -> KernelLogUpdate {
        let mut events: Vec<KernelEvent> = self.events.into_values().collect();
        events.sort_by_key(|event| event.at);
        KernelLogUpdate::Told { events, lost: self.lost }
    }
}

/// How long the host has slept since boot: the log's clock stands still then, [`BootTime`] does not.
fn suspended() -> Duration {
    let time = |clock| {
        let spec = clock_gettime(clock);
        Duration::new(u64::try_from(spec.tv_sec).unwrap_or(0), u32::try_from(spec.tv_nsec).unwrap_or(0))
    };
    time(ClockId::Boottime).saturating_sub(time(ClockId::Monotonic))
}

/// What a record means, for those that mean something.
fn event_of(record: &Record<'_>, suspended: Duration) -> Option<KernelEvent> {
    let meaning = Meaning::of(record)?;
    let (trouble, about) = trouble_of(&meaning)?;
    let count = if let Meaning::MemoryErrors { count, .. } = meaning {
        u32::try_from(count).unwrap_or(u32::MAX)
    } else {
        1
    };
    let Micros(at) = record.at;
    let at = Duration::from_micros(at).saturating_add(suspended);
    let line = String::from_utf8_lossy(record.text.written());
    let mut end = line.len().min(KERNEL_LINE_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let at = BootTime::from_millis(i64::try_from(at.as_millis()).unwrap_or(i64::MAX));
    Some(KernelEvent { at, trouble, about, count, line: line[..end].to_owned() })
}

/// `None` for what is the second line of a story, or good news.
fn trouble_of(meaning: &Meaning<'_>) -> Option<(KernelTrouble, KernelSubject)> {
    let text = |name: &HexText<'_>| String::from_utf8_lossy(name.written()).into_owned();
    let device = |name: &HexText<'_>| KernelSubject::Device(text(name));
    let interface = |name: &HexText<'_>| KernelSubject::Interface(text(name));
    let process = |pid: i32, comm: &HexText<'_>| KernelSubject::Process { pid, comm: text(comm) };
    Some(match meaning {
        Meaning::OomKill { pid, comm, scope, .. } => {
            let trouble = match scope {
                OomScope::Host | OomScope::Untold => KernelTrouble::OomKill,
                OomScope::Group => KernelTrouble::GroupOomKill,
            };
            (trouble, process(*pid, comm))
        }
        Meaning::OomContext { .. } | Meaning::OomLimit { .. } | Meaning::OomGroup { .. } => return None,
        Meaning::OomNobody => (KernelTrouble::OomKill, KernelSubject::Host),
        Meaning::HungTask { pid, comm, .. } => (KernelTrouble::HungTask, process(*pid, comm)),
        Meaning::SoftLockup { pid, comm, .. } => (KernelTrouble::Lockup, process(*pid, comm)),
        Meaning::HardLockup { .. } | Meaning::RcuStall | Meaning::WorkqueueLockup { .. } => {
            (KernelTrouble::Lockup, KernelSubject::Host)
        }
        Meaning::IoError { device: name, .. } => (KernelTrouble::StorageError, device(name)),
        Meaning::Nvme { device: name, .. } => (KernelTrouble::StorageError, device(name)),
        Meaning::Ata { trouble: super::kmsg::AtaTrouble::LinkUp, .. } => return None,
        Meaning::Ata { port, .. } => (KernelTrouble::StorageError, device(port)),
        Meaning::Filesystem { device: name, .. } => (KernelTrouble::FilesystemError, device(name)),
        Meaning::MachineCheck { .. } => (KernelTrouble::HardwareError, KernelSubject::Host),
        Meaning::MemoryErrors { corrected: true, .. } => {
            (KernelTrouble::CorrectedMemoryError, KernelSubject::Host)
        }
        Meaning::MemoryErrors { corrected: false, .. } | Meaning::MemoryFailure { .. } => {
            (KernelTrouble::HardwareError, KernelSubject::Host)
        }
        Meaning::Link { up: true, .. } => return None,
        Meaning::Link { interface: name, up: false } | Meaning::TransmitTimeout { interface: name } => {
            (KernelTrouble::LinkTrouble, interface(name))
        }
        Meaning::TableFull(_) => (KernelTrouble::TableFull, KernelSubject::Host),
        Meaning::ForkRefused { group } => (KernelTrouble::ForkRefused, KernelSubject::Group(text(group))),
        Meaning::Segfault { pid, comm } => (KernelTrouble::Segfault, process(*pid, comm)),
        Meaning::Thermal { hot: false, .. } => return None,
        Meaning::Thermal { hot: true, .. } | Meaning::ThermalCritical { .. } => {
            (KernelTrouble::Overheated, KernelSubject::Host)
        }
        Meaning::Kernel(super::kmsg::KernelFault::Warning) => return None,
        Meaning::Kernel(_) => (KernelTrouble::KernelFault, KernelSubject::Host),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    /// A log into which records can be written: like the device, this gives one record for each read.
    fn log() -> (OwnedFd, KernelLog) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (kernel, reader) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        (kernel, KernelLog::of(reader, None).unwrap())
    }

    fn write(kernel: &OwnedFd, priority: u32, sequence: u64, text: &str) {
        let record = format!("{priority},{sequence},5000000,-;{text}\n");
        rustix::io::write(kernel, record.as_bytes()).unwrap();
    }

    #[tokio::test]
    async fn a_flood_is_told_as_one_and_gaps_are_counted() {
        let (kernel, mut log) = log();
        write(&kernel, 6, 10, "random: crng init done");
        for sequence in 11..31 {
            write(
                &kernel,
                3,
                sequence,
                "I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            );
        }
        write(&kernel, 3, 40, "INFO: task kworker/0:1:17 blocked for more than 122 seconds.");
        let KernelLogUpdate::Told { events, lost } = log.read().await else { panic!("it can be read") };
        let told: Vec<_> = events.iter().map(|it| (it.trouble, it.about.clone(), it.count)).collect();
        let process = KernelSubject::Process { pid: 17, comm: "kworker/0:1".into() };
        let disk = (KernelTrouble::StorageError, KernelSubject::Device("sda".into()), 20);
        assert_eq!((told, lost), (vec![(KernelTrouble::HungTask, process, 1), disk], 9));
        assert!(events.iter().all(|it| it.at >= BootTime::from_millis(5000)));
    }

    #[tokio::test]
    async fn the_next_reader_tells_nothing_again() {
        let (kernel, mut log) = log();
        log.next_sequence = Some(2);
        for sequence in 1..4 {
            write(
                &kernel,
                3,
                sequence,
                "I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            );
        }
        let KernelLogUpdate::Told { events, lost } = log.read().await else { panic!("it can be read") };
        assert_eq!((events[0].count, lost, log.next_sequence()), (2, 0, Some(4)));
    }

    #[tokio::test]
    async fn what_a_program_writes_is_not_the_kernel() {
        let (kernel, mut log) = log();
        // Facility 1: a user of /dev/kmsg.
        write(
            &kernel,
            11,
            1,
            "I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
        );
        write(
            &kernel,
            3,
            2,
            "EXT4-fs error (device vda1): ext4_find_entry:1455: inode #2: comm ls: reading directory",
        );
        let KernelLogUpdate::Told { events, .. } = log.read().await else { panic!("it can be read") };
        let told: Vec<_> = events.iter().map(|it| it.trouble).collect();
        assert_eq!(told, [KernelTrouble::FilesystemError]);
    }

    #[tokio::test]
    async fn other_things_in_its_place_are_refused() {
        assert!(KernelLog::open(Path::new("/dev/null"), None).is_err());
        assert!(KernelLog::open(Path::new("/nonexistent"), None).is_err());
    }
}

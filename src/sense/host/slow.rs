//! What hardly moves, read seldom: limits, the clock's state, sensors, inventory; and what is read when a sample is
//! told because its file itself holds no history that a pass could miss.

use std::time::Duration;

use rustix::io::Errno;

use crate::model::{Absence, Bytes, ClockState, Inventory, MemoryErrors, Reading, SocketCounts, SwapTraffic};
use crate::sense::procfs::{Sockets, VmStat, count_list, parse_meminfo, single};

use super::Roots;
use super::clock_state;
use super::disks::Disks;
use super::kept::{Kept, Scratch, Trouble};
use super::rates::{PassTime, counted};
use super::sensors::Sensors;

/// Limits are set by people, a temperature takes minutes to rise, and a clock drifts by microseconds a second.
const READ_EVERY: Duration = Duration::from_secs(30);
/// Sensors come with drivers, disks with people who plug them in.
const FIND_EVERY: Duration = Duration::from_secs(600);

/// What is told of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) swap: Reading<SwapTraffic>,
    pub(super) sockets: Reading<SocketCounts>,
    pub(super) pids_most: Reading<u64>,
    pub(super) conntrack_most: Reading<u64>,
    pub(super) clock: Reading<ClockState>,
    pub(super) temperature: Reading<f64>,
    pub(super) memory_errors: Reading<MemoryErrors>,
    pub(super) inventory: Reading<Inventory>,
}

type Limit = Result<u64, Trouble>;

/// The slow files.
#[derive(Debug)]
pub(super) struct Slow {
    roots: Roots,
    read_at: Option<Duration>,
    found_at: Option<Duration>,
    /// Sensors and disks are to be looked for again.
    find: bool,
    pid_max: (Kept, Limit),
    threads_max: (Kept, Limit),
    conntrack_max: (Kept, Limit),
    clock: Result<ClockState, Errno>,
    sensors: Sensors,
    temperature: Reading<f64>,
    memory_errors: Reading<MemoryErrors>,
    sockets: Kept,
    memory_events: Kept,
    /// Pages swapped in and out when the last sample was told.
    swapped: Option<(u64, u64)>,
    inventory: Option<Inventory>,
}

impl Slow {
    pub(super) fn new(roots: &Roots) -> Self {
        let proc = |path: &str| Kept::new(roots.proc.join(path));
        let limit = |path: &str| (proc(path), Err(Trouble::Missing));
        Self {
            roots: roots.clone(),
            read_at: None,
            found_at: None,
            find: false,
            pid_max: limit("sys/kernel/pid_max"),
            threads_max: limit("sys/kernel/threads-max"),
            conntrack_max: limit("sys/net/netfilter/nf_conntrack_max"),
            clock: Err(Errno::AGAIN),
            sensors: Sensors::default(),
            temperature: Reading::Absent(Absence::NotObserved),
            memory_errors: Reading::Absent(Absence::NotObserved),
            sockets: proc("net/sockstat"),
            memory_events: proc("vmstat"),
            swapped: None,
            inventory: None,
        }
    }

    /// Reads what is due.
    pub(super) fn pass(&mut self, scratch: &mut Scratch, now: PassTime) {
        let due = |at: Option<Duration>, every| at.is_none_or(|at| now.boot.saturating_sub(at) >= every);
        if !due(self.read_at, READ_EVERY) {
            return;
        }
        self.read_at = Some(now.boot);
        if due(self.found_at, FIND_EVERY) {
            self.found_at = Some(now.boot);
            self.find = true;
            self.sensors = Sensors::find(&self.roots.sys);
        }
        for (file, limit) in [&mut self.pid_max, &mut self.threads_max, &mut self.conntrack_max] {
            *limit = file.take(scratch, single);
        }
        self.clock = clock_state::read();
        self.temperature = self.sensors.temperature(scratch);
        self.memory_errors = self.sensors.memory_errors(scratch);
    }

    /// The lower of the two limits of processes and threads.
    pub(super) fn pids_most(&self) -> Option<u64> {
        self.pid_max.1.ok().into_iter().chain(self.threads_max.1.ok()).min()
    }

    pub(super) fn conntrack_most(&self) -> Option<u64> {
        self.conntrack_max.1.ok()
    }

    /// What is known, and what is read for it. `over` is the time since the last telling.
    pub(super) fn tell(
        &mut self,
        scratch: &mut Scratch,
        over: Duration,
        swap_in_use: bool,
        disks: &Disks,
    ) -> Told {
        let limit = |(file, limit): &(Kept, Limit)| match limit {
            Ok(most) => Reading::Value(*most),
            Err(trouble) => trouble.told(file.path()),
        };
        if self.find || self.inventory.is_none() {
            self.find = false;
            self.inventory = Some(self.take_inventory(scratch, disks));
        }
        Told {
            swap: self.tell_swap(scratch, over, swap_in_use),
            sockets: self.tell_sockets(scratch),
            pids_most: match self.pids_most() {
                Some(most) => Reading::Value(most),
                None => limit(&self.pid_max),
            },
            conntrack_most: limit(&self.conntrack_max),
            clock: match self.clock {
                Ok(clock) => Reading::Value(clock),
                Err(errno) => Reading::Failed(format!("adjtimex: {errno}")),
            },
            temperature: self.temperature.clone(),
            memory_errors: self.memory_errors.clone(),
            inventory: self.inventory.clone().map_or(Reading::Absent(Absence::NotObserved), Reading::Value),
        }
    }

    /// `vmstat` costs the kernel ten times what any other file here does: it is read only where swap is in use. The
    /// first pages that go out are missed by that, and show in the swap that is free.
    fn tell_swap(&mut self, scratch: &mut Scratch, over: Duration, in_use: bool) -> Reading<SwapTraffic> {
        if !in_use {
            self.swapped = None;
            return Reading::Absent(Absence::NotApplicable);
        }
        let now = match self.memory_events.take(scratch, VmStat::parse) {
            Err(trouble) => {
                self.swapped = None;
                return trouble.told(self.memory_events.path());
            }
            Ok(VmStat { swapped_in: Some(pages_in), swapped_out: Some(pages_out), .. }) => {
                (pages_in.0, pages_out.0)
            }
            Ok(_) => return Reading::Absent(Absence::Unsupported),
        };
        let Some(before) = self.swapped.replace(now).filter(|_| !over.is_zero()) else {
            return Reading::Absent(Absence::TooEarly);
        };
        #[expect(clippy::cast_precision_loss, reason = "pages are a power of two of some thousand bytes")]
        let page = rustix::param::page_size() as f64;
        let seconds = over.as_secs_f64();
        let rate = |before, now| counted(before, now, seconds).map(|part| part.amount * page / part.weight);
        match (rate(before.0, now.0), rate(before.1, now.1)) {
            (Ok(read), Ok(written)) => Reading::Value(SwapTraffic { read, written }),
            (Err(why), _) | (_, Err(why)) => Reading::Absent(Absence::Interrupted(why)),
        }
    }

    fn tell_sockets(&mut self, scratch: &mut Scratch) -> Reading<SocketCounts> {
        match self.sockets.take(scratch, Sockets::parse) {
            Err(trouble) => trouble.told(self.sockets.path()),
            Ok(it) => Reading::Value(SocketCounts {
                used: it.used,
                tcp: it.tcp_in_use,
                tcp_time_wait: it.tcp_time_wait,
                tcp_orphans: it.tcp_orphans,
                udp: it.udp_in_use,
            }),
        }
    }

    fn take_inventory(&self, scratch: &mut Scratch, disks: &Disks) -> Inventory {
        let mut online = Kept::new(self.roots.sys.join("devices/system/cpu/online"));
        let mut memory = Kept::new(self.roots.proc.join("meminfo"));
        let total: Reading<Bytes> = memory.read(scratch, parse_meminfo).map(|memory| memory.total);
        super::inventory::read(
            &self.roots,
            self.inventory.as_ref(),
            online.read(scratch, count_list),
            total,
            disks.names(),
        )
    }
}

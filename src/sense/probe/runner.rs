//! Keeps every probe going at its interval: jittered, one run of each at a time, a bounded number at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::run;
use crate::model::{ProbeName, ProbeResult, UnitName};
use crate::policy::Probe;

/// Probes that run at the same time: a stuck service holds its slot for its timeout, a host with hundreds of probes
/// must not open hundreds of sockets in one moment.
pub const PROBES_AT_ONCE: usize = 16;
/// Results that wait for the loop. When it lags, probes wait with their slot in hand.
const RESULTS_MAX: usize = 64;
/// Orders that wait for the runner; a `probe_now` beyond that is dropped, the next interval makes up for it.
const ORDERS_MAX: usize = 256;
/// Each gap is this share of the interval shorter or longer, so that probes of a fleet do not fall into step.
const JITTER: f64 = 0.10;
/// No probe runs more often, whatever the policy says, nor sooner after its last run: one that takes longer than its
/// interval leaves the service some air.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

#[derive(Debug)]
enum Order {
    Replace(Vec<Probe>),
    Now(UnitName),
}

/// Runs probes until it is dropped.
#[derive(Debug)]
pub struct ProbeRunner {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl ProbeRunner {
    /// Without probes yet. `seed` makes the jitter. Needs a tokio runtime.
    #[must_use]
    pub fn start(seed: u64) -> (Self, mpsc::Receiver<ProbeResult>) {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let (results, outbox) = mpsc::channel(RESULTS_MAX);
        let task = tokio::spawn(Schedule::new(seed, results).serve(inbox));
        (Self { orders, task }, outbox)
    }

    /// These probes and no others from now on. One that is unchanged keeps its rhythm; a run of one that changed
    /// or went away is given up and gives no result.
    pub async fn replace(&self, probes: Vec<Probe>) {
        // The task ends only with this value.
        let _ = self.orders.send(Order::Replace(probes)).await;
    }

    /// Runs the probes of a unit at once, or again as soon as the present run is over.
    pub fn probe_now(&self, unit: &UnitName) {
        let _ = self.orders.try_send(Order::Now(unit.clone()));
    }
}

impl Drop for ProbeRunner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Slot {
    probe: Arc<Probe>,
    due: Instant,
    running: Option<Run>,
    /// Asked for while it was running: that run may have begun before what it is to verify.
    again: bool,
}

/// Ends with its slot.
#[derive(Debug)]
struct Run {
    number: u64,
    began: Instant,
    task: JoinHandle<()>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Schedule {
    slots: BTreeMap<ProbeName, Slot>,
    results: mpsc::Sender<ProbeResult>,
    permits: Arc<Semaphore>,
    random: u64,
    runs: u64,
}

impl Schedule {
    fn new(seed: u64, results: mpsc::Sender<ProbeResult>) -> Self {
        let permits = Arc::new(Semaphore::new(PROBES_AT_ONCE));
        Self { slots: BTreeMap::new(), results, permits, random: seed, runs: 0 }
    }

    async fn serve(mut self, mut inbox: mpsc::Receiver<Order>) {
        let (done, mut finished) = mpsc::unbounded_channel::<(ProbeName, u64)>();
        loop {
            let due = self.slots.values().filter(|slot| slot.running.is_none()).map(|slot| slot.due).min();
            let wait = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Replace(probes)) => self.replace(probes),
                    Some(Order::Now(unit)) => self.now(&unit),
                    None => return,
                },
                Some((name, number)) = finished.recv() => self.finish(&name, number),
                () = wait => {}
            }
            self.begin_due(&done);
        }
    }

    fn replace(&mut self, probes: Vec<Probe>) {
        let mut old = std::mem::take(&mut self.slots);
        for probe in probes {
            let slot = match old.remove(&probe.name).filter(|slot| *slot.probe == probe) {
                Some(slot) => slot,
                None => {
                    // The first run comes somewhere in the first interval: a start does not hit all services.
                    let due = clock() + probe.interval.mul_f64(self.share());
                    Slot { probe: Arc::new(probe), due, running: None, again: false }
                }
            };
            self.slots.insert(slot.probe.name.clone(), slot);
        }
    }

    fn now(&mut self, unit: &UnitName) {
        let now = clock();
        for slot in self.slots.values_mut().filter(|slot| slot.probe.unit == *unit) {
            slot.due = now;
            slot.again = slot.running.is_some();
        }
    }

    fn finish(&mut self, name: &ProbeName, number: u64) {
        let share = self.share();
        let Some(slot) = self.slots.get_mut(name) else { return };
        let Some(began) = slot.running.as_ref().filter(|run| run.number == number).map(|run| run.began)
        else {
            return;
        };
        slot.running = None;
        let interval = slot.probe.interval.max(INTERVAL_MIN);
        let gap = interval.mul_f64(JITTER.mul_add(share.mul_add(2.0, -1.0), 1.0));
        // From start to start: a service that hangs costs each run its whole timeout, and must not be found later for it.
        let next = (began + gap).max(clock() + INTERVAL_MIN);
        slot.due = if std::mem::take(&mut slot.again) { clock() } else { next };
    }

    fn begin_due(&mut self, done: &mpsc::UnboundedSender<(ProbeName, u64)>) {
        let now = clock();
        for (name, slot) in &mut self.slots {
            if slot.running.is_some() || slot.due > now {
                continue;
            }
            self.runs += 1;
            let number = self.runs;
            let (probe, permits) = (Arc::clone(&slot.probe), Arc::clone(&self.permits));
            let (results, done, name) = (self.results.clone(), done.clone(), name.clone());
            let task = tokio::spawn(async move {
                // One message for each slot at the most: the queue of ends is as short as the list of probes.
                let _ended = OnDrop { done, name, number };
                // Never closed.
                let Ok(_permit) = permits.acquire().await else { return };
                let health = run(&probe).await;
                let result = ProbeResult { probe: probe.name.clone(), unit: probe.unit.clone(), health };
                let _ = results.send(result).await;
            });
            slot.running = Some(Run { number, began: now, task });
        }
    }

    /// In [0, 1): splitmix64 (Steele et al., 2014); spreading needs no more.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64")]
    fn share(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Says that a run is over even when it panicked: its probe must not stop for ever.
struct OnDrop {
    done: mpsc::UnboundedSender<(ProbeName, u64)>,
    name: ProbeName,
    number: u64,
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.done.send((self.name.clone(), self.number));
    }
}

#[expect(clippy::disallowed_methods, reason = "a schedule of the shell needs the runtime's clock")]
fn clock() -> Instant {
    Instant::now()
}

//! The ledger's own thread: group commit, and going on when the disk is full.
//!
//! Records are appended in the order in which they were sent, all that wait in one transaction. When the disk takes none
//! they wait in memory, and what asked to be synced also in the overflow file; the agent goes on repairing,
//! and says so.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::RecordTicket;
use crate::model::{Durability, Entry, RecordBody, Seq};

use super::queue::{QUEUE_BYTES_MAX, QUEUE_RECORDS_MAX, Queue};
use super::{AppendError, ChainId, Found, Ledger, Prepared, retention};

/// Commands that wait for the thread; then the sender waits. Some seconds of a slow disk.
const CHANNEL_COMMANDS: usize = 1024;
/// Most records of one transaction: enough to share a sync, few enough to answer soon.
const BATCH_RECORDS_MAX: usize = 256;

/// What the thread tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriterEvent {
    /// Everything up to this ticket is as durable as it asked to be or, while degraded, is kept in memory.
    Recorded(RecordTicket),
    /// The disk takes no records; the reason, for people. They are kept in memory from here on.
    Degraded { why: String },
    /// All that waited is on the disk, but for `lost` records that did not fit in memory.
    Recovered { queued: u64, lost: u64 },
    /// The disk is full and the ledger lives on its reserve (false), or has made it anew (true).
    Reserve { held: bool },
    /// The file was damaged while it was open, and was set aside; or it is whole after all.
    Reopened(Found),
    /// Records up to this one were dropped by retention.
    Pruned { through: Seq },
    /// A record can't be kept at all: a defect of the program. Its ticket is never answered by itself, so that what
    /// depends on it does not happen.
    Refused { ticket: RecordTicket, why: String },
    /// An acknowledgement or a pruning was not written; it is asked again in due time.
    Postponed { why: String },
}

/// The thread has ended: it panicked, or was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger's thread has ended")]
pub struct WriterGone;

/// Sizes and times of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterLimits {
    /// Kept in memory while the disk takes nothing.
    pub queue_records: usize,
    pub queue_bytes: usize,
    /// How often a full disk is tried again, and a reserve that was given up is made again.
    pub retry: Duration,
}

impl Default for WriterLimits {
    /// Five seconds: a person who freed the disk does not wait for the agent, and the agent does not busy a disk in
    /// trouble.
    fn default() -> Self {
        Self { queue_records: QUEUE_RECORDS_MAX, queue_bytes: QUEUE_BYTES_MAX, retry: Duration::from_secs(5) }
    }
}

#[derive(Debug)]
enum Command {
    Append {
        ticket: RecordTicket,
        durability: Durability,
        entry: Box<Entry>,
    },
    /// Of a chain that may have been set aside meanwhile.
    Acknowledge(ChainId, Seq),
    Prune {
        limits: retention::Limits,
        keep_from: Seq,
    },
}

/// The sending side. Dropping it ends the thread after what was sent is written.
#[derive(Debug)]
pub struct Writer {
    commands: mpsc::Sender<Command>,
    head: watch::Receiver<Seq>,
    thread: JoinHandle<Ledger>,
}

impl Writer {
    /// Starts the thread, which owns the ledger from here on.
    ///
    /// `report` is called on that thread and must not wait for whoever sends commands. There is at most one
    /// `Recorded` for each command, so an unbounded channel behind it is bounded by the commands.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        ledger: Ledger,
        limits: WriterLimits,
        report: impl FnMut(WriterEvent) + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (commands, incoming) = mpsc::channel(CHANNEL_COMMANDS);
        let (worker, head) = Worker::new(ledger, limits, Box::new(report));
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || runtime.block_on(worker.run(incoming)))?;
        Ok(Self { commands, head, thread })
    }

    /// Sends a record; waits while too many are on their way.
    ///
    /// # Errors
    /// The thread has ended: nothing is recorded any more, and the agent must end too.
    pub async fn append(
        &self,
        ticket: RecordTicket,
        durability: Durability,
        entry: Entry,
    ) -> Result<(), WriterGone> {
        self.send(Command::Append { ticket, durability, entry: Box::new(entry) }).await
    }

    /// The newest record in the file, those that the ledger writes about itself included.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Seq> {
        self.head.clone()
    }

    /// A way to acknowledge records, that does not keep the thread from ending.
    #[must_use]
    pub fn acknowledger(&self) -> Acknowledger {
        Acknowledger(self.commands.downgrade())
    }

    /// Prunes what is due, piece by piece, whenever no record waits.
    ///
    /// # Errors
    /// The thread has ended.
    pub async fn prune(&self, limits: retention::Limits, keep_from: Seq) -> Result<(), WriterGone> {
        self.send(Command::Prune { limits, keep_from }).await
    }

    async fn send(&self, command: Command) -> Result<(), WriterGone> {
        self.commands.send(command).await.map_err(|_| WriterGone)
    }

    /// Ends the thread when everything sent is written, or kept where it can be, and gives the ledger back.
    /// Waits for the disk: not for an async task.
    ///
    /// # Errors
    /// The thread has panicked.
    pub fn finish(self) -> Result<Ledger, WriterGone> {
        drop(self.commands);
        self.thread.join().map_err(|_| WriterGone)
    }
}

/// Tells the ledger what the relay has shipped.
#[derive(Clone, Debug)]
pub struct Acknowledger(mpsc::WeakSender<Command>);

impl Acknowledger {
    /// Remembers, in due time, that everything of this chain up to `seq` has been shipped. Never waits.
    ///
    /// # Errors
    /// The thread has ended, or has too much to do.
    pub fn acknowledge(&self, chain: ChainId, seq: Seq) -> Result<(), WriterGone> {
        let commands = self.0.upgrade().ok_or(WriterGone)?;
        commands.try_send(Command::Acknowledge(chain, seq)).map_err(|_| WriterGone)
    }
}

/// What the thread knows.
struct Worker {
    ledger: Ledger,
    report: Box<dyn FnMut(WriterEvent) + Send>,
    head: watch::Sender<Seq>,
    retry_every: Duration,
    degraded: bool,
    /// The batch whose commit failed. It goes first, unchanged: it may be on the disk after all.
    in_flight: Vec<Prepared>,
    queue: Queue,
    /// Records that have waited since the disk went.
    queued: u64,
    reserve_held: bool,
    prune: Option<(retention::Limits, Seq)>,
}

impl Worker {
    fn new(
        mut ledger: Ledger,
        limits: WriterLimits,
        report: Box<dyn FnMut(WriterEvent) + Send>,
    ) -> (Self, watch::Receiver<Seq>) {
        let in_flight = std::mem::take(&mut ledger.unsaved);
        let (head, seen) = watch::channel(ledger.head().seq);
        let worker = Self {
            reserve_held: ledger.reserve_held(),
            queued: in_flight.len() as u64,
            ledger,
            report,
            head,
            retry_every: limits.retry,
            degraded: false,
            in_flight,
            queue: Queue::new(limits.queue_records, limits.queue_bytes),
            prune: None,
        };
        (worker, seen)
    }

    /// Tells where the chain ends, when that has changed.
    fn tell_head(&self) {
        let now = self.ledger.head().seq;
        self.head.send_if_modified(|head| std::mem::replace(head, now) != now);
    }

    async fn run(mut self, mut incoming: mpsc::Receiver<Command>) -> Ledger {
        if !self.in_flight.is_empty() {
            self.degrade("no room for the records of the last run".to_owned());
        }
        let mut retry = interval(self.retry_every);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commands = Vec::new();
        loop {
            self.tell_head();
            if incoming.is_empty() && self.prune.is_some() {
                self.prune_some();
                continue;
            }
            tokio::select! {
                // A stream of records must not keep the disk from being tried.
                biased;
                _ = retry.tick(), if self.degraded || !self.reserve_held => self.try_again(),
                received = incoming.recv_many(&mut commands, BATCH_RECORDS_MAX) => {
                    if received == 0 {
                        break;
                    }
                    self.handle(&mut commands);
                }
            }
        }
        if self.degraded {
            self.try_again();
        }
        self.ledger
    }

    fn handle(&mut self, commands: &mut Vec<Command>) {
        let mut batch = Vec::new();
        let mut last = None;
        for command in commands.drain(..) {
            match command {
                Command::Append { ticket, durability, entry } => match Prepared::new(&entry) {
                    Ok(entry) => {
                        batch.push(entry.at_least(durability));
                        last = Some(ticket);
                    }
                    Err(error) => {
                        // What came before it is answered before it.
                        self.write(std::mem::take(&mut batch), last.take());
                        (self.report)(WriterEvent::Refused { ticket, why: explain(&error) });
                    }
                },
                Command::Acknowledge(chain, seq) => {
                    if self.ledger.chain() == Some(chain)
                        && let Err(error) = self.ledger.acknowledge(seq)
                    {
                        (self.report)(WriterEvent::Postponed { why: explain(&error) });
                    }
                }
                Command::Prune { limits, keep_from } => self.prune = Some((limits, keep_from)),
            }
        }
        self.write(batch, last);
    }

    /// Writes a batch, or keeps it, and answers for it.
    fn write(&mut self, batch: Vec<Prepared>, last: Option<RecordTicket>) {
        let Some(ticket) = last else { return };
        if self.degraded {
            self.keep(batch);
        } else if let Err(error) = self.append(&batch) {
            self.in_flight = batch;
            self.queued = self.in_flight.len() as u64;
            self.degrade(explain(&error));
            let in_flight = std::mem::take(&mut self.in_flight);
            in_flight.iter().for_each(|entry| self.spill(entry));
            self.in_flight = in_flight;
        }
        self.watch_reserve();
        (self.report)(WriterEvent::Recorded(ticket));
    }

    /// Appends; a file that turns out to be damaged is set aside first, once.
    fn append(&mut self, batch: &[Prepared]) -> Result<Seq, AppendError> {
        match self.ledger.append(batch) {
            Err(AppendError::Damaged(_)) => {
                let found = self.ledger.recover().map_err(AppendError::Reopen)?;
                (self.report)(WriterEvent::Reopened(found));
                self.ledger.append(batch)
            }
            answer => answer,
        }
    }

    fn degrade(&mut self, why: String) {
        self.degraded = true;
        (self.report)(WriterEvent::Degraded { why });
    }

    fn keep(&mut self, batch: Vec<Prepared>) {
        for entry in batch {
            self.spill(&entry);
            self.queued += 1;
            self.queue.push(entry);
        }
    }

    /// Keeps a copy outside of the full disk, where the record asks for more than memory.
    fn spill(&self, entry: &Prepared) {
        if entry.durability() == Durability::Synced {
            // Without it the record is in memory still, which is what was promised.
            let _memory_has_it = self.ledger.spill(entry);
        }
    }

    /// Tries to bring everything that waits to the disk, in order.
    fn try_again(&mut self) {
        if self.degraded && self.drain().is_ok() {
            let (queued, lost) = (std::mem::replace(&mut self.queued, 0), self.queue.take_lost());
            self.degraded = false;
            (self.report)(WriterEvent::Recovered { queued, lost });
        }
        if !self.degraded {
            let _tried_again_later = self.ledger.refill_reserve();
        }
        self.watch_reserve();
    }

    fn drain(&mut self) -> Result<(), AppendError> {
        loop {
            if self.in_flight.is_empty() {
                self.in_flight = self.queue.take(BATCH_RECORDS_MAX);
            }
            if self.in_flight.is_empty() {
                break;
            }
            let batch = std::mem::take(&mut self.in_flight);
            let appended = self.append(&batch);
            if appended.is_err() {
                self.in_flight = batch;
            }
            appended?;
        }
        let body = RecordBody::LedgerRecovered { queued: self.queued, lost: self.queue.lost() };
        match Prepared::new(&self.ledger.stamp().entry(body)) {
            Ok(entry) => self.append(&[entry]).map(|_| ())?,
            Err(error) => (self.report)(WriterEvent::Postponed { why: explain(&error) }),
        }
        // Everything in it is in the ledger, so replaying it once more would find it there.
        let _found_there_if_it_stays = self.ledger.clear_overflow();
        Ok(())
    }

    fn prune_some(&mut self) {
        let Some((limits, keep_from)) = self.prune.take() else { return };
        if self.degraded {
            return;
        }
        match self.ledger.prune(&limits, keep_from) {
            Ok(Some(through)) => {
                self.prune = Some((limits, keep_from));
                (self.report)(WriterEvent::Pruned { through });
            }
            Ok(None) => {}
            Err(error) => (self.report)(WriterEvent::Postponed { why: explain(&error) }),
        }
    }

    fn watch_reserve(&mut self) {
        let held = self.ledger.reserve_held();
        if held != self.reserve_held {
            self.reserve_held = held;
            (self.report)(WriterEvent::Reserve { held });
        }
    }
}

/// An error with its causes, in one line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

//! The loop: one owner of the engine, one queue of what happens, one place where effects leave.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::{CommandTicket, Effect, Engine, Input};
use crate::ledger::{Writer, WriterEvent, retention};
use crate::model::{BootTime, Command, Peer, Reply, Seq, Snapshot};
use crate::policy::Policy;

use super::clock::{self, StepDetector};
use super::effects::Hands;
use super::housekeeping;
use super::notify::{Watchdog, tell};
use super::policy_board::PolicyBoard;

/// Things waiting to be taken in. A full queue slows the senses down, and never loses what they say.
pub(super) const INBOX_SIZE: usize = 1024;
/// The picture for the socket is renewed no more often than this in a storm of news: it would cost more than they do.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(100);
/// After a quiet time so many pictures may follow each other at once: what the agent learns as it starts is seen as it
/// comes, and no second wake-up is needed for the picture of what has just woken it.
const SNAPSHOTS_AT_ONCE: u32 = 8;
/// Without any deadline the loop still turns this often, to notice a step of the clock.
const TURN_AT_LEAST: Duration = Duration::from_secs(10);

/// What comes through the queue.
#[derive(Debug)]
pub(super) enum Event {
    Input(Box<Input>),
    Command {
        by: Peer,
        command: Command,
        reply: oneshot::Sender<Reply>,
    },
    /// The policy files were read again; answers to those who asked for it.
    Policy {
        outcome: Result<Arc<Policy>, String>,
        reply: Option<oneshot::Sender<Result<String, String>>>,
    },
    /// Records before this one are not needed any more.
    Prune {
        keep_from: Seq,
    },
    Stop(String),
    /// A task that the agent can't be without has ended: better to begin anew than to be half blind.
    Crippled(&'static str),
}

/// The engine with everything that its effects need.
pub(super) struct Core {
    engine: Engine,
    inbox: mpsc::Receiver<Event>,
    ledger: Writer,
    ledger_news: mpsc::UnboundedReceiver<WriterEvent>,
    hands: Hands,
    policies: PolicyBoard,
    snapshot: watch::Sender<Arc<Snapshot>>,
    snapshot_due: Option<BootTime>,
    /// When all pictures so far are paid for, at one in [`SNAPSHOT_EVERY`].
    snapshots_paid: BootTime,
    watchdog: Watchdog,
    steps: StepDetector,
    state_dir: PathBuf,
    /// When old records are looked for next.
    housekeeping: BootTime,
    replies: BTreeMap<CommandTicket, oneshot::Sender<Reply>>,
    next_command: u64,
}

/// Why the loop ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Asked,
    /// A task that it can't be without has ended.
    Crippled(&'static str),
    /// Without a ledger nothing may be done.
    LedgerGone,
}

impl Core {
    pub(super) fn new(
        engine: Engine,
        inbox: mpsc::Receiver<Event>,
        (ledger, ledger_news): (Writer, mpsc::UnboundedReceiver<WriterEvent>),
        hands: Hands,
        policies: PolicyBoard,
        snapshot: watch::Sender<Arc<Snapshot>>,
        state_dir: PathBuf,
    ) -> Self {
        let now = clock::now().boot;
        Self {
            watchdog: Watchdog::from_environment(now),
            state_dir,
            housekeeping: now + housekeeping::EVERY,
            engine,
            inbox,
            ledger,
            ledger_news,
            hands,
            policies,
            snapshot,
            snapshot_due: None,
            snapshots_paid: now,
            steps: StepDetector::new(),
            replies: BTreeMap::new(),
            next_command: 1,
        }
    }

    /// Turns until it is asked to stop; `first` are the effects of the engine's start.
    pub(super) async fn run(mut self, first: Vec<Effect>) -> (End, Writer) {
        let end = match self.carry_out(first).await {
            Ok(()) => self.turn().await,
            Err(end) => end,
        };
        (end, self.ledger)
    }

    async fn turn(&mut self) -> End {
        let mut beats = self.hands.beats().listen();
        loop {
            let now = clock::now();
            let wake = self.next_wake(now.boot);
            let pause = now.boot.until(wake);
            let turned = tokio::select! {
                biased;
                news = self.ledger_news.recv() => self.take_ledger_news(news).await,
                event = self.inbox.recv() => match event {
                    Some(Event::Stop(why)) => {
                        let _ = self.input(Input::Stopping { why }).await;
                        self.publish();
                        return End::Asked;
                    }
                    Some(event) => self.take(event).await,
                    None => return End::Asked,
                },
                () = beats.pause(pause) => self.tick().await,
            };
            if let Err(end) = turned {
                return end;
            }
            let now = clock::now();
            if self.snapshot_due.is_some_and(|due| due <= now.boot) {
                self.publish();
            }
            self.watchdog.feed(now.boot);
        }
    }

    fn next_wake(&mut self, now: BootTime) -> BootTime {
        let wanted = [self.engine.next_deadline(), self.snapshot_due, self.watchdog.feed(now)];
        wanted.into_iter().flatten().fold(now + TURN_AT_LEAST, BootTime::min)
    }

    async fn tick(&mut self) -> Result<(), End> {
        if let Some((forward, by)) = self.steps.check() {
            tracing::info!(forward, ?by, "the clock was set, or the machine slept");
            self.input(Input::ClockStepped { forward, by }).await?;
        }
        let now = clock::now();
        if self.housekeeping <= now.boot {
            self.housekeeping = now.boot + housekeeping::EVERY;
            let needed_since = self.engine.needed_since();
            housekeeping::find(self.state_dir.clone(), needed_since, self.hands.inbox());
        }
        if self.engine.next_deadline().is_some_and(|deadline| deadline <= now.boot) {
            return self.input(Input::Tick).await;
        }
        Ok(())
    }

    async fn take(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Input(input) => self.input(*input).await,
            Event::Command { by, command, reply } => {
                let ticket = CommandTicket(self.next_command);
                self.next_command += 1;
                self.replies.insert(ticket, reply);
                self.input(Input::Command { ticket, by, command }).await?;
                // Whoever commands looks at once whether it took.
                self.publish();
                Ok(())
            }
            Event::Policy { outcome, reply } => self.take_policy(outcome, reply).await,
            Event::Prune { keep_from } => {
                let sent = self.ledger.prune(retention::Limits::default(), keep_from).await;
                sent.map_err(|_| End::LedgerGone)
            }
            Event::Crippled(task) => Err(End::Crippled(task)),
            Event::Stop(_) => Ok(()),
        }
    }

    async fn take_policy(
        &mut self,
        outcome: Result<Arc<Policy>, String>,
        reply: Option<oneshot::Sender<Result<String, String>>>,
    ) -> Result<(), End> {
        let answer = match outcome {
            Ok(policy) => {
                let digest = policy.digest.clone();
                if self.engine.policy().digest != digest {
                    tracing::info!(%digest, rules = policy.rules.len(), "a new policy is in force");
                    self.policies.show(&policy);
                    self.hands.take_policy(&policy).await;
                    self.input(Input::PolicyLoaded(policy)).await?;
                } else if self.engine.snapshot().policy_error.is_some() {
                    // The files are as they were before the mistake: the mistake is over.
                    self.input(Input::PolicyLoaded(policy)).await?;
                }
                Ok(digest)
            }
            Err(error) => {
                tracing::error!("the policy was not taken; the one before stays in force\n{error}");
                self.input(Input::PolicyRejected(error.clone())).await?;
                Err(error)
            }
        };
        self.publish();
        tell(&[NotifyState::Ready]);
        if let Some(reply) = reply {
            // Whoever asked may be gone.
            let _ = reply.send(answer);
        }
        Ok(())
    }

    async fn take_ledger_news(&mut self, news: Option<WriterEvent>) -> Result<(), End> {
        match news {
            None => {
                tracing::error!("the ledger's thread has ended; without records nothing may be done");
                Err(End::LedgerGone)
            }
            Some(WriterEvent::Recorded(ticket)) => self.input(Input::Recorded(ticket)).await,
            Some(WriterEvent::Degraded { why }) => {
                tracing::error!(%why, "records can't be made durable; they are kept in memory, and repair goes on");
                self.hands.history().give_up(true);
                self.input(Input::LedgerDegraded(true)).await
            }
            Some(WriterEvent::Recovered { queued, lost }) => {
                tracing::warn!(queued, lost, "records are durable again");
                self.input(Input::LedgerDegraded(false)).await
            }
            Some(WriterEvent::Reserve { held: false }) => {
                tracing::warn!("the disk of the ledger is full: it lives on its reserve");
                self.hands.history().give_up(false);
                Ok(())
            }
            Some(WriterEvent::Reserve { held: true }) => Ok(()),
            Some(WriterEvent::Reopened(found)) => {
                tracing::error!(?found, "the ledger was damaged while it was open");
                Ok(())
            }
            Some(WriterEvent::Pruned { through }) => {
                tracing::debug!(%through, "old records were dropped");
                Ok(())
            }
            Some(WriterEvent::Refused { ticket, why }) => {
                tracing::error!(?ticket, %why, "a record could not be kept; what depends on it does not happen");
                self.input(Input::RecordRefused(ticket)).await
            }
            Some(WriterEvent::Postponed { why }) => {
                tracing::warn!(%why, "the ledger's housekeeping is put off");
                Ok(())
            }
        }
    }

    async fn input(&mut self, input: Input) -> Result<(), End> {
        let now = clock::now();
        let effects = self.engine.handle(input, now);
        let credit = SNAPSHOT_EVERY * (SNAPSHOTS_AT_ONCE - 1);
        self.snapshot_due.get_or_insert(now.boot.max(self.snapshots_paid - credit));
        self.carry_out(effects).await
    }

    /// Sends effects on their way, in order. Only the ledger is waited for, and only when its queue is full.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), End> {
        for effect in effects {
            match effect {
                Effect::Record { ticket, durability, entry } => {
                    super::log::record(&entry);
                    let sent = self.ledger.append(ticket, durability, entry).await;
                    sent.map_err(|_| End::LedgerGone)?;
                }
                Effect::Reply { ticket, reply } => {
                    if let Some(waiting) = self.replies.remove(&ticket) {
                        let _ = waiting.send(reply);
                    }
                }
                Effect::Act(permit) => self.hands.act(permit),
                Effect::Release { action } => self.hands.release(action),
                Effect::GoOn { action, answer } => self.hands.go_on(action, answer),
                Effect::TakeEvidence { incident, of } => self.hands.take_evidence(incident, of),
                Effect::Look(subject) => self.hands.look(subject),
                Effect::Tell { notice, channels } => self.hands.tell_people(notice, channels),
            }
        }
        Ok(())
    }

    fn publish(&mut self) {
        self.snapshot_due = None;
        self.snapshots_paid = self.snapshots_paid.max(clock::now().boot) + SNAPSHOT_EVERY;
        self.snapshot.send_replace(Arc::new(self.engine.snapshot()));
    }
}

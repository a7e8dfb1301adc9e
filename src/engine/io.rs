//! What goes into the engine and what comes out of it.

use std::sync::Arc;

use crate::guard::Permit;
use crate::model::{
    ActionId, Applied, Channel, Command, DeviceNumber, Durability, Entry, Evidence, IncidentId, LogPrivacy,
    MountPoint, Notice, NoticeId, OwnUse, Peer, Removal, Reply, Sample, Subject, UnitName, Usage,
};
use crate::policy::Policy;

/// Ties an answer to the command it belongs to; the shell makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandTicket(pub u64);

/// Ties "this is on the disk now" to the record; counted by the engine in the order of the effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordTicket(pub u64);

/// Everything that can happen to the engine.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are samples, which are handed on and not stored")]
pub enum Input {
    /// The senses have news.
    Sample(Sample),
    /// Every record up to and with this ticket is as durable as it asked to be, or, on a full disk, is kept in
    /// memory and will be (the shell says so loudly; repair goes on).
    Recorded(RecordTicket),
    /// This record can't be kept at all: what depends on it must not happen.
    RecordRefused(RecordTicket),
    /// An act is about to remove these files, and waits for [`Effect::GoOn`]: how much room there is by now, as it measured.
    Removing { action: ActionId, usage: Usage, removals: Vec<Removal> },
    /// What an act held back is let go, or can't be.
    Released { action: ActionId, result: Result<(), String> },
    /// An act ended, one way or another.
    Acted { action: ActionId, applied: Applied },
    /// Evidence that was asked for, or why there is none.
    EvidenceTaken { incident: IncidentId, evidence: Box<Evidence> },
    /// People were told, or not: the channels that did not take it, each with the reason.
    Told { notice: NoticeId, failed: Vec<(Channel, String)> },
    /// A person speaks; the socket has checked who.
    Command { ticket: CommandTicket, by: Peer, command: Command },
    /// A validated policy replaces the one in force.
    PolicyLoaded(Arc<Policy>),
    /// A policy was refused; the text for people.
    PolicyRejected(String),
    /// Records can't be made durable (true), or can again (false).
    LedgerDegraded(bool),
    /// What the agent itself took of the host of late.
    OwnUse(Box<OwnUse>),
    /// The machine slept, or the wall clock moved against the boot clock by this much.
    ClockStepped { forward: bool, by: std::time::Duration },
    /// The agent is asked to end: no new act begins.
    Stopping { why: String },
    /// Nothing but time has passed.
    Tick,
}

/// What evidence is about, and so how it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvidenceOf {
    Unit {
        unit: UnitName,
        log: LogPrivacy,
    },
    /// Who makes processes on the host, and who takes its memory, processors and tasks.
    Host {
        storm: bool,
        culprits: bool,
    },
    /// Who fills this file system.
    Space {
        point: MountPoint,
        device: DeviceNumber,
        /// What was seen before, however lately, does not do.
        anew: bool,
    },
    /// How the disk of a file system fares. One that hangs is not asked itself.
    Disk {
        device: DeviceNumber,
        source: String,
        hangs: bool,
    },
}

/// What the shell is to do, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Append to the ledger; answer [`Input::Recorded`] when it is as durable as it asks.
    Record { ticket: RecordTicket, durability: Durability, entry: Entry },
    /// Carry out, once; answer [`Input::Acted`]. Its intent is durable.
    Act(Permit),
    /// Let go of what this act holds back; answer [`Input::Released`].
    Release { action: ActionId },
    /// Answers [`Input::Removing`]: what it is about to do is on the disk, and still wanted; or why it is to end.
    GoOn { action: ActionId, answer: Result<(), String> },
    /// Take evidence before anything is touched; answer [`Input::EvidenceTaken`], within the policy's deadline.
    TakeEvidence { incident: IncidentId, of: EvidenceOf },
    /// Read this subject again now and send it as a sample: a decision waits for it.
    Look(Subject),
    /// Tell people through these channels; answer [`Input::Told`], always. Its record is durable.
    Tell { notice: Box<Notice>, channels: Vec<Channel> },
    /// Answer a command.
    Reply { ticket: CommandTicket, reply: Reply },
}

//! The permission for one act: made here alone, used once.

use std::time::Duration;

use crate::model::{
    Absence, ActionId, Bytes, InvocationId, LogRoot, REMOVED_PER_ACTION, Reading, Remedy, RoomOrder, Subject,
    Timestamp, UnitName,
};

use super::circumstances::{Circumstances, Request};

/// What may be done, once, to exactly these subjects, until it expires.
///
/// No `Clone`, no public constructor, no `Deserialize`: an act that no guard has seen does not compile.
#[derive(Debug)]
#[must_use = "a permit that is dropped is an act that does not happen; say so in a record"]
pub struct Permit {
    action: ActionId,
    remedy: Remedy,
    targets: Vec<UnitName>,
    invocation: Reading<InvocationId>,
    job: Option<u32>,
    room: Option<RoomOrder>,
    lasts: Option<Duration>,
    expires: Timestamp,
    deadline: Duration,
}

impl Permit {
    /// What the guards have just agreed to.
    pub(super) fn new(request: &Request<'_>, circumstances: &Circumstances<'_>) -> Self {
        let unit = request.subject.unit().or_else(|| request.targets.last());
        let unit = unit.and_then(|unit| circumstances.view.unit(unit));
        let status = unit.map(|facts| &facts.status);
        let invocation =
            status.map_or(Reading::Absent(Absence::NotObserved), crate::model::UnitStatus::invocation);
        let job = status.and_then(|status| status.job.value()).map(|job| job.id);
        Self {
            action: request.action,
            remedy: request.remedy,
            targets: request.targets.to_vec(),
            invocation,
            job,
            room: room_order(request, circumstances),
            lasts: request.remedy.restraint().map(|_| circumstances.policy.limits.restrained_for),
            expires: circumstances.now + circumstances.policy.limits.permit_lifetime,
            deadline: circumstances.policy.limits.act_deadline,
        }
    }

    /// The action it is for: the idempotency key.
    #[must_use]
    pub const fn action(&self) -> ActionId {
        self.action
    }

    /// What may be done.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        self.remedy
    }

    /// To which units, in order: dependencies first, the subject last. Empty only where it is no unit.
    #[must_use]
    pub fn targets(&self) -> &[UnitName] {
        &self.targets
    }

    /// The run that was judged of the subject, or of the last target where it is no unit: the actuator compares before it
    /// acts (guard 13).
    #[must_use]
    pub const fn invocation(&self) -> &Reading<InvocationId> {
        &self.invocation
    }

    /// The job that was on the subject when it was judged: one that hangs, which a person agreed to break off.
    #[must_use]
    pub const fn job(&self) -> Option<u32> {
        self.job
    }

    /// Where room may be made, and by what; only of remedies for file systems.
    #[must_use]
    pub const fn room(&self) -> Option<&RoomOrder> {
        self.room.as_ref()
    }

    /// For how long at the most it holds a unit back; only of what does.
    #[must_use]
    pub const fn lasts(&self) -> Option<Duration> {
        self.lasts
    }

    /// No act may begin after this.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// How long the act may take.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The same, judged while this job was on its subject.
    #[cfg(test)]
    pub(crate) fn with_job(self, job: u32) -> Self {
        Self { job: Some(job), ..self }
    }

    /// The same, for making room.
    #[cfg(test)]
    pub(crate) fn with_room(self, room: RoomOrder) -> Self {
        Self { room: Some(room), ..self }
    }

    /// A permit that no guard has seen, for the tests of what permits are used for.
    #[cfg(test)]
    pub(crate) fn for_test(
        remedy: Remedy,
        targets: Vec<UnitName>,
        invocation: Reading<InvocationId>,
        expires: Timestamp,
    ) -> Self {
        Self {
            action: ActionId(1),
            remedy,
            targets,
            invocation,
            job: None,
            room: None,
            lasts: remedy.restraint().map(|_| crate::model::RESTRAINED_FOR),
            expires,
            deadline: Duration::from_secs(1),
        }
    }
}

/// What the policy allows on the file system that was judged, within what is left of the day.
fn room_order(request: &Request<'_>, c: &Circumstances<'_>) -> Option<RoomOrder> {
    let Subject::Filesystem(point) = request.subject else { return None };
    let status = c.view.filesystems.one(point);
    let device = status.value()?.device;
    let (files, bytes) = c.removed.left(c.now.boot).unwrap_or((0, Bytes(0)));
    Some(RoomOrder {
        point: point.clone(),
        device,
        roots: request.remedy.works_in().map_or_else(Vec::new, |it| LogRoot::holding(&c.policy.logs, it)),
        files_max: files.min(REMOVED_PER_ACTION),
        bytes_max: bytes,
    })
}

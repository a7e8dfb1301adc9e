//! What is known of file systems, folded from what the senses tell. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{
    Absence, BootTime, FilesystemStatus, FilesystemView, FilesystemsUpdate, MountPoint, Outlook, Reading,
    RoomAnswer, Subject, Usage,
};

use super::room::RoomFacts;

/// Every file system, and where its room is going.
#[derive(Clone, Debug)]
pub struct FilesystemFacts {
    statuses: BTreeMap<MountPoint, FilesystemStatus>,
    /// Of those that tell how much room they have.
    rooms: BTreeMap<MountPoint, RoomFacts>,
    /// When each of them was asked last.
    asked: BTreeMap<MountPoint, BootTime>,
    /// When they were last listed, or why what is known of them can't be relied on.
    seen: Result<BootTime, String>,
}

impl Default for FilesystemFacts {
    fn default() -> Self {
        Self {
            statuses: BTreeMap::new(),
            rooms: BTreeMap::new(),
            asked: BTreeMap::new(),
            seen: Err("they were not looked at yet".into()),
        }
    }
}

impl FilesystemFacts {
    /// Takes in news; adds the subjects about which something may have changed.
    pub(super) fn take(&mut self, update: &FilesystemsUpdate, at: BootTime, touched: &mut BTreeSet<Subject>) {
        match update {
            FilesystemsUpdate::Complete(statuses) => {
                let before = std::mem::take(&mut self.statuses);
                let mut rooms = std::mem::take(&mut self.rooms);
                for status in statuses {
                    let known = before.get(&status.mount_point);
                    self.take_one(status, known, rooms.remove(&status.mount_point), at, touched);
                }
                let gone = before.keys().filter(|point| !self.statuses.contains_key(point));
                touched.extend(gone.map(subject));
                self.asked.retain(|point, _| self.statuses.contains_key(point));
                if self.seen.is_err() {
                    touched.extend(self.statuses.keys().map(subject));
                }
                self.seen = Ok(at);
            }
            FilesystemsUpdate::Again(statuses) => {
                for status in statuses {
                    // One that is not known will be listed by the next pass over all.
                    if let Some(known) = self.statuses.remove(&status.mount_point) {
                        let room = self.rooms.remove(&status.mount_point);
                        self.take_one(status, Some(&known), room, at, touched);
                    }
                }
            }
            FilesystemsUpdate::Failed { why } => {
                touched.extend(self.statuses.keys().map(subject));
                self.seen = Err(why.clone());
            }
        }
    }

    fn take_one(
        &mut self,
        status: &FilesystemStatus,
        known: Option<&FilesystemStatus>,
        room: Option<RoomFacts>,
        at: BootTime,
        touched: &mut BTreeSet<Subject>,
    ) {
        // Whoever works on it measured it since: a pass over all of them takes a while.
        let newer = self.asked.get(&status.mount_point).is_some_and(|asked| *asked > at);
        if let Some(known) = known.filter(|known| newer && known.device == status.device) {
            if let Some(room) = room {
                self.rooms.insert(status.mount_point.clone(), room);
            }
            self.statuses.insert(status.mount_point.clone(), known.clone());
            return;
        }
        let before = room.as_ref().map(|room| *room.outlook());
        let room = match room {
            Some(mut room) => {
                room.take(status, at);
                Some(room)
            }
            None => RoomFacts::new(status, at),
        };
        // An outlook changes by time alone: what stands still fills no more.
        if known != Some(status) || before != room.as_ref().map(|room| *room.outlook()) {
            touched.insert(subject(&status.mount_point));
        }
        if let Some(room) = room {
            self.rooms.insert(status.mount_point.clone(), room);
        }
        self.asked.insert(status.mount_point.clone(), at);
        self.statuses.insert(status.mount_point.clone(), status.clone());
    }

    /// The room on one that was measured by whoever works on it.
    pub(crate) fn take_room(&mut self, point: &MountPoint, usage: Usage, at: BootTime) {
        let Some(known) = self.statuses.get(point) else { return };
        let status = FilesystemStatus { room: RoomAnswer::Usage(usage), ..known.clone() };
        self.take(&FilesystemsUpdate::Again(vec![status]), at, &mut BTreeSet::new());
    }

    /// The room on one, and when it was asked; absent when it is not mounted, failed when it can't be told.
    #[must_use]
    pub fn room(&self, point: &MountPoint) -> Reading<(&Usage, BootTime)> {
        match self.one(point) {
            Reading::Value(status) => match (&status.room, self.asked.get(point)) {
                (RoomAnswer::Usage(usage), Some(at)) => Reading::Value((usage, *at)),
                (RoomAnswer::Usage(_), None) => Reading::Absent(Absence::NotObserved),
                (RoomAnswer::Hangs { .. }, _) => Reading::Failed("it does not answer".into()),
                (RoomAnswer::Failed(why), _) => Reading::Failed(why.clone()),
            },
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(why) => Reading::Failed(why),
        }
    }

    /// One file system: failed when what is mounted can't be found out, absent when it is not mounted.
    #[must_use]
    pub fn one(&self, point: &MountPoint) -> Reading<&FilesystemStatus> {
        match (&self.seen, self.statuses.get(point)) {
            (Err(why), _) => Reading::Failed(why.clone()),
            (Ok(_), Some(status)) => Reading::Value(status),
            (Ok(_), None) => Reading::Absent(Absence::NotObserved),
        }
    }

    /// Where the room on it is going.
    #[must_use]
    pub fn outlook(&self, point: &MountPoint) -> Outlook {
        self.rooms.get(point).map_or(Outlook::TooEarly, |room| *room.outlook())
    }

    /// For how long its room was watched, by the last look at all of them.
    #[must_use]
    pub fn watched(&self, point: &MountPoint) -> Duration {
        match (&self.seen, self.rooms.get(point)) {
            (Ok(now), Some(room)) => room.watched(*now),
            (Err(_), _) | (_, None) => Duration::ZERO,
        }
    }

    /// Every mount point; why there are none, when they could not be listed.
    ///
    /// # Errors
    /// The sentence for people.
    pub fn points(&self) -> Result<impl Iterator<Item = &MountPoint>, &str> {
        match &self.seen {
            Ok(_) => Ok(self.statuses.keys()),
            Err(why) => Err(why),
        }
    }

    /// For people; none while they can't be listed.
    pub fn views(&self) -> Vec<FilesystemView> {
        let points = self.points().into_iter().flatten();
        let view = |point: &MountPoint| {
            let status = self.statuses.get(point)?.clone();
            Some(FilesystemView { status, outlook: self.outlook(point), watched: self.watched(point) })
        };
        points.filter_map(view).collect()
    }
}

fn subject(point: &MountPoint) -> Subject {
    Subject::Filesystem(point.clone())
}

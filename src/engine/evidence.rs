//! Evidence comes before the first action, because the repair destroys it; and is waited for only so long.

use std::time::Duration;

use crate::model::{
    Absence, CULPRIT_LOOK_WITHIN, CulpritLook, DeviceNumber, Evidence, FilesystemClass, IncidentId,
    MountPoint, Outlook, Reading, RecordBody, RoomAnswer, SPACE_FIELDS, SPACE_LOOK_WITHIN, STORM_FIELDS,
    STORM_LOOK_WITHIN, StormLook, Subject, SubjectKind,
};

use crate::decide::looks_for_culprits;

use super::{Effect, Engine, EvidenceOf};

/// A look at who fills a file system may take this part of the time until it is full, where something can be done.
const PART_OF_WHAT_IS_LEFT: u32 = 4;
/// It has at least so long: what is there by then tells most of it.
const SPACE_LOOK_LEAST: Duration = Duration::from_millis(500);

impl Engine {
    pub(super) fn ask_for_evidence(&mut self, incident: IncidentId) {
        let Some(subject) = self.memory.incidents.get(&incident).map(|it| it.subject.clone()) else { return };
        match &subject {
            Subject::Unit(unit) => {
                let deadline = self.setup.policy.limits.evidence_deadline;
                let log = self.setup.policy.evidence.log_of(unit);
                // The guards will want to know what others are doing.
                self.look(Subject::Host);
                self.await_evidence(incident, EvidenceOf::Unit { unit: unit.clone(), log }, deadline);
            }
            Subject::Host => self.ask_about_host(incident),
            Subject::Filesystem(point) => match self.worth_a_walk(incident, point) {
                Some(device) => {
                    let known = self.memory.incidents.get(&incident);
                    let anew = known.is_some_and(|it| it.evidence.is_some() || it.recurrences > 0);
                    let space = EvidenceOf::Space { point: point.clone(), device, anew };
                    // The guards will want to know what others are doing.
                    self.look(Subject::Host);
                    let within = self.space_look_within(incident, point);
                    self.await_evidence(incident, space, within);
                }
                None => self.ask_for_disk(incident, point),
            },
            Subject::Agent => self.go_without_evidence(incident),
        }
    }

    fn ask_about_host(&mut self, incident: IncidentId) {
        let rule = self.memory.incidents.get(&incident).map(|it| &it.rule);
        let rule = rule.and_then(|name| Self::rule_of(&self.setup.policy, name));
        let culprits = rule.is_some_and(looks_for_culprits);
        let storm = self.names(incident, &STORM_FIELDS);
        if culprits {
            // The guards will want to know what others are doing.
            self.look(Subject::Host);
        }
        if storm || culprits {
            let within = if storm { STORM_LOOK_WITHIN } else { CULPRIT_LOOK_WITHIN };
            self.await_evidence(incident, EvidenceOf::Host { storm, culprits }, within);
        } else {
            let none = || Reading::Absent(Absence::NotApplicable);
            let evidence = self.evidence_of_host(none(), Reading::Absent(Absence::NotApplicable));
            self.record(RecordBody::EvidenceTaken { incident, evidence: Box::new(evidence) });
        }
    }

    /// It is about a disk that can't be written to or does not answer; else its finding says what there is to say.
    fn ask_for_disk(&mut self, incident: IncidentId, point: &MountPoint) {
        let about_room = self.names(incident, &SPACE_FIELDS);
        let status = self.view.filesystems.one(point);
        let status = status.value().filter(|status| status.class == FilesystemClass::Disk && !about_room);
        match status {
            Some(status) => {
                let hangs = matches!(status.room, RoomAnswer::Hangs { .. });
                let source = status.source.clone();
                let of = EvidenceOf::Disk { device: status.device, source, hangs };
                self.await_evidence(incident, of, self.setup.policy.limits.evidence_deadline);
            }
            None => self.go_without_evidence(incident),
        }
    }

    fn await_evidence(&mut self, incident: IncidentId, of: EvidenceOf, within: Duration) {
        self.evidence.insert(incident, self.now.boot + within);
        self.effects.push(Effect::TakeEvidence { incident, of });
    }

    /// Its finding says what there is to say.
    fn go_without_evidence(&mut self, incident: IncidentId) {
        let evidence = Evidence::missing("taken for units only");
        self.record(RecordBody::EvidenceTaken { incident, evidence: Box::new(evidence) });
    }

    /// Its rule names one of these fields.
    fn names(&self, incident: IncidentId, fields: &[&str]) -> bool {
        let rule = self.memory.incidents.get(&incident).map(|it| &it.rule);
        rule.and_then(|name| Self::rule_of(&self.setup.policy, name))
            .is_some_and(|rule| rule.when.fields().iter().any(|field| fields.contains(field)))
    }

    /// Which one it is, where the incident is about its room and looking for who takes it neither hangs nor burdens a
    /// server.
    fn worth_a_walk(&self, incident: IncidentId, point: &MountPoint) -> Option<DeviceNumber> {
        let reading = self.view.filesystems.one(point);
        let status = reading.value().filter(|_| self.names(incident, &SPACE_FIELDS))?;
        let answers = matches!(status.room, RoomAnswer::Usage(_));
        let is_near = matches!(status.class, FilesystemClass::Disk | FilesystemClass::Memory);
        (answers && is_near).then_some(status.device)
    }

    fn evidence_of_host(&self, storm: Reading<StormLook>, culprits: Reading<CulpritLook>) -> Evidence {
        let mut evidence = Evidence::of_host(self.view.kernel.last_lines(), storm);
        evidence.culprits = culprits;
        evidence
    }

    pub(super) fn wait_for_evidence(&mut self, incident: IncidentId) {
        match self.evidence.get(&incident) {
            Some(until) => self.wake_at(*until),
            // The agent ended before it came.
            None => {
                self.ask_for_evidence(incident);
                if let Some(until) = self.evidence.get(&incident) {
                    self.wake_at(*until);
                }
            }
        }
    }

    pub(super) fn take_evidence(&mut self, incident: IncidentId, evidence: Evidence) {
        if self.evidence.remove(&incident).is_some() {
            let kind = self.memory.incidents.get(&incident).map(|it| it.subject.kind());
            // Failed: it did not come in time.
            let evidence = match (kind, &evidence) {
                (
                    Some(SubjectKind::Host),
                    Evidence { storm: Reading::Absent(_), unit: Reading::Failed(why), .. },
                ) => self.evidence_of_host(Reading::Failed(why.clone()), Reading::Failed(why.clone())),
                (Some(SubjectKind::Host), _) => self.evidence_of_host(evidence.storm, evidence.culprits),
                (Some(SubjectKind::Filesystem), Evidence { disk: Reading::Value(_), .. }) => {
                    Evidence { log: self.view.kernel.last_lines(), ..evidence }
                }
                (Some(SubjectKind::Filesystem), Evidence { unit: Reading::Failed(why), .. })
                    if self.names(incident, &SPACE_FIELDS) =>
                {
                    Evidence::of_filesystem(Reading::Failed(why.clone()))
                }
                (Some(SubjectKind::Filesystem), Evidence { unit: Reading::Failed(why), .. }) => {
                    Evidence::of_disk(self.view.kernel.last_lines(), Reading::Failed(why.clone()))
                }
                (Some(SubjectKind::Unit | SubjectKind::Filesystem | SubjectKind::Agent) | None, _) => {
                    evidence
                }
            };
            self.record(RecordBody::EvidenceTaken { incident, evidence: Box::new(evidence) });
        } else if self.tells_more(incident, &evidence) {
            self.record(RecordBody::EvidenceTaken { incident, evidence: Box::new(evidence) });
        }
    }

    /// Whether a look at a file system has come further than the one that its incident began with.
    fn tells_more(&self, incident: IncidentId, evidence: &Evidence) -> bool {
        let known = self.memory.incidents.get(&incident).filter(|it| it.closed.is_none());
        let known = known.and_then(|it| it.evidence.as_ref());
        match (known.map(|it| &it.space), &evidence.space) {
            (Some(Reading::Value(known)), Reading::Value(look)) => look.entries > known.entries,
            // It did not come in time.
            (Some(Reading::Failed(_)), Reading::Value(_)) => true,
            (Some(Reading::Value(_) | Reading::Failed(_)), Reading::Absent(_) | Reading::Failed(_))
            | (Some(Reading::Absent(_)) | None, _) => false,
        }
    }

    /// How long a file system that may soon be full is left alone for a look.
    fn space_look_within(&self, incident: IncidentId, point: &MountPoint) -> Duration {
        let can_act = self.memory.incidents.get(&incident).is_some_and(|it| !it.ladder.is_empty());
        match self.view.filesystems.outlook(point) {
            _ if !can_act => SPACE_LOOK_WITHIN,
            Outlook::Filling(filling) => {
                (filling.full_in / PART_OF_WHAT_IS_LEFT).clamp(SPACE_LOOK_LEAST, SPACE_LOOK_WITHIN)
            }
            // What is full already gets no fuller, and people will ask who filled it.
            Outlook::Full(_) | Outlook::TooEarly | Outlook::Steady => SPACE_LOOK_WITHIN,
        }
    }
}

//! How records change incidents: opened, told of, noted in their timeline, ended and forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    Incident, IncidentId, IncidentState, ProposalId, RecordBody, Resolution, TIMELINE_MAX, TimelineEntry,
    Timestamp, Tried,
};

use super::Memory;

/// Ended incidents kept in memory for the status page; the ledger has them all.
const ENDED_KEPT: usize = 200;

impl Memory {
    pub(super) fn open(&mut self, id: IncidentId, body: &RecordBody, at: Timestamp) {
        let RecordBody::IncidentOpened { rule, subject, severity, mode, owner, ladder, finding, .. } = body
        else {
            return;
        };
        self.last_incident = self.last_incident.max(id.0);
        self.counts.incidents += 1;
        self.current.insert((rule.clone(), subject.clone()), id);
        let first = TimelineEntry { at, what: format!("found: {}", finding.what), tried: None };
        self.open.insert(id);
        self.incidents.insert(
            id,
            Arc::new(Incident {
                id,
                rule: rule.clone(),
                subject: subject.clone(),
                severity: *severity,
                mode: *mode,
                owner: owner.clone(),
                finding: finding.clone(),
                state: IncidentState::Open,
                opened: at,
                closed: None,
                evidence: None,
                ladder: ladder.clone(),
                attempts: 0,
                tried: BTreeMap::new(),
                held: None,
                proposal: None,
                escalated: None,
                recurrences: 0,
                timeline: vec![first],
            }),
        );
        self.forget_old_incidents();
    }

    pub(super) fn forget_old_incidents(&mut self) {
        // What people have yet to be told is kept: not for ever, because telling is tried so often and no more.
        let untold = |id: IncidentId| self.untold.iter().any(|notice| notice.incident() == id);
        if self.incidents.len() <= self.open.len() + ENDED_KEPT {
            return;
        }
        let ended = self.incidents.values().filter(|it| !self.open.contains(&it.id) && !untold(it.id));
        let mut ended: Vec<_> = ended.map(|it| (it.closed.map(|at| at.boot), it.id)).collect();
        // By when they ended: an old one that ended just now is the one that its fault would open again.
        ended.sort_unstable();
        let surplus = ended.len().saturating_sub(ENDED_KEPT);
        for (_, id) in ended.into_iter().take(surplus) {
            self.incidents.remove(&id);
            self.current.retain(|_, current| *current != id);
            self.denied.retain(|(incident, _), _| *incident != id);
        }
    }

    pub(super) fn resolve(&mut self, incident: IncidentId, how: Resolution, why: &str, at: Timestamp) {
        match how {
            Resolution::Repaired => self.counts.repaired += 1,
            Resolution::ClearedByItself => self.counts.cleared_by_themselves += 1,
            Resolution::SubjectGone | Resolution::RuleGone => {}
        }
        let asked = self.proposals.values().filter(|(proposal, _)| proposal.incident == incident);
        let asked: Vec<ProposalId> = asked.map(|(proposal, _)| proposal.id).collect();
        for proposal in asked {
            self.proposals.remove(&proposal);
            self.proposal_is_settled(proposal);
        }
        self.denied.retain(|(of, _), _| *of != incident);
        self.half_done.remove(&incident);
        self.open.remove(&incident);
        self.change(incident, at, format!("resolved: {why}"), |it| {
            it.state = IncidentState::Resolved { how };
            it.closed = Some(at);
            it.held = None;
            it.proposal = None;
        });
        self.forget_old_incidents();
    }

    pub(super) fn change(
        &mut self,
        incident: IncidentId,
        at: Timestamp,
        what: impl Into<String>,
        change: impl FnOnce(&mut Incident),
    ) {
        if let Some(it) = self.incident_mut(incident) {
            change(it);
        }
        self.note(incident, at, what.into(), None);
    }

    pub(super) fn note(&mut self, incident: IncidentId, at: Timestamp, what: String, tried: Option<Tried>) {
        if let Some(it) = self.incident_mut(incident) {
            if it.timeline.len() >= TIMELINE_MAX {
                // The beginning tells how it started; the end how it stands.
                it.timeline.remove(TIMELINE_MAX / 2);
            }
            it.timeline.push(TimelineEntry { at, what, tried });
        }
    }
}

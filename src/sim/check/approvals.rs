//! What a person must have agreed to, and what must have been saved first.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ActionId, Command, IncidentId, Mode, Proposal, ProposalId, RecordBody, Reply, Risk};
use crate::sim::world::Moment;

use super::holds::mode_of;
use super::{Checker, Facts, Seen};

/// Risky acts, and those in approve mode, rest on one unexpired approval of their own.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    proposals: BTreeMap<ProposalId, (Proposal, Moment)>,
    approved: BTreeSet<ProposalId>,
    used: BTreeSet<ProposalId>,
    asked: BTreeSet<ProposalId>,
    intents: BTreeMap<ActionId, Option<ProposalId>>,
}

impl Checker for Approvals {
    fn name(&self) -> &'static str {
        "a person agreed"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        match seen {
            // An approval is used by an act, and an intent that was lost before it was released is none.
            Seen::Survived => {
                let intents = facts.disk.entries().filter_map(|entry| match &entry.body {
                    RecordBody::Intended(intent) => intent.approval,
                    _ => None,
                });
                let used: BTreeSet<ProposalId> = intents.collect();
                self.used.retain(|id| used.contains(id));
            }
            Seen::Asked { command: Command::Approve { proposal } } => {
                self.asked.insert(*proposal);
            }
            Seen::Replied { command: Command::Approve { proposal }, reply: Reply::Done(_) } => {
                self.approved.insert(*proposal);
            }
            Seen::Recorded { entry, .. } => match &entry.body {
                RecordBody::Proposed(proposal) => {
                    // A number of a record that was lost in a power cut may be given again.
                    self.approved.remove(&proposal.id);
                    self.asked.remove(&proposal.id);
                    self.used.remove(&proposal.id);
                    self.proposals.insert(proposal.id, (proposal.clone(), facts.t));
                }
                RecordBody::Approved { proposal, .. } if !self.asked.contains(proposal) => {
                    return Err(format!("{proposal} is approved and nobody did"));
                }
                RecordBody::Intended(intent) => {
                    self.intents.insert(intent.action, intent.approval);
                    let risky = intent.remedy.risk() == Risk::High;
                    let unit = intent.targets.last();
                    let asks = risky || unit.is_some_and(|unit| mode_of(unit, facts) == Mode::Approve);
                    return match intent.approval {
                        None if asks => {
                            Err(format!("{} ({}) without an approval", intent.action, intent.remedy))
                        }
                        None => Ok(()),
                        Some(id) => self.fits(id, intent, facts),
                    };
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}

impl Approvals {
    fn fits(
        &mut self,
        id: ProposalId,
        intent: &crate::model::Intent,
        facts: &Facts<'_>,
    ) -> Result<(), String> {
        let action = intent.action;
        let Some((proposal, at)) = self.proposals.get(&id) else {
            return Err(format!("{action} rests on {id}, which was never made"));
        };
        if !self.asked.contains(&id) {
            return Err(format!("{action} rests on {id}, which nobody approved"));
        }
        if proposal.remedy != intent.remedy || proposal.subject != intent.subject {
            return Err(format!("{action} rests on {id}, which is about something else"));
        }
        if proposal.invocation != intent.expectation.invocation_before {
            return Err(format!("{action} rests on {id}, which is about another run"));
        }
        let lifetime = facts.policy.limits.proposal_lifetime;
        if facts.t > at + Moment::try_from(lifetime.as_millis()).unwrap_or(Moment::MAX) {
            return Err(format!("{action} rests on {id}, which has expired"));
        }
        if !self.used.insert(id) {
            return Err(format!("{action} rests on {id}, which was used before"));
        }
        Ok(())
    }
}

/// Evidence is recorded before an incident's first act.
#[derive(Debug, Default)]
pub(super) struct EvidenceFirst {
    taken: BTreeSet<IncidentId>,
}

impl Checker for EvidenceFirst {
    fn name(&self) -> &'static str {
        "evidence first"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        match seen {
            // What was not durable never was: the survivors tell.
            Seen::Survived => {
                self.taken.clear();
                facts.disk.entries().try_for_each(|entry| self.fold(&entry.body))
            }
            Seen::Recorded { entry, .. } => self.fold(&entry.body),
            _ => Ok(()),
        }
    }
}

impl EvidenceFirst {
    fn fold(&mut self, body: &RecordBody) -> Result<(), String> {
        match body {
            RecordBody::IncidentOpened { incident, .. } | RecordBody::IncidentReopened { incident, .. } => {
                self.taken.remove(incident);
            }
            RecordBody::EvidenceTaken { incident, .. } => {
                self.taken.insert(*incident);
            }
            RecordBody::Intended(intent) if !self.taken.contains(&intent.incident) => {
                return Err(format!("{} before any evidence of {}", intent.action, intent.incident));
            }
            _ => {}
        }
        Ok(())
    }
}

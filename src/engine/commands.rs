//! What a person tells the agent. Who may tell is the socket's to check.

use crate::model::{
    Command, IncidentId, PAUSE_MAX, PauseId, PauseScope, Peer, ProposalId, RecordBody, Reply,
};

use super::Engine;
use super::memory::Answer;

/// Pauses in force at one time: more are a program gone wrong.
const PAUSES_MAX: usize = 100;
/// Longest reason kept with a pause or a denial, characters.
const REASON_MAX: usize = 500;

impl Engine {
    pub(super) fn command(&mut self, by: Peer, command: Command) -> Reply {
        match command {
            Command::Pause { scope, length, reason } => {
                if length.is_zero() || length > PAUSE_MAX {
                    return Reply::Refused("a pause lasts from one millisecond to 30 days".into());
                }
                if self.memory.pauses.len() >= PAUSES_MAX {
                    return Reply::Refused(format!("{PAUSES_MAX} pauses are in force: resume some first"));
                }
                if let PauseScope::Rule(rule) = &scope
                    && Self::rule_of(&self.setup.policy, rule).is_none()
                {
                    return Reply::NotFound(format!("the policy has no rule {rule}"));
                }
                let pause = self.memory.next_pause();
                let until = self.now + length;
                let reason = clip(&reason);
                self.record(RecordBody::Paused { pause, scope, until, by, reason });
                Reply::Done(format!("{pause} is in force until {}", until.wall))
            }
            Command::Resume { pause } => self.resume(&by, pause),
            Command::Approve { proposal } => self.approve(by, proposal),
            Command::Deny { proposal, reason } => {
                if !self.memory.proposals.contains_key(&proposal) {
                    return Reply::NotFound(format!("there is no open {proposal}"));
                }
                self.record(RecordBody::Denied { proposal, by, reason: clip(&reason) });
                Reply::Done(format!("{proposal} is denied"))
            }
            Command::Acknowledge { incident } => self.acknowledge(by, incident),
            Command::Undo { action } => self.undo(by, action),
        }
    }

    fn resume(&mut self, by: &Peer, pause: Option<PauseId>) -> Reply {
        let ended: Vec<PauseId> = match pause {
            Some(pause) if self.memory.pauses.contains_key(&pause) => vec![pause],
            Some(pause) => return Reply::NotFound(format!("there is no {pause} in force")),
            None => self.memory.pauses.keys().copied().collect(),
        };
        if ended.is_empty() {
            return Reply::Done("nothing was paused".into());
        }
        let names: Vec<String> = ended.iter().map(PauseId::to_string).collect();
        for pause in ended {
            self.record(RecordBody::Resumed { pause, by: Some(by.clone()) });
        }
        Reply::Done(format!("{} ended", names.join(", ")))
    }

    /// An approval is for the run of the subject that was judged; a later run is another question.
    fn approve(&mut self, by: Peer, proposal: ProposalId) -> Reply {
        let Some((asked, answer)) = self.memory.proposals.get(&proposal) else {
            return Reply::NotFound(format!(
                "there is no open {proposal}: it expired, was answered, or never was"
            ));
        };
        if *answer == Answer::Approved {
            return Reply::Refused(format!("{proposal} is approved already"));
        }
        if let Some(unit) = asked.subject.unit().or_else(|| asked.targets.last()) {
            // Of a unit that runs as it should the run is not known at all times. It is looked at before the act, which
            // is not done to another run.
            let run = self.run_of(&asked.subject, &asked.targets);
            if self.view.unit(unit).is_none() || run.is_some_and(|run| run != asked.invocation) {
                return Reply::Refused(format!("{unit} has been started anew since {proposal} was made"));
            }
        }
        let targets: Vec<String> = asked.targets.iter().map(|unit| format!(" ({unit})")).collect();
        let what = format!("{proposal} is approved: {} {}{}", asked.remedy, asked.subject, targets.concat());
        self.record(RecordBody::Approved { proposal, by });
        Reply::Done(what)
    }

    fn acknowledge(&mut self, by: Peer, incident: IncidentId) -> Reply {
        match self.memory.incidents.get(&incident) {
            None => Reply::NotFound(format!("there is no {incident}")),
            Some(it) if it.closed.is_some() => Reply::Refused(format!("{incident} is over")),
            Some(_) => {
                self.record(RecordBody::Acknowledged { incident, by });
                Reply::Done(format!("{incident} is acknowledged"))
            }
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(REASON_MAX).collect()
}

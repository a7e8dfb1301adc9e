//! The hook by which people are told: it takes a moment, may fail, and may outlive the agent that called it.

use crate::engine::Input;
use crate::model::{Channel, Notice, NoticeId};

use super::check::Seen;
use super::hazard::Weather;
use super::run::{Event, Run};

/// A call of the hook on its way.
#[derive(Debug)]
pub(super) struct Call {
    /// The life of the agent that waits for the answer.
    life: u32,
    notice: Box<Notice>,
    works: bool,
    /// Goes on when the agent ends, as a child in its own session may.
    outlives: bool,
}

impl Run {
    pub(super) fn call_hook(&mut self, notice: Box<Notice>) {
        if let NoticeId::Escalation { .. } = notice.id {
            self.stats.pages += 1;
        }
        self.see(&Seen::Telling { notice: &notice });
        let works = !self.in_weather(Weather::DeafHook);
        let wait = match (self.scripted, self.in_weather(Weather::Slow)) {
            (true, _) => 50,
            (false, true) => self.rng.range(1, 30_000),
            (false, false) => self.rng.range(1, 300),
        };
        let outlives = self.rng.per_mille(500);
        self.later(wait, Event::Hook(Call { life: self.life, notice, works, outlives }));
    }

    pub(super) fn hook_ends(&mut self, call: Call) {
        let Call { life, notice, works, outlives } = call;
        let alive = life == self.life && self.agent.is_some();
        if works && (alive || outlives) {
            self.see(&Seen::Told { notice: &notice, present: alive });
        }
        if alive {
            let failed =
                if works { Vec::new() } else { vec![(Channel::Exec, "the mail server is away".into())] };
            if self.in_weather(Weather::Echo) {
                self.feed(Input::Told { notice: notice.id, failed: failed.clone() });
            }
            self.feed(Input::Told { notice: notice.id, failed });
        }
    }
}

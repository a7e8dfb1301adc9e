//! What the kernel's log has told lately. A trouble is over when ten minutes have passed without another message of
//! it: the kernel tells of troubles, and not of their end.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{
    Absence, BootTime, EVIDENCE_LINES_MAX, KernelEvent, KernelLogUpdate, KernelTrouble, Reading,
};

/// The window of the fields that end in `_10m`.
const WINDOW: Duration = Duration::from_secs(600);
/// Events remembered of each kind: what a rule counts needs no more.
const EVENTS_KEPT: usize = 1000;

/// The troubles of the last ten minutes.
#[derive(Clone, Debug)]
pub struct KernelLogFacts {
    now: BootTime,
    /// Why nothing is known, when nothing is.
    heard: Reading<()>,
    /// Oldest first.
    events: BTreeMap<KernelTrouble, VecDeque<(BootTime, u32)>>,
    /// The latest lines, oldest first.
    lines: VecDeque<String>,
}

impl Default for KernelLogFacts {
    fn default() -> Self {
        Self {
            now: BootTime::ZERO,
            heard: Reading::Absent(Absence::NotObserved),
            events: BTreeMap::new(),
            lines: VecDeque::new(),
        }
    }
}

impl KernelLogFacts {
    pub(super) fn pass_time(&mut self, now: BootTime) {
        self.now = self.now.max(now);
        for events in self.events.values_mut() {
            while events.front().is_some_and(|(at, _)| self.now.since(*at) > WINDOW) {
                events.pop_front();
            }
        }
    }

    pub(super) fn take(&mut self, update: &KernelLogUpdate) {
        match update {
            KernelLogUpdate::Told { events, .. } => {
                self.heard = Reading::Value(());
                events.iter().for_each(|event| self.add(event));
            }
            KernelLogUpdate::Unreadable { why } => self.heard = Reading::Failed(why.clone()),
        }
    }

    fn add(&mut self, event: &KernelEvent) {
        // The log is read from its beginning at each start of the agent.
        if self.now.since(event.at) > WINDOW {
            return;
        }
        let events = self.events.entry(event.trouble).or_default();
        if events.len() >= EVENTS_KEPT {
            events.pop_front();
        }
        events.push_back((event.at, event.count));
        if self.lines.len() >= EVIDENCE_LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(match event.count {
            1 => event.line.clone(),
            count => format!("{} ({count} such messages)", event.line),
        });
    }

    /// How many there were of one kind.
    #[must_use]
    pub fn count(&self, trouble: KernelTrouble) -> Reading<u64> {
        let events = self.events.get(&trouble).into_iter().flatten();
        let count = events.map(|(_, count)| u64::from(*count)).sum();
        self.heard.clone().map(|()| count)
    }

    /// The latest lines, for the record.
    #[must_use]
    pub fn last_lines(&self) -> Reading<Vec<String>> {
        self.heard.clone().map(|()| self.lines.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KernelSubject;

    fn told(at: i64, trouble: KernelTrouble, count: u32) -> KernelLogUpdate {
        let about = KernelSubject::Host;
        let event =
            KernelEvent { at: BootTime::from_millis(at), trouble, about, count, line: format!("at {at}") };
        KernelLogUpdate::Told { events: vec![event], lost: 0 }
    }

    #[test]
    fn counts_end_by_themselves() {
        let mut facts = KernelLogFacts::default();
        assert_eq!(facts.count(KernelTrouble::OomKill), Reading::Absent(Absence::NotObserved));
        facts.pass_time(BootTime::from_millis(1000));
        facts.take(&told(1000, KernelTrouble::StorageError, 7));
        facts.take(&told(2000, KernelTrouble::StorageError, 1));
        let check = |facts: &KernelLogFacts, expected| {
            assert_eq!(facts.count(KernelTrouble::StorageError), Reading::Value(expected));
            assert_eq!(facts.count(KernelTrouble::OomKill), Reading::Value(0));
        };
        check(&facts, 8);
        facts.pass_time(BootTime::from_millis(601_500));
        check(&facts, 1);
        facts.pass_time(BootTime::from_millis(602_500));
        check(&facts, 0);
        let lines = ["at 1000 (7 such messages)", "at 2000"].map(str::to_owned).to_vec();
        assert_eq!(facts.last_lines(), Reading::Value(lines));
    }

    #[test]
    fn old_messages_and_silence_count_for_nothing() {
        let mut facts = KernelLogFacts::default();
        facts.pass_time(BootTime::from_millis(5_000_000));
        facts.take(&told(1000, KernelTrouble::OomKill, 1));
        assert_eq!(facts.count(KernelTrouble::OomKill), Reading::Value(0));
        facts.take(&KernelLogUpdate::Unreadable { why: "permission denied".into() });
        assert_eq!(facts.count(KernelTrouble::OomKill), Reading::Failed("permission denied".into()));
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut facts = KernelLogFacts::default();
        for at in 0..2 * EVENTS_KEPT {
            facts.take(&told(i64::try_from(at).expect("small"), KernelTrouble::Segfault, 1));
        }
        assert_eq!(facts.count(KernelTrouble::Segfault), Reading::Value(EVENTS_KEPT as u64));
    }
}

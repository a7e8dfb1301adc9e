//! The news that wait for their one listener, bounded: a slow listener costs a list, never memory.

use std::collections::VecDeque;

use crate::manager::News;
use crate::model::{UnitName, UnitStatus};

/// Most single news that wait; a unit with its relations takes 2 to 4 KiB, so a few MiB at the worst.
const NEWS_MAX: usize = 1024;

#[derive(Debug)]
enum Item {
    Changed(UnitStatus),
    Removed(UnitName),
    /// Everything else. An order is kept only among what is kept.
    Other(News),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Item>);

impl Queue {
    pub(super) fn changed(&mut self, status: UnitStatus) {
        self.push(Item::Changed(status));
    }

    pub(super) fn removed(&mut self, unit: UnitName) {
        self.push(Item::Removed(unit));
    }

    /// Any other news. A second [`News::ListAgain`] behind one that waits, with nothing between that it would have to
    /// follow, is left out.
    pub(super) fn other(&mut self, news: News) {
        if matches!((&news, self.0.back()), (News::ListAgain, Some(Item::Other(News::ListAgain)))) {
            return;
        }
        self.push(Item::Other(news));
    }

    /// Neighbours of one kind go out together, in their order.
    pub(super) fn pop(&mut self) -> Option<News> {
        match self.0.pop_front()? {
            Item::Changed(first) => {
                let mut all = vec![first];
                while let Some(Item::Changed(_)) = self.0.front() {
                    if let Some(Item::Changed(next)) = self.0.pop_front() {
                        all.push(next);
                    }
                }
                Some(News::Changed(all))
            }
            Item::Removed(first) => {
                let mut all = vec![first];
                while let Some(Item::Removed(_)) = self.0.front() {
                    if let Some(Item::Removed(next)) = self.0.pop_front() {
                        all.push(next);
                    }
                }
                Some(News::Removed(all))
            }
            Item::Other(news) => Some(news),
        }
    }

    /// At the bound, what a list tells again goes, and a list is asked for. Jobs that ended are told by nothing else:
    /// they stay as long as there is room, then the oldest go.
    fn push(&mut self, item: Item) {
        if self.0.len() >= NEWS_MAX {
            self.0.retain(|item| {
                matches!(item, Item::Other(News::JobEnded(_) | News::Lost(_) | News::Reloading(_)))
            });
            while self.0.len() + 2 > NEWS_MAX {
                self.0.pop_front();
            }
            self.0.push_back(Item::Other(News::ListAgain));
        }
        self.0.push_back(item);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::model::{
        Absence, ActiveState, JobEvent, JobKind, JobOrigin, JobResult, LoadState, Reading, UnitJob,
    };

    fn unit(number: usize) -> UnitName {
        UnitName::parse(format!("u{number}.service")).unwrap()
    }

    fn status(number: usize) -> UnitStatus {
        UnitStatus {
            name: unit(number),
            load: LoadState::Loaded,
            active: ActiveState::Failed,
            sub: "failed".into(),
            job: Reading::Absent(Absence::NotApplicable),
            details: Reading::Absent(Absence::NotObserved),
        }
    }

    fn ended(id: u32) -> News {
        News::JobEnded(JobEvent {
            unit: unit(0),
            job: UnitJob { id, kind: JobKind::Stop, origin: JobOrigin::Other },
            result: JobResult::Done,
            invocation_before: Reading::Absent(Absence::NotObserved),
            invocation_after: Reading::Absent(Absence::NotObserved),
            active_after: Reading::Absent(Absence::NotObserved),
        })
    }

    #[test]
    fn neighbours_go_out_together_and_the_order_stays() {
        let mut queue = Queue::default();
        queue.changed(status(1));
        queue.changed(status(2));
        queue.other(ended(7));
        queue.changed(status(3));
        queue.removed(unit(3));
        queue.other(News::ListAgain);
        queue.other(News::ListAgain);
        assert!(matches!(queue.pop(), Some(News::Changed(all)) if all.len() == 2));
        assert!(matches!(queue.pop(), Some(News::JobEnded(event)) if event.job.id == 7));
        assert!(matches!(queue.pop(), Some(News::Changed(all)) if all.len() == 1));
        assert!(matches!(queue.pop(), Some(News::Removed(all)) if all.len() == 1));
        assert!(matches!(queue.pop(), Some(News::ListAgain)));
        assert!(queue.pop().is_none());
    }

    #[test]
    fn a_listener_that_sleeps_costs_a_list_and_no_memory() {
        let mut queue = Queue::default();
        queue.other(ended(7));
        for number in 0..5 * NEWS_MAX {
            queue.changed(status(number));
            assert!(queue.0.len() <= NEWS_MAX);
        }
        assert!(matches!(queue.pop(), Some(News::JobEnded(event)) if event.job.id == 7), "kept");
        assert!(matches!(queue.pop(), Some(News::ListAgain)));
        for id in 0..3 * u32::try_from(NEWS_MAX).unwrap() {
            queue.other(ended(id));
            assert!(queue.0.len() <= NEWS_MAX);
        }
    }
}

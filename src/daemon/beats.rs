//! What is done at intervals is done when the agent is awake anyway: at the beats of the host's pass.

use std::time::Duration;

use tokio::sync::watch;

/// How often the host's own files are read, and the agent wakes at rest: what is over in a second shows in the peaks.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// Gives the beats.
#[derive(Clone, Debug)]
pub(super) struct BeatGiver(watch::Sender<u64>);

impl BeatGiver {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(super) fn give(&self, beats: u64) {
        self.0.send_modify(|count| *count += beats);
    }

    pub(super) fn listen(&self) -> Beats {
        Beats(self.0.subscribe())
    }
}

/// Hears the beats.
#[derive(Debug)]
pub(super) struct Beats(watch::Receiver<u64>);

impl Beats {
    /// The beat before which at least so much time passes, but for the part of a beat that has passed already.
    pub(super) fn after(&self, time: Duration) -> u64 {
        *self.0.borrow() + time.as_secs() / BEAT.as_secs()
    }

    /// Whether this beat was given.
    pub(super) fn has_come(&self, beat: u64) -> bool {
        *self.0.borrow() >= beat
    }

    /// Waits for this beat.
    pub(super) async fn reach(&mut self, beat: u64) {
        if self.0.wait_for(|count| *count >= beat).await.is_err() {
            // Nobody gives them any more: the agent is ending.
            std::future::pending::<()>().await;
        }
    }

    /// Waits for so much time, or for the next beat where that comes first: whoever waits looks at the time anew.
    pub(super) async fn pause(&mut self, time: Duration) {
        if time >= BEAT {
            let next = self.after(BEAT);
            self.reach(next).await;
        } else {
            tokio::time::sleep(time).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn beats_are_counted_from_when_somebody_asks() {
        let giver = BeatGiver::new();
        let mut beats = giver.listen();
        giver.give(1);
        let wanted = beats.after(Duration::from_secs(2));
        giver.give(1);
        assert!(beats.reach(wanted).now_or_never().is_none());
        giver.give(1);
        assert!(beats.reach(wanted).now_or_never().is_some());
        // Long pauses end with the next beat, not with one that was given before.
        assert!(beats.pause(Duration::from_secs(9)).now_or_never().is_none());
    }
}

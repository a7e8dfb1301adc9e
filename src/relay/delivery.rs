//! What to send where, and when: pure. The time and what a receiver answered come in; the next step comes out.
//!
//! One page of records at a time, in order: nothing behind a record is settled before it. What a receiver does not take
//! for reasons of its own (away, busy, broken, a wrong token) is tried again for as long as it takes, at the first
//! receiver of the list that is not being left alone; so a better one is returned to when its time comes. What it does
//! not take because of what is in it is halved until one record is left; that one is set aside, if the receiver takes
//! anything at all and no other one takes it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::chance::{Backoff, Chance, Delays};

/// Between two tries of one receiver. A minute: a receiver that is back is found soon, and ten thousand hosts that look for
/// one that is away make less than two hundred tries a second.
pub const DELAYS: Delays = Delays { first: Duration::from_secs(1), most: Duration::from_secs(60) };
/// Records that a receiver refuses in a row, without one that it takes: more, and it is the receiver that is not right.
pub const SET_ASIDE_IN_A_ROW_MAX: u32 = 8;
/// A receiver that failed so often in a row is not waited for to take what another one refused.
const AWAY_AFTER_FAILURES: u32 = 3;
/// After trouble, the rate begins with this share of the highest, and is doubled with each second without trouble.
const SLOW_START: u32 = 16;

/// Sizes and rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Records of one request.
    pub records_max: usize,
    /// Bytes of one request before it is compressed; one record may be larger.
    pub bytes_max: usize,
    /// Records per second, in the long run.
    pub per_second: u32,
}

/// Records for a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Which receiver, by its place in the list.
    pub receiver: usize,
    /// Which records of the page. Of none: to find out whether it takes anything.
    pub records: Range<usize>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Send(Parcel),
    /// Nothing until then.
    Wait(Duration),
    /// All of the page is settled.
    Done,
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Taken, but for so many of them: it says why, and does not say which.
    Taken { rejected: u64, why: String },
    /// 413.
    TooLarge,
    /// It does not like the content.
    Refused(String),
    /// It has too much to do, and may say when to come back.
    Busy { retry_after: Option<Duration>, why: String },
    /// Away, broken, or not to be understood.
    Failed(String),
}

/// What an answer settles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing.
    Nothing,
    /// These are with the receiver, all but `rejected`.
    Taken { records: Range<usize>, rejected: u64, why: String },
    /// This one will never be.
    SetAside { record: usize, why: String },
}

/// What became of a single record that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Suspect {
    receiver: usize,
    why: String,
}

/// The delivery of one host's records.
#[derive(Debug)]
pub struct Delivery {
    settings: Settings,
    receivers: Vec<Backoff>,
    chance: Chance,
    /// What is left of the page, in order.
    left: VecDeque<Range<usize>>,
    /// The first that is left is one record, and this receiver refused it.
    suspect: Option<Suspect>,
    /// Who takes other things and will not have that record.
    refused_by: BTreeMap<usize, String>,
    /// Of each receiver, how many it refused since it last took anything.
    in_a_row: Vec<u32>,
    rate: Rate,
}

impl Delivery {
    /// Of a number of receivers, the first the most wanted.
    #[must_use]
    pub fn new(settings: Settings, receivers: usize, chance: Chance) -> Self {
        Self {
            settings,
            receivers: vec![Backoff::new(DELAYS); receivers],
            chance,
            left: VecDeque::new(),
            suspect: None,
            refused_by: BTreeMap::new(),
            in_a_row: vec![0; receivers],
            rate: Rate::new(settings.per_second),
        }
    }

    /// A page to deliver, by the sizes of its records. What was left of another one is forgotten.
    pub fn load(&mut self, sizes: &[usize]) {
        self.left.clear();
        self.suspect = None;
        self.refused_by.clear();
        let mut begin = 0;
        let mut bytes = 0_usize;
        for (at, size) in sizes.iter().enumerate() {
            let full = at - begin >= self.settings.records_max.max(1)
                || bytes.saturating_add(*size) > self.settings.bytes_max;
            if full && at > begin {
                self.left.push_back(begin..at);
                (begin, bytes) = (at, 0);
            }
            bytes = bytes.saturating_add(*size);
        }
        if begin < sizes.len() {
            self.left.push_back(begin..sizes.len());
        }
    }

    /// What to do now.
    pub fn step(&mut self, now: Duration) -> Step {
        let Some(next) = self.left.front().cloned() else { return Step::Done };
        if let Some(suspect) = &self.suspect {
            return Step::Send(Parcel { receiver: suspect.receiver, records: next.start..next.start });
        }
        let open = || self.receivers.iter().enumerate().filter(|(at, _)| !self.refused_by.contains_key(at));
        let Some((receiver, _)) = open().find(|(_, receiver)| receiver.until() <= now) else {
            let soonest = open().map(|(_, receiver)| receiver.until()).min();
            return Step::Wait(soonest.unwrap_or(now + DELAYS.most));
        };
        match self.rate.take(now, next.len()) {
            Ok(()) => Step::Send(Parcel { receiver, records: next }),
            Err(until) => Step::Wait(until),
        }
    }

    /// What the receiver of the last parcel answered.
    pub fn answered(&mut self, now: Duration, parcel: &Parcel, answer: Answer) -> Settled {
        if let Some(suspect) = self.suspect.take() {
            return self.probed(now, suspect, &answer);
        }
        let records = parcel.records.len();
        match answer {
            // To take a request and nothing of what is in it is to refuse it.
            Answer::Taken { rejected, why } if rejected >= records as u64 && records > 0 => {
                self.refused(parcel, why)
            }
            Answer::Taken { rejected, why } => {
                self.went_well(now, parcel.receiver);
                self.in_a_row[parcel.receiver] = 0;
                self.pop();
                Settled::Taken { records: parcel.records.clone(), rejected, why }
            }
            Answer::TooLarge if records > 1 => self.halve(),
            Answer::TooLarge => {
                self.will_not_have_it(now, parcel.receiver, "it is too large for the receiver".into())
            }
            Answer::Refused(why) => self.refused(parcel, why),
            Answer::Busy { retry_after, .. } => self.trouble(now, parcel.receiver, retry_after),
            Answer::Failed(_) => self.trouble(now, parcel.receiver, None),
        }
    }

    /// How often each receiver failed in a row.
    pub fn failures(&self) -> impl Iterator<Item = u32> {
        self.receivers.iter().map(Backoff::failures)
    }

    fn refused(&mut self, parcel: &Parcel, why: String) -> Settled {
        if parcel.records.len() > 1 {
            return self.halve();
        }
        self.suspect = Some(Suspect { receiver: parcel.receiver, why });
        Settled::Nothing
    }

    /// A receiver that takes an empty request took offence at the record; one that does not is itself not right.
    fn probed(&mut self, now: Duration, suspect: Suspect, answer: &Answer) -> Settled {
        match answer {
            Answer::Taken { .. } => self.will_not_have_it(now, suspect.receiver, suspect.why),
            Answer::Busy { retry_after, .. } => self.trouble(now, suspect.receiver, *retry_after),
            Answer::TooLarge | Answer::Refused(_) | Answer::Failed(_) => {
                self.trouble(now, suspect.receiver, None)
            }
        }
    }

    /// Another receiver may take what this one does not; with too many of them in a row, it is this one that is wrong.
    fn will_not_have_it(&mut self, now: Duration, receiver: usize, why: String) -> Settled {
        self.in_a_row[receiver] = self.in_a_row[receiver].saturating_add(1);
        if self.in_a_row[receiver] > SET_ASIDE_IN_A_ROW_MAX {
            return self.trouble(now, receiver, None);
        }
        self.refused_by.insert(receiver, why);
        self.perhaps_aside()
    }

    /// A record that is refused waits for whoever may still take it, and not for those that have been away for long.
    fn perhaps_aside(&mut self) -> Settled {
        let may_take = |(at, receiver): (usize, &Backoff)| {
            !self.refused_by.contains_key(&at) && receiver.failures() < AWAY_AFTER_FAILURES
        };
        if self.refused_by.is_empty() || self.receivers.iter().enumerate().any(may_take) {
            return Settled::Nothing;
        }
        let why = self.refused_by.values().next().cloned().unwrap_or_default();
        match self.pop() {
            Some(records) => Settled::SetAside { record: records.start, why },
            None => Settled::Nothing,
        }
    }

    fn pop(&mut self) -> Option<Range<usize>> {
        self.refused_by.clear();
        self.left.pop_front()
    }

    fn halve(&mut self) -> Settled {
        if let Some(Range { start, end }) = self.left.pop_front() {
            let middle = start + (end - start) / 2;
            self.left.push_front(middle..end);
            self.left.push_front(start..middle);
        }
        Settled::Nothing
    }

    fn went_well(&mut self, now: Duration, receiver: usize) {
        self.receivers[receiver].succeeded();
        self.rate.went_well(now);
    }

    fn trouble(&mut self, now: Duration, receiver: usize, retry_after: Option<Duration>) -> Settled {
        self.receivers[receiver].failed(now, retry_after, &mut self.chance);
        self.rate.trouble(now);
        self.perhaps_aside()
    }
}

/// A token bucket whose rate falls with trouble and comes back step by step.
#[derive(Debug)]
struct Rate {
    most: u32,
    now: u32,
    /// Records that may be sent; below zero after a parcel that was larger than what was there.
    tokens: f64,
    filled: Duration,
    changed: Duration,
}

impl Rate {
    fn new(most: u32) -> Self {
        let most = most.max(1);
        Self { most, now: most, tokens: f64::from(most), filled: Duration::ZERO, changed: Duration::ZERO }
    }

    fn take(&mut self, now: Duration, records: usize) -> Result<(), Duration> {
        let rate = f64::from(self.now);
        let gained = now.saturating_sub(self.filled).as_secs_f64() * rate;
        // A second's worth can be saved up.
        self.tokens = (self.tokens + gained).min(rate);
        self.filled = self.filled.max(now);
        if self.tokens <= 0.0 {
            // A millisecond more than needed: a wait of a rounded-down nothing would spin.
            return Err(now + Duration::from_secs_f64(-self.tokens / rate) + Duration::from_millis(1));
        }
        self.tokens -= f64::from(u32::try_from(records).unwrap_or(u32::MAX));
        Ok(())
    }

    fn went_well(&mut self, now: Duration) {
        if self.now < self.most && now.saturating_sub(self.changed) >= Duration::from_secs(1) {
            self.now = self.now.saturating_mul(2).min(self.most);
            self.changed = now;
        }
    }

    fn trouble(&mut self, now: Duration) {
        self.now = (self.most / SLOW_START).max(1);
        self.tokens = self.tokens.min(f64::from(self.now));
        self.changed = now;
    }
}

#[cfg(test)]
mod tests;

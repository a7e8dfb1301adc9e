//! Which old records go, and when.

use std::time::Duration;

use rusqlite::OptionalExtension;

use crate::model::{Durability, RecordBody, Seq, WallTime};

use super::error::AppendError;
use super::hash::{Place, RecordHash};
use super::prepared::Prepared;
use super::store::insert;
use super::{Ledger, LedgerError};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of the database, without the pages that wait to be used again.
    pub bytes: u64,
    /// By the wall clock of the record.
    pub age: Duration,
    /// As `bytes`, while there are records that a relay has yet to ship: these go only beyond this.
    pub unshipped_bytes: u64,
}

impl Default for Limits {
    /// A quarter of a gigabyte is some 400,000 records; ninety days is what an audit usually asks for.
    fn default() -> Self {
        // Twice as much: weeks without a link on a host in trouble, and still no disk is filled by it.
        Self { bytes: 256 << 20, age: Duration::from_secs(90 * 24 * 3600), unshipped_bytes: 512 << 20 }
    }
}

/// When there is too much, this share of the limit is kept, so that pruning is rare.
const KEEP_PERCENT: u64 = 90;
/// Most records pruned in one transaction, which holds up appends for as long as it takes.
pub const PRUNE_RECORDS_MAX: u64 = 5_000;
/// Fewer are not worth a transaction; and since each pruning adds a record that says so, pruning one at a time would
/// never come to an end.
const PRUNE_RECORDS_MIN: u64 = 100;
/// The newest records always stay: what happened last is what anybody asks for first.
const KEEP_RECORDS_MIN: u64 = 1_000;

/// What the planner needs to know of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Oldest and newest record.
    pub first: Seq,
    pub last: Seq,
    /// Pages in use, bytes.
    pub bytes: u64,
    /// The last of the oldest records that are past the age limit; records are looked at in steps, so that it may
    /// be a little early.
    pub expired: Option<Seq>,
    /// The last record that a relay has acknowledged; 0 where none ever did: then nobody is waited for.
    pub acknowledged: Seq,
}

/// The record through which to prune now, if any. More may be due; ask again.
///
/// `keep_from` is the oldest record that an open incident, a backoff or a pause still needs.
#[must_use]
pub fn plan(stats: &Stats, limits: &Limits, keep_from: Seq) -> Option<Seq> {
    let due = over(stats, limits.bytes).max(stats.expired.map(|seq| seq.0))?;
    let due = match stats.acknowledged.0 {
        0 => due,
        shipped => due.min(over(stats, limits.unshipped_bytes).unwrap_or(0).max(shipped)),
    };
    let through = due
        .min(keep_from.0.checked_sub(1)?)
        .min(stats.last.0.checked_sub(KEEP_RECORDS_MIN)?)
        .min(stats.first.0 + PRUNE_RECORDS_MAX - 1);
    (through + 1 >= stats.first.0 + PRUNE_RECORDS_MIN).then_some(Seq(through))
}

/// The last of the records that are too many for a limit of the size.
fn over(stats: &Stats, limit: u64) -> Option<u64> {
    let records = (stats.last.0 + 1).checked_sub(stats.first.0)?;
    if stats.bytes <= limit {
        return None;
    }
    let wanted = limit / 100 * KEEP_PERCENT;
    // Records differ in length; the next round corrects.
    let kept = u128::from(records) * u128::from(wanted) / u128::from(stats.bytes.max(1));
    let surplus = records - u64::try_from(kept).unwrap_or(records).min(records);
    (stats.first.0 + surplus).checked_sub(1).filter(|_| surplus > 0)
}

impl Ledger {
    /// Prunes what is due, at most [`PRUNE_RECORDS_MAX`] records. Says through which record; ask again until
    /// `None`.
    ///
    /// Pages are used again, never given back: the file stays at its highest size, which the limit bounds.
    ///
    /// # Errors
    /// Nothing is pruned.
    pub fn prune(&mut self, limits: &Limits, keep_from: Seq) -> Result<Option<Seq>, AppendError> {
        let stamp = (self.options.clock)();
        let through = match self.stats(limits, stamp.at.wall).map_err(AppendError::Reopen)? {
            Some(stats) => plan(&stats, limits, keep_from),
            None => None,
        };
        let Some(through) = through else { return Ok(None) };
        let Some(db) = self.db.as_mut() else { return Ok(None) };
        let records = through.0 - db.meta.anchor.seq.0;
        let unshipped = match db.meta.acknowledged.0 {
            0 => 0,
            shipped => through.0.saturating_sub(shipped.max(db.meta.anchor.seq.0)),
        };
        let hash: Vec<u8> = match db.connection.query_row(
            "SELECT hash FROM records WHERE seq = ?1",
            [through.0.cast_signed()],
            |row| row.get(0),
        ) {
            Ok(hash) => hash,
            Err(error) => return Err(AppendError::Damaged(error.to_string())),
        };
        let Some(hash) = RecordHash::from_slice(&hash) else {
            return Err(AppendError::Damaged(format!("record {through} has no proper hash")));
        };
        let anchor = Place { seq: through, hash };
        let entry = Prepared::new(&stamp.entry(RecordBody::Pruned { through, records, unshipped }))
            .map_err(|error| AppendError::Damaged(error.to_string()))?;
        let end = self.head.then(entry.json().as_bytes());
        match insert(db, self.head, &[entry], Durability::Synced, Some(anchor)) {
            Ok(()) => {
                db.meta.anchor = anchor;
                self.head = end;
                self.witness.note(db.meta.chain, end);
                Ok(Some(through))
            }
            Err(error) => Err(self.failed(error, end)),
        }
    }

    /// `None` while there is no chain.
    fn stats(&self, limits: &Limits, now: WallTime) -> Result<Option<Stats>, LedgerError> {
        let Some(db) = &self.db else { return Ok(None) };
        let sqlite = |source| LedgerError::Sqlite { path: self.folder.ledger(), source };
        let number = |pragma: &str| -> Result<u64, LedgerError> {
            let value: i64 =
                db.connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).map_err(sqlite)?;
            Ok(value.cast_unsigned())
        };
        let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
        let first = Seq(db.meta.anchor.seq.0 + 1);
        let last = self.head.seq;
        // Nothing is stored but the text, so its time is read out of it, in steps from the old end.
        let mut statement = db
            .connection
            .prepare_cached("SELECT json_extract(entry, '$.at.wall_ms') FROM records WHERE seq = ?1")
            .map_err(sqlite)?;
        let mut expired = None;
        for seq in (first.0..=last.0).step_by(AGE_STEP).take(AGE_STEPS_MAX) {
            let wall: Option<i64> =
                statement.query_row([seq.cast_signed()], |row| row.get(0)).optional().map_err(sqlite)?;
            match wall {
                Some(wall) if now.since(WallTime::from_unix_millis(wall)) > limits.age => {
                    expired = Some(Seq(seq));
                }
                Some(_) | None => break,
            }
        }
        let bytes = pages.saturating_mul(number("page_size")?);
        Ok(Some(Stats { first, last, bytes, expired, acknowledged: db.meta.acknowledged }))
    }
}

/// Records between two whose age is looked at.
const AGE_STEP: usize = 50;
/// Looks in one round: as many as one transaction prunes.
const AGE_STEPS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits =
        Limits { bytes: 1_000_000, age: Duration::from_secs(60), unshipped_bytes: 2_000_000 };

    fn check(first: u64, last: u64, bytes: u64, expired: Option<u64>, keep_from: u64) -> Option<u64> {
        let expired = expired.map(Seq);
        let stats = Stats { first: Seq(first), last: Seq(last), bytes, expired, acknowledged: Seq(0) };
        plan(&stats, &LIMITS, Seq(keep_from)).map(|seq| seq.0)
    }

    /// Of 10,000 records, with a relay that has shipped some.
    fn check_shipped(bytes: u64, expired: Option<u64>, acknowledged: u64) -> Option<u64> {
        let (first, last, expired) = (Seq(1), Seq(10_000), expired.map(Seq));
        let stats = Stats { first, last, bytes, expired, acknowledged: Seq(acknowledged) };
        plan(&stats, &LIMITS, Seq(u64::MAX)).map(|seq| seq.0)
    }

    #[test]
    fn what_a_relay_has_not_shipped_stays_until_the_hard_limit() {
        assert_eq!(check_shipped(1_125_000, None, 10_000), Some(2_000));
        assert_eq!(check_shipped(1_125_000, None, 500), Some(500));
        assert_eq!(check_shipped(1_125_000, Some(9_000), 50), None, "fewer than are worth it");
        assert_eq!(check_shipped(2_000_000, Some(9_000), 500), Some(500));
        assert_eq!(check_shipped(2_250_000, None, 500), Some(2_000), "down to nine tenths of the hard limit");
        assert_eq!(check_shipped(1_125_000, None, 0), Some(2_000), "there is no relay");
    }

    #[test]
    fn within_both_limits_nothing_goes() {
        assert_eq!(check(1, 9_000, 1_000_000, None, u64::MAX), None);
    }

    #[test]
    fn size_prunes_to_below_the_limit() {
        assert_eq!(check(1, 10_000, 2_000_000, None, u64::MAX), Some(PRUNE_RECORDS_MAX));
        assert_eq!(check(1, 10_000, 1_125_000, None, u64::MAX), Some(2_000));
    }

    #[test]
    fn age_prunes_what_expired() {
        assert_eq!(check(101, 9_000, 10, Some(351), u64::MAX), Some(351));
        assert_eq!(check(101, 9_000, 10, Some(151), u64::MAX), None);
    }

    #[test]
    fn what_is_needed_stays() {
        assert_eq!(check(1, 10_000, 2_000_000, Some(4_000), 300), Some(299));
        assert_eq!(check(1, 10_000, 2_000_000, Some(4_000), 1), None);
        assert_eq!(check(300, 10_000, 2_000_000, Some(4_000), 300), None);
        assert_eq!(check(1, 10_000, 2_000_000, Some(4_000), 0), None);
    }

    #[test]
    fn the_newest_stay() {
        assert_eq!(check(1, 1_000, 2_000_000, Some(1_000), u64::MAX), None);
        assert_eq!(check(1, 1_200, 2_000_000, Some(1_200), u64::MAX), Some(200));
    }

    proptest! {
        #[test]
        fn a_plan_is_always_within_bounds(
            first in 1..u64::from(u32::MAX), length in 0..100_000_u64, bytes in any::<u64>(),
            expired in proptest::option::of(any::<u32>()), keep_from in any::<u64>(), limit in any::<u64>(),
            acknowledged in 0..200_000_u64, hard in any::<u64>(),
        ) {
            let stats = Stats {
                first: Seq(first), last: Seq(first + length), bytes,
                expired: expired.map(|seq| Seq(u64::from(seq))),
                acknowledged: Seq(acknowledged),
            };
            let limits = Limits { bytes: limit, age: Duration::ZERO, unshipped_bytes: hard };
            if let Some(through) = plan(&stats, &limits, Seq(keep_from)) {
                prop_assert!(acknowledged == 0 || through.0 <= acknowledged || bytes > hard);
                prop_assert!(through.0 >= first && through.0 < keep_from);
                prop_assert!(through.0 + KEEP_RECORDS_MIN <= first + length);
                prop_assert!(through.0 - first < PRUNE_RECORDS_MAX);
                prop_assert!(through.0 - first + 1 >= PRUNE_RECORDS_MIN);
            }
        }
    }
}

//! Following a chain from its anchor to its end, proving each record on the way.

use rusqlite::{Connection, Row};

use crate::model::{Entry, Record, RecordBody, Seq, SetAside};

use super::hash::{Place, RecordHash};
use super::prepared::Keys;
use super::read::Proven;
use super::schema::{Meta, Unusable};

/// How far a chain could be followed.
#[derive(Debug)]
pub(super) struct Proof {
    /// The last place that is proven: the anchor when no record is.
    pub(super) last: Place,
    /// Records proven.
    pub(super) records: u64,
    /// Why it went no further, if it did not reach the end.
    pub(super) fault: Option<Unusable>,
}

impl Proof {
    /// The last proven record in the form that the next chain's first record keeps.
    pub(super) fn last_for_set_aside(&self) -> Option<(Seq, String)> {
        (self.records > 0).then(|| (self.last.seq, self.last.hash.to_string()))
    }
}

/// Where to stop, and what is known beforehand about the chain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// Go no further than this record.
    pub(super) until: Option<Seq>,
    /// A place that was on the disk for certain: the chain must go through it.
    pub(super) witness: Option<Place>,
}

/// One stored row, unjudged.
struct Stored {
    seq: u64,
    previous: Vec<u8>,
    hash: Vec<u8>,
    kind: String,
    incident: Option<u64>,
    action: Option<u64>,
    proposal: Option<u64>,
    json: String,
}

const SELECT: &str = "SELECT seq, prev_hash, hash, kind, incident, action, proposal, entry FROM records";

impl Stored {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        let id = |column| row.get::<_, Option<i64>>(column).map(|id| id.map(i64::cast_unsigned));
        Ok(Self {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            previous: row.get(1)?,
            hash: row.get(2)?,
            kind: row.get(3)?,
            incident: id(4)?,
            action: id(5)?,
            proposal: id(6)?,
            json: row.get(7)?,
        })
    }

    /// The place before it, as it says itself.
    fn before(&self) -> Result<Place, Unusable> {
        RecordHash::from_slice(&self.previous)
            .zip(self.seq.checked_sub(1))
            .map(|(hash, seq)| Place { seq: Seq(seq), hash })
            .ok_or_else(|| Unusable::Damaged(format!("record {} has no proper predecessor", self.seq)))
    }

    /// The place after `last`, if the record stands there.
    fn stands_after(&self, last: Place) -> Result<Place, String> {
        let place = last.then(self.json.as_bytes());
        let seq = place.seq;
        if self.seq != seq.0 {
            return Err(format!("record {seq} is missing: {} comes next", self.seq));
        }
        if RecordHash::from_slice(&self.previous) != Some(last.hash) {
            return Err(format!("record {seq} does not name the hash of the record before it"));
        }
        if RecordHash::from_slice(&self.hash) != Some(place.hash) {
            return Err(format!("the hash of record {seq} does not fit its text"));
        }
        Ok(place)
    }

    /// The record, if it stands after `last`.
    fn judge(&self, last: Place) -> Result<(Place, Record), String> {
        let place = self.stands_after(last)?;
        let seq = place.seq;
        let entry: Entry = serde_json::from_str(&self.json)
            .map_err(|error| format!("the text of record {seq} can't be read: {error}"))?;
        let keys = Keys::of(&entry.body);
        let same = self.kind == keys.kind
            && self.incident == keys.incident.map(|id| id.0)
            && self.action == keys.action.map(|id| id.0)
            && self.proposal == keys.proposal.map(|id| id.0);
        if !same {
            return Err(format!("record {seq} is filed under what it does not say"));
        }
        Ok((place, Record { seq, entry }))
    }
}

/// Follows the chain and gives each proven record, in order.
pub(super) fn prove(
    connection: &Connection,
    meta: &Meta,
    bounds: Bounds,
    deliver: &mut dyn FnMut(Record),
) -> Proof {
    let mut proof = Proof { last: meta.anchor, records: 0, fault: None };
    proof.fault = follow(connection, bounds, &mut proof, deliver).err();
    proof
}

fn follow(
    connection: &Connection,
    bounds: Bounds,
    proof: &mut Proof,
    deliver: &mut dyn FnMut(Record),
) -> Result<(), Unusable> {
    // No WHERE: a row that stands before the anchor is damage too.
    let mut statement = connection.prepare(&format!("{SELECT} ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if bounds.until.is_some_and(|until| proof.last.seq >= until) {
            return Ok(());
        }
        let (place, record) = Stored::read(row)?.judge(proof.last).map_err(Unusable::Damaged)?;
        if bounds.witness.is_some_and(|witness| witness.seq == place.seq && witness.hash != place.hash) {
            return Err(Unusable::Damaged(format!(
                "record {} is not the one that was on the disk",
                place.seq
            )));
        }
        proof.last = place;
        proof.records += 1;
        deliver(record);
    }
    match bounds.witness {
        Some(witness) if witness.seq > proof.last.seq => Err(Unusable::Damaged(format!(
            "it ends at record {}, but record {} had reached the disk",
            proof.last.seq, witness.seq
        ))),
        Some(_) | None => Ok(()),
    }
}

/// SQLite's own check of its pages. `thorough` compares the indexes with the table as well.
pub(super) fn check_pages(connection: &Connection, thorough: bool) -> Result<(), Unusable> {
    let check = if thorough { "PRAGMA integrity_check(1)" } else { "PRAGMA quick_check(1)" };
    let answer: String = connection.query_row(check, [], |row| row.get(0))?;
    if answer == "ok" { Ok(()) } else { Err(Unusable::Damaged(answer)) }
}

/// The chain before this one, as its first record names it.
pub(super) fn previous_of(connection: &Connection, meta: &Meta) -> Option<SetAside> {
    if meta.anchor.seq.0 != 0 {
        return None;
    }
    let row = connection.query_row(&format!("{SELECT} ORDER BY seq LIMIT 1"), [], Stored::read).ok()?;
    let (_, first) = row.judge(meta.anchor).ok()?;
    if let RecordBody::ChainStarted { previous, .. } = first.entry.body { previous } else { None }
}

/// A bounded piece of the chain, each record proven against the one before it in the piece.
pub(super) fn read_after(connection: &Connection, after: Seq, limit: usize) -> Result<Vec<Record>, Unusable> {
    let sql = format!("{SELECT} WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    let mut rows = statement.query([after, limit])?;
    let mut last: Option<Place> = None;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let row = Stored::read(row)?;
        let before = last.map_or_else(|| row.before(), Ok)?;
        let (place, record) = row.judge(before).map_err(Unusable::Damaged)?;
        last = Some(place);
        records.push(record);
    }
    Ok(records)
}

/// As [`read_after`], as stored and without a look at what the texts say. Also the place before the first of them.
pub(super) fn page_after(
    connection: &Connection,
    after: Seq,
    limit: usize,
    bytes_max: usize,
) -> Result<(Option<Place>, Vec<Proven>), Unusable> {
    let sql = format!("{SELECT} WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    let mut rows = statement.query([after, limit])?;
    let (mut before, mut last, mut bytes) = (None, None, 0);
    let mut records = Vec::new();
    while bytes < bytes_max
        && let Some(row) = rows.next()?
    {
        let row = Stored::read(row)?;
        let previous = last.map_or_else(|| row.before(), Ok)?;
        let place = row.stands_after(previous).map_err(Unusable::Damaged)?;
        before = before.or(Some(previous));
        last = Some(place);
        bytes += row.json.len();
        records.push(Proven { place, json: row.json });
    }
    Ok((before, records))
}

/// Of the lists of files that an incident had removed, the newest so many: there may be hundreds, each of some 20 KB.
const REMOVALS_MAX: usize = 5;

/// The records that name `incident` or belong to its actions and proposals, each checked against its own hash.
pub(super) fn records_of(
    connection: &Connection,
    incident: crate::model::IncidentId,
    limit: usize,
) -> Result<Vec<Record>, Unusable> {
    // The newest are kept when there are too many: a post-mortem needs the end of the story.
    let sql = format!(
        "{SELECT} WHERE seq IN (\
           SELECT seq FROM records WHERE incident = ?1 \
           UNION SELECT seq FROM records WHERE kind <> 'removing' AND action IN (\
             SELECT action FROM records WHERE incident = ?1 AND action IS NOT NULL) \
           UNION SELECT seq FROM (SELECT seq FROM records WHERE kind = 'removing' AND action IN (\
             SELECT action FROM records WHERE incident = ?1 AND action IS NOT NULL) \
             ORDER BY seq DESC LIMIT {REMOVALS_MAX}) \
           UNION SELECT seq FROM records WHERE proposal IN (\
             SELECT proposal FROM records WHERE incident = ?1 AND proposal IS NOT NULL) \
           ORDER BY 1 DESC LIMIT ?2) ORDER BY seq"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query([incident.0.cast_signed(), limit])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let row = Stored::read(row)?;
        records.push(row.judge(row.before()?).map_err(Unusable::Damaged)?.1);
    }
    Ok(records)
}

/// The last place of the chain, by its stored hash.
pub(super) fn head(connection: &Connection, meta: &Meta) -> Result<Place, Unusable> {
    use rusqlite::OptionalExtension;
    let last: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match last {
        None => Ok(meta.anchor),
        Some((seq, hash)) => RecordHash::from_slice(&hash)
            .map(|hash| Place { seq: Seq(seq.cast_unsigned()), hash })
            .ok_or_else(|| Unusable::Damaged("the last record has no proper hash".to_owned())),
    }
}

//! Where in which chain the relay is, and pages of the chain, proven again.

use serde::{Deserialize, Serialize};

use crate::ledger::{ChainId, Place, RecordHash};
use crate::model::{Entry, Id128, Seq, Timestamp};
use crate::serve::ProvenPage;

/// A place in one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub chain: ChainId,
    pub place: Place,
}

/// Its form in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CursorText {
    pub chain: String,
    pub seq: Seq,
    pub hash: String,
}

impl From<Cursor> for CursorText {
    fn from(cursor: Cursor) -> Self {
        let Cursor { chain, place } = cursor;
        Self { chain: chain.to_string(), seq: place.seq, hash: place.hash.to_string() }
    }
}

impl TryFrom<&CursorText> for Cursor {
    type Error = PageError;
    fn try_from(text: &CursorText) -> Result<Self, PageError> {
        Ok(Self { chain: chain(&text.chain)?, place: Place { seq: text.seq, hash: hash(&text.hash)? } })
    }
}

/// A record on its way out.
#[derive(Clone, Debug)]
pub struct Shipment {
    pub place: Place,
    /// The hash before it.
    pub previous: RecordHash,
    /// The stored text: what the hash covers.
    pub text: String,
    /// The tag of its body.
    pub kind: String,
    /// When; `None` where the text has no such field.
    pub at: Option<Timestamp>,
    /// `None` where a newer agent wrote what this relay does not know: it is shipped all the same.
    pub entry: Option<Entry>,
}

/// What a page says against what was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// It goes on where the cursor stands.
    Whole,
    /// Another chain: the agent began a new ledger. To be read from its start.
    OtherChain,
    /// Records after the cursor were dropped by the agent's retention before they could be read.
    Pruned { missed: u64 },
    /// The record before the first one is not the one that was shipped: the ledger lost its last records with the power
    /// and went another way, or somebody rewrote it.
    Forked,
}

/// A page, proven.
#[derive(Debug)]
pub struct Page {
    pub join: Join,
    pub chain: ChainId,
    pub shipments: Vec<Shipment>,
    /// The newest record that the agent has.
    pub head: Seq,
    /// What the agent remembers as shipped.
    pub acknowledged: Seq,
}

/// Why an answer of the agent is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("the agent's answer is not a page of records")]
    Json(#[from] serde_json::Error),
    #[error("\"{0}\" is not a hash")]
    Hash(String),
    #[error("\"{0}\" is not a chain")]
    Chain(String),
    #[error("the proof of record {0} does not hold")]
    Proof(Seq),
}

fn hash(text: &str) -> Result<RecordHash, PageError> {
    RecordHash::parse(text).ok_or_else(|| PageError::Hash(text.chars().take(80).collect()))
}

fn chain(text: &str) -> Result<ChainId, PageError> {
    let id = Id128::parse(text).map(ChainId);
    id.ok_or_else(|| PageError::Chain(text.chars().take(80).collect()))
}

/// What is read of a text that this version may not know in full.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    at: Option<Timestamp>,
    body: OutlineBody,
}

#[derive(Deserialize)]
struct OutlineBody {
    record: String,
}

/// An answer of the agent, proven and joined to what is known.
///
/// # Errors
/// It is no page, or its hashes do not fit its texts.
pub fn read_page(cursor: Option<Cursor>, body: &[u8]) -> Result<Page, PageError> {
    let page: ProvenPage = serde_json::from_slice(body)?;
    let chain = chain(&page.chain)?;
    let first = page.records.first().map(|record| record.seq);
    let mut last = Place {
        seq: first.map_or(page.next, |seq| Seq(seq.0.saturating_sub(1))),
        hash: hash(&page.previous)?,
    };
    let join = join(cursor, chain, last, first.is_some());
    let mut shipments = Vec::with_capacity(page.records.len());
    for record in page.records {
        let text = record.entry.get().to_owned();
        let place = last.then(text.as_bytes());
        if place != (Place { seq: record.seq, hash: hash(&record.hash)? }) {
            return Err(PageError::Proof(record.seq));
        }
        let outline: Outline = serde_json::from_str(&text)?;
        shipments.push(Shipment {
            place,
            previous: last.hash,
            kind: outline.body.record,
            at: outline.at,
            entry: serde_json::from_str(&text).ok(),
            text,
        });
        last = place;
    }
    Ok(Page { join, chain, shipments, head: page.head, acknowledged: page.acknowledged })
}

fn join(cursor: Option<Cursor>, chain: ChainId, before: Place, has_records: bool) -> Join {
    let at = cursor.filter(|cursor| cursor.chain == chain);
    let known = match (cursor, at) {
        (Some(_), None) => return Join::OtherChain,
        (_, Some(at)) => at.place,
        (None, None) => Place::start_of(chain),
    };
    match before.seq.cmp(&known.seq) {
        std::cmp::Ordering::Greater if has_records => Join::Pruned { missed: before.seq.0 - known.seq.0 },
        std::cmp::Ordering::Equal if before.hash != known.hash => Join::Forked,
        std::cmp::Ordering::Less if !has_records => Join::Forked,
        std::cmp::Ordering::Equal | std::cmp::Ordering::Less | std::cmp::Ordering::Greater => Join::Whole,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const CHAIN: ChainId = ChainId(Id128::from_bytes([6; 16]));

    fn text(n: u64) -> String {
        format!(
            r#"{{"at":{{"boot_ms":{n},"wall_ms":{n}}},"boot":"{}","body":{{"record":"agent-stopping","why":"{n}"}}}}"#,
            Id128::from_bytes([1; 16])
        )
    }

    fn place(n: u64) -> Place {
        (1..=n).fold(Place::start_of(CHAIN), |place, n| place.then(text(n).as_bytes()))
    }

    fn page(from: u64, to: u64) -> String {
        let records: Vec<_> = (from..=to)
            .map(|n| format!(r#"{{"seq":{n},"hash":"{}","entry":{}}}"#, place(n).hash, text(n)))
            .collect();
        format!(
            r#"{{"chain":"{CHAIN}","previous":"{}","records":[{}],"next":{to},"head":{to},"acknowledged":0}}"#,
            place(from - 1).hash,
            records.join(",")
        )
    }

    fn check(known: Option<u64>, page: &str, join: Join, records: usize) {
        let cursor = known.map(|n| Cursor { chain: CHAIN, place: place(n) });
        let read = read_page(cursor, page.as_bytes()).unwrap();
        assert_eq!((read.join, read.shipments.len()), (join, records), "{known:?} {page}");
    }

    #[test]
    fn pages_join_or_say_why_not() {
        check(None, &page(1, 3), Join::Whole, 3);
        check(Some(3), &page(4, 5), Join::Whole, 2);
        check(Some(3), &page(4, 3), Join::Whole, 0);
        check(Some(3), &page(9, 9), Join::Pruned { missed: 5 }, 1);
        check(None, &page(5, 5), Join::Pruned { missed: 4 }, 1);
        let other = page(1, 2).replace(&CHAIN.to_string(), &Id128::from_bytes([9; 16]).to_string());
        check(Some(3), &other, Join::OtherChain, 2);
        check(Some(9), &page(4, 3), Join::Forked, 0);
        let mut elsewhere = Cursor { chain: CHAIN, place: place(3) };
        elsewhere.place.hash = place(2).hash;
        assert_eq!(read_page(Some(elsewhere), page(4, 4).as_bytes()).unwrap().join, Join::Forked);
    }

    #[test]
    fn a_changed_text_or_a_missing_record_does_not_prove() {
        let good = page(1, 3);
        for bad in [
            good.replace(r#""why":"2""#, r#""why":"x""#),
            good.replace(r#""seq":2"#, r#""seq":4"#),
            good.replace(&place(2).hash.to_string(), &place(3).hash.to_string()),
        ] {
            assert!(matches!(read_page(None, bad.as_bytes()), Err(PageError::Proof(_))), "{bad}");
        }
        assert!(matches!(read_page(None, b"[]"), Err(PageError::Json(_))));
    }

    #[test]
    fn what_a_newer_agent_writes_is_shipped_unread() {
        let text = r#"{"at":{"boot_ms":1,"wall_ms":2},"boot":"x","body":{"record":"from-the-future","x":1}}"#;
        let start = Place::start_of(CHAIN);
        let body = format!(
            r#"{{"chain":"{CHAIN}","previous":"{}","records":[{{"seq":1,"hash":"{}","entry":{text}}}],"next":1,"head":1,"acknowledged":0}}"#,
            start.hash,
            start.then(text.as_bytes()).hash
        );
        let page = read_page(None, body.as_bytes()).unwrap();
        assert_eq!(
            (page.shipments[0].kind.as_str(), page.shipments[0].entry.is_none()),
            ("from-the-future", true)
        );
    }
}

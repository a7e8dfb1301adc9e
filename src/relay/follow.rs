//! Reading the ledger from the agent, page by page, from wherever it was left.

use std::time::Duration;

use crate::ledger::ChainId;
use crate::model::Seq;

use super::agent::{Agent, AgentError};
use super::place::{Cursor, Join, Page, PageError, read_page};

/// How long the agent is asked to wait for a record. Short enough that a ledger that was begun anew is noticed soon.
const POLL: Duration = Duration::from_secs(20);
/// Records of a page: as many as the agent gives.
const PAGE_RECORDS: usize = 1000;
/// When the ledger has gone another way than what was shipped, so many records are read again: what a power cut takes are
/// the last moments.
const STEP_BACK: u64 = 1024;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Page(#[from] PageError),
}

/// From where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// The beginning of whatever chain there is.
    Beginning,
    /// This very record.
    Exactly(Cursor),
    /// After this record of this chain, whatever its hash.
    Near(ChainId, Seq),
}

/// What a page is, besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    None,
    /// The agent's ledger was begun anew; what follows is its first page.
    NewChain,
    /// Records were dropped before they were read.
    Missed(u64),
    /// The ledger went another way; some records come again.
    Forked,
}

/// A reader of the ledger.
#[derive(Debug)]
pub struct Follower {
    agent: Agent,
    from: From,
    news: News,
}

impl Follower {
    /// Goes on after the cursor, but reads from `read_from` where that is earlier.
    #[must_use]
    pub const fn new(agent: Agent, cursor: Option<Cursor>, read_from: Option<Seq>) -> Self {
        let from = match (cursor, read_from) {
            (None, _) => From::Beginning,
            (Some(cursor), Some(first)) if first.0 <= cursor.place.seq.0 => {
                From::Near(cursor.chain, Seq(first.0.saturating_sub(1)))
            }
            (Some(cursor), Some(_) | None) => From::Exactly(cursor),
        };
        Self { agent, from, news: News::None }
    }

    /// The next page, empty when nothing happened for a while; and what is to be known of it. After an error it goes on
    /// where it was.
    ///
    /// # Errors
    /// The agent does not answer, or what it says does not prove.
    pub async fn next(&mut self) -> Result<(Page, News), FollowError> {
        loop {
            let (after, cursor) = match self.from {
                From::Beginning => (Seq(0), None),
                From::Exactly(cursor) => (cursor.place.seq, Some(cursor)),
                From::Near(_, seq) => (seq, None),
            };
            let wait = POLL.as_secs();
            let path = format!("/v1/records?proof=true&limit={PAGE_RECORDS}&wait={wait}&after={after}");
            let body = self.agent.get(&path, POLL).await?;
            let page = read_page(cursor, &body)?;
            let chain = page.chain;
            match (self.from, page.join) {
                (From::Near(known, _), _) if known != chain => self.begin_anew(),
                (From::Exactly(_), Join::OtherChain) => self.begin_anew(),
                (From::Exactly(cursor), Join::Forked) => {
                    self.rewind(chain, cursor.place.seq.min(page.head));
                }
                // Where it stood is not known: what is there is taken.
                (From::Near(_, after), _) if page.shipments.is_empty() && page.head < after => {
                    self.rewind(chain, page.head);
                }
                (From::Beginning | From::Exactly(_) | From::Near(..), join) => {
                    let mut news = std::mem::replace(&mut self.news, News::None);
                    // What went before the relay came is not missed by it.
                    if let (Join::Pruned { missed }, From::Exactly(_)) = (join, self.from) {
                        news = News::Missed(missed);
                    }
                    if let Some(last) = page.shipments.last() {
                        self.from = From::Exactly(Cursor { chain, place: last.place });
                    }
                    return Ok((page, news));
                }
            }
        }
    }

    /// The ledger went another way before this record: goes back a step, and says so with the next page.
    pub const fn rewind(&mut self, chain: ChainId, before: Seq) {
        self.from = From::Near(chain, Seq(before.0.saturating_sub(STEP_BACK)));
        self.news = News::Forked;
    }

    const fn begin_anew(&mut self) {
        self.from = From::Beginning;
        self.news = News::NewChain;
    }
}

//! What `prunella verify-ledger` says.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::model::Seq;

use super::LedgerError;
use super::read::{Reader, Verified};

/// The answer, for people by `Display` and for programs as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    pub file: PathBuf,
    /// Every record is proven and every page is sound.
    pub sound: bool,
    /// Records that are proven.
    pub records: u64,
    /// The oldest and the newest proven record.
    pub from: Option<Seq>,
    pub to: Option<Seq>,
    /// Hash of the newest proven record: note it elsewhere, and nobody can rewrite the ledger unseen.
    pub hash: Option<String>,
    /// The chain's id, where it can be read.
    pub chain: Option<String>,
    /// Records before `from` were pruned.
    pub pruned: bool,
    /// What is wrong, where something is.
    pub why: Option<String>,
}

/// Proves the ledger in a folder, or a ledger's file, whether the agent runs or not.
///
/// # Errors
/// There is no ledger, a newer version made it, or it can't be read: nothing is said about its content.
pub fn verify_report(path: &Path) -> Result<VerifyReport, LedgerError> {
    let reader = match Reader::connect(path) {
        Ok(reader) => reader,
        Err(LedgerError::Damaged { path, why }) => return Ok(broken(path, why)),
        Err(error) => return Err(error),
    };
    let file = reader.path().to_owned();
    Ok(match reader.verify()? {
        Verified::Sound { extent, records } => VerifyReport {
            file,
            sound: true,
            records,
            from: (records > 0).then_some(Seq(extent.anchor.seq.0 + 1)),
            to: (records > 0).then_some(extent.head.seq),
            hash: Some(extent.head.hash.to_string()),
            chain: Some(extent.chain.to_string()),
            pruned: extent.anchor.seq.0 > 0,
            why: None,
        },
        Verified::Broken { last, records, why } => VerifyReport {
            records,
            from: last.filter(|_| records > 0).map(|last| Seq(last.seq.0 + 1 - records)),
            to: last.filter(|_| records > 0).map(|last| last.seq),
            hash: last.filter(|_| records > 0).map(|last| last.hash.to_string()),
            pruned: last.is_some_and(|last| last.seq.0 > records),
            ..broken(file, why)
        },
    })
}

fn broken(file: PathBuf, why: String) -> VerifyReport {
    VerifyReport {
        file,
        sound: false,
        records: 0,
        from: None,
        to: None,
        hash: None,
        chain: None,
        pruned: false,
        why: Some(why),
    }
}

/// Sentences for an operator, without a line break at the end.
impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        let range = match (self.from, self.to) {
            (Some(from), Some(to)) => format!("records {from} to {to}"),
            (Some(_) | None, _) => "no record".to_owned(),
        };
        match &self.why {
            None => write!(f, "{file}: sound; {range} form one chain without a gap")?,
            Some(why) => write!(f, "{file}: BROKEN; {range} can be proven, then: {why}")?,
        }
        if self.pruned {
            f.write_str(". Older records were pruned by retention")?;
        }
        match &self.hash {
            Some(hash) => write!(f, ". Last proven hash: {hash}"),
            None => f.write_str("."),
        }
    }
}

//! Records that found no room on the ledger's disk, kept on another one until there is.
//!
//! One line for each record: what it follows, its JSON, and a hash of both. The file lives on a tmpfs: a kill of
//! the agent leaves it, a power cut does not.
#![expect(clippy::disallowed_methods, reason = "the ledger owns its overflow file")]

use std::fs::{DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{Entry, Id128, Seq};

use super::LedgerError;
use super::folder::{failed, open_own};
use super::hash::ChainId;
use super::prepared::Prepared;

/// Longest overflow file. As long as the reserve: `/run` is memory.
pub const OVERFLOW_BYTES_MAX: u64 = 4 << 20;
const FOLDER_MODE: u32 = 0o755;

/// One record on its way to the ledger.
#[derive(Serialize, Deserialize)]
struct Line {
    /// The chain and its end when the record was spilled; a record is looked for after it.
    chain: Option<Id128>,
    after: Seq,
    entry: Entry,
}

/// A record read from the overflow file.
#[derive(Debug)]
pub(super) struct Spilled {
    pub(super) chain: Option<ChainId>,
    pub(super) after: Seq,
    pub(super) entry: Entry,
}

/// The overflow file.
#[derive(Debug)]
pub(super) struct Overflow {
    path: PathBuf,
}

impl Overflow {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn open(&self) -> Result<File, LedgerError> {
        if let Some(parent) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(FOLDER_MODE)
                .create(parent)
                .map_err(failed("make the folder", parent))?;
        }
        open_own(&self.path)
    }

    /// Adds a record. False when the file is as long as it may be.
    pub(super) fn add(
        &self,
        chain: Option<ChainId>,
        after: Seq,
        entry: &Prepared,
    ) -> Result<bool, LedgerError> {
        let chain = serde_json::to_string(&chain.map(|chain| chain.0)).unwrap_or_else(|_| "null".to_owned());
        let body = format!("{{\"chain\":{chain},\"after\":{after},\"entry\":{}}}", entry.json());
        // The line break before it ends a line that a crash cut short.
        let line = format!("\n{} {body}\n", sum(&body));
        let mut file = self.open()?;
        let end = file.seek(SeekFrom::End(0)).map_err(failed("write to", &self.path))?;
        if end + line.len() as u64 > OVERFLOW_BYTES_MAX {
            return Ok(false);
        }
        file.write_all(line.as_bytes()).map_err(failed("write to", &self.path))?;
        Ok(true)
    }

    /// What it holds, oldest first. A line that a crash cut short was never reported as kept, and is passed over.
    pub(super) fn load(&self) -> Result<Vec<Spilled>, LedgerError> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("look at", &self.path)(error)),
        }
        let mut spilled = Vec::new();
        for line in BufReader::new(self.open()?.take(OVERFLOW_BYTES_MAX)).split(b'\n') {
            let line = line.map_err(failed("read", &self.path))?;
            spilled.extend(std::str::from_utf8(&line).ok().and_then(parse));
        }
        Ok(spilled)
    }

    /// Empties it: everything in it is in the ledger.
    pub(super) fn clear(&self) -> Result<(), LedgerError> {
        match std::fs::remove_file(&self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("remove", &self.path)(error)),
        }
    }
}

fn parse(line: &str) -> Option<Spilled> {
    let (claimed, body) = line.split_once(' ')?;
    if claimed != sum(body).to_string() {
        return None;
    }
    let Line { chain, after, entry } = serde_json::from_str(body).ok()?;
    Some(Spilled { chain: chain.map(ChainId), after, entry })
}

/// Half a SHA-256: against torn lines, not against an enemy, who has root if he can write here.
fn sum(body: &str) -> Id128 {
    let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    Id128::from_bytes(half)
}

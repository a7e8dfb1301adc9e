//! What the relay must not forget, each in a small file: written anew beside it, synced, and put in its place.

#![expect(clippy::disallowed_methods, reason = "this is where the relay's files are read and written")]

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::Seq;

use super::alerts::Told;
use super::place::{CursorText, Shipment};

/// The largest file that is read back: thousands of alerts with their routes.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Records that no receiver would take are kept here up to this size; beyond it they are only counted, and are in the
/// agent's ledger still.
pub const SET_ASIDE_BYTES_MAX: u64 = 16 << 20;

/// Why the state can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be {what}", .path.display())]
pub struct StateError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// How far shipping has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub cursor: Option<CursorText>,
    /// The first record that must be read again to know which incident later ones belong to.
    pub read_from: Option<Seq>,
}

/// How far telling has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertState {
    pub cursor: Option<CursorText>,
    pub read_from: Option<Seq>,
    pub told: Told,
}

/// The relay's folder.
#[derive(Clone, Debug)]
pub struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// Makes it where it is not there.
    ///
    /// # Errors
    /// It can't be made.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(path).map_err(|source| StateError {
            what: "made",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { path: path.to_owned() })
    }

    /// What was saved; nothing where nothing was. A file that can't be understood is kept under another name: then the
    /// relay begins anew, and receivers drop what they have had by its id.
    ///
    /// # Errors
    /// The disk does not let it be read.
    pub fn load<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, StateError> {
        let path = self.path.join(name);
        let failed = |source| StateError { what: "read", path: path.clone(), source };
        let mut bytes = Vec::new();
        match std::fs::File::open(&path) {
            Ok(file) => file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
            Err(error) => return Err(failed(error)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(state) => Ok(state),
            Err(error) => {
                let aside = self.path.join(format!("{name}.damaged"));
                tracing::error!(%error, file = %path.display(), "this is not what the relay wrote; it begins anew");
                std::fs::rename(&path, aside).map_err(failed)?;
                Ok(T::default())
            }
        }
    }

    /// Saves; on the disk when this returns.
    ///
    /// # Errors
    /// The old file stays.
    pub fn save<T: Serialize>(&self, name: &str, state: &T) -> Result<(), StateError> {
        let path = self.path.join(name);
        let failed = |source| StateError { what: "written", path: path.clone(), source };
        let bytes = serde_json::to_vec(state).map_err(|error| failed(error.into()))?;
        let beside = self.path.join(format!("{name}.new"));
        let mut file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&beside, &path).map_err(failed)?;
        std::fs::File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Keeps a record that no receiver takes. Says whether there was room.
    ///
    /// # Errors
    /// It can't be written.
    pub fn set_aside(&self, shipment: &Shipment, why: &str) -> Result<bool, StateError> {
        let path = self.path.join("set-aside.jsonl");
        let failed = |source| StateError { what: "written", path: path.clone(), source };
        let mut file =
            std::fs::File::options().append(true).create(true).mode(0o600).open(&path).map_err(failed)?;
        let line = serde_json::json!({
            "seq": shipment.place.seq,
            "hash": shipment.place.hash.to_string(),
            "why": why,
            "text": shipment.text,
        });
        let line = format!("{line}\n");
        let length = file.metadata().map_err(failed)?.len();
        if length + line.len() as u64 > SET_ASIDE_BYTES_MAX {
            return Ok(false);
        }
        file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_saved_is_read_back_and_what_is_damaged_is_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(&dir.path().join("relay")).unwrap();
        assert_eq!(folder.load::<Position>("position.json").unwrap(), Position::default());
        let cursor = CursorText { chain: "06".repeat(16), seq: Seq(7), hash: "ab".repeat(32) };
        let saved = Position { cursor: Some(cursor), read_from: Some(Seq(3)) };
        folder.save("position.json", &saved).unwrap();
        assert_eq!(folder.load::<Position>("position.json").unwrap(), saved);
        let path = dir.path().join("relay/position.json");
        std::fs::write(&path, b"{\"cursor\":").unwrap();
        assert_eq!(folder.load::<Position>("position.json").unwrap(), Position::default());
        assert!(!path.exists() && dir.path().join("relay/position.json.damaged").exists());
    }
}

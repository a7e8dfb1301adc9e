//! Who this host is, in everything that is sent.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::ledger::{ChainId, Place};
use crate::model::IncidentId;

/// The host and whatever the operator says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostIdentity {
    /// Stable over reboots and reinstalled relays.
    pub id: String,
    pub name: String,
    pub os: String,
    /// Of the relay; the agent's own stands in its records.
    pub version: String,
    pub attributes: BTreeMap<String, String>,
}

impl HostIdentity {
    /// By what a receiver knows a record that it has had before.
    #[must_use]
    pub fn record_id(&self, place: Place) -> String {
        format!("{}/{}/{}", self.id, place.seq, place.hash)
    }

    /// The trace of an incident.
    #[must_use]
    pub fn trace(&self, chain: ChainId, incident: IncidentId) -> [u8; 16] {
        self.derive(chain, incident, "trace")
    }

    /// The span of a part of an incident: the same whenever it is sent.
    #[must_use]
    pub fn span(&self, chain: ChainId, incident: IncidentId, part: &str) -> [u8; 8] {
        let mut span = [0; 8];
        span.copy_from_slice(&self.derive(chain, incident, part)[..8]);
        span
    }

    /// By what all that is told of an incident is known as one.
    #[must_use]
    pub fn incident_key(&self, chain: ChainId, incident: IncidentId) -> String {
        format!("prunella/{}/{chain}/{incident}", self.id)
    }

    /// Never all zero, but with a chance of 2^-64: OpenTelemetry takes zero for none.
    fn derive(&self, chain: ChainId, incident: IncidentId, part: &str) -> [u8; 16] {
        let key = format!("prunella-trace-1\0{}\0{chain}\0{incident}\0{part}", self.id);
        let digest = Sha256::digest(key);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes
    }
}

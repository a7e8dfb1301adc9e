//! The host's bytes → [`crate::model::Sample`]: procfs, PSI, locks of package managers, health probes, evidence,
//! and the news of the service manager.
//!
//! Owns reading and parsing. Must not judge: a value is told as it is, and why there is none.

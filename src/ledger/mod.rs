//! The append-only, hash-chained record stream in SQLite: audit trail, crash recovery and spool in one.
//!
//! Owns the file, its chain, its reserve and its retention. Must not know what a record means beyond its
//! durability and the incident it names.

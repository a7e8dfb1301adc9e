//! The Unix-socket API: read-only snapshots, and commands that become inputs of the engine.
//!
//! Peer credentials decide who may read and who may command. Must not change the engine in any other way.

//! x
pub mod chance;
pub mod config;
pub mod delivery;
pub mod place;

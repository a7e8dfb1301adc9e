//! x
pub mod alerts;
pub mod agent;
pub mod chance;
pub mod config;
pub mod delivery;
pub mod host;
pub mod http;
pub mod otlp;
pub mod place;
pub mod story;

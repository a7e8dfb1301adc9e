//! The way to the network: ships the agent's records, tells people, answers Prometheus.
//!
//! A program and a user of its own. It reads the agent's socket and has one thing to say to it, how far shipping has
//! come; the agent does not know whether anybody listens. The ledger is the spool: what has not been shipped waits
//! there, and nowhere else.
//!
//! ```text
//!  agent's socket ─► follow ─► place (proof) ─► ship ─► delivery ─► http ─► receivers of OTLP
//!                       │                        └► keep (position, synced) ─► the agent: acknowledged
//!                       └► story ─► alerts ─► pager ─► Alertmanager, webhook, PagerDuty
//!                   status, host ─► telemetry ─► the same receivers        listen ◄─ Prometheus
//! ```
//!
//! [`delivery`], [`place`], [`story`], [`alerts`], [`chance`] and [`otlp`] are pure: they take the time, the answers and
//! the seed as arguments. Nothing here has any power over the host.

pub mod agent;
pub mod alerts;
pub mod chance;
mod clock;
pub mod config;
pub mod delivery;
pub mod follow;
pub mod host;
pub mod http;
mod keep;
mod listen;
pub mod numbers;
pub mod otlp;
mod pager;
pub mod place;
pub mod receivers;
mod run;
mod ship;
pub mod state;
pub mod story;
mod telemetry;

pub use crate::relay_options::Options;
pub use run::{read_config, run};

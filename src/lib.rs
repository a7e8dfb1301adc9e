//! Prunella: a node-level agent that watches one Linux host, repairs what it can prove is broken, verifies
//! that the repair worked, and writes down what it did and why.
//!
//! ```text
//!  sense ──► assess ──► decide ──► guard ──► record intent ──► act ──► verify ──► record
//!  Sample    Finding    Step       Permit     (synced)         Applied  Verification
//!    ▲       Condition  Incident   Refusal                                         │
//!    └──────────────── the next Sample is the proof ◄──────────────────────────────┘
//! ```
//!
//! The middle is pure: [`engine`] composes [`assess`], [`decide`], [`guard`] and [`verify`], takes the time as an
//! argument and returns effects. Around it is the shell: [`sense`] and [`act`] meet the host through
//! [`manager`], [`ledger`] keeps the records, [`history`] the host's numbers, [`serve`] answers the socket, [`daemon`]
//! wires them, [`cli`] is the operator's side, `relay` the way to the network. [`model`] is the vocabulary of all,
//! [`policy`] what the operator wants, [`sim`] a host that fails on purpose. `tests/tidy/` holds the arrows between them
//! to this map.

pub mod act;
pub mod assess;
pub mod cli;
pub mod daemon;
pub mod decide;
pub mod engine;
pub mod guard;
pub mod history;
pub mod ledger;
pub mod manager;
pub mod model;
pub mod policy;
#[cfg(feature = "relay")]
pub mod relay;
pub mod relay_options;
pub mod sense;
pub mod serve;
pub mod sim;
pub mod verify;

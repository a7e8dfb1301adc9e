//! Carries out what a [`crate::guard::Permit`] allows, once, after checking identity and state again.
//!
//! One file for each kind of remedy. Never decides: what it finds changed makes it withdraw.

//! Policy + history + sample → findings and conditions (hysteresis, windows). Pure.
//!
//! Must not touch: the clock, the host, incidents, or what is done about a finding.

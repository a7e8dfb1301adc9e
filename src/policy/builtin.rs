//! The shipped policy, compiled in: a host without any file is healed all the same.

use super::diagnostic::{PolicyErrors, SourceFile};
use super::parse::parse;
use super::types::Policy;

const FILES: &[(&str, &str)] = &[
    ("builtin:00-protected.toml", include_str!("../../config/policy.d/00-protected.toml")),
    ("builtin:10-units.toml", include_str!("../../config/policy.d/10-units.toml")),
    ("builtin:20-host.toml", include_str!("../../config/policy.d/20-host.toml")),
    ("builtin:24-logs.toml", include_str!("../../config/policy.d/24-logs.toml")),
    ("builtin:25-filesystems.toml", include_str!("../../config/policy.d/25-filesystems.toml")),
    ("builtin:27-kernel.toml", include_str!("../../config/policy.d/27-kernel.toml")),
    ("builtin:30-agent.toml", include_str!("../../config/policy.d/30-agent.toml")),
];

/// The files, in their order.
#[must_use]
pub fn builtin_files() -> Vec<SourceFile> {
    FILES.iter().map(|(name, text)| SourceFile { name: (*name).into(), text: (*text).into() }).collect()
}

impl Policy {
    /// The shipped policy alone.
    ///
    /// # Errors
    /// Never in a build whose tests passed; the caller need not trust that.
    pub fn builtin() -> Result<Self, PolicyErrors> {
        parse(&builtin_files())
    }
}

//! Who may do what. Pure: a uid, its groups and the policy's two group names come in.

use std::collections::BTreeSet;

use crate::policy::Access;

use super::error::{ApiError, ErrorCode};

/// `overflowuid` (`/proc/sys/kernel/overflowuid`): stands for every user that this user namespace has no
/// number for, so it identifies nobody.
const OVERFLOW_UID: u32 = 65_534;

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    Read,
    /// To say which records have been shipped: the ledger need not keep these for the relay.
    Acknowledge,
    Command,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing.
    Stranger,
    Reader,
    /// Read and acknowledge.
    Relay,
    /// Read and command.
    Admin,
}

/// What the policy gives to a user with these groups. Root always may.
#[must_use]
pub fn standing(uid: u32, groups: &BTreeSet<String>, access: &Access) -> Standing {
    let member = |name: &str| !name.is_empty() && groups.contains(name);
    match uid {
        0 => Standing::Admin,
        OVERFLOW_UID | u32::MAX => Standing::Stranger,
        _ if member(&access.admins) => Standing::Admin,
        _ if member(&access.relay) => Standing::Relay,
        _ if member(&access.readers) => Standing::Reader,
        _ => Standing::Stranger,
    }
}

/// Whether that is enough.
///
/// # Errors
/// With the group that is missing.
pub fn authorize(standing: Standing, right: Right, access: &Access) -> Result<(), ApiError> {
    let enough = match right {
        Right::Read => standing >= Standing::Reader,
        Right::Acknowledge => standing >= Standing::Relay,
        Right::Command => standing >= Standing::Admin,
    };
    if enough {
        return Ok(());
    }
    let (what, group) = match right {
        Right::Read => ("Reading the agent's state", &access.readers),
        Right::Acknowledge => ("Acknowledging records", &access.relay),
        Right::Command => ("Commanding the agent", &access.admins),
    };
    let group = super::printable::printable(group, 64);
    Err(ApiError::new(ErrorCode::NotPermitted, format!("{what} needs root or membership in group {group}."))
        .hint(format!("usermod -aG {group} USER, as root; it holds from the next command on.")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn check(uid: u32, groups: &[&str], expected: Standing) {
        let groups = groups.iter().map(|&g| g.to_owned()).collect();
        assert_eq!(standing(uid, &groups, &Access::default()), expected, "{uid} {groups:?}");
    }

    #[test]
    fn groups_decide_and_root_always_may() {
        check(0, &[], Standing::Admin);
        check(1000, &["prunella-admin"], Standing::Admin);
        check(1000, &["users", "prunella"], Standing::Reader);
        check(1000, &["prunella", "prunella-admin"], Standing::Admin);
        check(997, &["prunella-relay", "prunella"], Standing::Relay);
        check(1000, &["users", "prunella-admins", ""], Standing::Stranger);
        check(65_534, &["prunella-admin"], Standing::Stranger);
        check(u32::MAX, &["prunella-admin"], Standing::Stranger);
    }

    #[test]
    fn an_empty_group_name_in_the_policy_admits_nobody() {
        let access = Access { readers: String::new(), admins: String::new(), relay: String::new() };
        assert_eq!(standing(1000, &BTreeSet::from([String::new()]), &access), Standing::Stranger);
    }

    #[test]
    fn readers_read_and_admins_command() {
        let access = Access::default();
        let may = |standing, right| authorize(standing, right, &access).is_ok();
        assert!(!may(Standing::Stranger, Right::Read) && !may(Standing::Stranger, Right::Command));
        assert!(may(Standing::Reader, Right::Read) && !may(Standing::Reader, Right::Command));
        assert!(!may(Standing::Reader, Right::Acknowledge) && may(Standing::Relay, Right::Acknowledge));
        assert!(may(Standing::Relay, Right::Read) && !may(Standing::Relay, Right::Command));
        assert!(may(Standing::Admin, Right::Read) && may(Standing::Admin, Right::Command));
        let refusal = authorize(Standing::Reader, Right::Command, &access).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::NotPermitted);
        assert!(refusal.message.contains("prunella-admin"));
    }
}

//! The Debian package on a host without a network.

use crate::harness::{Host, Suite, install_package};

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("package::installs_offline", || {
        let host = Host::nspawn("package");
        install_package(&host);
        assert_eq!(host.ok("dpkg-query -W -f '${db:Status-Status}' prunella"), "installed");
    });
}

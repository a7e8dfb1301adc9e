//! Tests on real hosts: a real systemd in containers (`nspawn::…`) and in VMs (`vm::…`).
//!
//! ```text
//! scripts/host-deps                        once: packages, images, and a look whether both tiers run
//! cargo test --test host                   or: cargo nextest run --test host
//! PRUNELLA_VM_TESTS=0 …                    containers only
//! PRUNELLA_DEB=path/to/prunella.deb …      with the trials that install the package
//! PRUNELLA_RPM=path/to/prunella.rpm …      with the trials that install that one
//! PRUNELLA_FULL_TESTS=1 …                  with the long trials on VMs, all 50 power cuts (else 4), and ten minutes
//!                                          where it says ten minutes
//! PRUNELLA_KEEP_HOSTS=1 …                  leave the hosts up, and say how to enter them
//! PRUNELLA_REQUIRE_HOSTS=nspawn,vm,package,rpm which of these, when missing, is a failure (for CI)
//! ```
//!
//! A trial that this machine cannot run is *ignored*, with the reason on stderr; it never passes unseen.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "drives real hosts: processes, files and waiting are its work"
)]

mod access;
mod agent;
mod archive;
mod benign;
mod bus;
mod capabilities;
mod crash_points;
mod crowds;
mod disk_health;
mod disks;
mod dumps;
mod environs;
mod filesystems;
mod filling;
mod fills;
mod harness;
mod history;
mod holders;
mod ledger_facts;
mod left_alone;
mod lifecycle;
mod package;
mod pressure;
mod process_table;
mod repair;
mod restraints;
mod room;
mod room_cuts;
mod sanity;
mod storms;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut suite = harness::Suite::new();
    sanity::add(&mut suite);
    package::add(&mut suite);
    lifecycle::add(&mut suite);
    crash_points::add(&mut suite);
    bus::add(&mut suite);
    capabilities::add(&mut suite);
    access::add(&mut suite);
    filesystems::add(&mut suite);
    filling::add(&mut suite);
    fills::add(&mut suite);
    benign::add(&mut suite);
    history::add(&mut suite);
    pressure::add(&mut suite);
    storms::add(&mut suite);
    environs::add(&mut suite);
    process_table::add(&mut suite);
    repair::add(&mut suite);
    restraints::add(&mut suite);
    room::add(&mut suite);
    room_cuts::add(&mut suite);
    crowds::add(&mut suite);
    archive::add(&mut suite);
    holders::add(&mut suite);
    disk_health::add(&mut suite);
    dumps::add(&mut suite);
    left_alone::add(&mut suite);
    suite.run()
}

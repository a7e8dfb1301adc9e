//! Who makes short-lived processes: asked only while a storm of them is suspected, for a second at a time.
//!
//! How many there are is known all the time and for nothing: the kernel counts every process and thread that it makes
//! (`processes` of `/proc/stat`), and the pass of each second reads it. Who makes them is in no list, for they are gone
//! before anybody reads one. Two ways lead to it:
//!
//! * the *hook*, a BPF program at the end of every task (`bpf/endings.bpf.c`). It is loaded at the start, while the agent
//!   may, and tied for the time of a look only: at rest no task passes it. It counts every ending, and keeps the newest
//!   in a ring of fixed size, in the kernel's memory; what was overwritten is counted and told.
//! * the *scan* of `/proc`, before and after: who reaped children that had page faults, and whose children came and
//!   stayed. It is the way where there is no hook, or where the hook can't be tied or read; its names are likely, and
//!   the look says so.
//!
//! Not the netlink proc connector, which tells of the same. Measured by turns on Linux 6.18 with two processors, a fork
//! with the wait for its end took 0.1 % longer under the hook; 4 to 8 % longer under the connector with the kernel's own
//! filter on endings (6.6), and up to 18 % without; on other machines it was 30 % and 150 %. The connector wakes its
//! reader, who takes 6 to 16 µs for an event. It tells neither names nor groups, which are gone when the reader asks for
//! them. Before 6.6 it wants `CAP_NET_ADMIN`, which the agent does not have, and it is silent in any network, PID or user
//! namespace but the first. Where it would work without that capability, so does the hook, unless BPF is refused.
//!
//! Must not judge: when to look is up to the rules. Must not keep the hook tied.

pub mod ending;
mod group;
mod look;
mod scan;
mod tally;

pub use look::{Begun, StormLooker};

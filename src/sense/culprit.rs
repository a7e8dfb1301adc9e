//! Who takes the host's memory, processors and room for tasks: every unit of the system's service manager is counted
//! twice, and the counts are compared.
//!
//! What counts as memory is what only swap or the end of a process gives back: a backup that reads a disk fills the page
//! cache, which the kernel drops by itself, and is not to blame (`memory.stat` of `Documentation/admin-guide/cgroup-v2.rst`).
//! Sessions and user managers are counted as units; what lies within is theirs. Must not judge, and keeps nothing.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Dir, FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use super::cgroup::{CpuStat, GroupPath, MemoryStat, NoTree, TreeReader, read_file};
use super::procfs::single;
use crate::model::{Bytes, CULPRITS_MAX, CulpritLook, Percent, UnitUse, WallTime};

/// Units counted: a host of 2,000 has few as busy as this one is.
const UNITS_MAX: usize = 4096;
/// Slices within slices; real trees have three.
const DEPTH_MAX: usize = 16;
/// The longest of these files is `memory.stat`, 2 KiB.
const FILE_MAX: usize = 16 * 1024;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Of one unit at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Of its control group: another group of the same name has another one.
    id: u64,
    held: u64,
    /// Processor time, µs.
    cpu: u64,
    tasks: u64,
}

/// What one pass counted.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    units: BTreeMap<String, Counts>,
    left_out: u64,
}

impl Pass {
    /// Counts every unit below the root of the hierarchy. Blocks for as long as that takes.
    ///
    /// # Errors
    /// When there is no hierarchy of version 2 with controllers.
    pub fn take(root: &Path) -> Result<Self, NoTree> {
        let root = TreeReader::open(root)?.into_root();
        let mut pass = Self::default();
        let mut buffer = vec![0; FILE_MAX];
        pass.folder(&root, &mut Vec::new(), 0, &mut buffer);
        Ok(pass)
    }

    fn folder(&mut self, folder: &OwnedFd, path: &mut Vec<u8>, depth: usize, buffer: &mut [u8]) {
        let Ok(entries) = Dir::read_from(folder) else {
            self.left_out += 1;
            return;
        };
        for entry in entries {
            // Gone while it was listed.
            let Ok(entry) = entry else { break };
            let name = entry.file_name();
            if entry.file_type() != FileType::Directory || name == c"." || name == c".." {
                continue;
            }
            if depth >= DEPTH_MAX || self.units.len() >= UNITS_MAX {
                self.left_out += 1;
                continue;
            }
            let group = match openat(folder, name, FOLDER, Mode::empty()) {
                Ok(group) => group,
                Err(Errno::NOENT) => continue,
                Err(_) => {
                    self.left_out += 1;
                    continue;
                }
            };
            let end = path.len();
            path.push(b'/');
            path.extend_from_slice(name.to_bytes());
            let unit = GroupPath::parse(path).unit.map(<[u8]>::to_vec);
            match unit.map(String::from_utf8) {
                Some(Ok(unit)) => self.count(unit, entry.ino(), &group, buffer),
                // A name that is no unit's.
                Some(Err(_)) => self.left_out += 1,
                None if name.to_bytes().ends_with(b".slice") => self.folder(&group, path, depth + 1, buffer),
                // Outside of systemd's tree, as containers of some runtimes: it counts under its path, and is no unit.
                None => match String::from_utf8(path.clone()) {
                    Ok(path) => self.count(path, entry.ino(), &group, buffer),
                    Err(_) => self.left_out += 1,
                },
            }
            path.truncate(end);
        }
    }

    fn count(&mut self, unit: String, id: u64, group: &OwnedFd, buffer: &mut [u8]) {
        let mut number = |name: &CStr, parse: fn(&[u8]) -> Option<u64>| {
            let length = read_file(group.as_fd(), name, buffer).ok()?;
            parse(&buffer[..length])
        };
        let cpu = number(c"cpu.stat", |bytes| CpuStat::parse(bytes).ok().map(|it| it.usage.0));
        let memory = number(c"memory.stat", |bytes| MemoryStat::parse(bytes).ok().map(|it| held(&it)));
        let tasks = number(c"pids.current", |bytes| single(bytes).ok());
        // The kernel has no such file where it has no swap.
        let swap = number(c"memory.swap.current", |bytes| single(bytes).ok()).unwrap_or(0);
        let (Some(cpu), Some(memory), Some(tasks)) = (cpu, memory, tasks) else {
            // Gone by now, or without a controller: what is not known is nothing to compare with.
            self.left_out += 1;
            return;
        };
        self.units.insert(unit, Counts { id, held: memory.saturating_add(swap), cpu, tasks });
    }

    /// What came between this pass and a later one.
    #[must_use]
    pub fn until(&self, later: &Self, over: Duration, at: WallTime) -> CulpritLook {
        let since = |unit: &str, now: &Counts| self.units.get(unit).filter(|then| then.id == now.id);
        let mut begun = 0_u64;
        let mut all: Vec<UnitUse> = Vec::with_capacity(later.units.len());
        for (unit, now) in &later.units {
            // What was not there before has grown from nothing; that it has begun is no ground to blame it.
            let then = since(unit, now).copied().unwrap_or_else(|| {
                begun = begun.saturating_add(per_second(now.held, over));
                Counts { held: now.held, ..Counts::default() }
            });
            all.push(UnitUse {
                unit: unit.clone(),
                held: Bytes(now.held),
                growth: Bytes(per_second(now.held.saturating_sub(then.held), over)),
                cpu: percent(now.cpu.saturating_sub(then.cpu), over),
                tasks: now.tasks,
            });
        }
        let sum = |of: fn(&UnitUse) -> u64| all.iter().map(of).fold(0, u64::saturating_add);
        CulpritLook {
            at,
            over,
            units: u64::try_from(all.len()).unwrap_or(u64::MAX),
            left_out: later.left_out,
            growth: Bytes(sum(|it| it.growth.0).saturating_add(begun)),
            cpu: Percent(all.iter().map(|it| it.cpu.0).sum()),
            tasks: sum(|it| it.tasks),
            largest: largest(all),
        }
    }
}

/// What neither dropping caches nor writing back gives free.
fn held(it: &MemoryStat) -> u64 {
    [it.anonymous, it.shmem, it.slab_unreclaimable, it.kernel_stack, it.sockets]
        .iter()
        .fold(0, |sum, part| sum.saturating_add(part.0))
}

/// Those that grow most, hold most, run most and have most tasks; each once.
fn largest(mut all: Vec<UnitUse>) -> Vec<UnitUse> {
    let mut named: Vec<UnitUse> = Vec::new();
    let grounds: [fn(&UnitUse) -> u64; 4] = [
        |it| it.growth.0,
        |it| it.held.0,
        |it| it.tasks,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an order, of a share")]
        |it| (it.cpu.0 * 1000.0) as u64,
    ];
    for of in grounds {
        all.sort_by(|a, b| of(b).cmp(&of(a)).then_with(|| a.unit.cmp(&b.unit)));
        for it in all.iter().take(CULPRITS_MAX).filter(|it| of(it) > 0) {
            if !named.contains(it) {
                named.push(it.clone());
            }
        }
    }
    named
}

fn per_second(amount: u64, over: Duration) -> u64 {
    let millis = over.as_millis().max(1);
    u64::try_from(u128::from(amount) * 1000 / millis).unwrap_or(u64::MAX)
}

fn percent(micros: u64, over: Duration) -> Percent {
    #[expect(clippy::cast_precision_loss, reason = "a share of a processor")]
    Percent(micros as f64 / over.as_micros().max(1) as f64 * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pass(units: &[(&str, u64, u64, u64)]) -> Pass {
        let counts = |&(name, id, held, cpu): &(&str, u64, u64, u64)| {
            (name.to_owned(), Counts { id, held, cpu, tasks: 1 })
        };
        Pass { units: units.iter().map(counts).collect(), left_out: 0 }
    }

    #[track_caller]
    fn check(
        before: &[(&str, u64, u64, u64)],
        after: &[(&str, u64, u64, u64)],
        expected: &[(&str, u64, f64)],
    ) {
        let look = pass(before).until(&pass(after), 2 * SECOND, WallTime::from_unix_millis(0));
        let found: Vec<_> = look.largest.iter().map(|it| (it.unit.as_str(), it.growth.0, it.cpu.0)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_grew_is_what_is_more_of_the_same_group() {
        let micros = 1_000_000;
        check(
            &[("a", 1, 100, 0), ("b", 2, 50, 0)],
            &[("a", 1, 60, 0), ("b", 2, 90, micros)],
            &[("b", 20, 50.0), ("a", 0, 0.0)],
        );
        // Made anew, or new: it is counted, and not blamed for having begun.
        check(&[("a", 1, 100, 0)], &[("a", 9, 120, 0)], &[("a", 0, 0.0)]);
        check(&[], &[("a", 1, 80, 0)], &[("a", 0, 0.0)]);
        let begun = pass(&[]).until(&pass(&[("a", 1, 80, 0)]), 2 * SECOND, WallTime::from_unix_millis(0));
        assert_eq!(begun.growth, Bytes(40));
        check(&[("a", 1, 100, 0)], &[], &[]);
    }

    #[test]
    fn few_are_named_and_all_are_counted() {
        let many: Vec<(String, u64)> = (0..100_u64).map(|number| (format!("u{number}"), number)).collect();
        let after: Vec<(&str, u64, u64, u64)> =
            many.iter().map(|(name, number)| (name.as_str(), *number, 1000 + number, 1000)).collect();
        let look = Pass::default().until(&pass(&after), SECOND, WallTime::from_unix_millis(0));
        assert_eq!((look.units, look.tasks), (100, 100));
        assert_eq!(look.growth, Bytes((0..100).map(|number| 1000 + number).sum()));
        assert!(look.largest.len() <= 4 * CULPRITS_MAX);
        assert_eq!(look.largest[0].unit, "u99");
    }

    #[test]
    fn where_there_is_no_hierarchy_it_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Pass::take(folder.path()).is_err());
    }
}

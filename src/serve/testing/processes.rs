//! A process table that stands still.

use std::time::Duration;

use crate::model::*;
use crate::serve::{NoProcess, ProcessQuery, ProcessSource, Processes, ProcessesQuery};

use super::{ago, now};

/// No user of any host.
const NOBODY_KNOWN: u32 = 3_999_999_999;

/// Four processes, one of them with a name that means ill.
pub(crate) struct FixedProcesses;

fn none<T>() -> Reading<T> {
    Reading::Absent(Absence::NotApplicable)
}

fn line(pid: i32, name: &str, state: char, user: u32, cgroup: &str) -> ProcessLine {
    let unit = cgroup.rsplit('/').next().filter(|part| part.ends_with(".service"));
    ProcessLine {
        pid,
        start_ticks: 100 * u64::from(pid.unsigned_abs()),
        parent: 1,
        name: name.into(),
        state,
        kernel_thread: false,
        threads: 4,
        age: Duration::from_secs(93_600),
        cpu_time: Duration::from_millis(4_215_300),
        resident: Bytes(300 << 20),
        user: Reading::Value(user),
        place: Reading::Value(ProcessPlace {
            cgroup: cgroup.into(),
            unit: unit.map_or(none(), |unit| Reading::Value(unit.into())),
            pod: if cgroup.contains("/kubepods") {
                Reading::Value("3c4f1a2b-0000-4000-8000-00000000002a".into())
            } else {
                none()
            },
            container: none(),
        }),
    }
}

fn view(line: ProcessLine, cpu: f64) -> ProcessView {
    ProcessView {
        line,
        cpu: Reading::Value(Percent(cpu)),
        growth: Reading::Value(-4096),
        minor_faults: Reading::Value(12.5),
        major_faults: Reading::Value(0.0),
        storage_read: Reading::Value(Bytes(3 << 20)),
        storage_written: Reading::Value(Bytes(512)),
        blocked_for: none(),
    }
}

/// The first of them, as the socket tells.
pub(crate) fn processes(limit: usize) -> Processes {
    let query = ProcessesQuery { sort: ProcessSort::Cpu, limit };
    Processes { now: now(), list: FixedProcesses.list(query) }
}

fn views() -> Vec<ProcessView> {
    let pod = "/kubepods.slice/kubepods-pod3c4f1a2b_0000_4000_8000_00000000002a.slice";
    let mut kernel = line(66, "kswapd0", 'S', 0, "/");
    kernel.kernel_thread = true;
    let mut new = view(line(4242, "evil\u{1b}[2J", 'R', NOBODY_KNOWN, "/user.slice"), 0.0);
    new.line.place = Reading::Failed("cgroup: Permission denied (os error 13)".into());
    new.line.age = Duration::from_secs(3);
    new.cpu = Reading::Absent(Absence::TooEarly);
    new.storage_read = Reading::Absent(Absence::NotObserved);
    new.storage_written = Reading::Absent(Absence::NotObserved);
    let mut stuck = view(line(991, "web", 'D', 0, "/system.slice/web.service"), 0.0);
    stuck.blocked_for = Reading::Value(Duration::from_secs(370));
    vec![view(line(2201, "postgres", 'S', 0, pod), 163.25), stuck, view(kernel, 0.4), new]
}

impl ProcessSource for FixedProcesses {
    fn list(&self, query: ProcessesQuery) -> ProcessList {
        let parent = ZombieParent { pid: 991, name: "web".into(), zombies: 3 };
        ProcessList {
            way: ProcessWay::Procfs,
            refused: vec![RefusedWay {
                way: ProcessWay::BpfTasks,
                why: "CAP_BPF and CAP_PERFMON are not granted".into(),
            }],
            storms: Some(StormEye { way: StormWay::Scan, refused: Some("CAP_BPF is not granted".into()) }),
            at: Reading::Value(ago(4).boot),
            interval: Reading::Value(Duration::from_secs(10)),
            counts: Reading::Value(ProcessCounts {
                processes: 212,
                threads: 618,
                zombies: 3,
                zombie_parent: Reading::Value(parent),
                blocked: 1,
                blocked_longest: Duration::from_secs(370),
            }),
            incomplete: None,
            sort: query.sort,
            processes: views().into_iter().take(query.limit).collect(),
        }
    }

    fn look(&self, query: ProcessQuery) -> Result<ProcessDetail, NoProcess> {
        let found = views().into_iter().find(|view| view.line.pid == query.pid);
        let view = found.ok_or_else(|| NoProcess::Gone(format!("There is no process {}", query.pid)))?;
        let shares = if query.shares {
            Reading::Value(Bytes(90 << 20))
        } else {
            Reading::Absent(Absence::NotObserved)
        };
        Ok(ProcessDetail {
            line: view.line,
            effective_user: Reading::Value(NOBODY_KNOWN),
            executable: Reading::Value(ProcessExecutable { path: "/usr/sbin/web".into(), deleted: true }),
            open_files: Reading::Value(1004),
            open_files_limit: Reading::Value(Limit::At(1024)),
            wait_channel: Reading::Value("nfs_wait_bit_killable".into()),
            storage: Reading::Failed("io: Permission denied (os error 13)".into()),
            swap: Reading::Value(Bytes(0)),
            proportional: shares,
        })
    }
}

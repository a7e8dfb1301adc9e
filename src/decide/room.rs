//! Which rung of a file system's ladder is next.

use crate::assess::View;
use crate::model::{Incident, LargeFile, MountPoint, Reading, Remedy, SpaceLook, lies_on};
use crate::policy::{Policy, Rule};

use super::culprit::HeldBack;
use super::holders::{holders, writer};
use super::step::Step;

/// Where the journal is kept when it is to outlive a boot (systemd-journald.service(8)).
const JOURNAL: &[u8] = b"/var/log/journal";
/// Where the package managers keep what they have fetched.
const PACKAGES: &[u8] = b"/var/cache";
/// Where the rules for temporary files that systemd and the distributions ship throw away what is old (tmpfiles.d(5)).
const TEMPORARY: [&[u8]; 4] = [b"/tmp", b"/var/tmp", b"/var/lib/systemd/coredump", b"/var/cache/man"];
/// Where container runtimes keep their images.
const IMAGES: [&[u8]; 3] = [b"/var/lib/containerd", b"/var/lib/docker", b"/var/lib/containers"];

/// The fields by which a rule is about the number of files, and about their size.
const INODES_USED: &str = "inodes_used_percent";
const SPACE_USED: &str = "used_percent";

/// How an incident of a file system stands with the services that hold deleted files open on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holders {
    MayBeAsked,
    /// A guard had something against it lately, or they were not as they were judged: the rest of the ladder goes on.
    PassedOver,
    /// A person was asked whether the one that holds most may be restarted, and has not answered yet.
    Waiting,
    /// The person agreed.
    Agreed,
}

/// What is so of those that an act would touch for the sake of a file system.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub holders: Holders,
    pub held_back: HeldBack<'a>,
}

/// Each rung that can help is tried once, at once; then a person is told who takes the room. After that, or while a person
/// is being asked, only what the agent does itself is tried again, as slowly as the backoff says: what may not be removed
/// yet will be older then.
pub(super) fn next_step(
    incident: &Incident,
    rule: &Rule,
    policy: &Policy,
    view: &View,
    (point, asked): (&MountPoint, Asked<'_>),
) -> Step {
    // They know of it.
    let quiet = incident.escalated.is_some() || asked.holders == Holders::Waiting;
    let escalate = |why: String| if quiet { Step::Wait } else { Step::Escalate { why } };
    let status = match view.filesystems.one(point) {
        Reading::Value(status) => status,
        // What is mounted can't be told now, or nothing is: its incident ends when that is sure.
        Reading::Absent(_) | Reading::Failed(_) => return Step::Wait,
    };
    let found = &incident.finding.what;
    if rule.ladder.is_empty() {
        return escalate(with_takers(found.clone(), incident, rule));
    }
    if status.read_only {
        // Removing is writing; and damage is not mended by it.
        return escalate(format!("{found}; it is mounted read-only, and nothing can be removed"));
    }
    let rungs = rungs(incident, rule, policy, view, (point, asked));
    let times = |remedy: &Remedy| incident.tried.get(remedy).copied().unwrap_or(0);
    let agreed =
        rungs.iter().copied().find(|it| *it == Remedy::RestartHolders && asked.holders == Holders::Agreed);
    let Some(remedy) = agreed.or_else(|| rungs.iter().copied().min_by_key(times)) else {
        let held = asked.held_back.in_force.iter().find(|it| it.incident == incident.id);
        let why = held.map_or_else(
            || format!("{found}; the policy names nothing on it that may be removed"),
            |held| format!("{found}; {} is slowed down, and its ladder has nothing more", held.unit),
        );
        return escalate(with_takers(why, incident, rule));
    };
    if times(&remedy) > 0 && !quiet && agreed.is_none() {
        let why = format!("{found}; all was done that its ladder has ({})", names(&rungs));
        return escalate(with_takers(why, incident, rule));
    }
    let targets = if remedy == Remedy::SlowWriters {
        writer(incident, policy, view).into_iter().collect()
    } else if remedy.asks_holders() {
        holders(remedy, incident, policy, view)
    } else {
        Vec::new()
    };
    Step::Repair { remedy, targets }
}

/// Whether a rung is left that was not tried yet.
#[must_use]
pub fn has_untried_rung(
    incident: &Incident,
    rule: &Rule,
    policy: &Policy,
    view: &View,
    at: (&MountPoint, Asked<'_>),
) -> bool {
    let tried = |remedy: &Remedy| incident.tried.get(remedy).is_some_and(|times| *times > 0);
    !rungs(incident, rule, policy, view, at).iter().all(tried)
}

/// Those that can help there, as things are. What others do is not done again and again: once people know, only what has
/// grown or become old since is looked for.
fn rungs(
    incident: &Incident,
    rule: &Rule,
    policy: &Policy,
    view: &View,
    (point, asked): (&MountPoint, Asked<'_>),
) -> Vec<Remedy> {
    let quiet = incident.escalated.is_some() || asked.holders == Holders::Waiting;
    let helps = |remedy: &Remedy| {
        if *remedy == Remedy::SlowWriters {
            let passed_over = asked.holders == Holders::PassedOver;
            let writer = writer(incident, policy, view).filter(|_| !quiet && !passed_over);
            return writer.is_some_and(|unit| asked.held_back.allows(*remedy, &unit));
        }
        if !remedy.asks_holders() {
            return (!quiet || remedy.is_own_work()) && can_help(*remedy, policy, view, point);
        }
        let wanted = match asked.holders {
            Holders::MayBeAsked => !quiet,
            Holders::Agreed => *remedy == Remedy::RestartHolders,
            Holders::PassedOver | Holders::Waiting => false,
        };
        wanted && !holders(*remedy, incident, policy, view).is_empty()
    };
    rule.ladder.iter().copied().filter(helps).collect()
}

fn names(rungs: &[Remedy]) -> String {
    rungs.iter().map(|remedy| remedy.name()).collect::<Vec<_>>().join(", ")
}

/// Whether the remedy has anything to work on there, by what is mounted where.
fn can_help(remedy: Remedy, policy: &Policy, view: &View, point: &MountPoint) -> bool {
    let mounted = || view.filesystems.points().into_iter().flatten();
    match remedy {
        Remedy::ArchiveLogs | Remedy::RotateLogs | Remedy::PruneRotatedLogs | Remedy::PruneCoreDumps => {
            let mut fitting = policy.logs.iter().filter(|root| remedy.works_in() == Some(root.holds));
            fitting.any(|root| root.lies_on(point, mounted()))
        }
        Remedy::VacuumJournal => lies_on(JOURNAL, point, mounted()),
        Remedy::CleanTemporaryFiles => TEMPORARY.iter().any(|folder| lies_on(folder, point, mounted())),
        Remedy::CleanPackageCache => lies_on(PACKAGES, point, mounted()),
        Remedy::CleanContainerImages => IMAGES.iter().any(|folder| lies_on(folder, point, mounted())),
        // Whether anybody holds anything is told by more than the mounts.
        Remedy::ReloadHolders
        | Remedy::SlowWriters
        | Remedy::RestartHolders
        | Remedy::Reload
        | Remedy::Start
        | Remedy::ResetAndStart
        | Remedy::Restart
        | Remedy::RestartWithDependencies
        | Remedy::Stop
        | Remedy::LimitMemory
        | Remedy::LimitTasks
        | Remedy::Freeze
        | Remedy::RestartCulprit => false,
    }
}

/// A page that names the consumer.
#[must_use]
pub fn with_takers(why: String, incident: &Incident, rule: &Rule) -> String {
    let look = incident.evidence.as_ref().map(|evidence| &evidence.space);
    let Some(Reading::Value(look)) = look else { return why };
    let fields = rule.when.fields();
    let about_inodes = fields.contains(&INODES_USED) && !fields.contains(&SPACE_USED);
    match if about_inodes { most_crowded(look) } else { largest(look) } {
        Some(taker) => format!("{why}; most is taken by {taker}"),
        None => why,
    }
}

fn most_crowded(look: &SpaceLook) -> Option<String> {
    look.crowded.first().map(|folder| format!("{} files in {}", folder.entries, folder.path))
}

fn largest(look: &SpaceLook) -> Option<String> {
    let written = |file: &LargeFile| {
        file.writer.value().map_or_else(String::new, |writer| format!(", open for writing by {writer}"))
    };
    let file = look.files.first().map(|file| (file.bytes, file.path.to_string(), written(file)));
    let folder =
        look.folders.first().map(|folder| (folder.bytes, format!("files in {}", folder.path), String::new()));
    let (bytes, what, by) = match (file, folder) {
        // One file that is most of its folder says more than the folder.
        (Some(file), Some(folder)) if file.0.0 >= folder.0.0 / 2 => file,
        (_, Some(folder)) => folder,
        (file, None) => file?,
    };
    Some(format!("{what} ({bytes}{by})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BootTime, DeviceNumber, FilesystemClass, FilesystemStatus, FilesystemsUpdate, RoomAnswer, Sample,
        Timestamp, WallTime,
    };

    fn point(path: &str) -> MountPoint {
        MountPoint::from_bytes(path.as_bytes()).expect("a path")
    }

    fn disk(mounted: &str) -> FilesystemStatus {
        FilesystemStatus {
            mount_point: point(mounted),
            device: DeviceNumber { major: 8, minor: 1 },
            fs_type: "ext4".into(),
            source: "/dev/sda1".into(),
            class: FilesystemClass::Disk,
            read_only: false,
            forced_read_only: Reading::Value(false),
            room: RoomAnswer::Failed("not asked".into()),
        }
    }

    /// Where these are mounted, the shipped policy knows this use of the remedy on exactly these.
    #[track_caller]
    fn check(remedy: Remedy, mounted: &[&str], on: &[&str]) {
        let mut view = View::default();
        let all = mounted.iter().map(|path| disk(path)).collect();
        let at = Timestamp::new(BootTime::from_millis(1000), WallTime::from_unix_millis(0));
        view.take(&Sample { filesystems: Some(FilesystemsUpdate::Complete(all)), ..Sample::empty(at) });
        let policy = Policy::builtin().expect("the shipped policy is right");
        let helps = |path: &&str| can_help(remedy, &policy, &view, &point(path));
        let found: Vec<&str> = mounted.iter().copied().filter(helps).collect();
        assert_eq!(found, on, "{remedy} among {mounted:?}");
    }

    #[test]
    fn a_remedy_can_help_where_its_files_lie() {
        check(Remedy::PruneRotatedLogs, &["/", "/var/log", "/srv"], &["/var/log"]);
        check(Remedy::PruneRotatedLogs, &["/", "/var/lib/systemd/coredump"], &["/"]);
        check(Remedy::PruneCoreDumps, &["/", "/var/log", "/srv"], &["/"]);
        check(Remedy::PruneCoreDumps, &["/", "/var", "/var/log"], &["/var"]);
        check(Remedy::PruneCoreDumps, &["/", "/var/lib/systemd/coredump"], &["/var/lib/systemd/coredump"]);
        check(Remedy::CleanTemporaryFiles, &["/", "/srv"], &["/"]);
        check(Remedy::CleanTemporaryFiles, &["/", "/tmp", "/var", "/home"], &["/tmp", "/var"]);
        check(
            Remedy::CleanTemporaryFiles,
            &["/", "/tmp", "/var/tmp", "/var/cache", "/var/lib/systemd"],
            &["/tmp", "/var/tmp", "/var/cache", "/var/lib/systemd"],
        );
        check(Remedy::CleanPackageCache, &["/", "/var/cache/man"], &["/"]);
        check(Remedy::CleanContainerImages, &["/", "/var/lib/docker"], &["/", "/var/lib/docker"]);
        check(Remedy::CleanContainerImages, &["/", "/var/lib", "/srv"], &["/var/lib"]);
        let images = ["/var/lib/containerd", "/var/lib/containers", "/var/lib/docker"];
        check(Remedy::CleanContainerImages, &[&["/"], &images[..]].concat(), &images);
        check(Remedy::Restart, &["/"], &[]);
    }
}

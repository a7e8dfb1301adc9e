//! Holds a unit back for a time, by systemd's own means, so that systemd goes on to own its control group.
//!
//! What ends it comes first: a timer, and the service that it starts, are made before anything is set, and live in systemd
//! alone. They need neither the agent nor its ledger. They are transient: a boot ends them, and what they would undo
//! (`SetUnitProperties` with `runtime` writes below `/run`). Source: `org.freedesktop.systemd1(5)`.

use std::path::Path;
use std::time::Duration;

use zbus::Variant;

use super::link::{CallError, Link, MANAGER, MANAGER_PATH, Method, UNIT};
use super::reader::CALL_DEADLINE;
use super::{ManagerError, NAME, RestraintOrder, call_failed, path};
use crate::model::{Bytes, MountPoint, Restraint, UnitKind, UnitName, release_units};

/// The tool that undoes it, where every distribution of today and of yesterday has it.
const SYSTEMCTL: &str = "/bin/systemctl";
const RM: &str = "/bin/rm";
/// How exactly the timer keeps to its time.
const ACCURACY: Duration = Duration::from_secs(1);
/// Where `SetUnitProperties` with `runtime` leaves its drop-ins.
const CONTROL: &str = "/run/systemd/system.control";
/// How systemd writes "no limit".
const UNLIMITED: u64 = u64::MAX;
/// A service that fails to release is tried again after this, and so often: five minutes, after which the agent, if there is
/// one, goes on with it.
const RELEASED_AGAIN: Duration = Duration::from_secs(5);
const RELEASES_MAX: u32 = 60;
/// From this version on, a unit that dies while it is frozen can neither be thawed nor started before the next boot.
const FREEZE_SPOILT_SINCE: u32 = 256;
/// systemd writes it where it runs in a container: there "since the boot" has another meaning for it.
const IN_CONTAINER: &str = "/run/systemd/container";
/// A limit of memory is no less: the program must be able to end.
const MEMORY_LEAST: u64 = 16 << 20;

/// So fast may a unit write that fills a disk: what makes room is several times as fast, and a service that logs at this
/// rate loses nothing.
const WRITTEN_MOST: u64 = 1 << 20;

/// What is to be set, and what it is now.
struct Setting {
    property: &'static str,
    value: Value,
}

enum Value {
    Number {
        now: u64,
        to: u64,
    },
    /// For each disk, by a path on it or its device, bytes a second.
    Rates {
        now: Vec<(String, u64)>,
        place: String,
    },
}

/// See the module. Returns what was set, for people.
pub(super) async fn restrain(link: &Link, order: RestraintOrder<'_>) -> Result<String, ManagerError> {
    let RestraintOrder { unit, action, .. } = order;
    let Some((timer, service)) = release_units(action) else {
        return Err(refused(format!("no unit can be named after {action}")));
    };
    let setting = match order.restraint {
        Restraint::Frozen => {
            may_be_frozen(link, unit).await?;
            None
        }
        Restraint::Memory => Some(memory(link, unit).await?),
        Restraint::Tasks => Some(tasks(link, unit).await?),
        Restraint::Writing => Some(writing(link, unit, order.place).await?),
    };
    let undo = match &setting {
        None => vec![vec![SYSTEMCTL.to_owned(), "thaw".into(), "--".into(), unit.to_string()]],
        Some(setting) => undoing(link, unit, setting).await?,
    };
    // One that was stopped meanwhile is not frozen any more, and can't be thawed.
    let only_if_up = setting.is_none();
    let release = Release { timer: &timer, service: &service, unit, undo, only_if_up, lasts: order.lasts };
    release.prepare(link).await?;
    let set = match &setting {
        None => link.call(Method::manager("FreezeUnit"), &unit.as_str(), CALL_DEADLINE).await,
        Some(setting) => {
            let properties = vec![(setting.property, setting.value.to_be())];
            let body = (unit.as_str(), true, properties);
            link.call(Method::manager("SetUnitProperties"), &body, CALL_DEADLINE).await
        }
    };
    match set {
        Ok(_) => Ok(setting.map_or_else(|| format!("{unit} stands still"), |it| it.told(unit))),
        Err(error @ (CallError::NotSent(_) | CallError::Answered { .. })) => {
            // Nothing was set: there is nothing to undo.
            let body = (timer.as_str(), "replace");
            let _ = link.call(Method::manager("StopUnit"), &body, CALL_DEADLINE).await;
            Err(call_failed(error, unit))
        }
        Err(error @ (CallError::Cut(_) | CallError::Silent(_) | CallError::Garbled(_))) => {
            Err(ManagerError::OutcomeUnknown { manager: NAME, why: error.to_string() })
        }
    }
}

fn refused(why: String) -> ManagerError {
    ManagerError::Refused { manager: NAME, why }
}

impl Value {
    /// As `SetUnitProperties` takes it. A list that is set is added to the one that is there.
    fn to_be(&self) -> Variant<'_> {
        match self {
            Self::Number { to, .. } => Variant::from(*to),
            Self::Rates { place, now } => {
                // Somebody may have given it less.
                let less = now.iter().filter(|(path, _)| path == place).map(|(_, rate)| *rate).min();
                Variant::from(vec![(place.as_str(), less.unwrap_or(u64::MAX).min(WRITTEN_MOST))])
            }
        }
    }
}

impl Setting {
    fn told(&self, unit: &UnitName) -> String {
        let words = |value: u64| match (self.property, value) {
            (_, UNLIMITED) => "without limit".to_owned(),
            ("MemoryHigh", bytes) => Bytes(bytes).to_string(),
            (_, number) => number.to_string(),
        };
        match &self.value {
            Value::Number { now, to } => {
                format!("{}={} of {unit} (was {})", self.property, words(*to), words(*now))
            }
            Value::Rates { place, .. } => {
                format!("{}={place} {}/s of {unit}", self.property, Bytes(WRITTEN_MOST))
            }
        }
    }

    /// As `systemctl set-property` takes it.
    fn before(&self) -> Vec<String> {
        match &self.value {
            Value::Number { now: UNLIMITED, .. } => vec![format!("{}=infinity", self.property)],
            Value::Number { now, .. } => vec![format!("{}={now}", self.property)],
            // Nothing empties a list; then come those that were in it.
            Value::Rates { now, .. } => {
                let each = now.iter().map(|(path, rate)| format!("{}={path} {rate}", self.property));
                std::iter::once(format!("{}=", self.property)).chain(each).collect()
            }
        }
    }
}

/// Time goes on for its watchdog, which would kill it; and what dies while it is frozen may be lost to systemd.
async fn may_be_frozen(link: &Link, unit: &UnitName) -> Result<(), ManagerError> {
    if unit.kind() == UnitKind::Service && number(link, unit, "WatchdogUSec").await? > 0 {
        return Err(refused(format!("{unit} has a watchdog, which would kill it while it stands still")));
    }
    let get = Method::properties(MANAGER_PATH, "Get");
    let answer = link.call(get, &(MANAGER, "Version"), CALL_DEADLINE).await;
    let answer = answer.map_err(|error| call_failed(error, unit))?;
    let body = answer.body();
    let version = match body.deserialize::<Variant<'_>>() {
        Ok(Variant::Str(version)) => version.as_str().to_owned(),
        Ok(_) | Err(_) => return Err(refused("systemd does not tell its version".into())),
    };
    // `252.39-1~deb12u1`, `v256`
    let digits = version.trim_start_matches('v').split(|it: char| !it.is_ascii_digit()).next();
    match digits.and_then(|digits| digits.parse::<u32>().ok()) {
        Some(number) if number < FREEZE_SPOILT_SINCE => Ok(()),
        Some(_) | None => Err(refused(format!(
            "systemd {version} can't thaw a unit that died while it stood still: nothing is frozen with it"
        ))),
    }
}

/// How long the host has been awake since its boot, which is how systemd counts: `CLOCK_MONOTONIC`.
fn awake() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).unwrap_or_default()
}

/// It may hold no more than it does.
async fn memory(link: &Link, unit: &UnitName) -> Result<Setting, ManagerError> {
    let used = number(link, unit, "MemoryCurrent").await?;
    let now = number(link, unit, "MemoryHigh").await?;
    if used == UNLIMITED {
        return Err(refused(format!("what memory {unit} holds is not known: it is not accounted for")));
    }
    let to = used.max(MEMORY_LEAST).min(now);
    Ok(Setting { property: "MemoryHigh", value: Value::Number { now, to } })
}

/// It may have no more than it has.
async fn tasks(link: &Link, unit: &UnitName) -> Result<Setting, ManagerError> {
    let used = number(link, unit, "TasksCurrent").await?;
    let now = number(link, unit, "TasksMax").await?;
    if used == UNLIMITED {
        return Err(refused(format!("how many tasks {unit} has is not known: they are not accounted for")));
    }
    Ok(Setting { property: "TasksMax", value: Value::Number { now, to: used.max(1).min(now) } })
}

/// systemd finds the disk below the path itself, also for btrfs and encrypted ones.
async fn writing(link: &Link, unit: &UnitName, place: Option<&MountPoint>) -> Result<Setting, ManagerError> {
    let property = "IOWriteBandwidthMax";
    let Some(place) = place else { return Err(refused("its permit names no file system".into())) };
    let place = place.as_str().to_owned();
    let Variant::Array(rates) = property_of(link, unit, interface(unit), property).await? else {
        return Err(refused(format!("{property} of {unit} is no list")));
    };
    let rate = |entry: &Variant<'_>| {
        let Variant::Structure(pair) = entry else { return None };
        let [Variant::Str(path), Variant::U64(rate)] = pair.fields() else { return None };
        Some((path.as_str().to_owned(), *rate))
    };
    let now = rates.iter().map(rate).collect::<Option<Vec<_>>>();
    let now = now.ok_or_else(|| refused(format!("{property} of {unit} can't be read")))?;
    Ok(Setting { property, value: Value::Rates { now, place } })
}

async fn number(link: &Link, unit: &UnitName, property: &'static str) -> Result<u64, ManagerError> {
    if let Variant::U64(number) = property_of(link, unit, interface(unit), property).await? {
        Ok(number)
    } else {
        Err(refused(format!("{property} of {unit} is no number")))
    }
}

/// Of the kinds that have processes.
fn interface(unit: &UnitName) -> &'static str {
    if unit.kind() == UnitKind::Scope {
        "org.freedesktop.systemd1.Scope"
    } else {
        "org.freedesktop.systemd1.Service"
    }
}

async fn property_of(
    link: &Link,
    unit: &UnitName,
    interface: &'static str,
    property: &'static str,
) -> Result<Variant<'static>, ManagerError> {
    let at = path::of_unit(unit);
    let get = Method::properties(&at, "Get");
    let answer = link.call(get, &(interface, property), CALL_DEADLINE).await;
    let answer = answer.map_err(|error| call_failed(error, unit))?;
    let body = answer.body();
    let value = body.deserialize::<Variant<'_>>().map_err(|error| refused(error.to_string()))?;
    value.try_to_owned().map(Into::into).map_err(|error| refused(error.to_string()))
}

/// The commands that make it as it was. A drop-in that was not there before goes: it would hide what an operator writes
/// into the unit's file later.
async fn undoing(link: &Link, unit: &UnitName, setting: &Setting) -> Result<Vec<Vec<String>>, ManagerError> {
    let drop_in = format!("{CONTROL}/{unit}.d/50-{}.conf", setting.property);
    let there = if let Variant::Array(paths) = property_of(link, unit, UNIT, "DropInPaths").await? {
        // systemd names one that was removed until it is reloaded.
        let named = paths.iter().any(|path| matches!(path, Variant::Str(path) if path.as_str() == drop_in));
        named && Path::new(&drop_in).symlink_metadata().is_ok()
    } else {
        return Err(refused(format!("the drop-ins of {unit} are no list")));
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut set = words(&[SYSTEMCTL, "set-property", "--runtime", "--", unit.as_str()]);
    set.extend(setting.before());
    let mut undo = vec![set];
    if !there {
        undo.push(words(&[RM, "-f", "--", &drop_in]));
    }
    Ok(undo)
}

/// What ends a restraint.
struct Release<'a> {
    timer: &'a UnitName,
    service: &'a UnitName,
    unit: &'a UnitName,
    undo: Vec<Vec<String>>,
    only_if_up: bool,
    lasts: Duration,
}

type Properties<'a> = Vec<(&'static str, Variant<'a>)>;

impl Release<'_> {
    /// In one message: there is no timer without its service.
    async fn prepare(&self, link: &Link) -> Result<(), ManagerError> {
        let described = |what: &str| Variant::from(format!("{what} what Prunella did to {}", self.unit));
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // From a moment that is the same for ever: systemd before 254 begins `OnActiveSec` anew at each `daemon-reload`.
        let when = if Path::new(IN_CONTAINER).exists() {
            ("OnActiveSec", micros(self.lasts))
        } else {
            ("OnBootSec", micros(awake() + self.lasts))
        };
        let timer: Properties<'_> = vec![
            ("Description", described("Time to undo")),
            ("TimersMonotonic", Variant::from(vec![when])),
            ("AccuracyUSec", Variant::from(micros(ACCURACY))),
            ("RemainAfterElapse", Variant::from(false)),
        ];
        let command = |argv: &Vec<String>| (argv[0].clone(), argv.clone(), false);
        let commands: Vec<(String, Vec<String>, bool)> = self.undo.iter().map(command).collect();
        let mut service: Properties<'_> = vec![
            ("Description", described("Undo")),
            ("Type", Variant::from("oneshot")),
            ("ExecStart", Variant::from(commands)),
            // Nobody else may be left to try again.
            ("Restart", Variant::from("on-failure")),
            ("RestartUSec", Variant::from(micros(RELEASED_AGAIN))),
            ("StartLimitBurst", Variant::from(RELEASES_MAX)),
            ("StartLimitIntervalUSec", Variant::from(micros(RELEASED_AGAIN * RELEASES_MAX * 2))),
            ("CollectMode", Variant::from("inactive-or-failed")),
        ];
        if self.only_if_up {
            let up = [SYSTEMCTL, "is-active", "--quiet", "--", self.unit.as_str()];
            let up: Vec<String> = up.iter().map(|word| (*word).to_owned()).collect();
            service.push(("ExecCondition", Variant::from(vec![command(&up)])));
        }
        let body = (self.timer.as_str(), "fail", timer, vec![(self.service.as_str(), service)]);
        let start = Method::manager("StartTransientUnit");
        match link.call(start, &body, CALL_DEADLINE).await {
            Ok(_) => Ok(()),
            // A timer that was made all the same undoes what was not done.
            Err(error) => Err(call_failed(error, self.timer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_told_with_what_it_was() {
        let unit = UnitName::parse("leak.service").expect("a name");
        let number = |property, now, to| Setting { property, value: Value::Number { now, to } };
        let setting = number("MemoryHigh", UNLIMITED, 64 << 20);
        assert_eq!(setting.told(&unit), "MemoryHigh=64.0 MiB of leak.service (was without limit)");
        assert_eq!(setting.before(), ["MemoryHigh=infinity"]);
        let setting = number("TasksMax", 4915, 700);
        assert_eq!(setting.told(&unit), "TasksMax=700 of leak.service (was 4915)");
        assert_eq!(setting.before(), ["TasksMax=4915"]);
        let value = Value::Rates { now: vec![("/srv".into(), 5000)], place: "/var/log".into() };
        let setting = Setting { property: "IOWriteBandwidthMax", value };
        assert_eq!(setting.told(&unit), "IOWriteBandwidthMax=/var/log 1.0 MiB/s of leak.service");
        assert_eq!(setting.before(), ["IOWriteBandwidthMax=", "IOWriteBandwidthMax=/srv 5000"]);
    }
}

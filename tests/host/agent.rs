//! The agent on a host: installed from its package, asked through its own commands, judged by its ledger.

use std::ops::Deref;
use std::time::Duration;

use prunella::model::{
    ActionId, Applied, BootTime, GuardName, IncidentId, Intent, Record, RecordBody, Subject, UnitName,
    Verification,
};
use prunella::serve::Status;

use crate::harness::{Host, Tier, install_package};

/// What a person would call soon, on a busy host.
const SOON: Duration = Duration::from_secs(40);
/// How much longer everything takes where the processor is emulated.
const EMULATED: u32 = 4;
/// The tool that makes faults and measures on the host's own clocks.
const FAULT: &str = include_str!("fault.py");
/// Where operators' policy goes.
const POLICY: &str = "/etc/prunella/policy.d";

/// A host with a working agent.
pub(crate) struct Agent {
    host: Host,
}

impl Deref for Agent {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Agent {
    /// Installs the package with the shipped policy and waits until the agent would act.
    pub(crate) fn install(host: Host) -> Agent {
        Agent::install_with(host, "")
    }

    /// The same, with policy of the operator's own.
    pub(crate) fn install_with(host: Host, policy: &str) -> Agent {
        host.write("/usr/lib/fault.py", FAULT);
        if !policy.is_empty() {
            host.write(&format!("{POLICY}/50-test.toml"), policy);
        }
        install_package(&host);
        let agent = Agent { host };
        agent.until_ready();
        agent
    }

    /// Until no guard holds back everything, and the units are seen.
    pub(crate) fn until_ready(&self) {
        self.until("the agent to be ready", || {
            let out = self.exec(&["prunella", "status", "--json"]);
            let status: Option<Status> = serde_json::from_str(&out.stdout).ok();
            status.is_some_and(|status| {
                assert_eq!(status.policy_error, None, "the trial's own policy");
                status.held.is_none() && status.units_lost.is_none() && status.units_seen > 0
            })
        });
    }

    /// Writes the operator's policy and has it read; panics if it is refused.
    pub(crate) fn set_policy(&self, policy: &str) {
        self.write(&format!("{POLICY}/50-test.toml"), policy);
        self.ok("prunella reload");
    }

    /// How long a person would wait.
    pub(crate) fn patience(&self) -> Duration {
        match self.tier() {
            Tier::Nspawn => SOON,
            Tier::Vm => SOON * EMULATED,
        }
    }

    /// Waits for what should be so soon.
    pub(crate) fn until(&self, what: &str, is_so: impl FnMut() -> bool) {
        self.wait_until(what, self.patience(), is_so);
    }

    /// Makes services, each `[Service]` and what else there is; NAME without `.service`. In /usr/lib, so that they
    /// can be masked.
    pub(crate) fn services(&self, services: &[(&str, &str)]) {
        for (name, text) in services {
            self.write(&format!("/usr/lib/systemd/system/{name}.service"), text);
        }
        self.ok("systemctl daemon-reload");
    }

    /// Makes services that only run, and starts them.
    pub(crate) fn sleepers(&self, names: &[&str]) {
        let text = "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";
        let all: Vec<_> = names.iter().map(|name| (*name, text)).collect();
        self.services(&all);
        self.ok(&format!("systemctl start {}", names.join(" ")));
    }

    /// `ActiveState` of a unit.
    pub(crate) fn state(&self, unit: &str) -> String {
        self.ok(&format!("systemctl show -P ActiveState {unit}"))
    }

    /// Makes a fault with the tool; see its head.
    pub(crate) fn fault(&self, args: &[&str]) -> serde_json::Value {
        let argv = [&["python3", "/usr/lib/fault.py"], args].concat();
        let out = self.exec_within(Duration::from_secs(300), &argv);
        assert!(out.code == 0, "{args:?}: {out}");
        serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// What the agent says of a unit or an incident, on one line.
    pub(crate) fn explain(&self, topic: &str) -> String {
        let text = self.ok(&format!("prunella explain {topic}"));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits until `explain` says so.
    pub(crate) fn until_explained(&self, topic: &str, says: &str) {
        let mut said = String::new();
        let end = std::time::Instant::now() + self.patience();
        while !said.contains(says) {
            assert!(std::time::Instant::now() < end, "explain {topic} never said {says:?}, but: {said}");
            said = self.explain(topic);
        }
    }

    /// The whole ledger.
    pub(crate) fn ledger(&self) -> Ledger {
        let text = self.ok("prunella records --json");
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Ledger(text.lines().map(parse).collect())
    }

    /// Waits until the ledger has it.
    pub(crate) fn until_recorded(&self, what: &str, is_so: impl Fn(&Ledger) -> bool) -> Ledger {
        let mut ledger = self.ledger();
        self.until(what, || {
            ledger = self.ledger();
            is_so(&ledger)
        });
        ledger
    }

    /// Waits until a repair of this unit is confirmed.
    pub(crate) fn until_repaired(&self, unit: &str) -> Repair {
        let ledger = self.until_recorded(&format!("{unit} to be repaired"), |it| it.repair(unit).is_some());
        assert_eq!(self.state(unit), "active");
        ledger.repair(unit).expect("it was just there")
    }

    /// What every trial ends with: the chain is whole, and never were two acts under way at once.
    pub(crate) fn check_ledger(&self) -> Ledger {
        self.ok("prunella verify-ledger");
        let ledger = self.ledger();
        ledger.assert_one_at_a_time();
        ledger
    }

    /// Proof that the agent was at work after what it left alone: a unit that fails now is repaired.
    pub(crate) fn assert_awake(&self, canary: &str) {
        self.sleepers(&[canary]);
        self.fault(&["signal", "SIGKILL", canary]);
        self.until_repaired(canary);
    }
}

/// One confirmed repair, by the clock of the host.
#[derive(Clone, Debug)]
pub(crate) struct Repair {
    pub found: BootTime,
    pub intended: BootTime,
    pub applied: BootTime,
    pub confirmed: BootTime,
}

impl Repair {
    /// Its stages in milliseconds since a time of the host's clock, for a figure.
    pub(crate) fn since(&self, at: f64) -> String {
        let [found, intended, applied, confirmed] =
            [self.found, self.intended, self.applied, self.confirmed].map(|stage| boot_millis(stage) - at);
        format!("found {found:.0}, intended {intended:.0}, applied {applied:.0}, confirmed {confirmed:.0} ms")
    }
}

/// The records, oldest first.
pub(crate) struct Ledger(Vec<Record>);

impl Ledger {
    /// All of it, oldest first.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.0.iter()
    }

    fn bodies(&self) -> impl Iterator<Item = (BootTime, &RecordBody)> {
        self.0.iter().map(|record| (record.entry.at.boot, &record.entry.body))
    }

    /// Whether any record is so.
    pub(crate) fn has(&self, is_so: impl Fn(&RecordBody) -> bool) -> bool {
        self.bodies().any(|(_, body)| is_so(body))
    }

    /// The intents to act on a unit, with their times.
    pub(crate) fn intents(&self, unit: &str) -> Vec<(BootTime, &Intent)> {
        let is = subject(unit);
        let intended = self.bodies().filter_map(|(at, body)| {
            if let RecordBody::Intended(intent) = body
                && intent.subject == is
            {
                Some((at, intent))
            } else {
                None
            }
        });
        intended.collect()
    }

    /// When each act began, and when it was over.
    fn acts(&self) -> Vec<(ActionId, BootTime, Option<BootTime>)> {
        let over = |id| {
            self.bodies().find_map(|(at, body)| {
                if let RecordBody::Applied { action, .. } = body
                    && *action == id
                {
                    Some(at)
                } else {
                    None
                }
            })
        };
        let begun = self.bodies().filter_map(|(at, body)| {
            if let RecordBody::Intended(intent) = body {
                Some((intent.action, at, over(intent.action)))
            } else {
                None
            }
        });
        begun.collect()
    }

    /// No act that disrupts something begins before the one before it is over. Two disks may be made room on at once.
    pub(crate) fn assert_one_at_a_time(&self) {
        let disrupts = |id: ActionId| {
            self.has(|body| {
                matches!(body, RecordBody::Intended(intent) if intent.action == id && intent.remedy.is_disruptive())
            })
        };
        let acts: Vec<_> = self.acts().into_iter().filter(|(id, ..)| disrupts(*id)).collect();
        for pair in acts.windows(2) {
            let [(first, _, over), (second, begun, _)] = pair else { unreachable!("windows of two") };
            assert!(over.is_some_and(|over| over <= *begun), "{second} began while {first} was under way");
        }
    }

    /// The acts on a unit that were gone through with. One that was withdrawn when its conditions were looked at once
    /// more, right before the order, touched nothing.
    pub(crate) fn touches(&self, unit: &str) -> usize {
        let withdrawn = |action: ActionId| {
            self.has(|body| {
                matches!(body, RecordBody::Applied { action: done, applied: Applied::Withdrawn { .. } } if *done == action)
            })
        };
        self.intents(unit).iter().filter(|(_, intent)| !withdrawn(intent.action)).count()
    }

    /// The incidents of a unit, with the times they were found at, recurrences included.
    pub(crate) fn found(&self, unit: &str) -> Vec<(BootTime, IncidentId)> {
        let is = subject(unit);
        let found = self.bodies().filter_map(|(at, body)| {
            if let RecordBody::IncidentOpened { incident, subject, .. } = body
                && *subject == is
            {
                Some((at, *incident))
            } else if let RecordBody::IncidentReopened { incident, finding } = body
                && finding.subject == is
            {
                Some((at, *incident))
            } else {
                None
            }
        });
        found.collect()
    }

    /// The latest confirmed repair of a unit.
    pub(crate) fn repair(&self, unit: &str) -> Option<Repair> {
        let (intended, intent) = *self.intents(unit).last()?;
        let (_, _, applied) = self.acts().into_iter().find(|(action, ..)| *action == intent.action)?;
        let confirmed = self.bodies().find_map(|(at, body)| {
            if let RecordBody::Verified { action, verification: Verification::Confirmed { .. }, .. } = body
                && *action == intent.action
            {
                Some(at)
            } else {
                None
            }
        })?;
        Some(Repair { found: self.found(unit).last()?.0, intended, applied: applied?, confirmed })
    }

    /// How often a person was told about a unit.
    pub(crate) fn escalations(&self, unit: &str) -> usize {
        let ids: Vec<IncidentId> = self.found(unit).into_iter().map(|(_, id)| id).collect();
        let told = |body: &RecordBody| matches!(body, RecordBody::Escalated { incident, .. } if ids.contains(incident));
        self.bodies().filter(|(_, body)| told(body)).count()
    }

    /// Whether a guard held back an act on a unit.
    pub(crate) fn was_held(&self, unit: &str, by: GuardName) -> bool {
        let ids: Vec<IncidentId> = self.found(unit).into_iter().map(|(_, id)| id).collect();
        self.has(|body| matches!(body, RecordBody::Held { incident, refusal, .. } if ids.contains(incident) && refusal.guard == by))
    }
}

fn subject(unit: &str) -> Subject {
    let name = if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") };
    Subject::Unit(UnitName::parse(name).expect("trials use valid names"))
}

/// Milliseconds of the tool's answer.
pub(crate) fn millis(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// All of a list of the tool's answer.
pub(crate) fn all_millis(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}")).iter().map(millis).collect()
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A time of the ledger on the tool's scale.
pub(crate) fn boot_millis(at: BootTime) -> f64 {
    // A boot time of centuries would be needed to lose a millisecond.
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    let millis = at.millis() as f64;
    millis
}

/// Tells a figure to who reads the output of the trials.
pub(crate) fn figure(agent: &Agent, what: &str, value: &str) {
    eprintln!("figure | {} | {what} | {value}", agent.tier().name());
}

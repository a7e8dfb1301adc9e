//! What the ledger of a host says, and what must hold of it whatever happened to the agent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prunella::model::{
    ActionId, Applied, Durability, Intent, Record, RecordBody, Subject, Timestamp, UnitName, Verification,
};
use serde_json::Value;

use crate::harness::{Host, install_package};

/// Long enough for a start of the agent on a host that is busy.
const STARTS: Duration = Duration::from_secs(60);
/// The longest that a witness listens.
const WITNESS_LISTENS: Duration = Duration::from_secs(1800);

/// Follows the ledger over the socket, as the relay does, through restarts of the agent: each page that it was
/// given is a line of its output.
const WITNESS: &str = r#"
echo $$ > /run/witness.pid; next=0
while :; do
  page=$(curl -s --max-time 40 --unix-socket /run/prunella/prunella.sock \
         "http://localhost/v1/records?after=$next&wait=20") || { sleep 0.05; continue; }
  n=${page##*'"next":'}; n=${n%%[!0-9]*}
  case $page in '{"records":[]'*|'{"error"'*|'') sleep 0.05 ;; '{"records":['*) next=$n; printf '%s\n' "$page" ;; esac
done"#;

/// A unit that writes down each of its starts, with the boot, on the disk itself; `quick@` is up at once and `slow@`
/// takes its time, so that a job can be interrupted; `broken@` never works.
pub(crate) const COUNTED_UNITS: &str = r#"
mkdir -p /var/lib/starts
for kind in quick slow broken; do
  command='sleep infinity'; before=true
  [ $kind = slow ] && before='sleep 1'
  [ $kind = broken ] && command=false
  cat > /etc/systemd/system/$kind@.service <<EOF
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStartPre=sh -c 'cat /proc/sys/kernel/random/boot_id >> /var/lib/starts/$kind-%i; sync /var/lib/starts/$kind-%i'
ExecStartPre=$before
ExecStart=$command
[Install]
WantedBy=multi-user.target
EOF
done
sync; systemctl daemon-reload"#;

/// Installs the package and waits until the agent answers and acts.
pub(crate) fn install_agent(host: &Host) {
    install_package(host);
    until_at_work(host);
}

/// Waits until the agent answers and its warm-up is over.
pub(crate) fn until_at_work(host: &Host) {
    host.wait_until("the agent to be at work", STARTS, || {
        let seen = host.exec(&["prunella", "status", "--json"]);
        serde_json::from_str::<Value>(&seen.stdout).is_ok_and(|status| {
            seen.code <= 1
                && status["held"].is_null()
                && status["units_lost"].is_null()
                && status["units_seen"] != 0
        })
    });
}

/// The incidents that are open.
pub(crate) fn open_incidents(host: &Host) -> Option<usize> {
    let seen = host.exec(&["prunella", "incidents", "--json"]);
    let page: Value = serde_json::from_str(&seen.stdout).ok()?;
    page["incidents"].as_array().map(Vec::len)
}

/// Every record of a ledger, as the socket gives them.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    records: Vec<Record>,
    texts: BTreeMap<u64, String>,
}

impl Facts {
    /// Asks the agent for the whole ledger.
    pub(crate) fn of(host: &Host) -> Facts {
        let mut facts = Facts::default();
        let mut after = 0;
        loop {
            let url = format!("http://localhost/v1/records?after={after}&limit=1000");
            let page = host.ok(&format!("curl -sf --unix-socket /run/prunella/prunella.sock '{url}'"));
            if facts.take_page(&page) == 0 {
                return facts;
            }
            after = facts.records.last().expect("the page had one").seq.0;
        }
    }

    /// Adds a page of records; returns how many it had. A line that was cut off has none.
    fn take_page(&mut self, line: &str) -> usize {
        let Ok(page) = serde_json::from_str::<Value>(line) else { return 0 };
        let records = page["records"].as_array().expect("a page has records");
        for record in records {
            let typed: Record = serde_json::from_value(record.clone()).expect("a record of this version");
            self.texts.insert(typed.seq.0, record.to_string());
            self.records.push(typed);
        }
        records.len()
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// What was intended for a unit, in order, with the time of the record.
    pub(crate) fn intents(&self, unit: &str) -> Vec<(Timestamp, &Intent)> {
        let subject = Subject::Unit(UnitName::parse(unit).expect("a name of a unit"));
        let mut intents = Vec::new();
        for record in &self.records {
            if let RecordBody::Intended(intent) = &record.entry.body
                && intent.subject == subject
            {
                intents.push((record.entry.at, intent));
            }
        }
        intents
    }

    /// How many acts on a unit were really begun: those that the last look withdrew did nothing.
    pub(crate) fn acts(&self, unit: &str) -> usize {
        let withdrawn = |action: ActionId| {
            self.records.iter().any(|record| {
                matches!(&record.entry.body, RecordBody::Applied { action: of, applied: Applied::Withdrawn { .. } } if *of == action)
            })
        };
        self.intents(unit).into_iter().filter(|(_, intent)| !withdrawn(intent.action)).count()
    }

    /// The verdict on an action, and until when nothing further is tried.
    pub(crate) fn verdict(&self, action: ActionId) -> Option<(&Verification, Timestamp)> {
        self.records.iter().find_map(|record| {
            let RecordBody::Verified { action: of, verification, not_before } = &record.entry.body else {
                return None;
            };
            (*of == action).then_some((verification, *not_before))
        })
    }

    /// What holds of every ledger: the numbers have no gap, and no action is intended, applied or judged twice.
    pub(crate) fn check(&self) {
        let mut seen: BTreeMap<(ActionId, &str), u64> = BTreeMap::new();
        for (record, expected) in self.records.iter().zip(1..) {
            assert_eq!(record.seq.0, expected, "a gap before {record:?}");
            if let Some(what) = step(&record.entry.body) {
                assert_eq!(seen.insert(what, record.seq.0), None, "{what:?} twice, again in {record:?}");
                assert!(seen.contains_key(&(what.0, "intended")), "without an intent: {record:?}");
            }
        }
    }

    /// That every record which the witness was shown is still there, the same.
    pub(crate) fn hold_all_of(&self, seen: &Facts) {
        for (seq, text) in &seen.texts {
            assert_eq!(self.texts.get(seq), Some(text), "record {seq} was shown to a reader");
        }
    }

    /// The same after a power cut: what came after the last synced record may be gone, and its numbers used anew.
    pub(crate) fn hold_synced_of(&self, seen: &Facts) -> u64 {
        let synced = |record: &&Record| record.entry.body.durability() == Durability::Synced;
        let last = seen.records.iter().filter(synced).map(|record| record.seq.0).max().unwrap_or(0);
        for (seq, text) in seen.texts.range(..=last) {
            assert_eq!(
                self.texts.get(seq),
                Some(text),
                "record {seq} was shown to a reader, {last} is synced"
            );
        }
        last
    }
}

/// The step of an action that a record tells of.
pub(crate) fn step(body: &RecordBody) -> Option<(ActionId, &'static str)> {
    if let RecordBody::Intended(intent) = body {
        Some((intent.action, "intended"))
    } else if let RecordBody::Applied { action, .. } = body {
        Some((*action, "applied"))
    } else if let RecordBody::Verified { action, .. } = body {
        Some((*action, "verified"))
    } else {
        None
    }
}

/// The chain of hashes proves what it holds.
pub(crate) fn ledger_is_sound(host: &Host) {
    let out = host.exec(&["prunella", "verify-ledger", "--json"]);
    let report: Value = serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert!(out.code == 0 && report["sound"] == true, "{out}");
    let stray = host.ok("ls /var/lib/prunella");
    assert!(!stray.contains("set-aside"), "a ledger was set aside: {stray}");
}

/// A reader of the ledger that is there all the time.
pub(crate) struct Witness {
    host: Arc<Host>,
    listening: Option<JoinHandle<String>>,
}

impl Drop for Witness {
    /// It has a share of the host, which would stay up.
    fn drop(&mut self) {
        if let Some(listening) = self.listening.take() {
            self.host.sh("kill $(cat /run/witness.pid)");
            // Its panic is not what the trial failed for.
            let _ = listening.join();
        }
    }
}

impl Witness {
    pub(crate) fn start(host: &Arc<Host>) -> Witness {
        let there = Arc::clone(host);
        let listen = move || there.exec_within(WITNESS_LISTENS, &["bash", "-c", WITNESS]).stdout;
        Witness { host: Arc::clone(host), listening: Some(std::thread::spawn(listen)) }
    }

    /// Ends it, where the host has not, and returns what it was shown.
    pub(crate) fn finish(self) -> Facts {
        let _ = self.host.sh("kill $(cat /run/witness.pid)");
        self.after_the_end()
    }

    /// What it was shown until the host was gone.
    pub(crate) fn after_the_end(mut self) -> Facts {
        let text =
            self.listening.take().expect("it is there until here").join().expect("the witness only reads");
        let mut facts = Facts::default();
        for line in text.lines() {
            facts.take_page(line);
        }
        facts
    }
}

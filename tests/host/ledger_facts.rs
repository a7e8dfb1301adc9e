//! What the ledger of a host says, and what must hold of it whatever happened to the agent.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prunella::ledger::{ChainId, Place, Prepared, RecordHash};
use prunella::model::{
    ActionId, Applied, Durability, Id128, Intent, Record, RecordBody, Seq, Subject, Timestamp, UnitName,
    Verification,
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
  case $page in '{"records":[]'*|'{"error"'*|'') sleep 0.05 ;; '{"records":['*) next=$n; printf '%s\n' "$page"; echo $n > /run/witness.next ;; esac
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

/// The incidents of units that are open. Those of the host are not asked for: a container reads the forks and the
/// pressure of the machine beneath it, whatever else is at work there.
pub(crate) fn open_incidents(host: &Host) -> Option<usize> {
    let seen = host.exec(&["prunella", "incidents", "--json"]);
    let page: Value = serde_json::from_str(&seen.stdout).ok()?;
    let of_a_unit = |incident: &&Value| !incident["subject"]["unit"].is_null();
    Some(page["incidents"].as_array()?.iter().filter(of_a_unit).count())
}

/// Records of a ledger from the first on, as the socket gives them.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    records: Vec<Record>,
}

/// The whole ledger, proven by its chain of hashes.
pub(crate) struct Proven {
    facts: Facts,
    chain: ChainId,
    hashes: BTreeMap<Seq, RecordHash>,
}

impl Deref for Proven {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
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
            self.records.push(serde_json::from_value(record.clone()).expect("a record of this version"));
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

    /// How often the agent set out on a unit, less what systemd never heard of: it lost the request on its way, and
    /// the verification found no trace of it. (Two of those that it did hear of are one too many.)
    pub(crate) fn heard_acts(&self, unit: &str) -> usize {
        let lost = |action: ActionId| {
            let unknown = self.records.iter().any(|record| {
                matches!(&record.entry.body, RecordBody::Applied { action: of, applied: Applied::Unknown { .. } } if *of == action)
            });
            unknown && matches!(self.verdict(action), Some((Verification::Refuted { .. }, _)))
        };
        let lost = self.intents(unit).into_iter().filter(|(_, intent)| lost(intent.action)).count();
        self.acts(unit) - lost
    }

    /// When the outcome of an action was written down.
    pub(crate) fn applied(&self, action: ActionId) -> Option<Timestamp> {
        let of = |body: &RecordBody| matches!(body, RecordBody::Applied { action: of, .. } if *of == action);
        self.records.iter().find(|record| of(&record.entry.body)).map(|record| record.entry.at)
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

    /// The hash of each record in its place on a chain: it covers all that was said before it too.
    fn hashes(&self, chain: ChainId) -> BTreeMap<Seq, RecordHash> {
        let mut last = Place::start_of(chain);
        let mut hashes = BTreeMap::new();
        for record in &self.records {
            let stored = Prepared::new(&record.entry).expect("it was stored before");
            last = last.then(stored.json().as_bytes());
            assert_eq!(last.seq, record.seq, "a gap before {record:?}");
            hashes.insert(last.seq, last.hash);
        }
        hashes
    }

    /// The newest record; 0 when there is none.
    pub(crate) fn last(&self) -> Seq {
        self.records.last().map_or(Seq(0), |record| record.seq)
    }
}

impl Proven {
    /// Asks for the whole ledger, and proves that what the socket gives is what the chain of hashes holds, that no
    /// ledger was set aside, and what holds of every ledger.
    pub(crate) fn of(host: &Host) -> Proven {
        let out = host.exec(&["prunella", "verify-ledger", "--json"]);
        let report: Value =
            serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("{error}: {out}"));
        assert!(out.code == 0 && report["sound"] == true, "{out}");
        let stray = host.ok("ls /var/lib/prunella");
        assert!(!stray.contains("set-aside"), "a ledger was set aside: {stray}");
        let chain =
            report["chain"].as_str().and_then(Id128::parse).map(ChainId).expect("a sound chain has an id");
        let facts = Facts::of(host);
        facts.check();
        let hashes = facts.hashes(chain);
        // What was written since the proof comes after its end.
        let end = Seq(report["to"].as_u64().expect("a chain has a first record"));
        assert_eq!(
            hashes.get(&end).map(RecordHash::to_string).as_deref(),
            report["hash"].as_str(),
            "at {end}"
        );
        Proven { facts, chain, hashes }
    }

    /// That all records which somebody was shown are still there, hash by hash. Returns how many.
    pub(crate) fn hold_all_of(&self, seen: &Facts) -> usize {
        self.hold_until(seen, seen.last())
    }

    /// The same after a power cut: what came after the last synced record may be gone, and its numbers used anew.
    pub(crate) fn hold_synced_of(&self, seen: &Facts) -> usize {
        let synced = |record: &&Record| record.entry.body.durability() == Durability::Synced;
        let last = seen.records.iter().rfind(synced).map_or(Seq(0), |record| record.seq);
        self.hold_until(seen, last)
    }

    fn hold_until(&self, seen: &Facts, last: Seq) -> usize {
        let shown = seen.hashes(self.chain);
        for (seq, hash) in shown.range(..=last) {
            assert_eq!(
                self.hashes.get(seq),
                Some(hash),
                "record {seq} was shown to a reader, up to {last} synced"
            );
        }
        shown.range(..=last).count()
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
    /// Starts it; from here on it waits for records.
    pub(crate) fn start(host: &Arc<Host>) -> Witness {
        host.ok("rm -f /run/witness.next");
        let there = Arc::clone(host);
        let listen = move || there.exec_within(WITNESS_LISTENS, &["bash", "-c", WITNESS]).stdout;
        let witness = Witness { host: Arc::clone(host), listening: Some(std::thread::spawn(listen)) };
        host.wait_until("the witness to be there", STARTS, || host.sh("test -s /run/witness.next").code == 0);
        witness
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

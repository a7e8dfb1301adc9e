//! A server over a fixed snapshot, with an engine that is easily told apart.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot, watch};

use crate::ledger::{ChainId, Extent, Page, Place, Proven};
use crate::model::{Command, HistoryStatus, Id128, IncidentId, Peer, Record, Reply, Seq, Snapshot};
use crate::policy::Access;
use crate::serve::run::{Timeouts, run_with};
use crate::serve::{
    CommandRequest, Directory, NotShipped, Person, RecordSource, ReloadRequest, Shared, bind,
};

use super::history::FixedHistory;
use super::processes::FixedProcesses;
use super::{agent, now, some_records};

/// The chain of every test.
pub(crate) const CHAIN: ChainId = ChainId(Id128::from_bytes([6; 16]));

/// A ledger in memory.
pub(crate) struct Records {
    pub(crate) all: Mutex<Vec<Record>>,
    /// What a relay said.
    pub(crate) shipped: Mutex<Seq>,
    pub(crate) head: watch::Sender<Seq>,
}

impl Records {
    pub(crate) fn push(&self, record: Record) {
        let seq = record.seq;
        self.all.lock().unwrap().push(record);
        self.head.send_replace(seq);
    }
}

impl RecordSource for Records {
    fn after(&self, seq: Seq, limit: usize) -> Result<Vec<Record>, String> {
        Ok(self.all.lock().unwrap().iter().filter(|record| record.seq > seq).take(limit).cloned().collect())
    }

    fn of_incident(&self, incident: IncidentId, limit: usize) -> Result<Vec<Record>, String> {
        let all = self.all.lock().unwrap();
        let of = |record: &&Record| record.entry.body.incident() == Some(incident);
        let mut found: Vec<_> = all.iter().filter(of).cloned().collect();
        Ok(found.split_off(found.len().saturating_sub(limit)))
    }

    fn page(&self, seq: Seq, limit: usize, bytes: usize) -> Result<Page, String> {
        let (mut place, mut before, mut records) = (Place::start_of(CHAIN), None, Vec::new());
        let mut size = 0;
        for record in &*self.all.lock().unwrap() {
            let json = serde_json::to_string(&record.entry).unwrap();
            let previous = place;
            place = place.then(json.as_bytes());
            if place.seq > seq && records.len() < limit && size < bytes {
                before = before.or(Some(previous));
                size += json.len();
                records.push(Proven { place, json });
            }
        }
        let anchor = Place::start_of(CHAIN);
        let acknowledged = *self.shipped.lock().unwrap();
        let extent = Extent { chain: CHAIN, anchor, head: place, acknowledged };
        Ok(Page { extent, before: before.unwrap_or(place), records })
    }

    fn shipped(&self, chain: ChainId, through: Seq) -> Result<Seq, NotShipped> {
        if chain != CHAIN {
            return Err(NotShipped::Refused("The ledger is another chain.".into()));
        }
        let mut shipped = self.shipped.lock().unwrap();
        *shipped = through.max(*shipped);
        Ok(*shipped)
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }
}

/// Users by uid: name and groups.
pub(crate) struct Users(pub(crate) BTreeMap<u32, (&'static str, &'static [&'static str])>);

impl Directory for Users {
    fn lookup(&self, uid: u32) -> Person {
        let (name, groups) = self.0.get(&uid).copied().unwrap_or(("nobody-known", &[]));
        Person { name: name.into(), groups: groups.iter().map(|&g| g.to_owned()).collect() }
    }
}

/// A server in a temporary folder, on a thread of its own, ended when dropped.
pub(crate) struct TestServer {
    pub(crate) socket: PathBuf,
    pub(crate) records: Arc<Records>,
    /// Every command that reached the engine.
    pub(crate) commands: Arc<Mutex<Vec<(Peer, Command)>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl TestServer {
    pub(crate) fn start(snapshot: Snapshot) -> Self {
        Self::start_with(
            snapshot,
            Timeouts { head: crate::serve::limits::HEAD_TIMEOUT, body: crate::serve::limits::BODY_TIMEOUT },
        )
    }

    pub(in crate::serve) fn start_with(snapshot: Snapshot, timeouts: Timeouts) -> Self {
        let open = std::fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(open).tempdir().unwrap();
        let socket = folder.path().join("prunella.sock");
        let records = Arc::new(Records {
            all: Mutex::new(some_records()),
            shipped: Mutex::new(Seq(0)),
            head: watch::Sender::new(Seq(3)),
        });
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel::<()>();
        let bound = bind(&socket).unwrap();
        let thread = std::thread::spawn({
            let (records, commands) = (Arc::clone(&records), Arc::clone(&commands));
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async move {
                    let (command_sender, command_receiver) = mpsc::channel(4);
                    let (reload_sender, reload_receiver) = mpsc::channel(1);
                    let own = rustix::process::geteuid().as_raw();
                    let users = Users(BTreeMap::from([(own, ("root", ["prunella-admin"].as_slice()))]));
                    let shared = Shared {
                        cgroups: watch::channel(super::cgroups()).1,
                        snapshot: watch::channel(Arc::new(snapshot)).1,
                        commands: command_sender,
                        reload: reload_sender,
                        records,
                        processes: Arc::new(FixedProcesses),
                        history: Arc::new(FixedHistory),
                        history_status: watch::channel(HistoryStatus::default()).1,
                        policy_text: watch::channel(Arc::new("{\"rules\":[]}".to_owned())).1,
                        access: watch::channel(Access::default()).1,
                        directory: Arc::new(users),
                        clock: Arc::new(now),
                        agent: agent(),
                    };
                    tokio::spawn(engine(command_receiver, commands));
                    tokio::spawn(reloads(reload_receiver));
                    let shutdown = async {
                        let _ = stopped.await;
                    };
                    run_with(bound.listener().unwrap(), shared, timeouts, shutdown).await.unwrap();
                });
            }
        });
        Self { socket, records, commands, stop: Some(stop), thread: Some(thread), _folder: folder }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Obeys, except for what has the number 9 (unknown) or 8 (declined).
async fn engine(mut requests: mpsc::Receiver<CommandRequest>, heard: Arc<Mutex<Vec<(Peer, Command)>>>) {
    while let Some(CommandRequest { by, command, reply }) = requests.recv().await {
        let number = match &command {
            Command::Pause { .. } => 0,
            Command::Resume { pause } => pause.map_or(0, |pause| pause.0),
            Command::Approve { proposal } | Command::Deny { proposal, .. } => proposal.0,
            Command::Acknowledge { incident } => incident.0,
            Command::Undo { action } => action.0,
        };
        heard.lock().unwrap().push((by, command));
        let _ = reply.send(match number {
            9 => Reply::NotFound("There is nothing of that name any more.".into()),
            8 => Reply::Refused("prop-8 has expired.".into()),
            _ => Reply::Done("Done as asked.".into()),
        });
    }
}

/// Takes the first reload, refuses the next.
async fn reloads(mut requests: mpsc::Receiver<ReloadRequest>) {
    let mut answers = [Ok("0123abcd".to_owned())]
        .into_iter()
        .chain(std::iter::repeat(Err("50-web.toml:7:9: no".to_owned())));
    while let (Some(reply), Some(answer)) = (requests.recv().await, answers.next()) {
        let _ = reply.send(answer);
    }
}

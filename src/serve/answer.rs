//! A parsed request → its answer: from the snapshot, from the ledger, or from the engine by a command.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::model::{
    CgroupTree, Command, HistoryAsk, HistoryStatus, Incident, IncidentId, Peer, Reply, Seq, Snapshot,
    Timestamp,
};
use crate::policy::Access;

use super::cgroups::Cgroups;
use super::error::{ApiError, ErrorCode};
use super::history::{HistorySource, NoAnswer};
use super::limits::{
    COMMAND_TIMEOUT, HISTORY_READERS_MAX, HISTORY_TIMEOUT, INCIDENT_RECORDS_MAX, LEDGER_READERS_MAX,
    LEDGER_TIMEOUT, PAGE_BYTES_MAX, PAGE_STEP, PROCESS_LOOKS_MAX, PROCESS_TIMEOUT, RELOAD_TIMEOUT,
    RENDERERS_MAX, SHARE_LOOKS_MAX,
};
use super::metrics::{self, Around, Traffic};
use super::people::Directory;
use super::processes::{NoProcess, ProcessSource};
use super::records::{NotShipped, RecordSource};
use super::request::{ENDPOINTS, ProcessQuery, RecordsQuery, Request, Shipped, Which};
use super::view::{
    Acknowledged, AgentInfo, Done, Filesystems, Host, IncidentDetail, IncidentSummary, Incidents,
    ProcessLook, Processes, ProvenPage, Reloaded, Status, Units, is_open,
};

/// A command on its way to the engine. The peer's right to give it has been checked.
#[derive(Debug)]
pub struct CommandRequest {
    pub by: Peer,
    pub command: Command,
    /// Dropped without an answer when the agent ends.
    pub reply: oneshot::Sender<Reply>,
}

/// A wish to read the policy files again; the answer is the new digest, or the error text.
pub type ReloadRequest = oneshot::Sender<Result<String, String>>;

/// What the socket shares with the rest of the agent.
pub struct Shared {
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The control groups, or why nothing is known of them.
    pub cgroups: watch::Receiver<Result<Arc<CgroupTree>, String>>,
    /// A full channel answers "busy" at once: nobody queues behind a stuck engine.
    pub commands: mpsc::Sender<CommandRequest>,
    pub reload: mpsc::Sender<ReloadRequest>,
    pub records: Arc<dyn RecordSource>,
    pub processes: Arc<dyn ProcessSource>,
    pub history: Arc<dyn HistorySource>,
    pub history_status: watch::Receiver<HistoryStatus>,
    /// The policy in force, as JSON.
    pub policy_text: watch::Receiver<Arc<String>>,
    pub access: watch::Receiver<Access>,
    pub directory: Arc<dyn Directory>,
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub agent: AgentInfo,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("agent", &self.agent).finish_non_exhaustive()
    }
}

/// An answer that went well.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
}

const JSON: &str = "application/json";

/// Answers requests that were let in.
#[derive(Debug)]
pub(super) struct Answerer {
    shared: Shared,
    readers: Arc<Semaphore>,
    renderers: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    share_looks: Arc<Semaphore>,
    historians: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Answerer {
    pub(super) fn new(shared: Shared, stopping: watch::Receiver<bool>) -> Self {
        Self {
            shared,
            readers: Arc::new(Semaphore::new(LEDGER_READERS_MAX)),
            renderers: Arc::new(Semaphore::new(RENDERERS_MAX)),
            looks: Arc::new(Semaphore::new(PROCESS_LOOKS_MAX)),
            share_looks: Arc::new(Semaphore::new(SHARE_LOOKS_MAX)),
            historians: Arc::new(Semaphore::new(HISTORY_READERS_MAX)),
            stopping,
        }
    }

    pub(super) fn access(&self) -> Access {
        self.shared.access.borrow().clone()
    }

    pub(super) async fn answer(
        &self,
        request: Request,
        peer: Peer,
        connections: usize,
        traffic: &Traffic,
    ) -> Result<Answer, ApiError> {
        let now = (self.shared.clock)();
        let snapshot = Arc::clone(&self.shared.snapshot.borrow());
        let agent = self.shared.agent.clone();
        match request {
            Request::Index => json(index(&agent)),
            Request::Status => {
                let history = self.shared.history_status.borrow().clone();
                self.render(move || json(Status { history, ..Status::of(&snapshot, &agent, now) })).await
            }
            Request::Units => self.render(move || json(Units::of(&snapshot, now))).await,
            Request::Filesystems => self.render(move || json(Filesystems::of(&snapshot, now))).await,
            Request::Host => self.render(move || json(Host::of(&snapshot, now))).await,
            Request::Processes(query) => {
                let look =
                    move |processes: &dyn ProcessSource| json(Processes { now, list: processes.list(query) });
                self.look(&self.looks, look).await
            }
            Request::Process(query) => {
                let seats = if query.shares { &self.share_looks } else { &self.looks };
                self.look(seats, move |processes| process(processes, query, now)).await
            }
            Request::Cgroups(query) => {
                let tree = self.shared.cgroups.borrow().clone();
                self.render(move || json(Cgroups::of(&tree, query, now))).await
            }
            Request::History(ask) => self.history(ask, now).await,
            Request::Incidents(which) => self.render(move || json(incidents(&snapshot, which, now))).await,
            Request::Incident(id) => self.incident(&snapshot, id, now).await,
            Request::Records(query) => self.page(query).await,
            Request::Policy => {
                let text = Arc::clone(&self.shared.policy_text.borrow());
                Ok(Answer { content_type: JSON, body: text.as_bytes().to_vec() })
            }
            Request::Metrics => {
                let head = *self.shared.records.head().borrow();
                let around = Around { agent: &agent, now, head, connections, traffic };
                let body = metrics::page(&snapshot, &around).into_bytes();
                Ok(Answer { content_type: metrics::CONTENT_TYPE, body })
            }
            Request::Shipped(shipped) => self.shipped(shipped).await,
            Request::Command(command) => self.command(peer, command).await,
            Request::Reload => self.reload().await,
        }
    }

    async fn incident(
        &self,
        snapshot: &Snapshot,
        id: IncidentId,
        now: Timestamp,
    ) -> Result<Answer, ApiError> {
        let incident = snapshot.incidents.iter().find(|incident| incident.id == id).cloned();
        let records = self.ledger(move |ledger| ledger.of_incident(id, INCIDENT_RECORDS_MAX)).await;
        let (records, records_error) = match records {
            Ok(records) => (records, None),
            // What is in memory is told even when the ledger can't be read: this is when it is needed most.
            Err(error) if incident.is_some() => (Vec::new(), Some(error.message)),
            Err(error) => return Err(error),
        };
        if incident.is_none() && records.is_empty() {
            return Err(ApiError::new(ErrorCode::NotFound, format!("There is no incident {id}."))
                .hint("prunella incidents --all lists them."));
        }
        let open_question = incident.as_ref().and_then(|incident: &Incident| incident.proposal);
        let proposal = snapshot.proposals.iter().find(|proposal| Some(proposal.id) == open_question).cloned();
        self.render(move || json(IncidentDetail { now, incident, proposal, records, records_error })).await
    }

    /// One page, after waiting for its first record if there is none yet and waiting was asked for.
    async fn page(&self, query: RecordsQuery) -> Result<Answer, ApiError> {
        let mut head = self.shared.records.head();
        if !query.wait.is_zero() {
            let mut stopping = self.stopping.clone();
            tokio::select! {
                _ = head.wait_for(|head| *head > query.after) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = tokio::time::sleep(query.wait) => {}
            }
        }
        let head = *head.borrow();
        let body = self
            .ledger(move |ledger| if query.proof { proven(ledger, query) } else { page(ledger, query, head) })
            .await?;
        Ok(Answer { content_type: JSON, body })
    }

    /// A relay has shipped records. This goes past the engine, which knows of no relay: no decision rests on it.
    async fn shipped(&self, Shipped { chain, through }: Shipped) -> Result<Answer, ApiError> {
        let answer = self.ledger(move |ledger| match ledger.shipped(chain, through) {
            Ok(acknowledged) => Ok(Ok(Acknowledged { acknowledged })),
            Err(NotShipped::Refused(why)) => Ok(Err(why)),
            Err(NotShipped::Failed(why)) => Err(why),
        });
        answer.await?.map_or_else(|why| Err(ApiError::new(ErrorCode::Refused, why)), json)
    }

    /// Reads the ledger on a thread that may block, few at a time, for a bounded time.
    async fn ledger<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn RecordSource) -> Result<T, String> + Send + 'static,
    ) -> Result<T, ApiError> {
        let unavailable = |why: &str| {
            ApiError::new(ErrorCode::Unavailable, format!("The ledger can't be read: {why}.")).retry_after(1)
        };
        let late = || unavailable("it does not answer");
        let attempt = async {
            let permit = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| late())?;
            let ledger = Arc::clone(&self.shared.records);
            let reading = tokio::task::spawn_blocking(move || {
                let result = read(&*ledger);
                drop(permit);
                result
            });
            reading.await.map_err(|_| unavailable("the reader broke down"))?.map_err(|why| unavailable(&why))
        };
        tokio::time::timeout(LEDGER_TIMEOUT, attempt).await.unwrap_or_else(|_| Err(late()))
    }

    /// Looks at processes on a thread that may block, few at a time, for a bounded time.
    async fn look(
        &self,
        seats: &Arc<Semaphore>,
        look: impl FnOnce(&dyn ProcessSource) -> Result<Answer, ApiError> + Send + 'static,
    ) -> Result<Answer, ApiError> {
        let unavailable = |why: &str| ApiError::new(ErrorCode::Unavailable, why).retry_after(1);
        let attempt = async {
            let seat = Arc::clone(seats).acquire_owned().await.map_err(|_| cannot_render())?;
            let processes = Arc::clone(&self.shared.processes);
            let looking = tokio::task::spawn_blocking(move || {
                let result = look(&*processes);
                drop(seat);
                result
            });
            looking.await.unwrap_or_else(|_| Err(unavailable("The look at processes broke down.")))
        };
        let late = || Err(unavailable("The kernel does not answer: a process is stuck in it."));
        tokio::time::timeout(PROCESS_TIMEOUT, attempt).await.unwrap_or_else(|_| late())
    }

    /// Reads the history on a thread that may block, one question at a time, for a bounded time.
    async fn history(&self, ask: Option<HistoryAsk>, now: Timestamp) -> Result<Answer, ApiError> {
        let unavailable = |why: &str| {
            ApiError::new(ErrorCode::Unavailable, format!("The history can't be read: {why}.")).retry_after(1)
        };
        let bad = |why: &str| ApiError::new(ErrorCode::BadRequest, format!("{}.", capital(why)));
        let query =
            ask.map(|ask| ask.resolve(now.wall)).transpose().map_err(|error| bad(&error.to_string()))?;
        let attempt = async {
            let seat = Arc::clone(&self.historians).acquire_owned().await.map_err(|_| cannot_render())?;
            let history = Arc::clone(&self.shared.history);
            let reading = tokio::task::spawn_blocking(move || {
                let answer = match query {
                    None => history.list().map(json),
                    Some(query) => history.series(&query).map(json),
                };
                drop(seat);
                answer
            });
            match reading.await {
                Ok(Ok(answer)) => answer,
                Ok(Err(NoAnswer::NotFound(why))) => {
                    Err(ApiError::new(ErrorCode::NotFound, format!("{}.", capital(&why))))
                }
                Ok(Err(NoAnswer::BadQuestion(why))) => Err(bad(&why)),
                Ok(Err(NoAnswer::Failed(why))) => Err(unavailable(&why)),
                Err(_) => Err(unavailable("the reader broke down")),
            }
        };
        let late = || Err(unavailable("its disk does not answer"));
        tokio::time::timeout(HISTORY_TIMEOUT, attempt).await.unwrap_or_else(|_| late())
    }

    /// Runs pure work that may take milliseconds off the loop's threads, a few at a time.
    async fn render(
        &self,
        work: impl FnOnce() -> Result<Answer, ApiError> + Send + 'static,
    ) -> Result<Answer, ApiError> {
        let permit = Arc::clone(&self.renderers).acquire_owned().await.map_err(|_| cannot_render())?;
        let rendering = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        rendering.await.unwrap_or_else(|_| Err(cannot_render()))
    }

    async fn command(&self, by: Peer, command: Command) -> Result<Answer, ApiError> {
        let (reply, answer) = oneshot::channel();
        hand_over(&self.shared.commands, CommandRequest { by, command, reply })?;
        match wait_for(answer, COMMAND_TIMEOUT).await? {
            Reply::Done(done) => json(Done { done }),
            Reply::NotFound(why) => Err(ApiError::new(ErrorCode::NotFound, why)),
            Reply::Refused(why) => Err(ApiError::new(ErrorCode::Refused, why)),
        }
    }

    async fn reload(&self) -> Result<Answer, ApiError> {
        let (reply, answer) = oneshot::channel();
        hand_over(&self.shared.reload, reply)?;
        match wait_for(answer, RELOAD_TIMEOUT).await? {
            Ok(digest) => {
                json(Reloaded { done: format!("Policy {digest} is in force."), policy_digest: digest })
            }
            Err(errors) => Err(ApiError::new(ErrorCode::InvalidPolicy, errors)
                .hint("The policy in force stays. Check the files with: prunella check")),
        }
    }
}

fn hand_over<T>(channel: &mpsc::Sender<T>, message: T) -> Result<(), ApiError> {
    channel.try_send(message).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => {
            ApiError::new(ErrorCode::Busy, "Earlier commands are still waiting for the agent.").retry_after(1)
        }
        mpsc::error::TrySendError::Closed(_) => {
            ApiError::new(ErrorCode::Unavailable, "The agent is stopping.").retry_after(5)
        }
    })
}

async fn wait_for<T>(answer: oneshot::Receiver<T>, within: Duration) -> Result<T, ApiError> {
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(ApiError::new(ErrorCode::Unanswered, "The agent stopped before it answered.")
            .hint("It may have been done: look with prunella status.")),
        Err(_) => {
            Err(ApiError::new(ErrorCode::Unanswered, format!("The agent did not answer within {within:?}."))
                .hint("It may still be done: look with prunella status."))
        }
    }
}

/// A sentence begins with one; the name of a field stays as it is.
fn capital(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().filter(|_| !text.split(' ').next().is_some_and(|word| word.contains('_')));
    first.map_or_else(|| text.to_owned(), |first| first.to_uppercase().chain(rest).collect())
}

fn cannot_render() -> ApiError {
    ApiError::new(ErrorCode::Unavailable, "The answer could not be put together.")
}

fn json(view: impl Serialize) -> Result<Answer, ApiError> {
    let body = serde_json::to_vec(&view).map_err(|_| cannot_render())?;
    Ok(Answer { content_type: JSON, body })
}

fn process(processes: &dyn ProcessSource, query: ProcessQuery, now: Timestamp) -> Result<Answer, ApiError> {
    match processes.look(query) {
        Ok(process) => json(ProcessLook { now, process }),
        Err(NoProcess::Gone(why)) => Err(ApiError::new(ErrorCode::NotFound, format!("{why}."))),
        Err(NoProcess::Failed(why)) => Err(ApiError::new(ErrorCode::Unavailable, format!("{why}."))),
    }
}

fn index(agent: &AgentInfo) -> serde_json::Value {
    let endpoints = ENDPOINTS
        .map(|(method, path, what)| serde_json::json!({ "method": method, "path": path, "what": what }));
    serde_json::json!({ "name": "prunellad", "version": agent.version, "endpoints": endpoints })
}

fn incidents(snapshot: &Snapshot, which: Which, now: Timestamp) -> Incidents {
    let wanted = snapshot.incidents.iter().filter(|incident| match which {
        Which::Open => is_open(&incident.state),
        Which::All => true,
    });
    Incidents { now, at: snapshot.at, incidents: wanted.map(IncidentSummary::from).collect() }
}

/// The texts go out as they are stored: nothing is parsed.
fn proven(ledger: &dyn RecordSource, query: RecordsQuery) -> Result<Vec<u8>, String> {
    let page = ledger.page(query.after, query.limit, PAGE_BYTES_MAX)?;
    serde_json::to_vec(&ProvenPage::from(page)).map_err(|error| error.to_string())
}

/// Reads in steps until the page is full by count or by size. Written piece by piece: its size is known
/// only then. The form is [`super::view::RecordPage`].
fn page(ledger: &dyn RecordSource, query: RecordsQuery, head: Seq) -> Result<Vec<u8>, String> {
    let mut body = b"{\"records\":[".to_vec();
    let (mut next, mut left) = (query.after, query.limit);
    'steps: while left > 0 && body.len() < PAGE_BYTES_MAX {
        let step = left.min(PAGE_STEP);
        let records = ledger.after(next, step)?;
        let got = records.len();
        for record in records {
            if next != query.after {
                body.push(b',');
            }
            serde_json::to_writer(&mut body, &record)
                .map_err(|error| format!("record {}: {error}", record.seq))?;
            next = record.seq;
            left -= 1;
            if left == 0 || body.len() >= PAGE_BYTES_MAX {
                break 'steps;
            }
        }
        if got < step {
            break;
        }
    }
    let head = head.max(next);
    body.extend_from_slice(format!("],\"next\":{next},\"head\":{head}}}").as_bytes());
    Ok(body)
}

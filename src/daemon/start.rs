//! From flags to a running loop, and back down again.
#![expect(clippy::disallowed_methods, reason = "the start makes folders and reads the machine's id")]

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sd_notify::NotifyState;
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::engine::{Engine, Memory, Setup};
use crate::ledger::{self, Ledger, Opened, Stamp, Writer, WriterLimits};
use crate::manager::ServiceManager;
use crate::manager::direct::DirectManager;
use crate::manager::systemd::{Runner, SystemdManager};
use crate::model::{BootId, Mode, Sense};
use crate::policy::{self, Policy, Sources};
use crate::sense::child::{self, Job};
use crate::sense::host::{HostReader, Roots};
use crate::sense::probe::ProbeRunner;
use crate::serve;

use super::clock;
use super::core::{Core, End, Event, INBOX_SIZE};
use super::effects::Hands;
use super::history::{History, HistoryFiles};
use super::journal::Journal;
use super::notify::tell;
use super::policy_board::{Asked, PolicyBoard, read_when_asked, watch_files};
use super::processes::{ProcessSense, Ways};
use super::record_source::LedgerRecords;
use super::rooms::Rooms;
use super::supervise::supervise;
use super::{ManagerChoice, Options, senses};

/// In the folder of its state: archives for which there is no room beside their logs, and room for that.
const ARCHIVING: &str = "archiving";

/// Runs the agent until it is asked to stop.
#[must_use]
pub fn run(options: &Options) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_new(&options.log);
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // The journal stamps the time and knows the unit; a terminal gets plain lines too.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Journal::new(
            sd_notify::booted().unwrap_or(false) && std::env::var_os("JOURNAL_STREAM").is_some(),
        ))
        .without_time()
        .with_ansi(false)
        .init();
    // Before there are other threads: they are to have no more capabilities than this one keeps.
    let ways = super::processes::choose_way(Path::new("/proc"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.context("the runtime could not be made").and_then(|runtime| {
        let ways = ways.context("the table of processes can't be read safely: there is no thread for it, or the right to load BPF can't be given up")?;
        let outcome = runtime.block_on(live(options, ways));
        // Hung calls of the host (a dead filesystem) must not keep the agent from ending.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("prunellad can't go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn live(options: &Options, ways: Ways) -> anyhow::Result<()> {
    let reader = HostReader::new(&Roots::default()).context("which boot this is can't be told")?;
    let boot = reader.boot();
    let seed = seed(boot);
    let sources = sources(options);
    let (policy, policy_error) = first_policy(&sources)?;
    let policy = Arc::new(policy);
    make_folder(&options.state_dir, 0o750)?;
    make_folder(&options.runtime_dir, 0o755)?;
    let (ledger, opened, memory) = open_ledger(options, boot)?;
    tracing::info!(records = opened.records, found = ?opened.found, "the ledger is open");
    let (ledger_news, ledger_inbox) = mpsc::unbounded_channel();
    let ledger = Writer::start(ledger, WriterLimits::default(), move |event| {
        // The loop has ended first: nobody listens any more.
        let _ = ledger_news.send(event);
    })
    .context("the ledger's thread could not be started")?;
    let socket =
        serve::bind(&options.runtime_dir.join("prunella.sock")).context("the socket could not be made")?;
    let managers = manager(options, &policy)?;
    let (probes, probe_results) = ProbeRunner::start(seed);
    probes.replace(policy.probes.clone()).await;
    let (inbox, events) = mpsc::channel(INBOX_SIZE);
    let history = History::start(options.state_dir.clone(), boot, policy.history.bytes_max);
    let storms = Arc::clone(&ways.storms);
    let rooms = Rooms::new("/proc".into(), options.state_dir.join(ARCHIVING));
    rooms.keep_reserve();
    let hands = Hands::new(managers, inbox.clone(), rooms, probes, storms, history.clone(), &policy);
    let policies = PolicyBoard::new(&policy);
    let setup = Setup { policy, seed, boot, version: env!("CARGO_PKG_VERSION").to_owned() };
    let (engine, first) = Engine::start(setup, memory, clock::now());
    let snapshot = watch::Sender::new(Arc::new(engine.snapshot()));
    let (ask, asked) = mpsc::channel(ASKED_SIZE);
    let (commands, command_requests) = mpsc::channel(COMMANDS_SIZE);
    let (reload, reload_requests) = mpsc::channel(ASKED_SIZE);
    let (process_board, process_sense) = super::processes::processes(Path::new("/proc"), ways);
    let (cgroup_board, cgroups) = watch::channel(super::cgroups::not_yet());
    let shared = serve::Shared {
        cgroups,
        snapshot: snapshot.subscribe(),
        commands,
        reload,
        records: Arc::new(LedgerRecords::new(options.state_dir.clone(), &ledger)),
        processes: Arc::new(process_board),
        history: Arc::new(HistoryFiles::new(&options.state_dir)),
        history_status: history.status(),
        policy_text: policies.text(),
        access: policies.access(),
        directory: Arc::new(serve::SystemDirectory),
        clock: Arc::new(clock::now),
        agent: serve::AgentInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: clock::now(),
            manager: hands.manager().name(),
        },
    };
    let (stop_serving, stopping) = tokio::sync::oneshot::channel::<()>();
    let listener = socket.listener().context("the socket could not be used")?;
    let server = tokio::spawn(serve::run(listener, shared, async {
        let _ = stopping.await;
    }));
    let vital = |name, task| tokio::spawn(keep(name, tokio::spawn(task), inbox.clone()));
    vital("following the service manager", senses::follow_manager(hands.clone()).boxed());
    vital("reading the host", senses::read_host(hands.clone(), reader).boxed());
    begin_senses(&hands, process_sense, cgroup_board);
    vital("watching itself", super::own::watch_own_use(hands.clone(), Path::new("/proc")).boxed());
    vital("following the probes", senses::follow_probes(hands.clone(), probe_results).boxed());
    vital("reading the policy", read_when_asked(sources.clone(), asked, inbox.clone()).boxed());
    vital("taking commands", forward_commands(command_requests, inbox.clone()).boxed());
    vital("taking reload requests", forward_reloads(reload_requests, ask.clone()).boxed());
    vital("heeding signals", heed_signals(inbox.clone(), ask.clone()).boxed());
    tokio::spawn(watch_files(sources, ask));
    if let Some(error) = policy_error {
        let _ = inbox.send(Event::Policy { outcome: Err(error), reply: None }).await;
    }
    drop(inbox);
    tell(&[NotifyState::Ready]);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        manager = hands.manager().name(),
        "prunellad is at work"
    );
    let core = Core::new(
        engine,
        events,
        (ledger, ledger_inbox),
        hands,
        policies,
        snapshot,
        options.state_dir.clone(),
    );
    let (end, ledger) = core.run(first).await;
    tell(&[NotifyState::Stopping]);
    let _ = stop_serving.send(());
    let _ = server.await;
    history.finish().await;
    let closed = tokio::task::spawn_blocking(move || ledger.finish()).await;
    match (end, closed) {
        (End::Asked, Ok(Ok(_))) => Ok(()),
        (End::Crippled(task), _) => anyhow::bail!("{task} has ended"),
        (End::Asked | End::LedgerGone, _) => anyhow::bail!("the ledger's thread has ended"),
    }
}

/// The senses that the agent can be without for a while.
fn begin_senses(hands: &Hands, processes: ProcessSense, cgroup_board: watch::Sender<super::cgroups::Board>) {
    let begin = |sense, begin: fn(Hands) -> BoxFuture<'static, ()>| {
        let of = hands.clone();
        tokio::spawn(supervise(hands.clone(), sense, move || begin(of.clone())));
    };
    begin(Sense::Filesystems, |hands| {
        super::filesystems::watch_filesystems(hands, Path::new("/proc")).boxed()
    });
    begin(Sense::Pressure, |hands| {
        super::pressure::follow_pressure(hands, Path::new("/proc/pressure")).boxed()
    });
    begin(Sense::UnitPressure, |hands| {
        super::unit_pressure::follow_units(hands, Path::new("/sys/fs/cgroup")).boxed()
    });
    begin(Sense::Memory, |hands| super::pressure::watch_memory(hands, Path::new("/proc")).boxed());
    let (of, next) = (hands.clone(), super::kernel_log::Next::default());
    let follow = move || {
        super::kernel_log::follow_kernel_log(of.clone(), Path::new("/dev/kmsg"), next.clone()).boxed()
    };
    tokio::spawn(supervise(hands.clone(), Sense::KernelLog, follow));
    let (of, board) = (hands.clone(), Arc::new(cgroup_board));
    let watch = move || {
        super::cgroups::watch_cgroups(of.clone(), Arc::clone(&board), Path::new("/sys/fs/cgroup")).boxed()
    };
    tokio::spawn(supervise(hands.clone(), Sense::ControlGroups, watch));
    let (of, table) = (hands.clone(), Arc::new(Mutex::new(processes)));
    let watch = move || super::processes::watch_processes(of.clone(), Arc::clone(&table)).boxed();
    tokio::spawn(supervise(hands.clone(), Sense::Processes, watch));
}

/// Requests to read the policy that wait; a further one is answered by those.
const ASKED_SIZE: usize = 8;
/// Commands of people that wait; the socket says "busy" beyond that.
const COMMANDS_SIZE: usize = 64;

/// Where the policy of these flags comes from.
pub(super) fn sources(options: &Options) -> Sources {
    Sources {
        builtin: true,
        shipped: options.shipped_policy.clone(),
        operator: options.config.join("policy.d"),
        main: options.config.join("prunella.toml"),
    }
}

/// The policy to begin with. Where the operator's files can't be used, what they forbid is not known: the agent
/// then watches and tells, and touches nothing.
fn first_policy(sources: &Sources) -> anyhow::Result<(Policy, Option<String>)> {
    match policy::load(sources) {
        Ok(policy) => Ok((policy, None)),
        Err(errors) => {
            let mut policy = Policy::builtin().context("the policy inside the program is broken")?;
            for rule in &mut policy.rules {
                rule.mode = Mode::Observe;
            }
            Ok((policy, Some(errors.to_string())))
        }
    }
}

fn make_folder(path: &Path, mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("the folder {} could not be made", path.display()))
}

fn open_ledger(options: &Options, boot: BootId) -> anyhow::Result<(Ledger, Opened, Memory)> {
    let mut chain_seed = [0; 16];
    rustix::rand::getrandom(&mut chain_seed, rustix::rand::GetRandomFlags::empty())
        .context("the kernel gives no random numbers")?;
    let options_ = ledger::Options {
        chain_seed,
        clock: Arc::new(move || Stamp { at: clock::now(), boot }),
        reserve_bytes: ledger::RESERVE_BYTES,
        overflow: Some(options.runtime_dir.join("ledger.overflow")),
    };
    let mut memory = Memory::new();
    let (ledger, opened) = Ledger::open(&options.state_dir, options_, &mut |record| {
        memory.recover(&record.entry);
    })
    .with_context(|| format!("the ledger in {} can't be used", options.state_dir.display()))?;
    Ok((ledger, opened, memory))
}

/// The same on one host over reboots, another on the next host: jitter must not fall into step.
fn seed(boot: BootId) -> u64 {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_else(|_| boot.to_string());
    let digest = Sha256::digest(format!("prunella jitter {}", id.trim()));
    u64::from_le_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}

/// A service manager, and the same one by its own type where it is the direct one.
type Managers = (Arc<dyn ServiceManager>, Option<Arc<DirectManager>>);

/// The service manager of this host, and the direct one again where it has services to replace on a reload.
fn manager(options: &Options, policy: &Policy) -> anyhow::Result<Managers> {
    if wants_systemd(options) {
        return Ok((Arc::new(systemd_manager(options)), None));
    }
    let direct =
        DirectManager::new(policy.services.clone(), &options.state_dir.join("services"), Path::new("/proc"))
            .context("services can't be managed directly")?;
    let direct = Arc::new(direct);
    Ok((Arc::clone(&direct) as Arc<dyn ServiceManager>, Some(direct)))
}

pub(super) fn wants_systemd(options: &Options) -> bool {
    match options.manager {
        ManagerChoice::Systemd => true,
        ManagerChoice::Direct => false,
        ManagerChoice::Auto => sd_notify::booted().unwrap_or(false),
    }
}

pub(super) fn systemd_manager(options: &Options) -> SystemdManager {
    SystemdManager::new(options.bus.clone(), journal_runner())
}

/// A journal that takes longer than this to answer is not worth waiting for: evidence has a deadline of its own.
const JOURNAL_DEADLINE: Duration = Duration::from_secs(5);

fn journal_runner() -> Runner {
    Box::new(|argv: Vec<String>| {
        async move {
            let output =
                child::run(&Job::new(&argv, JOURNAL_DEADLINE)).await.map_err(|error| error.to_string())?;
            if output.exit.success() {
                Ok(output.stdout.bytes)
            } else {
                Err(format!("{} ended with {}", argv[0], output.exit))
            }
        }
        .boxed()
    })
}

/// Waits for a task that has no end of its own; when it ends all the same, the agent does too, and systemd starts it
/// anew.
async fn keep(name: &'static str, task: JoinHandle<()>, inbox: mpsc::Sender<Event>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "{name} broke off");
    }
    let _ = inbox.send(Event::Crippled(name)).await;
}

async fn forward_commands(mut requests: mpsc::Receiver<serve::CommandRequest>, inbox: mpsc::Sender<Event>) {
    while let Some(serve::CommandRequest { by, command, reply }) = requests.recv().await {
        if inbox.send(Event::Command { by, command, reply }).await.is_err() {
            return;
        }
    }
}

async fn forward_reloads(mut requests: mpsc::Receiver<serve::ReloadRequest>, ask: mpsc::Sender<Asked>) {
    while let Some(reply) = requests.recv().await {
        if ask.send(Some(reply)).await.is_err() {
            return;
        }
    }
}

async fn heed_signals(inbox: mpsc::Sender<Event>, ask: mpsc::Sender<Asked>) {
    let kinds = [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt()];
    let [Ok(mut hangup), Ok(mut terminate), Ok(mut interrupt)] = kinds.map(signal) else {
        tracing::error!("signals can't be heard; systemd will have to kill the agent to stop it");
        return;
    };
    loop {
        let why = tokio::select! {
            _ = hangup.recv() => {
                let monotonic = NotifyState::monotonic_usec_now();
                match monotonic {
                    Ok(stamp) => tell(&[NotifyState::Reloading, stamp]),
                    Err(_) => tell(&[NotifyState::Reloading]),
                }
                let _ = ask.send(None).await;
                continue;
            }
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        let _ = inbox.send(Event::Stop(why.to_owned())).await;
    }
}

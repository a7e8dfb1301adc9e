//! A private bus and a stand-in for systemd, for what real systemd can't be made to show on demand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a bus of its own is started for each test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use tokio::time::timeout;
use zbus::message::{Message, Type};
use zbus::{Connection, MessageStream, ObjectPath, Str};

use super::*;
use crate::model::{ActiveState, JobOrigin};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);
const WEB: &str = "/org/freedesktop/systemd1/unit/web_2eservice";

/// A dbus-daemon of its own that ends with the test.
struct Bus {
    daemon: Child,
    address: String,
    _home: tempfile::TempDir,
}

impl Bus {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("bus.conf");
        let text = format!(
            "<busconfig><type>custom</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context='default'><allow send_destination='*' eavesdrop='true'/>\
             <allow eavesdrop='true'/><allow own='*'/></policy></busconfig>",
            home.path().join("bus").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--config-file={}", config.display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is installed (package dbus)");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { daemon, address: address.trim().to_owned(), _home: home }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

async fn connect(address: &str) -> Connection {
    timeout(PATIENCE, zbus::conn::Builder::address(address).build()).await.expect("bounded").unwrap()
}

/// What the stand-in does with an order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Obeys: `JobNew`, the reply and `JobRemoved` in one breath, before anything else can happen.
    Obeys,
    /// Replies and never ends the job.
    NeverEnds,
    /// Never answers.
    Silent,
    /// Obeys, but not before the next question about the unit.
    Late,
    /// Answers this error.
    Errs(&'static str),
    /// Leaves the bus instead of answering.
    Leaves,
}

/// A stand-in for systemd: one service, `web.service`, active.
struct Systemd {
    connection: Connection,
    subscribed: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Systemd {
    async fn start(address: &str, manner: Manner) -> Self {
        let connection = connect(address).await;
        let stream = MessageStream::from(&connection);
        let subscribed = Arc::default();
        let task = tokio::spawn(Self::serve(stream, connection.clone(), manner, Arc::clone(&subscribed)));
        connection.request_name(link::SYSTEMD).await.unwrap();
        Self { connection, subscribed, task }
    }

    async fn serve(
        mut stream: MessageStream,
        connection: Connection,
        manner: Manner,
        subscribed: Arc<AtomicU32>,
    ) {
        let mut job = 40_u32;
        let mut late = Vec::new();
        while let Some(Ok(call)) = stream.next().await {
            if call.message_type() != Type::MethodCall {
                continue;
            }
            let header = call.header();
            let reply = Message::method_return(&header);
            let answer = match header.member().unwrap().as_str() {
                "Subscribe" => {
                    subscribed.fetch_add(1, Ordering::SeqCst);
                    reply.build(&())
                }
                "Get" => {
                    let body = call.body();
                    let (_, property): (&str, &str) = body.deserialize().unwrap();
                    let word = match property {
                        "Version" => "252.39-1~deb12u2",
                        "SystemState" => "degraded",
                        _ => "stop",
                    };
                    reply.build(&Variant::Str(Str::from(word)))
                }
                "GetAll" => {
                    connection.send_all(&std::mem::take(&mut late)).await.unwrap();
                    let body = call.body();
                    reply.build(&properties(body.deserialize().unwrap()))
                }
                "ListUnits" => {
                    let path = ObjectPath::try_from(WEB).unwrap();
                    let none = ObjectPath::try_from("/").unwrap();
                    let row = |name| (name, "", "loaded", "active", "running", "", &path, 0_u32, "", &none);
                    reply.build(&vec![row("web.service"), row("no unit of ours.snapshot")])
                }
                "Ping" => reply.build(&()),
                _ => {
                    job += 1;
                    let at = ObjectPath::try_from(path::of_job(job)).unwrap();
                    let manager =
                        |member, body: &dyn Fn(zbus::message::Builder<'_>) -> zbus::Result<Message>| {
                            body(Message::signal(MANAGER_PATH, MANAGER, member)).unwrap()
                        };
                    let new = manager("JobNew", &|signal| signal.build(&(job, &at, "web.service")));
                    let removed =
                        manager("JobRemoved", &|signal| signal.build(&(job, &at, "web.service", "done")));
                    match manner {
                        Manner::Silent => continue,
                        Manner::Late => {
                            late = vec![new, reply.build(&at).unwrap(), removed];
                            continue;
                        }
                        Manner::Errs(name) => Message::error(&header, name).build(&"no"),
                        Manner::Leaves => {
                            connection.release_name(link::SYSTEMD).await.unwrap();
                            connection.close().await.unwrap();
                            return;
                        }
                        Manner::Obeys | Manner::NeverEnds => {
                            let reply = reply.build(&at).unwrap();
                            let mut messages = vec![new, reply];
                            if manner != Manner::NeverEnds {
                                messages.push(removed);
                            }
                            connection.send_all(&messages).await.unwrap();
                            continue;
                        }
                    }
                }
            };
            connection.send(&answer.unwrap()).await.unwrap();
        }
    }

    async fn says(&self, active: &'static str, run: u8) {
        let signal = unit_changed(active, run);
        self.connection.send(&signal).await.unwrap();
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn text(word: &'static str) -> Variant<'static> {
    Variant::Str(Str::from_static(word))
}

fn properties(interface: &str) -> BTreeMap<&'static str, Variant<'static>> {
    if interface == link::SERVICE {
        return BTreeMap::from([
            ("Type", text("simple")),
            ("Restart", text("no")),
            ("Result", text("success")),
        ]);
    }
    let mut unit = announced("active", 1);
    unit.extend([("Id", text("web.service")), ("LoadState", text("loaded"))]);
    unit
}

fn announced(active: &'static str, run: u8) -> BTreeMap<&'static str, Variant<'static>> {
    BTreeMap::from([
        ("ActiveState", text(active)),
        ("SubState", text(active)),
        ("Job", Variant::from((0_u32, ObjectPath::try_from("/").unwrap()))),
        ("InvocationID", Variant::from(vec![run; 16])),
        ("StateChangeTimestampMonotonic", Variant::U64(u64::MAX)),
    ])
}

fn unit_changed(active: &'static str, run: u8) -> Message {
    let body = (link::UNIT, announced(active, run), Vec::<&str>::new());
    Message::signal(WEB, link::PROPERTIES, "PropertiesChanged").build(&body).unwrap()
}

fn web() -> UnitName {
    UnitName::parse("web.service").unwrap()
}

fn manager(address: &str) -> SystemdManager {
    SystemdManager::new(Some(address.to_owned()), Box::new(|_| Box::pin(async { Ok(Vec::new()) })))
}

async fn next(manager: &SystemdManager) -> News {
    timeout(PATIENCE, manager.news()).await.expect("news in time")
}

/// The first news of the kind that is waited for.
async fn until<T>(manager: &SystemdManager, wanted: impl Fn(News) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(next(manager).await) {
            return found;
        }
    }
}

async fn list_again(manager: &SystemdManager) {
    until(manager, |news| matches!(news, News::ListAgain).then_some(())).await;
}

async fn lost(manager: &SystemdManager) -> String {
    until(manager, |news| if let News::Lost(why) = news { Some(why) } else { None }).await
}

async fn connected(manner: Manner) -> (Bus, Systemd, SystemdManager) {
    let bus = Bus::start();
    let systemd = Systemd::start(&bus.address, manner).await;
    let manager = manager(&bus.address);
    assert!(matches!(next(&manager).await, News::ListAgain), "the first news");
    (bus, systemd, manager)
}

async fn order(manager: &SystemdManager, within: Duration) -> Result<JobResult, ManagerError> {
    timeout(PATIENCE, manager.order(Order::Restart, &web(), within)).await.expect("bounded")
}

#[tokio::test]
async fn it_lists_looks_and_names_itself() {
    let (_bus, _systemd, manager) = connected(Manner::Obeys).await;
    assert_eq!(manager.name(), "systemd 252");
    assert_eq!(manager.system_state().await, Reading::Value(SystemState::Degraded));
    let units = manager.list(&[]).await.unwrap();
    assert_eq!(
        units.iter().map(|unit| &unit.name).collect::<Vec<_>>(),
        [&web()],
        "what is no unit is passed over"
    );
    assert!(units[0].details.value().is_none(), "it is at rest");
    let units = manager.list(&[web()]).await.unwrap();
    assert!(units[0].service().value().is_some(), "it has attention");
    assert_eq!(manager.look(&web()).await.unwrap().active, ActiveState::Active);
}

#[tokio::test]
async fn an_order_is_ours_and_its_end_is_heard() {
    let (_bus, _systemd, manager) = connected(Manner::Obeys).await;
    for _ in 0..40 {
        assert_eq!(order(&manager, PATIENCE).await.unwrap(), JobResult::Done);
        let event =
            until(&manager, |news| if let News::JobEnded(event) = news { Some(event) } else { None }).await;
        assert_eq!((event.job.origin, event.result), (JobOrigin::Agent, JobResult::Done));
    }
    assert!(manager.shared.state().waiting.is_empty());
}

#[tokio::test]
async fn what_came_of_an_order_is_said_to_be_unknown() {
    let short = Duration::from_millis(100);
    for manner in [Manner::NeverEnds, Manner::Silent] {
        let (_bus, _systemd, manager) = connected(manner).await;
        let error = order(&manager, short).await.unwrap_err();
        assert!(matches!(error, ManagerError::OutcomeUnknown { .. }), "{error}");
        assert!(manager.shared.state().waiting.is_empty(), "nothing stays behind");
    }
    let (_bus, _systemd, manager) = connected(Manner::Leaves).await;
    let error = order(&manager, PATIENCE).await.unwrap_err();
    assert!(matches!(error, ManagerError::OutcomeUnknown { .. }), "{error}");
}

#[tokio::test]
async fn a_late_reply_still_tells_whose_job_it_was() {
    let (_bus, _systemd, manager) = connected(Manner::Late).await;
    let error = order(&manager, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, ManagerError::OutcomeUnknown { .. }), "{error}");
    manager.look(&web()).await.unwrap();
    let event =
        until(&manager, |news| if let News::JobEnded(event) = news { Some(event) } else { None }).await;
    assert_eq!(event.job.origin, JobOrigin::Agent);
    assert!(manager.shared.state().waiting.is_empty());
}

#[tokio::test]
async fn the_bus_dies_under_an_order() {
    let (mut bus, _systemd, manager) = connected(Manner::NeverEnds).await;
    let waiting = order(&manager, PATIENCE);
    let dies = async {
        // The job is known to be waited for before the bus dies.
        while manager.shared.state().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        bus.daemon.kill().unwrap();
    };
    let (result, ()) = futures_util::future::join(waiting, dies).await;
    let error = result.unwrap_err();
    assert!(matches!(error, ManagerError::OutcomeUnknown { .. }), "{error}");
    lost(&manager).await;
    let error = order(&manager, PATIENCE).await.unwrap_err();
    assert!(matches!(error, ManagerError::Unreachable { .. }), "surely not obeyed: {error}");
    assert!(manager.list(&[]).await.is_err());
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (name, no_such_unit) in [
        ("org.freedesktop.systemd1.NoSuchUnit", true),
        ("org.freedesktop.systemd1.UnitMasked", false),
        ("org.freedesktop.DBus.Error.AccessDenied", false),
        ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", false),
    ] {
        let (_bus, _systemd, manager) = connected(Manner::Errs(name)).await;
        let error = order(&manager, PATIENCE).await.unwrap_err();
        if no_such_unit {
            assert!(matches!(&error, ManagerError::NoSuchUnit(unit) if *unit == web()), "{error}");
        } else {
            assert!(matches!(&error, ManagerError::Refused { why, .. } if why.contains(name)), "{error}");
        }
    }
}

#[tokio::test]
async fn a_change_is_read_and_told() {
    let (_bus, systemd, manager) = connected(Manner::Obeys).await;
    systemd.says("failed", 2).await;
    let told = until(&manager, |news| if let News::Changed(units) = news { Some(units) } else { None }).await;
    assert_eq!(told[0].name, web());
    assert!(told[0].service().value().is_some());
}

#[tokio::test]
async fn what_another_on_the_bus_says_is_not_believed() {
    let (bus, systemd, manager) = connected(Manner::Obeys).await;
    let liar = connect(&bus.address).await;
    let agent = {
        let link = manager.link().unwrap();
        link.unique_name()
    };
    let at = ObjectPath::try_from(path::of_job(7)).unwrap();
    let removed = Message::signal(MANAGER_PATH, MANAGER, "JobRemoved")
        .destination(agent.as_str())
        .build(&(7_u32, &at, "web.service", "done"))
        .unwrap();
    let failed = Message::signal(WEB, link::PROPERTIES, "PropertiesChanged")
        .destination(agent.as_str())
        .build(&(link::UNIT, announced("failed", 9), Vec::<&str>::new()))
        .unwrap();
    let gone = Message::signal("/org/freedesktop/DBus", link::BUS, "NameOwnerChanged")
        .destination(agent.as_str())
        .build(&(link::SYSTEMD, ":1.0", ""))
        .unwrap();
    liar.send_all(&[removed, failed, gone]).await.unwrap();
    // The bus keeps the order of what it passes on: a call of the liar that is answered is behind its lies.
    liar.call_method(Some(link::BUS), "/org/freedesktop/DBus", Some(link::BUS), "GetId", &()).await.unwrap();
    systemd.says("failed", 3).await;
    assert!(matches!(next(&manager).await, News::Changed(_)), "the first news after the lies is the truth");
}

#[tokio::test]
async fn systemd_leaves_and_comes_back() {
    let (bus, systemd, manager) = connected(Manner::Obeys).await;
    drop(systemd.connection.clone().close().await);
    drop(systemd);
    let again = Systemd::start(&bus.address, Manner::Obeys).await;
    list_again(&manager).await;
    assert_eq!(again.subscribed.load(Ordering::SeqCst), 1, "subscribed to the new one");
    assert_eq!(order(&manager, PATIENCE).await.unwrap(), JobResult::Done);
}

#[tokio::test]
async fn a_bus_that_comes_late_is_found() {
    let manager = manager("unix:path=/nonexistent/bus");
    let why = lost(&manager).await;
    assert!(why.contains("/nonexistent/bus"), "{why}");
    assert!(matches!(manager.look(&web()).await, Err(ManagerError::Unreachable { .. })));
    let bus = Bus::start();
    let manager = self::manager(&bus.address);
    let why = lost(&manager).await;
    assert!(why.contains("not on the bus"), "{why}");
    let _systemd = Systemd::start(&bus.address, Manner::Obeys).await;
    list_again(&manager).await;
}

#[tokio::test]
async fn a_listener_that_sleeps_is_told_to_list() {
    let (_bus, systemd, manager) = connected(Manner::Obeys).await;
    for number in 0..20_000_u32 {
        let body = (number, ObjectPath::try_from(path::of_job(number)).unwrap(), "web.service", "done");
        let signal = Message::signal(MANAGER_PATH, MANAGER, "JobRemoved").build(&body).unwrap();
        systemd.connection.send(&signal).await.unwrap();
    }
    list_again(&manager).await;
    assert_eq!(
        order(&manager, PATIENCE).await.unwrap(),
        JobResult::Done,
        "calls are answered behind all that"
    );
}

//! Carries effects to the host, each in a task of its own, and brings the answers back as inputs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};

use crate::act;
use crate::engine::{EvidenceOf, Input};
use crate::guard::Permit;
use crate::manager::direct::DirectManager;
use crate::manager::{ManagerError, ServiceManager};
use crate::model::{
    Absence, ActionId, Applied, Bytes, Channel, Evidence, HostActivity, IncidentId, Notice, Reading, Sample,
    Subject, UnitName, UnitPattern, UnitsUpdate,
};
use crate::policy::{EscalationHooks, Policy};
use crate::sense::activity::ActivityReader;
use crate::sense::cgroup::UnitGroup;
use crate::sense::evidence;
use crate::sense::probe::ProbeRunner;
use crate::sense::storm::StormLooker;

use super::beats::BeatGiver;
use super::clock;
use super::core::Event;
use super::culprits;
use super::disks;
use super::history::History;
use super::hooks;
use super::own::Pace;
use super::rooms::Rooms;
use super::spaces::{HeldFiles, Spaces, Which};
use super::storms::Storms;

/// Evidence is a child process each time: when everything fails at once, the first few tell the story.
const EVIDENCE_AT_ONCE: usize = 4;
/// How much of the policy's deadline each part of the evidence gets. The engine gives up at the deadline itself: what
/// is there by then must have reached it, or one slow part would cost all others.
const EVIDENCE_SHARE: f64 = 0.8;
/// Looks at units under way at one time.
const LOOKS_AT_ONCE: usize = 16;
/// What lets go of a unit sets a property, or thaws it.
const RELEASED_WITHIN: Duration = Duration::from_secs(30);
/// Hooks under way at one time; the next wait.
const HOOKS_AT_ONCE: usize = 4;

/// What the effects need of the host. Cheap to clone: every part is shared.
#[derive(Clone)]
pub(super) struct Hands {
    manager: Arc<dyn ServiceManager>,
    /// The same, where its services come from the policy.
    direct: Option<Arc<DirectManager>>,
    inbox: mpsc::Sender<Event>,
    activity: Arc<ActivityReader>,
    probes: Arc<ProbeRunner>,
    storms: Storms,
    spaces: Spaces,
    rooms: Rooms,
    /// The manager is reloading its units, as its signals say.
    reloading: Arc<AtomicBool>,
    /// Units that the policy has a special eye on.
    attention: watch::Sender<Vec<UnitName>>,
    /// Units that are protected.
    protected: watch::Sender<Vec<UnitPattern>>,
    /// Groups of the units that are protected or probed, as they were last seen.
    unit_groups: watch::Sender<Vec<UnitGroup>>,
    evidence: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    hook_slots: Arc<Semaphore>,
    hooks: watch::Sender<EscalationHooks>,
    evidence_deadline: watch::Sender<Duration>,
    proc: PathBuf,
    beats: BeatGiver,
    pace: Pace,
    /// What may have been written to file systems so far, bytes.
    written: Arc<AtomicU64>,
    /// Percent of one processor that the agent may take.
    cpu_budget: watch::Sender<f64>,
    history: History,
}

impl Hands {
    pub(super) fn new(
        (manager, direct): (Arc<dyn ServiceManager>, Option<Arc<DirectManager>>),
        inbox: mpsc::Sender<Event>,
        rooms: Rooms,
        probes: ProbeRunner,
        storms: Arc<StormLooker>,
        history: History,
        policy: &Policy,
    ) -> Self {
        Self {
            manager,
            direct,
            inbox,
            activity: Arc::new(ActivityReader::default()),
            probes: Arc::new(probes),
            storms: Storms::new(storms),
            spaces: Spaces::default(),
            rooms,
            reloading: Arc::new(AtomicBool::new(false)),
            attention: watch::Sender::new(attention(policy)),
            protected: watch::Sender::new(policy.protected.clone()),
            unit_groups: watch::Sender::new(Vec::new()),
            evidence: Arc::new(Semaphore::new(EVIDENCE_AT_ONCE)),
            looks: Arc::new(Semaphore::new(LOOKS_AT_ONCE)),
            hook_slots: Arc::new(Semaphore::new(HOOKS_AT_ONCE)),
            hooks: watch::Sender::new(policy.escalation.clone()),
            evidence_deadline: watch::Sender::new(policy.limits.evidence_deadline),
            proc: PathBuf::from("/proc"),
            beats: BeatGiver::new(),
            pace: Pace::new(),
            written: Arc::new(AtomicU64::new(0)),
            cpu_budget: watch::Sender::new(policy.limits.agent_cpu_percent),
            history,
        }
    }

    /// A new policy: other probes, other hooks, other services.
    pub(super) async fn take_policy(&self, policy: &Policy) {
        if let Some(direct) = &self.direct {
            direct.replace(policy.services.clone());
        }
        self.attention.send_replace(attention(policy));
        self.protected.send_replace(policy.protected.clone());
        self.hooks.send_replace(policy.escalation.clone());
        self.evidence_deadline.send_replace(policy.limits.evidence_deadline);
        self.cpu_budget.send_replace(policy.limits.agent_cpu_percent);
        self.history.set_bytes_max(policy.history.bytes_max);
        self.probes.replace(policy.probes.clone()).await;
    }

    pub(super) const fn manager(&self) -> &Arc<dyn ServiceManager> {
        &self.manager
    }

    pub(super) const fn history(&self) -> &History {
        &self.history
    }

    pub(super) const fn beats(&self) -> &BeatGiver {
        &self.beats
    }

    pub(super) const fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(super) fn written(&self) -> Bytes {
        Bytes(self.written.load(Ordering::Relaxed))
    }

    pub(super) fn set_written(&self, written: Bytes) {
        self.written.store(written.0, Ordering::Relaxed);
    }

    pub(super) fn cpu_budget(&self) -> f64 {
        *self.cpu_budget.borrow()
    }

    pub(super) fn inbox(&self) -> mpsc::Sender<Event> {
        self.inbox.clone()
    }

    pub(super) fn attention(&self) -> Vec<UnitName> {
        self.attention.borrow().clone()
    }

    /// Takes in the groups of all units, and keeps those that matter: first of probed units, then of protected ones.
    pub(super) fn take_unit_groups(&self, groups: impl Iterator<Item = UnitGroup>) {
        let (probed, protected) = (self.attention.borrow(), self.protected.borrow());
        let rank = |group: &UnitGroup| {
            let probed = probed.contains(&group.unit);
            (probed || protected.iter().any(|pattern| pattern.matches(&group.unit))).then_some(!probed)
        };
        let mut marked: Vec<_> = groups.filter_map(|group| Some((rank(&group)?, group))).collect();
        marked.sort_by(|(a, first), (b, second)| a.cmp(b).then_with(|| first.unit.cmp(&second.unit)));
        let marked: Vec<UnitGroup> = marked.into_iter().map(|(_, group)| group).collect();
        self.unit_groups.send_if_modified(|known| {
            let changed = *known != marked;
            *known = marked;
            changed
        });
    }

    pub(super) fn unit_groups(&self) -> watch::Receiver<Vec<UnitGroup>> {
        self.unit_groups.subscribe()
    }

    pub(super) fn set_reloading(&self, reloading: bool) {
        self.reloading.store(reloading, Ordering::Relaxed);
    }

    /// Brings news to the engine; waits while its queue is full.
    pub(super) async fn tell(&self, input: Input) {
        // The loop has ended: nobody listens any more.
        let _ = self.inbox.send(Event::Input(Box::new(input))).await;
    }

    pub(super) fn act(&self, permit: Permit) {
        let hands = self.clone();
        let action = permit.action();
        tokio::spawn(async move {
            let applied = if permit.remedy().is_own_work() {
                hands.rooms.act(permit, hands.inbox()).await
            } else {
                hands.act_on_units(permit).await
            };
            hands.tell(Input::Acted { action, applied }).await;
        });
    }

    async fn act_on_units(&self, permit: Permit) -> Applied {
        let manager = Arc::clone(&self.manager);
        let held = HeldFiles(self.proc.clone());
        let act = tokio::spawn(async move {
            if permit.remedy().asks_holders() {
                let deadline = permit.deadline();
                let asking = act::ask_holders(permit, &*manager, &held, clock::now());
                tokio::time::timeout(deadline, asking).await.unwrap_or_else(|_| Applied::Unknown {
                    why: format!("not all was done within {deadline:?}"),
                })
            } else {
                act::carry_out(permit, &*manager, clock::now()).await
            }
        });
        match act.await {
            Ok(applied) => applied,
            Err(error) => Applied::Unknown { why: format!("the actuator broke off: {error}") },
        }
    }

    /// The engine answers an act that asked whether it may go on.
    pub(super) fn go_on(&self, action: ActionId, answer: Result<(), String>) {
        self.rooms.go_on(action, answer);
    }

    pub(super) const fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    pub(super) fn take_evidence(&self, incident: IncidentId, of: EvidenceOf) {
        let hands = self.clone();
        tokio::spawn(async move {
            let evidence = match of {
                EvidenceOf::Host { storm, culprits } => hands.evidence_of_host(storm, culprits).await,
                EvidenceOf::Space { point, device, anew } => {
                    let which = (point, device);
                    let evidence = hands.spaces.evidence(&hands.proc, which.clone(), anew).await;
                    if evidence.space.value().is_some_and(|look| !look.complete) {
                        hands.look_on(which, incident);
                    }
                    evidence
                }
                EvidenceOf::Disk { device, source, hangs } => {
                    let deadline = hands.evidence_deadline.borrow().mul_f64(EVIDENCE_SHARE);
                    disks::evidence(&*hands.manager, device, source, hangs, deadline).await
                }
                EvidenceOf::Unit { unit, log } => {
                    let deadline = hands.evidence_deadline.borrow().mul_f64(EVIDENCE_SHARE);
                    match hands.evidence.acquire().await {
                        Ok(_slot) => {
                            evidence::take(&*hands.manager, &hands.proc, &unit, &log, deadline).await
                        }
                        Err(_) => Evidence::missing("the agent is ending"),
                    }
                }
            };
            hands.tell(Input::EvidenceTaken { incident, evidence: evidence.into() }).await;
        });
    }

    async fn evidence_of_host(&self, storm: bool, culprits: bool) -> Evidence {
        let none = Evidence::of_culprits(Reading::Absent(Absence::NotApplicable));
        let storm = async { if storm { self.storms.evidence().await } else { none } };
        let culprits =
            async { if culprits { culprits::look().await } else { Reading::Absent(Absence::NotApplicable) } };
        let (mut evidence, culprits) = tokio::join!(storm, culprits);
        evidence.culprits = culprits;
        evidence
    }

    /// Lets go of what an act holds back.
    pub(super) fn release(&self, action: ActionId) {
        let hands = self.clone();
        tokio::spawn(async move {
            let result = act::release(action, &*hands.manager, RELEASED_WITHIN).await;
            if let Err(why) = &result {
                tracing::warn!(%action, "it could not be undone, and is tried again: {why}");
            }
            hands.tell(Input::Released { action, result }).await;
        });
    }

    /// Who waits for nothing is told of the whole when it is known.
    fn look_on(&self, which: Which, incident: IncidentId) {
        let hands = self.clone();
        tokio::spawn(async move {
            let Some((look, incidents)) = hands.spaces.whole(&hands.proc, which, incident).await else {
                return;
            };
            for incident in incidents {
                let evidence = Evidence::of_filesystem(Reading::Value(look.clone()));
                hands.tell(Input::EvidenceTaken { incident, evidence: evidence.into() }).await;
            }
        });
    }

    pub(super) fn look(&self, subject: Subject) {
        if let Subject::Filesystem(point) = subject {
            // Whoever watches them asks it again.
            return self.rooms.want(point);
        }
        let hands = self.clone();
        tokio::spawn(async move {
            let Ok(_slot) = hands.looks.acquire().await else { return };
            match subject {
                Subject::Unit(unit) => hands.look_at_unit(unit).await,
                Subject::Host => hands.look_at_host().await,
                Subject::Agent | Subject::Filesystem(_) => {}
            }
        });
    }

    async fn look_at_unit(&self, unit: UnitName) {
        self.probes.probe_now(&unit);
        let mut sample = Sample::empty(clock::now());
        let units = match self.manager.look(&unit).await {
            Ok(status) => UnitsUpdate::Changed { statuses: vec![status], removed: Vec::new() },
            Err(ManagerError::NoSuchUnit(unit)) => UnitsUpdate::NoSuchUnit(unit),
            Err(error) => {
                tracing::debug!(%unit, %error, "a unit could not be looked at");
                return;
            }
        };
        sample.units = Some(units);
        self.tell(Input::Sample(sample)).await;
    }

    /// What others are doing right now: locks of package managers, the state of the system as a whole.
    pub(super) async fn look_at_host(&self) {
        let mut sample = Sample::empty(clock::now());
        let reader = Arc::clone(&self.activity);
        let locks = tokio::task::spawn_blocking(move || reader.read());
        let (locks, system_state) = tokio::join!(locks, self.manager.system_state());
        sample.activity = Some(HostActivity {
            system_state,
            package_manager: locks.unwrap_or_else(|error| Reading::Failed(error.to_string())),
            manager_reloading: self.reloading.load(Ordering::Relaxed),
        });
        self.tell(Input::Sample(sample)).await;
    }

    pub(super) fn tell_people(&self, notice: Box<Notice>, channels: Vec<Channel>) {
        let hands = self.clone();
        let hooks = self.hooks.borrow().clone();
        let id = notice.id;
        tokio::spawn(async move {
            let _slot = hands.hook_slots.acquire().await;
            let asked = channels.clone();
            let told = tokio::spawn(async move { hooks::tell(&hooks, &notice, &channels).await });
            let failed = match told.await {
                Ok(failed) => failed,
                Err(error) => asked.into_iter().map(|it| (it, format!("it broke off: {error}"))).collect(),
            };
            hands.tell(Input::Told { notice: id, failed }).await;
        });
    }
}

/// Units of which the details are wanted even while they are at rest: those that are probed.
fn attention(policy: &Policy) -> Vec<UnitName> {
    policy.probes.iter().map(|probe| probe.unit.clone()).collect()
}

//! Reads the policy files when asked or when they change, and shows the policy in force to the socket.

use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::{mpsc, oneshot, watch};

use crate::policy::{self, Access, Policy, Sources};

use super::core::Event;

/// Editors and package managers write files in several steps: reading waits until they have been quiet this long.
const SETTLE: Duration = Duration::from_millis(500);

/// The policy in force, as the socket shows it.
#[derive(Debug)]
pub(super) struct PolicyBoard {
    text: watch::Sender<Arc<String>>,
    access: watch::Sender<Access>,
}

impl PolicyBoard {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            text: watch::Sender::new(Arc::new(policy.to_json())),
            access: watch::Sender::new(policy.access.clone()),
        }
    }

    pub(super) fn show(&self, policy: &Policy) {
        self.text.send_replace(Arc::new(policy.to_json()));
        self.access.send_replace(policy.access.clone());
    }

    pub(super) fn text(&self) -> watch::Receiver<Arc<String>> {
        self.text.subscribe()
    }

    pub(super) fn access(&self) -> watch::Receiver<Access> {
        self.access.subscribe()
    }
}

/// Who wants the files read again.
pub(super) type Asked = Option<oneshot::Sender<Result<String, String>>>;

/// Reads the files whenever it is asked, one at a time, off the loop's thread: compiling rules takes a moment.
pub(super) async fn read_when_asked(
    sources: Sources,
    mut asked: mpsc::Receiver<Asked>,
    inbox: mpsc::Sender<Event>,
) {
    while let Some(reply) = asked.recv().await {
        let sources = sources.clone();
        let outcome = match tokio::task::spawn_blocking(move || policy::load(&sources)).await {
            Ok(Ok(policy)) => Ok(Arc::new(policy)),
            Ok(Err(errors)) => Err(errors.to_string()),
            Err(error) => Err(format!("reading the policy broke off: {error}")),
        };
        if inbox.send(Event::Policy { outcome, reply }).await.is_err() {
            return;
        }
    }
}

/// Asks for a reading when a policy file changes. Watching is a comfort: where it fails, SIGHUP does.
pub(super) async fn watch_files(sources: Sources, ask: mpsc::Sender<Asked>) {
    let (changed, mut changes) = mpsc::channel(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is no change of it, and the agent's own reading must not wake it again.
        let matters = event.as_ref().map_or(true, |event| !matches!(event.kind, EventKind::Access(_)));
        if matters {
            // One is waiting already: that will do.
            let _ = changed.try_send(());
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "policy files can't be watched; use SIGHUP or prunella reload");
            return;
        }
    };
    for path in policy::watch_paths(&sources) {
        if let Err(error) = watcher.watch(&path, RecursiveMode::NonRecursive) {
            tracing::debug!(path = %path.display(), %error, "not watched");
        }
    }
    while changes.recv().await.is_some() {
        while let Ok(Some(())) = tokio::time::timeout(SETTLE, changes.recv()).await {}
        if ask.send(None).await.is_err() {
            return;
        }
    }
}

//! A look at who makes short-lived processes: begun, waited for, ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::model::{Absence, Evidence, Reading, STORM_LOOK_FOR, StormLook};
use crate::sense::storm::StormLooker;

use super::clock;

/// A look takes little more than [`STORM_LOOK_FOR`], unless the kernel does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks, one at a time: a second one would see the same.
#[derive(Clone, Debug)]
pub(super) struct Storms(Arc<Mutex<Arc<StormLooker>>>);

impl Storms {
    pub(super) fn new(looker: Arc<StormLooker>) -> Self {
        Self(Arc::new(Mutex::new(looker)))
    }

    /// Evidence about the host: who makes processes at present.
    pub(super) async fn evidence(&self) -> Evidence {
        // The engine has the kernel's lines itself.
        Evidence::of_host(Reading::Absent(Absence::NotObserved), self.look().await)
    }

    async fn look(&self) -> Reading<StormLook> {
        let Ok(looker) = tokio::time::timeout(PATIENCE, self.0.lock()).await else {
            return Reading::Failed(format!("a look before has not ended within {PATIENCE:?}"));
        };
        let one = Arc::clone(&looker);
        let broke_off = |error| Reading::Failed(format!("the look broke off: {error}"));
        let begun = match spawn_blocking(move || one.begin(|| clock::now().boot)).await {
            Ok(begun) => begun,
            Err(error) => return broke_off(error),
        };
        tokio::time::sleep(STORM_LOOK_FOR).await;
        let one = Arc::clone(&looker);
        match spawn_blocking(move || one.end(begun, clock::now().boot)).await {
            Ok(look) => Reading::Value(look),
            Err(error) => broke_off(error),
        }
    }
}

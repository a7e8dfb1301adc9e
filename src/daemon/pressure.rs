//! The tasks that tell of pressure at once: one for each trigger of the kernel, and the tripwire on memory.

use std::path::Path;
use std::time::Duration;

use crate::engine::Input;
use crate::model::{HostNews, Pressure, Reading, Resource, Sample, StallWatch};
use crate::sense::beat::Alarm;
use crate::sense::pressure::{LOOK_LATEST, MemoryReader, Patience, PressureTrigger, Tripwire};

use super::beats::BEAT;
use super::clock;
use super::effects::Hands;

/// A trigger that can't be set, or was given up, is set again after this.
const SET_AGAIN: Duration = Duration::from_secs(60);

/// Follows the kernel's triggers for ever.
pub(super) async fn follow_pressure(hands: Hands, folder: &'static Path) {
    let follow = Resource::ALL.map(|resource| follow_resource(&hands, folder, resource));
    futures_util::future::join_all(follow).await;
}

async fn follow_resource(hands: &Hands, folder: &Path, resource: Resource) {
    let path = folder.join(resource.as_str());
    let mut told = None;
    loop {
        let why_not = match PressureTrigger::set(&path, Patience::with(resource)) {
            Ok(mut trigger) => {
                told = None;
                let window = trigger.window();
                tracing::info!(resource = resource.as_str(), ?window, "the kernel tells of pressure");
                follow_trigger(hands, resource, &mut trigger).await
            }
            Err(error) => {
                if told.is_none() {
                    tracing::warn!(resource = resource.as_str(), %error, "pressure is not told at once");
                }
                error.reading()
            }
        };
        if told.as_ref() != Some(&why_not) {
            tell(hands, resource, why_not.clone(), None).await;
            told = Some(why_not.clone());
        }
        if let Reading::Absent(_) = why_not {
            // Pressure is compiled in and switched on at boot, or never.
            return std::future::pending().await;
        }
        tokio::time::sleep(SET_AGAIN).await;
    }
}

/// Until it breaks off; returns why.
async fn follow_trigger(
    hands: &Hands,
    resource: Resource,
    trigger: &mut PressureTrigger,
) -> Reading<StallWatch> {
    let window = trigger.window();
    let watch = |stalled| Reading::Value(StallWatch { window, stalled });
    tell(hands, resource, watch(false), Some(trigger.read())).await;
    loop {
        if let Err(gone) = trigger.stalled().await {
            tracing::warn!(resource = resource.as_str(), "{gone}");
            return Reading::Failed(gone.to_string());
        }
        tell(hands, resource, watch(true), Some(trigger.read())).await;
        // The kernel's own bound, kept whatever the kernel does. What it tells meanwhile is told after.
        tokio::time::sleep(window).await;
    }
}

async fn tell(
    hands: &Hands,
    resource: Resource,
    watch: Reading<StallWatch>,
    pressure: Option<Reading<Pressure>>,
) {
    // Without a trigger the file may still be read, by the pass over the host: that is left as it is.
    let mut sample = Sample::empty(clock::now());
    sample.host_news.push(HostNews::Pressure { resource, watch, pressure });
    hands.tell(Input::Sample(sample)).await;
}

/// Watches the memory that is left, for ever.
pub(super) async fn watch_memory(hands: Hands, proc: &'static Path) {
    let mut reader = MemoryReader::new(proc);
    let mut tripwire = Tripwire::default();
    let mut alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => return tracing::error!(%error, "there is no timer to look at memory by"),
    };
    let mut beats = hands.beats().listen();
    loop {
        let now = clock::now();
        let memory = reader.read();
        // What can't be read is told by the pass over the host.
        let next = match &memory {
            Reading::Value(read) => {
                let look = tripwire.take(read, now.boot);
                if look.tell {
                    let mut sample = Sample::empty(now);
                    sample.host_news.push(HostNews::Memory(memory));
                    hands.tell(Input::Sample(sample)).await;
                }
                look.next
            }
            Reading::Absent(_) | Reading::Failed(_) => LOOK_LATEST,
        };
        if next >= BEAT {
            // At rest it looks when the agent is awake anyway.
            beats.pause(next).await;
        } else if let Err(error) = alarm.after(next).await {
            return tracing::error!(%error, "the timer that memory is looked at by is gone");
        }
    }
}

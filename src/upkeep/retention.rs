//! A running server forgets who was at shows that ended long ago.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Weak;
use std::time::Duration;

use super::set_aside;
use crate::clock::Clock;
use crate::hub::Hub;
use crate::room::{Offset, RoomId, Timestamp};

/// Between two looks for shows that ended long enough ago.
const EVERY: Duration = Duration::from_secs(3_600);
const DAY_MS: u64 = 24 * 3_600_000;

/// Takes everybody's names, texts and contact details out of shows that ended more than so many days ago, until the hub is
/// dropped. What visitors of such a show leave later goes with the next look.
pub async fn forget_ended(hub: Weak<Hub>, clock: Clock, data: PathBuf, days: u32) {
    // Up to where each was read since the start: the first look reads them all.
    let mut read: HashMap<RoomId, Offset> = HashMap::new();
    loop {
        let before = Timestamp(clock.now().0.saturating_sub(u64::from(days) * DAY_MS));
        match set_aside(&data) {
            Ok(None) => look(&hub, before, &mut read).await,
            Ok(Some(folder)) => tracing::error!(
                folder = %folder.display(),
                "shows that ended long ago are not forgotten while this folder is there: it holds a damaged journal, of which \
                 nothing can be erased"
            ),
            Err(problem) => tracing::error!(%problem, "the data folder cannot be looked through"),
        }
        tokio::time::sleep(EVERY).await;
        if hub.strong_count() == 0 {
            return;
        }
    }
}

async fn look(hub: &Weak<Hub>, before: Timestamp, read: &mut HashMap<RoomId, Offset>) {
    let Some(shows) = hub.upgrade().map(|hub| hub.ended_before(before)) else {
        return;
    };
    read.retain(|id, _| shows.iter().any(|(show, _)| show == id));
    for (id, head) in shows {
        let after = read.get(&id).copied().filter(|after| *after <= head).unwrap_or(0);
        let Some(hub) = hub.upgrade().filter(|_| after < head) else {
            continue;
        };
        match hub.forget_show(&id, after).await {
            Ok((_, head)) => drop(read.insert(id, head)),
            Err(error) => tracing::warn!(room = %id, %error, "a show that ended long ago is not forgotten yet"),
        }
    }
    if let Some(hub) = hub.upgrade() {
        hub.sweep().await;
    }
}

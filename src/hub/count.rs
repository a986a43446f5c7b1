//! What a room's task counts in the metrics: what was decided, what became durable, what was answered.

use super::{CommandError, Done};
use crate::journal::{AppendError, Appended};
use crate::room::comment::{CommentEvent, Standing};
use crate::room::discount::DiscountEvent;
use crate::room::draw::DrawEvent;
use crate::room::{Command, Event, Refusal};
use crate::telemetry::Metrics;

/// A command was decided into these events.
pub(super) fn decided(metrics: &Metrics, command: &Command, events: &[Event]) {
    if !events.is_empty() {
        return metrics.commands.done.inc();
    }
    metrics.commands.again.inc();
    if matches!(command, Command::Claim(_)) {
        metrics.claims.again.inc();
    }
}

/// How an append to the journal ended.
pub(super) fn appended(metrics: &Metrics, appended: &Appended) {
    let failed = &metrics.appends_failed;
    let reason = match appended {
        Appended::Durable => return,
        Appended::NotWritten(AppendError::Full) => &failed.full,
        Appended::NotWritten(AppendError::Unavailable(_)) => &failed.refused,
        Appended::NotWritten(AppendError::Conflict { .. } | AppendError::OtherEpoch { .. }) => &failed.conflict,
        Appended::Unknown(_) => &failed.unknown,
    };
    reason.inc();
}

/// A batch is durable.
pub(super) fn durable(metrics: &Metrics, events: &[Event]) {
    for event in events {
        match event {
            Event::Discount(DiscountEvent::Claimed { .. }) => metrics.claims.granted.inc(),
            Event::Discount(DiscountEvent::Redeemed { .. }) => metrics.redemptions.inc(),
            Event::Draw(event) => draw(metrics, event),
            Event::Comment(event) => comment(metrics, event),
            _ => {}
        }
    }
}

fn draw(metrics: &Metrics, event: &DrawEvent) {
    match event {
        DrawEvent::Opened { .. } => metrics.draws.opened.inc(),
        DrawEvent::Revealed { .. } => metrics.draws.revealed.inc(),
        DrawEvent::Redrawn { .. } => metrics.draws.redrawn.inc(),
        DrawEvent::Cancelled { .. } => metrics.draws.cancelled.inc(),
        DrawEvent::Entered { .. } => metrics.draw_entries.inc(),
        // A draw of everyone present gets its entries at the lock.
        DrawEvent::Locked { present, .. } => metrics.draw_entries.inc_by(present.len() as u64),
        DrawEvent::PrizeClaimed { .. } => metrics.prizes_claimed.inc(),
        _ => {}
    }
}

fn comment(metrics: &Metrics, event: &CommentEvent) {
    match event {
        CommentEvent::Posted { standing, .. } => match standing {
            Standing::Stage => metrics.comments.shown.inc(),
            Standing::EntryOnly => metrics.comments.entry_only.inc(),
            // Its second's sample says.
            Standing::Waiting => {}
        },
        CommentEvent::Sampled { shown, n, .. } => {
            let shown = shown.len() as u64;
            metrics.comments.shown.inc_by(shown);
            metrics.comments.thinned.inc_by(u64::from(*n).saturating_sub(shown));
        }
        _ => {}
    }
}

/// Whoever asked is told.
pub(super) fn answered(metrics: &Metrics, command: &Command, result: &Result<Done, CommandError>) {
    let claim = matches!(command, Command::Claim(_));
    match result {
        Ok(_) => {}
        Err(CommandError::Refused(refusal)) => {
            metrics.commands.refused.inc();
            metrics.refusals.with_label_values(&[refusal.code()]).inc();
            match refusal {
                Refusal::SoldOut if claim => metrics.claims.sold_out.inc(),
                _ if claim => metrics.claims.refused.inc(),
                _ => {}
            }
        }
        Err(CommandError::JournalUnavailable) if claim => metrics.claims.unavailable.inc(),
        Err(
            CommandError::Busy { .. }
            | CommandError::JournalUnavailable
            | CommandError::Parked
            | CommandError::Draining,
        ) => {}
    }
}

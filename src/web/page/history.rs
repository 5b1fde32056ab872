//! The last events and the last reconciles of a target.

use maud::{Markup, html};

use super::commit::commit_id;
use super::{Shown, badge, changes, moment, words};
use crate::audit::Event;
use crate::daemon::status::{HistoryEntry, TargetStatus};

pub(super) fn list(target: &TargetStatus, shown: &Shown) -> Markup {
    html! {
        @if !target.past.history.is_empty() {
            details data-key={ "history-" (target.key.name) } {
                summary { "History" span.quiet { ", the last " (target.past.history.len()) } }
                table {
                    caption.hidden { "The last reconciles of " (target.key.name) }
                    thead { tr { th scope="col" { "Began" } th scope="col" { "Cause" } th scope="col" { "Commit" } th scope="col" { "Outcome" } th scope="col" { "Took" } } }
                    tbody { @for run in runs(&target.past.history) { (past(target, run, shown)) } }
                }
            }
        }
    }
}

/// The last events of the audit trail, which outlive the daemon.
pub(super) fn events(target: &TargetStatus, shown: &Shown) -> Markup {
    html! {
        @if !target.past.events.is_empty() {
            details data-key={ "events-" (target.key.name) } {
                summary { "Events" span.quiet { ", the last " (target.past.events.len()) } }
                table {
                    caption.hidden { "The last events of " (target.key.name) }
                    thead { tr { th scope="col" { "When" } th scope="col" { "Event" } th scope="col" { "Commit" } th scope="col" { "Cause" } } }
                    tbody { @for event in &target.past.events { (row(event, shown)) } }
                }
            }
        }
    }
}

fn row(event: &Event, shown: &Shown) -> Markup {
    html! {
        tr {
            th scope="row" { (moment(event.time)) }
            td data-label="Event" { (event) }
            td data-label="Commit" { @if let Some(id) = &event.commit { (commit_id(id, shown)) } }
            td data-label="Cause" { (words(&event.cause)) @if let Some(by) = &event.by { ", " (by) } }
        }
    }
}

/// Reconciles one after the other that ended alike, the newest first.
fn runs(history: &[HistoryEntry]) -> impl Iterator<Item = &[HistoryEntry]> {
    let is_alike = |one: &HistoryEntry, other: &HistoryEntry| {
        let of = |entry: &HistoryEntry| (entry.cause, entry.outcome, entry.counts);
        of(one) == of(other) && one.commit == other.commit && one.error == other.error
    };
    history.chunk_by(is_alike)
}

fn past(target: &TargetStatus, run: &[HistoryEntry], shown: &Shown) -> Markup {
    let [entry, ..] = run else { return html! {} };
    // The oldest of them stays when another one joins them.
    let oldest = run.last().map_or(entry.time, |oldest| oldest.time);
    let key = format!("{}/{oldest}", target.key.name);
    let counts = [
        (entry.counts.done, "done"),
        (entry.counts.failed, "failed"),
        (entry.counts.held, "held"),
        (entry.counts.blocked, "blocked"),
        (entry.counts.degraded, "not deployed"),
        (entry.counts.drifted, "drifted"),
        (entry.counts.not_started, "not started"),
    ];
    html! {
        tr data-key=(key) {
            th scope="row" {
                (moment(entry.time))
                @if let [_, .., first] = run { span.quiet { ", " (run.len()) " times since " (moment(first.time)) } }
            }
            td data-label="Cause" { (words(entry.cause.as_str())) }
            td data-label="Commit" { @if let Some(id) = &entry.commit { (commit_id(id, shown)) } }
            td data-label="Outcome" {
                (badge(entry.outcome.as_str()))
                @for (count, word) in counts { @if count > 0 { " " (count) " " (word) } }
                @if let Some(error) = &entry.error { p.wrong { (error) } }
                (changes::sent(run, &key))
            }
            td data-label="Took" { (format!("{:.1} s", entry.duration.as_secs_f64())) }
        }
    }
}

//! One target on the page.

use maud::{Markup, html};

use super::{Shown, changes, moment, seconds, words};
use crate::daemon::status::{HistoryEntry, SourceStatus, TargetStatus};
use crate::name::CommitId;
use crate::plan::{ConnectionState, State};

/// How many connections of a target are drawn; the search finds the others.
pub(super) const ROWS: usize = 200;

pub(super) fn section(target: &TargetStatus, source: &SourceStatus, shown: &Shown) -> Markup {
    let id = format!("target-{}", target.name);
    html! {
        section.target aria-labelledby=(id) {
            h2 id=(id) {
                (target.name) " "
                span.badge.(target.state.as_str()) { (words(target.state.as_str())) }
                @if target.suspended { " " span.badge.suspended { "suspended" } }
                @if target.reconciling { " " span.badge.waiting { "reconciling" } }
            }
            p.where { "Project " strong { (target.project) } " at " (target.url) }
            dl {
                dt { "Live" } dd { (commit(target.commit_applied.as_ref(), source)) }
                @if target.commit_seen != target.commit_applied {
                    dt { "Seen" } dd { (commit(target.commit_seen.as_ref(), source)) }
                }
                dt { "Last reconcile" } dd { @if let Some(time) = target.last_reconcile { (moment(time)) } @else { "none yet" } }
                dt { "Next" } dd { @if let Some(time) = target.next_reconcile { (moment(time)) } @else { "when something changes" } }
            }
            @if let Some(error) = &target.error { p.wrong { (error) } }
            @if target.refused { p.wrong { "The newest commit is refused; the last good one is kept up." } }
            @for notice in &target.notices { p.notice { (notice) } }
            @if !target.held.is_empty() {
                h3 { "Held back" }
                ul { @for (name, why) in &target.held { li { strong { (name.as_str()) } ": " (why) } } }
            }
            @if !target.diagnostics.is_empty() {
                h3 { "Problems of the documents" }
                ul {
                    @for one in target.diagnostics.iter().take(ROWS) {
                        li { code { (one.mark.file) ":" (one.mark.line) } " " (one.message) @if let Some(help) = &one.help { br; span.advice { (help) } } }
                    }
                }
            }
            @if let Some(plan) = &target.pending { (changes::plan(&target.name, "Not made yet", plan, true)) }
            (connections(target, shown))
            @if let Some(plan) = &target.applied { (changes::plan(&target.name, "Last applied", plan, false)) }
            (history(target))
        }
    }
}

fn commit(id: Option<&CommitId>, source: &SourceStatus) -> Markup {
    let known = source.commit.as_ref().filter(|commit| Some(&commit.id) == id);
    html! {
        @match (known, id) {
            (Some(commit), _) => { code { (commit.id.short()) } " " (commit.subject) " · " (commit.author) " · " (seconds(commit.time)) }
            (None, Some(id)) => { code { (id.short()) } }
            (None, None) => { "nothing yet" }
        }
    }
}

fn connections(target: &TargetStatus, shown: &Shown) -> Markup {
    let mut matching: Vec<_> =
        target.connections.iter().filter(|one| is_shown(one, shown)).collect();
    matching.sort_by_key(|one| urgency(one.state));
    let counts = State::ALL
        .map(|state| (state, target.connections.iter().filter(|one| one.state == state).count()));
    html! {
        h3 { "Connections" }
        p.counts {
            @for (state, count) in counts { @if count > 0 { span.badge.(state.as_str()) { (count) " " (words(state.as_str())) } " " } }
        }
        @if matching.is_empty() {
            p.quiet { "None" @if !target.connections.is_empty() { " that the filter lets through" } "." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label={ "Connections of " (target.name) } {
                table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Type" } th scope="col" { "State" } th scope="col" { "Why" } th scope="col" { "Written" } } }
                    tbody { @for one in matching.iter().take(ROWS) { (row(one)) } }
                }
            }
        }
        @if matching.len() > ROWS {
            p.quiet { "The first " (ROWS) " of " (matching.len()) ", what needs attention first. Search to find the others." }
        }
    }
}

fn row(one: &ConnectionState) -> Markup {
    html! {
        tr {
            th scope="row" { (one.name.as_str()) }
            td { (one.type_name) }
            td { span.badge.(one.state.as_str()) { (words(one.state.as_str())) } @if one.unverified { " " span.quiet { "unverified" } } }
            td { @if let Some(reason) = &one.reason { (reason) } }
            td { @if let Some(time) = one.last_change { (seconds(time)) } }
        }
    }
}

fn is_shown(one: &ConnectionState, shown: &Shown) -> bool {
    let wanted = shown.q.trim().to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&wanted);
    (shown.state.is_empty() || one.state.as_str() == shown.state)
        && (wanted.is_empty()
            || has(one.name.as_str())
            || has(&one.type_name)
            || one.reason.as_deref().is_some_and(has))
}

/// The order on the page: what somebody has to look at comes first.
fn urgency(state: State) -> u8 {
    match state {
        State::Failed => 0,
        State::Blocked => 1,
        State::Held => 2,
        State::NotConverging => 3,
        State::Degraded => 4,
        State::Drifted => 5,
        State::Pending => 6,
        State::Suspended => 7,
        State::InSync => 8,
        State::Unmanaged => 9,
    }
}

fn history(target: &TargetStatus) -> Markup {
    html! {
        @if !target.history.is_empty() {
            details id={ "history-" (target.name) } {
                summary { "Last " (target.history.len()) " reconciles" }
                div.scroll tabindex="0" role="region" aria-label={ "History of " (target.name) } {
                    table {
                        thead { tr { th scope="col" { "Began" } th scope="col" { "Cause" } th scope="col" { "Commit" } th scope="col" { "Outcome" } th scope="col" { "Took" } } }
                        tbody { @for entry in &target.history { (past(entry)) } }
                    }
                }
            }
        }
    }
}

fn past(entry: &HistoryEntry) -> Markup {
    let counts = [
        (entry.counts.done, "done"),
        (entry.counts.failed, "failed"),
        (entry.counts.held, "held"),
        (entry.counts.blocked, "blocked"),
        (entry.counts.drifted, "drifted"),
    ];
    html! {
        tr {
            td { (moment(entry.time)) }
            td { (entry.cause.as_str()) }
            td { @if let Some(id) = &entry.commit { code { (id.short()) } } }
            td {
                (words(entry.outcome.as_str()))
                @for (count, word) in counts { @if count > 0 { ", " (count) " " (word) } }
                @if let Some(error) = &entry.error { br; span.wrong { (error) } }
            }
            td { (format!("{:.1} s", entry.duration.as_secs_f64())) }
        }
    }
}

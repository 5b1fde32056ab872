//! The first thing on the page: is everything in sync, at which commit.

use std::sync::Arc;

use maud::{Markup, html};

use super::connections::{by_state, needs_attention, urgency};
use super::{PageQuery, commit_line, in_words, moment};
use crate::daemon::status::{SourceStatus, Status, TargetState, TargetStatus};
use crate::report::words::counted;

/// The class of a verdict by the state that it follows from, and its sign.
fn mood(worst: TargetState) -> (&'static str, &'static str) {
    match worst {
        TargetState::Failing | TargetState::Blocked | TargetState::Refused => ("bad", "✕"),
        TargetState::Waiting => ("waiting", "…"),
        TargetState::InSync => ("good", "✓"),
        _ => ("attention", "!"),
    }
}

/// The verdict as the title of the page has it.
pub(super) fn title(status: &Status) -> String {
    verdict(status).1
}

/// The worst of all states, and the verdict in words.
fn verdict(status: &Status) -> (TargetState, String) {
    // A target of another replica is told on that replica's page.
    let own = || status.targets.iter().filter(|target| target.state != TargetState::Standby);
    let found = found(&own().collect::<Vec<_>>());
    if status.source.error.is_some() {
        return (TargetState::Failing, format!("The source is failing{found}"));
    }
    if status.targets.iter().any(|target| target.trouble.refused) {
        return (TargetState::Refused, format!("The newest commit is refused{found}"));
    }
    if own().next().is_none() && !status.targets.is_empty() {
        return (TargetState::InSync, "Other replicas act for all targets".to_owned());
    }
    let worst = own().map(|target| target.state).min().unwrap_or_default();
    let wanting = own().filter(|target| target.state < TargetState::Waiting);
    let wanting: Vec<&str> = wanting.map(|target| target.key.name.as_str()).collect();
    let count = own().count();
    let text = match (worst, &wanting[..]) {
        (TargetState::InSync, _) => "Everything is in sync".to_owned(),
        (_, []) => "The first reconcile is under way".to_owned(),
        (_, [one]) => format!("{one} needs attention{found}"),
        (_, several) if several.len() == count => {
            format!("All targets need attention{found}")
        }
        (_, several) => {
            format!("{} of {count} targets need attention{found}", several.len())
        }
    };
    (worst, text)
}

/// How many targets fail, how many connections stand in a way that needs attention, the worst
/// first, and how many targets are suspended: `: 1 failing, 2 held`.
fn found(targets: &[&Arc<TargetStatus>]) -> String {
    let failing = targets.iter().filter(|target| target.state == TargetState::Failing).count();
    let mut counts = by_state(targets.iter().flat_map(|target| target.connections.iter()));
    counts.retain(|(state, _)| needs_attention(*state));
    counts.sort_by_key(|(state, _)| urgency(*state));
    let failing = (failing > 0).then(|| format!("{failing} failing"));
    let suspended = targets.iter().filter(|target| target.suspended).count();
    let suspended = (suspended > 0).then(|| format!("{} suspended", counted(suspended, "target")));
    let others =
        counts.iter().map(|(state, count)| format!("{count} {}", in_words(state.into_str())));
    let all: Vec<String> = failing.into_iter().chain(others).chain(suspended).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join(", ")) }
}

/// The targets, those that need attention most first.
pub(super) fn by_urgency(status: &Status) -> Vec<&TargetStatus> {
    let mut targets: Vec<&TargetStatus> = status.targets.iter().map(AsRef::as_ref).collect();
    targets.sort_by_key(|target| target.state);
    targets
}

/// The verdict and the newest commit.
pub(super) fn banner(status: &Status, query: &PageQuery) -> Markup {
    let (worst, text) = verdict(status);
    let (class, sign) = mood(worst);
    html! {
        section.banner.(class) aria-label="Verdict" {
            p.sign aria-hidden="true" { (sign) }
            div {
                p #verdict.verdict role="status" { (text) }
                p.totals { (totals(status)) }
            }
            @if query.may_change {
                p.buttons { button type="button" data-verb="reconcile" { "Reconcile now" } }
            }
        }
        (source(&status.source, query))
        (replicas(status))
    }
}

/// How many connections stand how, each a link to those.
fn totals(status: &Status) -> Markup {
    let counts = by_state(status.targets.iter().flat_map(|target| target.connections.iter()));
    html! {
        @if status.targets.len() == 1 { "1 target" } @else { (status.targets.len()) " targets" }
        @for (state, count) in counts {
            " · " a href={ "?state=" (state.into_str()) } data-state=(state.into_str()) { (count) " " (in_words(state.into_str())) }
        }
    }
}

/// Whose targets the page shows, where other replicas act for some of them.
fn replicas(status: &Status) -> Markup {
    let is_elsewhere = |target: &&Arc<TargetStatus>| target.state == TargetState::Standby;
    let count = status.targets.iter().filter(is_elsewhere).count();
    html! {
        @if count > 0 {
            p.notice {
                "This is the page of one replica. It shows only the targets that this replica acts for; "
                (count) " of " (status.targets.len())
                @if count == 1 { " is on the page of another replica." } @else { " are on the pages of other replicas." }
            }
        }
    }
}

fn source(source: &SourceStatus, query: &PageQuery) -> Markup {
    html! {
        section.source aria-label="Source" {
            @if let Some(error) = &source.error { p.wrong { (error) } }
            @if let Some(commit) = &source.commit {
                p { "Newest commit " (commit_line(commit, query)) }
            }
            p.quiet {
                code { (source.location) }
                @if let Some(branch) = &source.branch { " · branch " code { (branch) } }
                @if source.worktree { " · the files of the working tree" }
                @if let Some(time) = source.fetched_at { " · fetched " (moment(time)) }
            }
        }
    }
}

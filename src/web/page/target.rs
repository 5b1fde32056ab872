//! One target on the page, with its events and reconciles; many targets as rows of a table.

use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::{
    PageQuery, badge, commit_id, commit_line, connections, in_words, moment, moment_to_come,
};
use crate::audit::{PastReconcile, RecentEvent};
use crate::daemon::status::{TargetState, TargetStatus};
use crate::document::{Diagnostic, Severity};
use crate::report::words;

/// How many problems of documents are drawn; `validate` shows all of them.
const PROBLEMS: usize = 20;

pub(super) fn section(target: &TargetStatus, query: &PageQuery) -> Markup {
    let id = format!("target-{}", target.key.name);
    html! {
        section.target id=(id) data-key=(id) aria-labelledby={ (id) "-name" } tabindex="-1" {
            div.head {
                h2 id={ (id) "-name" } { (target.key.name) }
                (badge(target.state.into_str()))
                @if target.suspended && target.state != TargetState::Suspended { (badge("suspended")) }
                @if target.reconciling { span.badge.busy { "reconciling" } }
                @if query.may_change { (buttons(target)) }
            }
            p.where { "Project " strong { (target.key.project) } " at " (target.key.url) }
            dl {
                dt { "Live" }
                dd { @match &target.commit_applied { Some(commit) => { (commit_line(commit, query)) } None => { "no commit has been applied whole yet" } } }
                @if target.commit_seen.as_ref().map(|c| &c.id) != target.commit_applied.as_ref().map(|c| &c.id) {
                    @if let Some(commit) = &target.commit_seen { dt { "Seen" } dd { (commit_line(commit, query)) } }
                }
                @if let Some((wait, since)) = &target.trouble.wait {
                    dt { "Waits" } dd { "for " (wait.after) ", since " (moment(*since)) @if let Some(until) = wait.until { ", until " (moment_to_come(until, "now")) } }
                }
                dt { "Last check" }
                dd {
                    @if let Some(time) = target.last_reconcile { (moment(time)) } @else { "not yet" }
                    ", next check " @if target.reconciling { "now" } @else if let Some(time) = target.next_reconcile { (moment_to_come(time, "is due")) } @else { "when something changes" }
                }
            }
            @if target.trouble.refused {
                p.wrong {
                    strong {
                        "The newest commit is refused" @if target.commit_applied.is_some() { "; the last good one is kept up" } "."
                    }
                }
            }
            @if let Some(error) = &target.trouble.error { p.wrong { (error) } }
            @for notice in &target.trouble.notices { p.notice { (notice) } }
            (problems(target, query))
            div.now { (connections::list(target, query)) }
            div.past {
                (reconciles(target, query))
                (events(target, query))
            }
        }
    }
}

fn buttons(target: &TargetStatus) -> Markup {
    let (verb, word) = if target.suspended { ("resume", "Resume") } else { ("suspend", "Suspend") };
    html! {
        p.buttons {
            button type="button" data-verb="reconcile" data-target=(target.key.name) { "Reconcile" span.hidden { " " (target.key.name) } }
            " "
            button type="button" data-verb=(verb) data-target=(target.key.name) { (word) span.hidden { " " (target.key.name) } }
        }
    }
}

/// The problems of the documents, errors before warnings.
fn problems(target: &TargetStatus, query: &PageQuery) -> Markup {
    let mut problems: Vec<&Diagnostic> = target.trouble.diagnostics.iter().collect();
    problems.sort_by_key(|one| one.severity);
    let count = problems.len();
    html! {
        @if count > 0 {
            h3 { "Problems of the documents" }
            ul.problems {
                @for one in problems.into_iter().take(PROBLEMS) {
                    li {
                        (connections::file(target.trouble.commit_given.as_ref(), &one.mark.file, one.mark.line, query)) " "
                        @if one.severity == Severity::Warning { "warning: " }
                        (one.message)
                        @if let Some(help) = &one.help { p.advice { (help) } }
                    }
                }
            }
            @if count > PROBLEMS { p.quiet { "And " (count - PROBLEMS) " more, which " code { "validate" } " shows." } }
        }
    }
}

fn reconciles(target: &TargetStatus, query: &PageQuery) -> Markup {
    let past = &target.past.reconciles;
    let table = html! {
        table.reconciles {
            caption.hidden { "The last reconciles of " (target.key.name) }
            thead { tr { th scope="col" { "Began" } th scope="col" { "Cause" } th scope="col" { "Commit" } th scope="col" { "Outcome" } th scope="col" { "Took" } } }
            tbody { @for run in runs(past) { (reconcile_row(target, run, query)) } }
        }
    };
    folded(target, "history", "History", past.len(), &table)
}

/// The last events of the audit trail, which outlive the daemon.
fn events(target: &TargetStatus, query: &PageQuery) -> Markup {
    let events = &target.past.events;
    let table = html! {
        table.events {
            caption.hidden { "The last events of " (target.key.name) }
            thead { tr { th scope="col" { "When" } th scope="col" { "Event" } th scope="col" { "Commit" } th scope="col" { "Cause" } } }
            tbody { @for event in events { (event_row(event, query)) } }
        }
    };
    folded(target, "events", "Events", events.len(), &table)
}

/// A part of the past behind a click; nothing where it is empty.
fn folded(target: &TargetStatus, key: &str, title: &str, count: usize, table: &Markup) -> Markup {
    html! {
        @if count > 0 {
            details data-key={ (key) "-" (target.key.name) } {
                summary { (title) span.quiet { ", the last " (count) } }
                (table)
            }
        }
    }
}

fn event_row(RecentEvent { event, more }: &RecentEvent, query: &PageQuery) -> Markup {
    html! {
        tr {
            th scope="row" { (moment(event.time)) }
            td data-label="Event" {
                (event)
                @if *more > 0 { p.quiet { "and " (more) " more like it, which " code { "history" } " lists" } }
            }
            td data-label="Commit" { @if let Some(id) = &event.commit { (commit_id(id, query)) } }
            td data-label="Cause" { (in_words(&event.cause)) @if let Some(by) = &event.by { ", " (by) } }
        }
    }
}

/// Reconciles one after the other that ended alike, the newest first.
fn runs(past: &[PastReconcile]) -> impl Iterator<Item = &[PastReconcile]> {
    past.chunk_by(|one, other| {
        one.ended.cause == other.ended.cause && one.ended.is_like(&other.ended)
    })
}

fn reconcile_row(target: &TargetStatus, run: &[PastReconcile], query: &PageQuery) -> Markup {
    let [PastReconcile { ended, .. }, ..] = run else { return html! {} };
    // The oldest of them stays when another one joins them.
    let oldest = run.last().map_or(ended.time, |oldest| oldest.ended.time);
    let key = format!("{}/{oldest}", target.key.name);
    html! {
        tr data-key=(key) {
            th scope="row" {
                (moment(ended.time))
                @if run.len() > 1 { span.quiet { ", " (run.len()) " times since " (moment(oldest)) } }
            }
            td data-label="Cause" { (in_words(&ended.cause)) }
            td data-label="Commit" { @if let Some(id) = &ended.commit { (commit_id(id, query)) } }
            td data-label="Outcome" {
                (badge(&ended.outcome))
                " " (words::listed(&words::ended(&ended.counts)))
                @if let Some(error) = &ended.error { p.wrong { (error) } }
                (connections::sent(run, &key))
            }
            td data-label="Took" { (format!("{:.1} s", ended.seconds)) }
        }
    }
}

/// The longest problem of a target that its row shows, in characters; the rest is shown once it is
/// opened.
const LONGEST_PROBLEM: usize = 200;

/// The targets, each with how many of its connections match.
pub(super) fn table(targets: &[(&TargetStatus, usize)], query: &PageQuery) -> Markup {
    html! {
        table.fleet data-key="fleet" {
            caption.hidden { "Targets" }
            thead { tr { th scope="col" { "Target" } th scope="col" { "Commit" } th scope="col" { "State" } th scope="col" { "Connections" } th scope="col" { "Last check" } } }
            tbody {
                @for (target, matching) in targets {
                    (fleet_row(target, *matching, query))
                    @if is_open(target, query) {
                        tr.opened data-key={ "open-" (target.key.name) } {
                            td colspan="5" { (section(target, query)) }
                        }
                    }
                }
            }
        }
    }
}

fn fleet_row(target: &TargetStatus, matching: usize, query: &PageQuery) -> Markup {
    let name = &target.key.name;
    let is_open = is_open(target, query);
    let problem = target.trouble.error.as_deref().filter(|_| !is_open);
    html! {
        tr data-key={ "row-" (name) } {
            th scope="row" { a href=(opening(name, query)) data-open=(name) aria-expanded=(is_open) { (name) } }
            td data-label="Commit" { @if let Some(commit) = &target.commit_applied { (commit_id(&commit.id, query)) } @else { "none applied yet" } }
            td data-label="State" {
                (badge(target.state.into_str()))
                @if target.reconciling { " " span.badge.busy { "reconciling" } }
            }
            td data-label="Connections" {
                @if query.is_filter() { (matching) @if matching == 1 { " matches" } @else { " match" } }
                @else { (connections::signs(target)) }
                @if let Some(problem) = problem { p.wrong { (problem.chars().take(LONGEST_PROBLEM).collect::<String>()) } }
            }
            td data-label="Last check" { @if let Some(time) = target.last_reconcile { (moment(time)) } @else { "not yet" } }
        }
    }
}

fn is_open(target: &TargetStatus, query: &PageQuery) -> bool {
    target.key.name == query.target
}

/// The page on which a target is opened, for a browser without a script.
fn opening(name: &str, query: &PageQuery) -> String {
    let all = [("q", query.q.as_str()), ("state", &query.state), ("target", name)];
    let given = all.into_iter().filter(|(_, value)| !value.is_empty());
    format!("?{}", Serializer::new(String::new()).extend_pairs(given).finish())
}

/// A card for each target, which leads to its section.
pub(super) fn cards(targets: &[(&TargetStatus, usize)]) -> Markup {
    html! {
        nav aria-label="Targets" data-key="cards" {
            ul.cards { @for (target, _) in targets { (card(target)) } }
        }
    }
}

fn card(target: &TargetStatus) -> Markup {
    html! {
        li data-key=(target.key.name) {
            a.card href={ "#target-" (target.key.name) } {
                strong { (target.key.name) } " " (badge(target.state.into_str()))
                span.quiet {
                    @if let Some(commit) = &target.commit_applied { (commit.id.short()) } @else { "nothing applied yet" }
                }
                " "
                span.quiet { (connections::signs(target)) }
            }
        }
    }
}

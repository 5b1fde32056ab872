//! One target on the page.

use maud::{Markup, html};

use super::commit::commit_line;
use super::{Shown, badge, connections, history, moment};
use crate::daemon::status::{TargetState, TargetStatus};
use crate::document::{Diagnostic, Severity};

/// How many problems of documents are drawn; `validate` shows all of them.
const PROBLEMS: usize = 20;

pub(super) fn section(target: &TargetStatus, shown: &Shown, may_change: bool) -> Markup {
    let id = format!("target-{}", target.key.name);
    html! {
        section.target id=(id) data-key=(id) aria-labelledby={ (id) "-name" } tabindex="-1" {
            div.head {
                h2 id={ (id) "-name" } { (target.key.name) }
                (badge(target.state.as_str()))
                @if target.suspended && target.state != TargetState::Suspended { (badge("suspended")) }
                @if target.reconciling { span.badge.busy { "reconciling" } }
                @if may_change { (buttons(target)) }
            }
            p.where { "Project " strong { (target.key.project) } " at " (target.key.url) }
            dl {
                dt { "Live" }
                dd { @match &target.commit_applied { Some(commit) => { (commit_line(commit, shown)) } None => { "no commit has been applied whole yet" } } }
                @if target.commit_seen.as_ref().map(|c| &c.id) != target.commit_applied.as_ref().map(|c| &c.id) {
                    @if let Some(commit) = &target.commit_seen { dt { "Seen" } dd { (commit_line(commit, shown)) } }
                }
                @if let Some((wait, since)) = &target.trouble.wait {
                    dt { "Waits" } dd { "for " (wait.after) ", since " (moment(*since)) @if let Some(until) = wait.until { ", until " (moment(until)) } }
                }
                dt { "Last check" }
                dd {
                    @if let Some(time) = target.last_reconcile { (moment(time)) } @else { "not yet" }
                    ", next check " @if target.reconciling { "now" } @else if let Some(time) = target.next_reconcile { (moment(time)) } @else { "when something changes" }
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
            (problems(target, shown))
            (connections::list(target, shown))
            (history::events(target, shown))
            (history::list(target, shown))
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
fn problems(target: &TargetStatus, shown: &Shown) -> Markup {
    let mut problems: Vec<&Diagnostic> = target.trouble.diagnostics.iter().collect();
    problems.sort_by_key(|one| one.severity);
    let count = problems.len();
    html! {
        @if count > 0 {
            h3 { "Problems of the documents" }
            ul.problems {
                @for one in problems.into_iter().take(PROBLEMS) {
                    li {
                        (connections::file(target, &one.mark.file, one.mark.line, shown)) " "
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

//! The differences of a plan on the page, in the order and the words of the other reports.

use maud::{Markup, html};

use super::moment;
use crate::daemon::status::HistoryEntry;
use crate::plan::{Action, Change, ChangeResult};
use crate::report::difference::{Kind, Leaf, Line, LineSign, leaves};
use crate::report::words;

/// The changes that some reconciles sent, behind a click.
pub(super) fn sent(run: &[HistoryEntry], key: &str) -> Markup {
    let changes: Vec<&Change> = run.iter().flat_map(|one| &one.changes).collect();
    let counts = run.iter().map(|one| &one.counts);
    let count: usize = counts.map(|of| of.done + of.failed + of.degraded).sum();
    html! {
        @if !changes.is_empty() {
            details data-key={ "sent-" (key) } {
                summary { (changes.len()) @if count > changes.len() { " of " (count) } @if count == 1 { " change" } @else { " changes" } }
                @for change in changes {
                    article.change {
                        h4 { (sign(change)) " " (change.name.as_str()) (previous(change)) " " span.quiet { (change.type_name) } }
                        @if let Some(ChangeResult::Failed(why) | ChangeResult::Degraded(why)) = &change.result { p.wrong { (why) } }
                        @if let Some(reason) = words::reason(change) { p { (reason) } }
                        (edited(change))
                        (fields(change))
                    }
                }
            }
        }
    }
}

/// A change of one connection that is not made yet, and why.
pub(super) fn waiting(change: &Change, said: Option<&str>, key: &str, is_open: bool) -> Markup {
    let reason = said.map(str::to_owned).or_else(|| words::reason(change));
    html! {
        @if change.fields.is_empty() && change.action != Action::Blocked { p { (sign(change)) } }
        @if let Some(reason) = reason { p { (reason) } }
        @if let Some(advice) = &change.advice { p.advice { (advice) } }
        (edited(change))
        @if !change.fields.is_empty() {
            details data-key={ "diff-" (key) } open[is_open] {
                summary { (sign(change)) " " (previous(change)) (change.fields.len()) @if change.fields.len() == 1 { " field" } @else { " fields" } }
                (fields(change))
            }
        }
    }
}

fn sign(change: &Change) -> Markup {
    html! {
        span.action.(change.action.as_str()) {
            span aria-hidden="true" { (words::sign(change.action)) } " " (change.action.as_str())
        }
    }
}

/// Who edited a connection last whose fields somebody else moved.
fn edited(change: &Change) -> Markup {
    html! {
        @if let Some(edit) = &change.edited {
            p.quiet {
                "Last edited" @if let Some(by) = &edit.by { " by " strong { (by) } }
                @if let Some(at) = edit.at { ", " (moment(at)) }
            }
        }
    }
}

fn previous(change: &Change) -> Markup {
    html! { @if let Some(previous) = &change.previous_name { "(was " (previous.as_str()) ") " } }
}

fn fields(change: &Change) -> Markup {
    html! {
        ul.fields {
            @for field in &change.fields {
                @for leaf in leaves(field) {
                    li {
                        (difference(&leaf))
                        @if !matches!(change.action, Action::Create | Action::Delete) { " " span.origin { (words::origin(field.origin)) } }
                    }
                }
            }
        }
    }
}

fn difference(leaf: &Leaf) -> Markup {
    html! {
        code { (leaf.label) } " "
        @match &leaf.kind {
            Kind::Added(text) => { (added(text)) }
            Kind::Removed(text) => { (removed(text)) }
            Kind::Base(text) => { span.side { "base " } (text) }
            Kind::Replaced(before, after) => { (removed(before)) " " (added(after)) }
            Kind::Hidden(text) => { (text) " " span.quiet { "(another value)" } }
            Kind::Lines(lines) => { pre tabindex="0" { @for line in lines { (line_of(line)) } } }
        }
    }
}

fn added(text: &str) -> Markup {
    html! { span.side { "git " } ins { (text) } }
}

fn removed(text: &str) -> Markup {
    html! { span.side { "live " } del { (text) } }
}

fn line_of(line: &Line) -> Markup {
    let class = match line.sign {
        LineSign::Added => "added",
        LineSign::Removed => "removed",
        LineSign::Same | LineSign::Place => "same",
    };
    html! {
        span.line.(class) {
            @if line.sign != LineSign::Place { (line.sign.as_char()) " " }
            @for (changed, text) in &line.pieces {
                @if *changed { mark { (text) } } @else { (text) }
            }
        }
        "\n"
    }
}

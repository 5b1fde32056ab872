//! The differences of a plan on the page, in the order and the words of the other reports.

use maud::{Markup, html};

use super::moment;
use crate::daemon::status::Applied;
use crate::plan::{Action, Change};
use crate::report::difference::{Kind, Leaf, Line, LineSign, leaves};
use crate::report::words;

/// The last changes, behind a click.
pub(super) fn plan(target: &str, applied: &Applied) -> Markup {
    let count = applied.changes.len() + applied.more;
    html! {
        details data-key={ "applied-" (target) } {
            summary {
                "Last applied" span.quiet { ", " (count) @if count == 1 { " change, " } @else { " changes, " } (moment(applied.time)) }
            }
            @for change in applied.changes.iter() {
                article.change {
                    h4 { (sign(change)) " " (change.name.as_str()) (previous(change)) " " span.quiet { (change.type_name) } }
                    @if let Some(reason) = words::reason(change) { p { (reason) } }
                    (fields(change))
                }
            }
            @if applied.more > 0 { p.quiet { "And " (applied.more) " more." } }
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

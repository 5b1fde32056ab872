//! The differences of a plan on the page. Values come redacted.

use maud::{Markup, html};
use serde_json::Value;

use super::moment;
use super::target::ROWS;
use crate::daemon::status::ShownPlan;
use crate::plan::{Change, FieldChange};

pub(super) fn plan(target: &str, title: &str, shown: &ShownPlan, is_open: bool) -> Markup {
    let changes = &shown.plan.changes;
    html! {
        @if !changes.is_empty() {
            details id={ (title) "-" (target) } open[is_open] {
                summary {
                    (title) ": " (changes.len()) @if changes.len() == 1 { " change" } @else { " changes" }
                    ", " (moment(shown.time))
                    @if let Some(commit) = &shown.commit { " at " code { (commit.short()) } }
                }
                @for change in changes.iter().take(ROWS) { (one(change)) }
                @if changes.len() > ROWS { p.quiet { "And " (changes.len() - ROWS) " more." } }
            }
        }
    }
}

fn one(change: &Change) -> Markup {
    html! {
        article.change {
            h4 {
                span.action { (change.action.as_str()) } " " (change.name.as_str())
                @if let Some(previous) = &change.previous_name { " (was " (previous.as_str()) ")" }
                " " span.quiet { (change.type_name) }
                @if change.held { " " span.badge.held { "held" } }
            }
            @if let Some(reason) = &change.reason { p { (reason) } }
            @if let Some(advice) = &change.advice { p.advice { (advice) } }
            @if !change.fields.is_empty() { ul.fields { @for field in &change.fields { (difference(field)) } } }
        }
    }
}

fn difference(field: &FieldChange) -> Markup {
    html! {
        li {
            code { (field.path.trim_start_matches('/')) }
            @if let Some(before) = &field.before { " " del { span.hidden { "from " } (text(before)) } }
            @if let Some(after) = &field.after { " " ins { span.hidden { "to " } (text(after)) } }
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

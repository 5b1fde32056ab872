//! The history of targets: events of the audit trail.

use serde_json::{Value, json};

use super::{FORMAT_VERSION, escape, line};
use crate::audit::Event;

/// One line for each event, oldest first.
pub(crate) fn text(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let commit = event.commit.as_ref().map(|commit| format!("commit {}", commit.short()));
        let told = [Some(event.cause.clone()), commit, event.by.clone()];
        let told: Vec<String> = told.into_iter().flatten().collect();
        let shown = format!("{}: {event} ({})", event.target, told.join(", "));
        line(&mut text, format!("{}  {}", event.time, escape::plain(&shown)));
    }
    text
}

/// The events for programs.
pub(crate) fn json(events: &[Event]) -> Value {
    json!({ "format_version": FORMAT_VERSION, "events": events })
}

//! `history`: what the history files say.

use serde_json::json;

use crate::audit::{Event, HistoryFile};
use crate::cli::CommandError;
use crate::cli::args::{HistoryArgs, TextOrJson};
use crate::cli::context::Context;
use crate::cli::session::keep_targets;
use crate::plan::Filter;
use crate::report::exit::DONE;
use crate::report::{FORMAT_VERSION, escape, line};
use crate::state::StateFile;

/// Runs `history`.
///
/// # Errors
/// The config cannot be used, or a file cannot be read.
pub fn run(args: &HistoryArgs, context: &Context) -> Result<u8, CommandError> {
    let mut config = context.config()?;
    keep_targets(&mut config, &args.targets)?;
    let filter = Filter::new(&args.names, &[]);
    let is_wanted = |event: &Event| {
        let names =
            event.connection.as_ref().map_or(args.names.is_empty(), |n| filter.admits("", n));
        names && args.since.is_none_or(|since| event.time >= since)
    };
    let mut events = Vec::new();
    for target in &config.targets {
        let state = StateFile::of_target(&config.state_dir, target);
        let shown = state.shown().with_extension("history.jsonl");
        let found = HistoryFile(state.history()).read();
        let found = found.map_err(CommandError::at("cannot read the history", &shown))?;
        events.extend(found.into_iter().filter(is_wanted));
    }
    events.sort_by_key(|event| event.time);
    let json = || json!({"format_version": FORMAT_VERSION, "events": events});
    match args.output {
        TextOrJson::Text if events.is_empty() => context.say("No such event is known."),
        TextOrJson::Text => context.print(&text(&events)),
        TextOrJson::Json => context.print_json(&json()),
    }
    Ok(DONE)
}

/// One line for each event, oldest first.
fn text(events: &[Event]) -> String {
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

//! `history`: what the history files say.

use super::args::{HistoryArgs, TextOrJson};
use super::context::Context;
use super::error::CommandError;
use super::session::narrow;
use crate::audit::{Event, HistoryFile};
use crate::plan::Filter;
use crate::report;
use crate::state::StateDir;

/// Runs `history`; the exit code.
///
/// # Errors
/// The config cannot be used, or a file cannot be read.
pub fn run(args: &HistoryArgs, context: &Context) -> Result<u8, CommandError> {
    let mut config = context.config()?;
    narrow(&mut config, &args.targets)?;
    let filter = Filter::new(&args.names, &[]);
    let is_wanted = |event: &Event| {
        let names =
            event.connection.as_ref().map_or(args.names.is_empty(), |n| filter.admits("", n));
        names && args.since.is_none_or(|since| event.time >= since)
    };
    let folder = StateDir::new(&config.state_dir);
    let mut events = Vec::new();
    for target in &config.targets {
        let file = HistoryFile(folder.file(&target.manager.url, &target.project).history());
        let found = file.read().map_err(|error| {
            CommandError::Failed(format!(
                "the history {} cannot be read: {error}",
                file.0.display()
            ))
        })?;
        events.extend(found.into_iter().filter(is_wanted));
    }
    events.sort_by_key(|event| event.time);
    match args.output {
        TextOrJson::Text if events.is_empty() => context.say("No such event is known."),
        TextOrJson::Text => context.print(&report::history::text(&events)),
        TextOrJson::Json => context.print_json(&report::history::json(&events)),
    }
    Ok(0)
}

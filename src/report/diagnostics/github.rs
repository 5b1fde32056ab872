//! Diagnostics as workflow commands, which GitHub shows beside the changed lines.

use std::fmt::Write;

use super::group::{groups, word};
use crate::document::Diagnostic;

/// Draws one workflow command for each problem.
#[must_use]
pub fn github(diagnostics: &[Diagnostic]) -> String {
    let mut commands = String::new();
    for group in groups(diagnostics) {
        let diagnostic = group.diagnostic;
        let mark = &diagnostic.mark;
        let mut message = diagnostic.message.clone();
        for (mark, what) in &diagnostic.related {
            // Writing to a String cannot fail.
            let _ = write!(message, "\n{}:{}:{}: {what}", mark.file, mark.line, mark.column);
        }
        if let Some(help) = &diagnostic.help {
            let _ = write!(message, "\nhelp: {help}");
        }
        if !group.targets.is_empty() {
            let _ = write!(message, "\ntargets: {}", group.targets.join(", "));
        }
        let command = word(diagnostic.severity);
        let file = property(&mark.file);
        let place = if mark.line == 0 {
            String::new()
        } else {
            let end = mark.column.saturating_add(mark.length);
            format!(",line={},col={},endColumn={end}", mark.line, mark.column)
        };
        let title = property(diagnostic.code);
        let _ =
            writeln!(commands, "::{command} file={file}{place},title={title}::{}", data(&message));
    }
    commands
}

/// A message: only what would end it, or be read as an escape, is escaped.
fn data(text: &str) -> String {
    let escaped = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    escaped.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A property: commas and colons separate, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

//! Views of diagnostics: text and markdown for people, JSON for programs, workflow commands for GitHub.
//!
//! All are drawn from one list of groups, in which a problem that several targets share is told
//! once. Texts of the user's (file names, values, lines) are made harmless on the way out.

mod markdown;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use serde_json::{Value, json};

use crate::document::{Diagnostic, Mark, Severity};

pub use markdown::markdown;
pub use text::{text, text_with_notes};

pub(super) use markdown::warnings as warning_lines;
pub(super) use text::warnings as warnings_text;

/// The version of this form; fields are only added, never changed.
const FORMAT_VERSION: &str = "1.0";

/// Draws diagnostics as one JSON object.
pub fn json(diagnostics: &[Diagnostic]) -> Value {
    let groups = groups(diagnostics);
    let (errors, warnings) = counts(&groups);
    json!({
        "format_version": FORMAT_VERSION,
        "diagnostics": groups.iter().map(entry).collect::<Vec<_>>(),
        "summary": {"errors": errors, "warnings": warnings},
    })
}

/// The warnings about the documents of a target, as plan, outcome and status list them.
pub(crate) fn warnings_json<'d>(diagnostics: impl IntoIterator<Item = &'d Diagnostic>) -> Value {
    let warning = |one: &Diagnostic| {
        let place = (one.mark.line > 0).then_some((one.mark.line, one.mark.column));
        json!({
            "code": one.code,
            "message": one.message,
            "help": one.help,
            "file": one.mark.file,
            "line": place.map(|(line, _)| line),
            "column": place.map(|(_, column)| column),
            "rule": one.rule,
        })
    };
    let is_warning = |one: &&Diagnostic| one.severity == Severity::Warning;
    diagnostics.into_iter().filter(is_warning).map(warning).collect()
}

fn entry(group: &Group<'_>) -> Value {
    let diagnostic = group.diagnostic;
    let related = diagnostic.related.iter().map(|(mark, what)| {
        let mut place = with_place(json!({}), mark);
        place["message"] = json!(what);
        place
    });
    let entry = json!({
        "code": diagnostic.code,
        "severity": word(diagnostic.severity),
        "message": diagnostic.message,
        "help": diagnostic.help,
        "rule": diagnostic.rule,
    });
    let mut entry = with_place(entry, &diagnostic.mark);
    entry["related"] = related.collect();
    entry["targets"] = json!(group.targets);
    entry
}

/// Adds the file, and where in it.
fn with_place(mut shown: Value, mark: &Mark) -> Value {
    let known = (mark.line > 0).then_some(mark);
    shown["file"] = json!(mark.file);
    shown["line"] = json!(known.map(|mark| mark.line));
    shown["column"] = json!(known.map(|mark| mark.column));
    shown["length"] = json!(known.map(|mark| mark.length));
    shown["text"] = json!(known.map(|mark| &mark.text));
    shown
}

/// Draws one workflow command for each problem, and for each note about files that are not read.
pub fn github(diagnostics: &[Diagnostic], notes: &BTreeSet<String>) -> String {
    let mut commands: String =
        notes.iter().map(|note| format!("::notice::{}\n", data(note))).collect();
    for group in groups(diagnostics) {
        let diagnostic = group.diagnostic;
        let mark = &diagnostic.mark;
        let mut message = diagnostic.message.clone();
        for (mark, what) in &diagnostic.related {
            // Writing to a String cannot fail.
            let _ = write!(message, "\n{mark}: {what}");
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

/// One problem, however many targets have it.
struct Group<'d> {
    diagnostic: &'d Diagnostic,
    /// The targets that it holds for; empty: for all.
    targets: Vec<&'d str>,
}

/// Puts equal problems together, in the order in which they come first.
fn groups(diagnostics: &[Diagnostic]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: HashMap<_, usize> = HashMap::new();
    for diagnostic in diagnostics {
        let mark = &diagnostic.mark;
        let key = (diagnostic.code, &mark.file, mark.line, mark.column, &diagnostic.message);
        let index = *known.entry(key).or_insert_with(|| {
            groups.push(Group { diagnostic, targets: Vec::new() });
            groups.len() - 1
        });
        if let (Some(group), Some(target)) = (groups.get_mut(index), &diagnostic.target)
            && !group.targets.contains(&target.as_str())
        {
            group.targets.push(target);
        }
    }
    groups
}

/// How many errors and warnings there are.
fn counts(groups: &[Group<'_>]) -> (usize, usize) {
    let errors = groups.iter().filter(|g| g.diagnostic.severity == Severity::Error).count();
    (errors, groups.len() - errors)
}

/// `2 errors and 1 warning`, and `3 files`.
fn words(groups: &[Group<'_>]) -> (String, String) {
    let counted = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    let files: BTreeSet<_> = groups.iter().map(|group| &group.diagnostic.mark.file).collect();
    let problems = match counts(groups) {
        (errors, 0) => counted(errors, "error"),
        (0, warnings) => counted(warnings, "warning"),
        (errors, warnings) => {
            format!("{} and {}", counted(errors, "error"), counted(warnings, "warning"))
        }
    };
    (problems, counted(files.len(), "file"))
}

/// The word for a severity.
fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A text that cannot steer a terminal: control characters and marks that turn the direction of
/// writing are replaced one by one, so that columns stay.
fn harmless(text: &str) -> String {
    let replaced = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => '\u{fffd}',
        '\u{feff}' | '\u{61c}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(replaced).collect()
}

//! Views of diagnostics: text and markdown for people, JSON for programs, workflow commands for GitHub.
//!
//! All are drawn from one list of groups, in which a problem that several targets share is told
//! once. Texts of the user's (file names, values, lines) are made harmless on the way out.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fmt::{Display, Write};

use serde_json::{Value, json};

use crate::diagnostic::steers_text;
use crate::document::{Diagnostic, Mark, Severity};
use crate::plan::TargetPlan;
use crate::report::comment::Comment;
use crate::report::style::{Role, Style, sentence, wrapped};
use crate::report::words::counted;
use crate::report::{FORMAT_VERSION, escape};

/// The most other places of one problem that are listed; more are counted.
const MOST_PLACES: usize = 50;

/// The same for a line of a comment, which is cut where it is long.
const MOST_IN_LINE: usize = 3;

/// Draws diagnostics as one JSON object; fields are only added, never changed.
pub fn json(diagnostics: &[Diagnostic]) -> Value {
    let groups = groups(diagnostics);
    let (errors, warnings) = counts(&groups);
    json!({
        "format_version": FORMAT_VERSION,
        "diagnostics": groups.iter().map(entry).collect::<Vec<_>>(),
        "summary": {"errors": errors, "warnings": warnings},
    })
}

/// The problems of one severity of a target's documents and config, as plan, outcome and status list
/// them.
pub(crate) fn list(diagnostics: &[Diagnostic], severity: Severity) -> Vec<&Diagnostic> {
    diagnostics.iter().filter(|one| one.severity == severity).collect()
}

fn entry(group: &SameProblem<'_>) -> Value {
    let related = group.diagnostic.related.iter().map(|(mark, what)| {
        let mut place = json!(mark);
        place["message"] = json!(what);
        place
    });
    let mut entry = json!(group.diagnostic);
    entry["related"] = related.collect();
    entry["targets"] = json!(group.targets);
    entry
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
        let command = diagnostic.severity.into_str();
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
    escaped.chars().map(|c| if c != '\t' && steers_text(c) { '\u{fffd}' } else { c }).collect()
}

/// A property: commas and colons separate, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// One problem, however many targets have it.
struct SameProblem<'d> {
    diagnostic: &'d Diagnostic,
    /// The targets that it holds for; empty: for all.
    targets: Vec<&'d str>,
    /// The other places that have the same problem.
    elsewhere: Vec<&'d Mark>,
}

impl SameProblem<'_> {
    /// The other places of the same problem, as many as `most`, and how many more there are.
    fn elsewhere(&self, most: usize) -> Option<String> {
        let (named, more) = self.elsewhere.split_at(self.elsewhere.len().min(most));
        let named: Vec<String> = named.iter().map(ToString::to_string).collect();
        let more =
            if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        (!named.is_empty()).then(|| named.join(", ") + &more)
    }
}

/// Puts equal problems together, in the order in which they come first.
fn groups(diagnostics: &[Diagnostic]) -> Vec<SameProblem<'_>> {
    let mut groups: Vec<SameProblem<'_>> = Vec::new();
    let mut known: HashMap<_, usize> = HashMap::new();
    for diagnostic in diagnostics {
        let mark = &diagnostic.mark;
        let key = (diagnostic.code, &mark.file, mark.line, mark.column, &diagnostic.message);
        let index = *known.entry(key).or_insert_with(|| {
            groups.push(SameProblem { diagnostic, targets: Vec::new(), elsewhere: Vec::new() });
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

/// Puts problems together that differ in nothing but their place.
fn alike(groups: Vec<SameProblem<'_>>) -> Vec<SameProblem<'_>> {
    let mut alike: Vec<SameProblem<'_>> = Vec::new();
    let mut known: HashMap<_, usize> = HashMap::new();
    for group in groups {
        let Diagnostic { code, message, help, related, .. } = group.diagnostic;
        let key = (*code, message, help, related, group.targets.clone());
        match known.get(&key).and_then(|index| alike.get_mut(*index)) {
            Some(first) => first.elsewhere.push(&group.diagnostic.mark),
            None => {
                known.insert(key, alike.len());
                alike.push(group);
            }
        }
    }
    alike
}

/// How many errors and warnings there are.
fn counts(groups: &[SameProblem<'_>]) -> (usize, usize) {
    let count = |severity| {
        let of_severity = groups.iter().filter(|group| group.diagnostic.severity == severity);
        of_severity.map(|group| 1 + group.elsewhere.len()).sum()
    };
    (count(Severity::Error), count(Severity::Warning))
}

/// `2 errors and 1 warning`, and `3 files`.
fn totals(groups: &[SameProblem<'_>]) -> (String, String) {
    let marks = groups.iter().flat_map(|group| {
        std::iter::once(&group.diagnostic.mark).chain(group.elsewhere.iter().copied())
    });
    let files: BTreeSet<_> = marks.map(|mark| &mark.file).collect();
    let problems = match counts(groups) {
        (errors, 0) => counted(errors, "error"),
        (0, warnings) => counted(warnings, "warning"),
        (errors, warnings) => {
            format!("{} and {}", counted(errors, "error"), counted(warnings, "warning"))
        }
    };
    (problems, counted(files.len(), "file"))
}

/// A text that cannot steer a terminal: control characters and marks that turn the direction of
/// writing are replaced one by one, so that columns stay.
fn column_for_column(text: &str) -> String {
    let replaced = |c: char| match c {
        '\t' => ' ',
        c if steers_text(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(replaced).collect()
}

// Diagnostics for a comment on a pull request.

/// The problems as a comment: their number first, then one line for each, errors before warnings.
/// It is always under 65,000 characters; what gives way is the help, and then the last problems.
pub fn markdown(diagnostics: &[Diagnostic], notes: &BTreeSet<String>) -> String {
    let mut groups = groups(diagnostics);
    let notes: Vec<String> = notes.iter().cloned().collect();
    let mut comment = Comment::of("validate");
    if groups.is_empty() {
        comment.always("### No problems\n");
        comment.list("Notes", &notes);
        return comment.finish(0, "");
    }
    let (problems, files) = totals(&groups);
    comment.always(&format!("### {problems} in {files}\n\n"));
    groups.sort_by_key(|group| group.diagnostic.severity != Severity::Error);
    let whole: Vec<[String; 2]> = groups.iter().map(|group| [head(group), tail(group)]).collect();
    let size: usize = whole.iter().flatten().map(String::len).sum();
    let with_help = size + whole.len() < comment.room();
    let mut written = 0;
    for [head, tail] in &whole {
        let tail = if with_help { tail.as_str() } else { "" };
        if !comment.line(&format!("{head}{tail}")) {
            break;
        }
        written += 1;
    }
    comment.list("Notes", &notes);
    comment.finish(whole.len() - written, "; `validate --output text` shows them all")
}

/// The warnings and the errors of some targets, a line for each that differs in more than its place.
pub(super) fn lines(targets: &[TargetPlan]) -> [Vec<String>; 2] {
    let line = |group: &SameProblem<'_>| {
        let Diagnostic { code, mark, message, help, .. } = group.diagnostic;
        let help = help.iter().map(|help| format!("; {help}")).collect::<String>();
        let elsewhere = group.elsewhere(MOST_IN_LINE).map(|places| format!("; also at {places}"));
        format!("{code} {mark}: {message}{help}{}", elsewhere.unwrap_or_default())
    };
    let all: Vec<Diagnostic> = targets.iter().flat_map(|t| t.diagnostics.clone()).collect();
    let groups = alike(groups(&all));
    [Severity::Warning, Severity::Error].map(|severity| {
        groups.iter().filter(|group| group.diagnostic.severity == severity).map(line).collect()
    })
}

fn head(group: &SameProblem<'_>) -> String {
    let diagnostic = group.diagnostic;
    let severity = match diagnostic.severity {
        Severity::Error => format!("**{}**", diagnostic.severity.into_str()),
        Severity::Warning => diagnostic.severity.into_str().to_owned(),
    };
    let place = escape::code_span(&diagnostic.mark.to_string());
    let message = escape::code_span(&diagnostic.message);
    format!("- {severity} {} {place}: {message}", diagnostic.code)
}

/// The cure, and the targets for which it holds.
fn tail(group: &SameProblem<'_>) -> String {
    let targets = Some(&group.targets).filter(|targets| !targets.is_empty());
    let targets = targets.map(|targets| format!("targets: {}", targets.join(", ")));
    let lines = group.diagnostic.help.iter().chain(&targets);
    lines.map(|line| format!("\n  - {}", escape::code_span(line))).collect()
}

// Diagnostics as compilers show them: code, place, line, carets, help.

/// How far to the right of a line's end a place in it may be marked.
const WIDEST: usize = 100;

/// Draws diagnostics for a terminal or a log; nothing where there are none. Those that differ in
/// their place alone are told once.
pub fn text(diagnostics: &[Diagnostic], style: &Style) -> String {
    let groups = alike(groups(diagnostics));
    let mut page = Page { text: String::new(), style };
    for group in &groups {
        page.group(group);
    }
    page.summary(&groups);
    page.text
}

/// The same below the notes about files that are not read.
pub fn text_with_notes(
    diagnostics: &[Diagnostic],
    notes: &BTreeSet<String>,
    style: &Style,
) -> String {
    let mut out = String::new();
    for note in notes {
        let note = format!("note: {}", column_for_column(note));
        sentence(&mut out, (0, 6), &note, Role::Attention, style);
    }
    out + &text(diagnostics, style)
}

/// The problems of some targets, above what a report says of them.
pub(super) fn text_of(targets: &[TargetPlan], style: &Style) -> String {
    let all: Vec<Diagnostic> = targets.iter().flat_map(|t| t.diagnostics.clone()).collect();
    let text = text(&all, style);
    if text.is_empty() { text } else { text + "\n" }
}

struct Page<'s> {
    text: String,
    style: &'s Style,
}

impl Page<'_> {
    fn line(&mut self, line: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn gutter(&self, text: impl Display) -> String {
        self.style.paint(Role::Margin, text)
    }

    fn group(&mut self, group: &SameProblem<'_>) {
        let diagnostic = group.diagnostic;
        let severity = role(diagnostic.severity);
        let head = format!("{}[{}]", diagnostic.severity.into_str(), diagnostic.code);
        let lead = self.style.paint(severity, &head) + &self.style.paint(Role::Heading, ": ");
        self.wrapped(&lead, head.len() + 2, 2, &diagnostic.message, Role::Heading);
        let related = diagnostic.related.iter().map(|(mark, _)| mark.line);
        let widest = related.chain([diagnostic.mark.line]).max().unwrap_or(0);
        let width = widest.to_string().len();
        self.place(&diagnostic.mark, "-->", width);
        let most = if self.style.verbose { usize::MAX } else { MOST_PLACES };
        let elsewhere = group.elsewhere(most);
        if self.style.summary {
            elsewhere.iter().for_each(|places| self.note(width, "also at", places));
            return;
        }
        self.snippet(&diagnostic.mark, width, '^', "", severity);
        for (mark, what) in &diagnostic.related {
            self.place(mark, ":::", width);
            self.snippet(mark, width, '-', what, Role::Margin);
        }
        elsewhere.iter().for_each(|places| self.note(width, "also at", places));
        if let Some(help) = &diagnostic.help {
            self.note(width, "help", help);
        }
        if let Some((last, others)) = group.targets.split_last() {
            let targets = if others.is_empty() {
                format!("for the target {last}")
            } else {
                format!("for the targets {} and {last}", others.join(", "))
            };
            self.note(width, "note", &targets);
        }
        self.line("");
    }

    fn place(&mut self, mark: &Mark, arrow: &str, width: usize) {
        let place = column_for_column(&mark.to_string());
        let arrow = self.gutter(format!("{:width$}{arrow}", ""));
        self.line(format!("{arrow} {place}"));
    }

    fn snippet(&mut self, mark: &Mark, width: usize, sign: char, label: &str, role: Role) {
        if mark.text.is_empty() {
            if !label.is_empty() {
                self.note(width, "note", label);
            }
            return;
        }
        let bar = self.gutter(format!("{:width$} |", ""));
        self.line(&bar);
        let number = self.gutter(format!("{:width$} |", mark.line));
        let shown = column_for_column(&mark.text);
        self.line(format!("{number} {}", shown.trim_end()));
        let columns = shown.chars().count();
        let before = (mark.column as usize).saturating_sub(1);
        // Hidden values may be longer in the file, and long lines are cut.
        if before <= columns.max(WIDEST) {
            let length = (mark.length as usize).clamp(1, columns.saturating_sub(before).max(1));
            let carets: String = std::iter::repeat_n(sign, length).collect();
            let label = if label.is_empty() { String::new() } else { format!(" {label}") };
            let carets = self.style.paint(role, format!("{carets}{label}"));
            self.line(format!("{bar} {:before$}{carets}", ""));
        }
    }

    fn note(&mut self, width: usize, word: &str, text: &str) {
        let bar = self.gutter(format!("{:width$} =", ""));
        let lead = format!("{bar} {} ", self.style.paint(Role::Heading, format!("{word}:")));
        let column = width + word.len() + 5;
        self.wrapped(&lead, column, column, text, Role::Plain);
    }

    /// Writes a sentence behind a lead that ends at a column, its other lines from another.
    fn wrapped(&mut self, lead: &str, column: usize, others: usize, text: &str, role: Role) {
        let lines =
            wrapped(&column_for_column(text), self.style.width.saturating_sub(column.max(others)));
        for (number, text) in lines.iter().enumerate() {
            let text = self.style.paint(role, text);
            let before = if number == 0 { lead.to_owned() } else { " ".repeat(others) };
            self.line(before + &text);
        }
    }

    fn summary(&mut self, groups: &[SameProblem<'_>]) {
        if groups.is_empty() {
            return;
        }
        let worst = if counts(groups).0 > 0 { Severity::Error } else { Severity::Warning };
        let (counts, files) = totals(groups);
        let counts = self.style.paint(role(worst), counts);
        self.line(format!("{counts} in {files}"));
    }
}

fn role(severity: Severity) -> Role {
    match severity {
        Severity::Error => Role::Wrong,
        Severity::Warning => Role::Attention,
    }
}

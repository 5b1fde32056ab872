//! Diagnostics as compilers show them: code, place, line, carets, help.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};

use anstyle::{AnsiColor, Style};

use super::{Group, counts, groups, harmless, word, words};
use crate::document::{Diagnostic, Mark, Severity};
use crate::plan::TargetPlan;
use crate::report;
use crate::report::style::Role;
use crate::report::wrap::{sentence, wrapped};

/// How far to the right of a line's end a place in it may be marked.
const WIDEST: usize = 100;

/// Draws diagnostics for a terminal or a log; nothing where there are none.
pub fn text(diagnostics: &[Diagnostic], style: &report::Style) -> String {
    let groups = groups(diagnostics);
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
    style: &report::Style,
) -> String {
    let mut out = String::new();
    for note in notes {
        let note = format!("note: {}", harmless(note));
        sentence(&mut out, (0, 6), &note, Role::Attention, style);
    }
    out + &text(diagnostics, style)
}

/// The warnings about the documents of some targets, above what a report says of them.
pub(in crate::report) fn warnings(targets: &[TargetPlan], style: &report::Style) -> String {
    let all: Vec<Diagnostic> = targets.iter().flat_map(TargetPlan::warnings).cloned().collect();
    let text = text(&all, style);
    if text.is_empty() { text } else { text + "\n" }
}

struct Page<'s> {
    text: String,
    style: &'s report::Style,
}

impl Page<'_> {
    fn line(&mut self, line: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn paint(&self, style: Style, text: impl Display) -> String {
        if self.style.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    fn gutter(&self, text: impl Display) -> String {
        self.paint(AnsiColor::Blue.on_default().bold(), text)
    }

    fn group(&mut self, group: &Group<'_>) {
        let diagnostic = group.diagnostic;
        let severity = severity_style(diagnostic.severity);
        let head = format!("{}[{}]", word(diagnostic.severity), diagnostic.code);
        let lead = self.paint(severity, &head) + &self.paint(Style::new().bold(), ": ");
        self.wrapped(&lead, head.len() + 2, 2, &diagnostic.message, Style::new().bold());
        let related = diagnostic.related.iter().map(|(mark, _)| mark.line);
        let widest = related.chain([diagnostic.mark.line]).max().unwrap_or(0);
        let width = widest.to_string().len();
        self.place(&diagnostic.mark, "-->", width);
        self.snippet(&diagnostic.mark, width, '^', "", severity);
        for (mark, what) in &diagnostic.related {
            self.place(mark, ":::", width);
            let style = AnsiColor::Blue.on_default().bold();
            self.snippet(mark, width, '-', what, style);
        }
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
        let place = harmless(&mark.to_string());
        let arrow = self.gutter(format!("{:width$}{arrow}", ""));
        self.line(format!("{arrow} {place}"));
    }

    fn snippet(&mut self, mark: &Mark, width: usize, sign: char, label: &str, style: Style) {
        if mark.text.is_empty() {
            if !label.is_empty() {
                self.note(width, "note", label);
            }
            return;
        }
        let bar = self.gutter(format!("{:width$} |", ""));
        self.line(&bar);
        let number = self.gutter(format!("{:width$} |", mark.line));
        let shown = harmless(&mark.text);
        self.line(format!("{number} {}", shown.trim_end()));
        let columns = shown.chars().count();
        let before = (mark.column as usize).saturating_sub(1);
        // Hidden values may be longer in the file, and long lines are cut.
        if before <= columns.max(WIDEST) {
            let length = (mark.length as usize).clamp(1, columns.saturating_sub(before).max(1));
            let carets: String = std::iter::repeat_n(sign, length).collect();
            let label = if label.is_empty() { String::new() } else { format!(" {label}") };
            let carets = self.paint(style, format!("{carets}{label}"));
            self.line(format!("{bar} {:before$}{carets}", ""));
        }
    }

    fn note(&mut self, width: usize, word: &str, text: &str) {
        let bar = self.gutter(format!("{:width$} =", ""));
        let lead = format!("{bar} {} ", self.paint(Style::new().bold(), format!("{word}:")));
        let column = width + word.len() + 5;
        self.wrapped(&lead, column, column, text, Style::new());
    }

    /// Writes a sentence behind a lead that ends at a column, its other lines from another.
    fn wrapped(&mut self, lead: &str, column: usize, others: usize, text: &str, style: Style) {
        let lines = wrapped(&harmless(text), self.style.width.saturating_sub(column.max(others)));
        for (number, text) in lines.iter().enumerate() {
            let text = self.paint(style, text);
            let before = if number == 0 { lead.to_owned() } else { " ".repeat(others) };
            self.line(before + &text);
        }
    }

    fn summary(&mut self, groups: &[Group<'_>]) {
        if groups.is_empty() {
            return;
        }
        let worst = if counts(groups).0 > 0 { Severity::Error } else { Severity::Warning };
        let (counts, files) = words(groups);
        let counts = self.paint(severity_style(worst), counts);
        self.line(format!("{counts} in {files}"));
    }
}

fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
    }
}

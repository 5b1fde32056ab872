//! Diagnostics for a comment on a pull request.

use std::fmt::Write as _;

use crate::document::{Diagnostic, Severity};

/// A list with one line for each problem, errors and warnings told apart.
#[must_use]
pub fn markdown(diagnostics: &[Diagnostic]) -> String {
    if diagnostics.is_empty() {
        return "No problems.\n".to_owned();
    }
    let mut text = String::new();
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "**error**",
            Severity::Warning => "warning",
        };
        let mark = &diagnostic.mark;
        let place = code(&format!("{}:{}:{}", mark.file, mark.line, mark.column));
        let (message, number) = (plain(&diagnostic.message), diagnostic.code);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "- {severity} {number} {place}: {message}");
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(text, "  - {}", plain(help));
        }
    }
    text
}

fn code(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control() && *c != '`').collect();
    format!("`{clean}`")
}

/// Text that can neither start HTML nor break out of its line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            '[' | ']' | '|' | '*' | '_' | '\\' => {
                plain.push('\\');
                plain.push(c);
            }
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

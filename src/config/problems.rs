//! The problems of one config, collected so that all of them are told at once.
//!
//! Every snippet goes through here, because a line that shows a mistake may also show a secret:
//! what stands under a secret or an unknown key, and user info in a URL, is never repeated.

use crate::document::{Diagnostic, Mark, Severity};
use crate::secret::SENSITIVE;

use super::yaml::Place;
use crate::document::code::Code;

/// The longest line that is shown, in characters.
const LONGEST_LINE: usize = 300;

/// The problems of one config so far.
#[derive(Debug)]
pub(super) struct Problems {
    file: String,
    lines: Vec<String>,
    hidden: Vec<Place>,
    values_hidden: bool,
    found: Vec<Diagnostic>,
}

/// A problem before it is placed.
#[derive(Debug)]
pub(super) struct Problem {
    code: &'static Code,
    severity: Severity,
    message: String,
    help: Option<String>,
}

impl Problem {
    /// What refuses the config.
    pub(super) fn error(code: &'static Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), help: None }
    }

    /// What is taken, and told all the same.
    pub(super) fn warning(code: &'static Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Warning, message: message.into(), help: None }
    }

    /// Says what to do about it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Problems {
    /// Begins with none; the text is what snippets are cut from.
    pub(super) fn new(file: &str, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            hidden: Vec::new(),
            values_hidden: false,
            found: Vec::new(),
        }
    }

    /// Never shows what stands there.
    pub(super) fn hide(&mut self, place: Place) {
        self.hidden.push(place);
    }

    /// Never shows what follows a key.
    pub(super) fn hide_values(&mut self) {
        self.values_hidden = true;
    }

    /// Adds a problem at a place.
    pub(super) fn add(&mut self, place: Place, problem: Problem) {
        self.add_related(place, problem, Vec::new());
    }

    /// Adds a problem at a place that has to do with other places.
    pub(super) fn add_related(
        &mut self,
        place: Place,
        problem: Problem,
        related: Vec<(Place, String)>,
    ) {
        let related = related.into_iter().map(|(at, what)| (self.mark(at), what)).collect();
        self.found.push(Diagnostic {
            code: problem.code.id,
            severity: problem.severity,
            message: problem.message,
            help: problem.help,
            mark: self.mark(place),
            related,
            target: None,
        });
    }

    /// All problems by place; lines are masked now that everything hidden is known.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        let mut found = std::mem::take(&mut self.found);
        for diagnostic in &mut found {
            self.show(&mut diagnostic.mark);
            for (mark, _) in &mut diagnostic.related {
                self.show(mark);
            }
        }
        found.sort_by_key(|problem| (problem.mark.line, problem.mark.column));
        found
    }

    fn mark(&self, place: Place) -> Mark {
        let (line, column) = place.start;
        let length = if place.end.0 == line {
            place.end.1.saturating_sub(column)
        } else {
            let width = self.line(line).map_or(0, |text| text.chars().count());
            width.saturating_sub(column)
        };
        Mark {
            file: self.file.clone(),
            line: small(line),
            column: small(column + 1),
            length: small(length.max(1)),
            text: String::new(),
        }
    }

    fn line(&self, line: usize) -> Option<&str> {
        line.checked_sub(1).and_then(|index| self.lines.get(index)).map(String::as_str)
    }

    /// Adds the line to a mark. How long a secret is stays untold, too.
    fn show(&self, mark: &mut Mark) {
        let at = (mark.line as usize, (mark.column as usize).saturating_sub(1));
        if self.hidden.iter().any(|place| covers(place, at.0, at.1)) {
            mark.length = small(SENSITIVE.len());
        }
        mark.text = self.shown(at.0);
    }

    /// A line with what is hidden in it replaced.
    fn shown(&self, line: usize) -> String {
        let Some(text) = self.line(line) else { return String::new() };
        if self.values_hidden {
            return key_alone(text);
        }
        let mut shown = String::new();
        let mut masking = false;
        for (column, character) in text.chars().enumerate().take(LONGEST_LINE) {
            let hidden = self.hidden.iter().any(|place| covers(place, line, column));
            match (hidden, masking) {
                (false, _) => shown.push(character),
                (true, false) => shown.push_str(SENSITIVE),
                (true, true) => {}
            }
            masking = hidden;
        }
        without_user_info(&shown)
    }
}

/// The key that a line begins with; nothing of one that begins with something else.
fn key_alone(line: &str) -> String {
    let Some((key, value)) = line.split_once(':') else { return String::new() };
    if key.chars().any(|c| !(c.is_alphanumeric() || c.is_whitespace() || "-_".contains(c))) {
        return String::new();
    }
    let value = if value.trim().is_empty() { "" } else { " ..." };
    format!("{key}:{value}")
}

fn covers(place: &Place, line: usize, column: usize) -> bool {
    (line, column) >= place.start && (line, column) < place.end
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A text with the user info of every URL in it replaced.
pub(super) fn without_user_info(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, authority) = rest.split_at(at + 3);
        shown.push_str(before);
        let ends = |c: char| c == '/' || c == '"' || c == '\'' || c.is_whitespace();
        let length = authority.find(ends).unwrap_or(authority.len());
        rest = authority;
        if let Some(host) = authority[..length].rfind('@') {
            shown.push_str(SENSITIVE);
            rest = &authority[host..];
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_is_never_shown() {
        for (text, shown) in [
            ("url: https://a:b@host/x", "url: https://(sensitive)@host/x"),
            (
                "[https://u@h, 'ssh://git:p@x:22/y']",
                "[https://(sensitive)@h, 'ssh://(sensitive)@x:22/y']",
            ),
            ("https://host/a@b", "https://host/a@b"),
            ("none at all", "none at all"),
        ] {
            assert_eq!(without_user_info(text), shown);
        }
    }
}

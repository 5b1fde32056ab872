//! A problem before its place in a file is known.
//!
//! The checks work on merged values and say where by JSON pointer, so they stay free of files and
//! texts; places are looked up afterwards, for the few documents that have problems.

use super::code::Code;
use super::{Diagnostic, Mark, Severity};

/// A document of a load: the number of its file, and its own number in that file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct At {
    pub(crate) file: usize,
    pub(crate) document: usize,
}

/// A problem of one connection.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) code: &'static Code,
    pub(crate) severity: Severity,
    /// JSON pointer into the merged document.
    pub(crate) pointer: String,
    /// The part that is marked there.
    pub(crate) part: Part,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// It holds for the target that was loaded and perhaps for no other.
    pub(crate) of_target: bool,
    /// The document to point at, where it is not the one that brought the value.
    pub(crate) at: Option<At>,
    /// Other places: the document, a pointer into it, and what it is.
    pub(crate) related: Vec<(At, String, String)>,
    /// The rule of the user that found it.
    pub(crate) rule: Option<String>,
}

/// The marked part of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
    /// This text within the value, where it is found there; it is a reference, never a secret.
    Text(String),
    /// The first key of the document.
    Start,
    /// The first character of the value.
    Begin,
}

impl Finding {
    pub(crate) fn error(code: &'static Code, pointer: impl Into<String>, message: String) -> Self {
        Self {
            code,
            severity: Severity::Error,
            pointer: pointer.into(),
            part: Part::Value,
            message,
            help: None,
            of_target: false,
            at: None,
            related: Vec::new(),
            rule: None,
        }
    }

    pub(crate) fn warning(
        code: &'static Code,
        pointer: impl Into<String>,
        message: String,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, pointer, message) }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn part(mut self, part: Part) -> Self {
        self.part = part;
        self
    }

    pub(crate) fn of_target(mut self) -> Self {
        self.of_target = true;
        self
    }

    pub(crate) fn at(mut self, at: At) -> Self {
        self.at = Some(at);
        self
    }

    /// The problem with its places.
    pub(crate) fn into_diagnostic(self, mark: Mark, related: Vec<(Mark, String)>) -> Diagnostic {
        Diagnostic {
            code: self.code.id,
            severity: self.severity,
            message: self.message,
            help: self.help,
            mark,
            related,
            target: None,
            rule: self.rule,
        }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A word of the user's in a message: in backticks, cut where it is long.
pub(crate) fn quoted(word: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = word.chars().take(LONGEST).collect();
    if shown.len() < word.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}

//! A problem in a file: its message, its place, and the way to mend it.
//!
//! Checks work on values and tell a `Finding` by JSON pointer, so they stay free of files and
//! texts. An `Excerpt` of the file gives it its place and the source line, in which no secret is
//! shown.

pub mod code;
mod excerpt;
mod finding;
mod masks;
mod text;

use std::fmt;

use code::Code;

pub(crate) use excerpt::Excerpt;
pub(crate) use finding::{At, Finding, Part, quoted};
pub(crate) use masks::{hides_secret, is_field, is_secret_in_key, only_references};
pub(crate) use text::{Chunk, FileText, split};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The commit is refused.
    Error,
    /// The commit is taken.
    Warning,
}

/// A place in a file, with the line to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The path of the file.
    pub file: String,
    /// The line, counted from 1; 0 where the problem is of the file as a whole.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
    /// How many characters are marked, at least 1.
    pub length: u32,
    /// The source line, with every secret value already replaced; empty where there is none.
    pub text: String,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// A problem in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code, as `docs/reference/diagnostics.md` lists it.
    pub code: &'static str,
    /// Whether it refuses the commit.
    pub severity: Severity,
    /// The problem in one sentence that names the field and never a secret value.
    pub message: String,
    /// The cure.
    pub help: Option<String>,
    /// Where it is.
    pub mark: Mark,
    /// Other places that belong to it, with what they are (the first use of a name, say).
    pub related: Vec<(Mark, String)>,
    /// The target that it holds for, where it does not hold for all.
    pub target: Option<String>,
    /// The rule of the user that found it.
    pub rule: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static Code, message: String, mark: Mark) -> Self {
        Self {
            code: code.id,
            severity: Severity::Error,
            message,
            help: None,
            mark,
            related: Vec::new(),
            target: None,
            rule: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Mark {
    /// The mark of a file as a whole, in a file that is named later.
    pub(crate) fn whole_file() -> Self {
        Self { file: String::new(), line: 0, column: 0, length: 1, text: String::new() }
    }
}

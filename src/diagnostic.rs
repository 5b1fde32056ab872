//! A problem in a file: its message, its place, and the way to mend it.
//!
//! Checks work on values and tell a `Finding` by JSON pointer, so they stay free of files and
//! texts. An `Excerpt` of the file gives it its place and the source line, in which no secret is
//! shown.

pub mod code;
mod excerpt;
mod text;

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::json;

use code::Code;

pub(crate) use excerpt::{Excerpt, hides_secret, is_field, is_secret_in_key, only_references};
pub(crate) use text::{Chunk, FileText, LARGEST_FILE, split};

/// How bad a problem is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Severity {
    /// The commit, or the config, is refused.
    Error,
    /// It is taken.
    Warning,
}

/// A place in a file, with the line to show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

impl Serialize for Mark {
    /// Of a file as a whole only its path is known.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = (self.line > 0).then_some(self);
        let place = json!({
            "file": self.file,
            "line": known.map(|mark| mark.line),
            "column": known.map(|mark| mark.column),
            "length": known.map(|mark| mark.length),
            "text": known.map(|mark| &mark.text),
        });
        place.serialize(serializer)
    }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The stable code, as `docs/reference/diagnostics.md` lists it.
    pub code: &'static str,
    /// Whether it refuses the commit.
    pub severity: Severity,
    /// The problem in one sentence that names the field and never a secret value.
    pub message: String,
    /// The cure; as long as nobody knows a better one that of the code.
    pub help: Option<String>,
    /// The rule of the user that found it.
    pub rule: Option<String>,
    /// Where it is.
    #[serde(flatten)]
    pub mark: Mark,
    /// Other places that belong to it, with what they are (the first use of a name, say).
    #[serde(skip)]
    pub related: Vec<(Mark, String)>,
    /// The target that it holds for, where it does not hold for all.
    #[serde(skip)]
    pub target: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static Code, message: String, mark: Mark) -> Self {
        Self {
            code: code.id,
            severity: Severity::Error,
            message,
            help: Some(code.help()),
            mark,
            related: Vec::new(),
            target: None,
            rule: None,
        }
    }
}

impl fmt::Display for Diagnostic {
    /// In one line of a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.mark, self.message)
    }
}

impl Mark {
    /// The mark of a file as a whole, in a file that is named later.
    pub(crate) fn whole_file() -> Self {
        Self { file: String::new(), line: 0, column: 0, length: 1, text: String::new() }
    }
}

// A problem before its place in a file is known. Places are looked up afterwards, for the few documents
// that have problems.

/// A document of a load: the number of its file, and its own number in that file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct At {
    pub(crate) file: usize,
    pub(crate) document: usize,
}

/// A problem of a value whose place in the text is not known yet.
#[derive(Debug)]
pub(crate) struct Finding {
    /// The problem without its places.
    pub(crate) problem: Diagnostic,
    /// JSON pointer into the merged document, or into the config.
    pub(crate) pointer: String,
    /// The part that is marked there.
    pub(crate) part: Part,
    /// It holds for the target that was loaded and perhaps for no other.
    pub(crate) of_target: bool,
    /// The document to point at, where it is not the one that brought the value.
    pub(crate) at: Option<At>,
    /// Other places: the document, a pointer into it, and what it is.
    pub(crate) related: Vec<(At, String, String)>,
}

/// The marked part of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
    /// This text within the value, where it is found there; it is a reference, never a secret.
    Text(String),
    /// The first line of the document that has content.
    FirstLine,
    /// The first character of the value.
    FirstCharacter,
}

impl Finding {
    pub(crate) fn error(code: &'static Code, pointer: impl Into<String>, message: String) -> Self {
        Self {
            problem: Diagnostic::error(code, message, Mark::whole_file()),
            pointer: pointer.into(),
            part: Part::Value,
            of_target: false,
            at: None,
            related: Vec::new(),
        }
    }

    pub(crate) fn warning(
        code: &'static Code,
        pointer: impl Into<String>,
        message: String,
    ) -> Self {
        Self::error(code, pointer, message).severity(Severity::Warning)
    }

    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.problem.severity = severity;
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.problem.help = Some(help.into());
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

    pub(crate) fn is_error(&self) -> bool {
        self.problem.severity == Severity::Error
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

/// Whether a character is no text: a control character, or an invisible one with which a text can
/// pretend to read otherwise on a terminal.
pub(crate) fn steers_text(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

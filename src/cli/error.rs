//! How a command ends when it cannot do its work: one message, its hints, and exit code 1.

use std::fmt::Display;

use crate::document::Diagnostic;
use crate::report::{Style, diagnostics};

/// Why a command could not do its work.
#[derive(Clone, Debug)]
pub enum CommandError {
    /// A sentence, shown behind `error: `.
    Failed(String),
    /// A sentence, and what to do about it.
    WithHint(String, String),
    /// Something that is shown as it is, diagnostics for example.
    Shown(String),
    /// Problems of a file that `validate` shows in the form that was asked for.
    Invalid(Vec<Diagnostic>),
}

impl CommandError {
    /// Takes any error that is a sentence for the user.
    pub fn failed(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// The text for stderr.
    pub fn text(&self, style: &Style) -> String {
        let error = if style.color { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
        match self {
            Self::Failed(message) => format!("{error}: {message}"),
            Self::WithHint(message, hint) => format!("{error}: {message}\nhint: {hint}"),
            Self::Shown(text) => text.clone(),
            Self::Invalid(problems) => diagnostics::text(problems, style),
        }
    }
}

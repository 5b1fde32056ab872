//! Views of plans, outcomes, problems, status and explanations: text for a terminal, JSON for programs,
//! markdown for a comment on a pull request.
//!
//! Those of plans and outcomes are drawn from one model, the entries of a [`crate::plan::TargetPlan`], and
//! show its differences in one order and one wording (`difference`), so that none can show what another
//! hides. Values come redacted. Here they are made harmless: an escape sequence in a name may not reach a
//! terminal, and a fence in a value may not end a block of markdown (`escape`).

mod comment;
pub mod diagnostics;
pub(crate) mod difference;
pub(crate) mod escape;
pub mod exit;
pub mod explain;
mod groups;
pub(crate) mod outcome;
pub(crate) mod plan;
pub(crate) mod pull;
pub(crate) mod status;
mod style;
pub(crate) mod words;

pub use style::Style;
pub(crate) use style::{Role, wrapped};

/// Ends a line, without blanks at its end.
pub(crate) fn line(out: &mut String, text: impl AsRef<str>) {
    out.push_str(text.as_ref().trim_end());
    out.push('\n');
}

/// The version of the JSON forms; fields are only added, never changed.
pub(crate) const FORMAT_VERSION: &str = "1.0";

#[cfg(test)]
mod samples;

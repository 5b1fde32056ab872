//! Views of diagnostics: text for people, JSON for programs, annotations for GitHub.
//!
//! All are drawn from one list of groups, in which a problem that several targets share is told
//! once. Texts of the user's (file names, values, lines) are made harmless on the way out.

mod github;
mod group;
mod json;
mod markdown;
#[cfg(test)]
mod tests;
mod text;

pub use github::github;
pub use json::json;
pub use markdown::markdown;
pub use text::text;

pub(super) use json::warnings as warnings_json;
pub(super) use markdown::warnings as warning_lines;
pub(super) use text::warnings as warnings_text;

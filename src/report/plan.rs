//! Views of a plan.

mod fields;
mod json;
mod markdown;
mod text;

pub(crate) use json::json;
pub(crate) use markdown::markdown;
pub(crate) use text::text;

pub(super) use json::change as change_json;
pub(super) use markdown::heads;
pub(super) use text::{head, told};

#[cfg(test)]
mod tests;

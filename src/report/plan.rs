//! Views of a plan.

mod fields;
mod json;
mod markdown;
mod text;

pub use json::json;
pub use markdown::{MARKER, markdown};
pub use text::text;

pub(super) use json::change as change_json;

#[cfg(test)]
mod tests;

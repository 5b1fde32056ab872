//! Views of what a running daemon says of itself at `/api/v1/status`.
//!
//! They are drawn from the JSON as it came over the wire: the daemon may be of another version,
//! so what it does not say is left out and what it adds is passed over.

mod markdown;
mod model;
mod text;

pub(crate) use markdown::markdown;
pub(crate) use model::is_healthy;
pub(crate) use text::text;

#[cfg(test)]
mod tests;

//! What of a config decides which documents a target reads.

use aws_lc_rs::digest::{Context, SHA256};

use super::Target;

/// A stable digest of what decides which documents a target reads: its name and its paths.
///
/// The state keeps it beside what a commit declared; while it is the same, that record answers
/// for the commit, and the repository need not be asked.
#[must_use]
pub fn config_digest(target: &Target) -> String {
    let mut context = Context::new(&SHA256);
    for part in std::iter::once(&target.name).chain(&target.paths) {
        // The length keeps ["ab", "c"] and ["a", "bc"] apart.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

//! The digest of the part of a config that decides which documents a target reads.

use super::Target;
use crate::digest::{Sha256, hex};

/// A stable digest of what decides which documents a target reads: its name and its paths.
///
/// The state keeps it beside what a commit declared; while it is the same, that record answers
/// for the commit, and the repository need not be asked.
#[must_use]
pub fn config_digest(target: &Target) -> String {
    let mut context = Sha256::new();
    for part in std::iter::once(&target.name).chain(&target.paths) {
        // The length keeps ["ab", "c"] and ["a", "bc"] apart.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex(&context.finish())
}

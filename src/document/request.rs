//! What is asked of a load.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::source::Folder;

/// What to load.
pub struct LoadRequest<'r> {
    /// One for each configured path, in its order: later ones patch earlier ones.
    pub folders: &'r [Folder],
    /// The target that it is for; `None`: every document counts, whatever its `targets`.
    pub target: Option<&'r str>,
    /// The names of all targets, to warn of `targets` that name none; `None`: not known.
    pub known_targets: Option<&'r BTreeSet<String>>,
    /// The target's variables; `None`: not known, so nothing is said of them.
    pub vars: Option<&'r BTreeMap<String, Value>>,
}

/// Whether documents with these `targets` are for a target.
pub(super) fn is_for(target: Option<&str>, targets: Option<&BTreeSet<String>>) -> bool {
    match (target, targets) {
        (Some(target), Some(targets)) => targets.contains(target),
        _ => true,
    }
}

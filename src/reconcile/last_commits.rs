//! The commits that changed connections. A run may apply several at once: the one to name is the last that
//! changed the files of the connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::LoadedTarget;
use crate::name::{CommitId, ConnectionName};
use crate::plan::TargetPlan;
use crate::record::LastCommit;
use crate::source::{Commit, Repository, Snapshot, SourceError};

/// How many commits one pass looks at: past that the newest stands for the one that is looked for.
const MOST_LOOKS: usize = 2_000;

/// The last commit of each connection that git changes in this plan. `last_good` and what came before it
/// changed nothing. Blocks.
pub(super) fn of_changes(
    snapshot: &Snapshot,
    loaded: &LoadedTarget,
    last_good: Option<&CommitId>,
    plan: &TargetPlan,
) -> BTreeMap<ConnectionName, Arc<LastCommit>> {
    let Snapshot::Commit { repository, commit: tip } = snapshot else { return BTreeMap::new() };
    let mut files = loaded.files();
    let mut looks = MOST_LOOKS;
    let changed = plan.entries.iter().filter(|entry| {
        entry.change.as_ref().is_some_and(|change| change.action.is_write() && change.is_of_git())
    });
    let found = changed.map(|entry| {
        let files = files.remove(&entry.name).unwrap_or_default();
        let found = last_change(repository, &tip.id, last_good, &files, &mut looks);
        let found = found.unwrap_or_else(|error| {
            tracing::debug!(connection = %entry.name, "its last commit is not known: {error}");
            None
        });
        let Commit { id, author, time, .. } = found.unwrap_or_else(|| tip.clone());
        (entry.name.clone(), Arc::new(LastCommit { id, author, time }))
    });
    found.collect()
}

/// Goes back from the tip to the commit that has the files otherwise than all that it was made from.
/// `None`: no commit is seen to have changed them. A var may have changed, or the clone is shallow.
fn last_change(
    repository: &Repository,
    tip: &CommitId,
    last_good: Option<&CommitId>,
    files: &[String],
    looks: &mut usize,
) -> Result<Option<Commit>, SourceError> {
    let mut at = tip.clone();
    while last_good != Some(&at) && *looks > 0 {
        *looks -= 1;
        let Some(commit) = repository.history_of(&at)? else { return Ok(None) };
        let mut same = None;
        for parent in commit.parents {
            if !repository.has_commit(&parent)? {
                return Ok(None);
            }
            if repository.is_same_at(&at, &parent, files)? {
                same = Some(parent);
                break;
            }
        }
        match same {
            Some(parent) => at = parent,
            None => return repository.commit(&at),
        }
    }
    Ok(None)
}

//! The ids of the connections that a run created: a create does not tell them, and without one a
//! connection that somebody makes anew under the name could be mistaken for ours (rule 3).

use std::collections::BTreeSet;

use super::Job;
use crate::api::Listed;
use crate::name::ConnectionName;
use crate::plan::{Action, Entry};

/// Reads one list for each type of which something was created, where lists show ids, and keeps the
/// ids. A list that cannot be read is no failure of the run: the next reading compares what live
/// shows with what was written.
pub(super) async fn learn(job: &Job<'_>, entries: &[Entry]) {
    let live = job.observed.live;
    if !live.connections.is_empty() && !live.shows_ids() {
        return;
    }
    let changes = entries.iter().filter_map(|entry| entry.change.as_ref());
    let created: BTreeSet<&ConnectionName> = changes
        .filter(|change| matches!(change.action, Action::Create | Action::Replace))
        .map(|change| &change.name)
        .collect();
    let types: BTreeSet<String> = job.ledger.read(|record| {
        let owned = created.iter().filter_map(|name| record.owned(name));
        owned.filter(|owned| owned.id.is_none()).map(|owned| owned.type_name.clone()).collect()
    });
    for type_name in types {
        let Ok(Listed::Complete(listed)) = job.client.list(&type_name).await else { continue };
        for live in listed.into_iter().filter(|live| created.contains(&live.name)) {
            job.ledger.edit_memory(&live.name, |memory| {
                let ours = memory.owned.as_mut().filter(|owned| owned.id.is_none());
                if let Some(owned) = ours.filter(|owned| owned.type_name == live.type_name) {
                    owned.id.clone_from(&live.id);
                }
            });
        }
    }
}

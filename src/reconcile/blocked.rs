//! Names that a commit blocks because documents of it are not valid.

use std::collections::BTreeMap;

use super::load::LoadedTarget;
use super::look::Looked;
use super::notes::is_renamed;
use crate::inventory::Record;
use crate::name::ConnectionName;

/// The names that a commit which did not load whole blocks, with why.
pub(super) fn blocked_names(
    loaded: &LoadedTarget,
    record: &Record,
) -> Result<BTreeMap<ConnectionName, String>, String> {
    let mut blocked: BTreeMap<ConnectionName, String> = loaded.loaded.invalid.clone();
    for file in &loaded.loaded.unreadable {
        let Some(good) = &record.last_good else {
            return Err(format!(
                "{file} cannot be read, so which connections it declares is not known"
            ));
        };
        let mut known = false;
        for (name, files) in &good.declared {
            if files.iter().any(|f| **f == **file) {
                known = true;
                let reason = format!("{file}, which declared it, cannot be read");
                blocked.entry(name.clone()).or_insert(reason);
            }
        }
        if !known {
            return Err(format!(
                "{file} cannot be read, so which connections it declares is not known"
            ));
        }
    }
    Ok(blocked)
}

/// Blocks the old names of renames whose documents are not valid: while a rename is not done, its
/// old name is kept from everybody else.
pub(super) fn block_old_names(
    blocked: &mut BTreeMap<ConnectionName, String>,
    mut renames: BTreeMap<ConnectionName, ConnectionName>,
    record: &Record,
    looked_at: &Looked<'_>,
) {
    // What cannot be read now renamed what the last good commit said.
    let known = record.last_good.iter().flat_map(|good| &good.renames);
    for (new, old) in known.filter(|(new, _)| blocked.contains_key(*new)) {
        renames.entry(new.clone()).or_insert_with(|| old.clone());
    }
    let Looked { desired, live, .. } = looked_at;
    for (new, old) in renames {
        let is_declared = live.connections.contains_key(&old) && desired.contains_key(&old);
        if (is_declared || record.inventory.contains_key(&old)) && !is_renamed(record, live, &new) {
            let reason = format!("waits until `{new}`, which is not valid, is renamed from it");
            blocked.entry(old).or_insert(reason);
        }
    }
}

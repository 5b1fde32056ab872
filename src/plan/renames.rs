//! Renames: which git declares, and which of them are done (rule 6).
//!
//! | a rename is | when | where |
//! |---|---|---|
//! | done | the connection of the new name is ours and live; where lists fail, `Owned::renamed_from` says it | `open_renames` |
//! | open | it is not done, or the new name is itself the old name of an open one | `open_renames` |
//! | due | the old name is live, and the new one is not, or a due rename frees it | `decide/renamed.rs` |
//! | refused | both are live, and the new one is not ours: it is blocked, and the old name is locked | `decide/renamed.rs` |
//! | inert | it is done, and a connection of ours that git does not declare has the old name | `decide/renamed.rs` |
//!
//! The last three are of names that this run has seen. `Owned::renamed_from` is what the document said when live
//! was last compared with it, also where nothing had to be renamed.

use std::collections::BTreeMap;

use crate::desired::{Desired, DesiredConnection};
use crate::live::Live;
use crate::name::ConnectionName;
use crate::record::Record;

/// A new name, and the old one that `renamedFrom` gives.
pub(crate) type Pair<'n> = (&'n ConnectionName, &'n ConnectionName);

/// The renames that are declared: new and old name.
pub(crate) fn renames_of(desired: &Desired) -> impl Iterator<Item = Pair<'_>> {
    desired.values().filter_map(DesiredConnection::rename)
}

impl DesiredConnection {
    /// The rename that its document declares.
    pub(crate) fn rename(&self) -> Option<Pair<'_>> {
        Some((&self.name, self.options.renamed_from.as_ref()?))
    }
}

/// The renames that are not done: the new name by the old one. `renames` are pairs of a new and an old name.
/// While a rename is not done, its commit counts as declaring the old name; after that it does not, so that
/// no commit removed a connection that is made later under the old name.
pub(crate) fn open_renames<'n>(
    renames: impl IntoIterator<Item = Pair<'n>>,
    record: &Record,
    live: &Live,
) -> BTreeMap<&'n ConnectionName, &'n ConnectionName> {
    let (mut open, mut others) = (BTreeMap::new(), renames.into_iter().collect::<Vec<_>>());
    loop {
        let before = others.len();
        others.retain(|(new, old)| {
            // The connection of the new name may be one that another rename is still to move on.
            let is_open = !has_arrived(new, old, record, live) || open.contains_key(new);
            if is_open {
                open.entry(*old).or_insert(*new);
            }
            !is_open
        });
        if others.len() == before {
            return open;
        }
    }
}

/// Whether the connection of the new name is ours and live. Where lists that fail may lack it, the memory tells
/// whether this very rename was made.
fn has_arrived(new: &ConnectionName, old: &ConnectionName, record: &Record, live: &Live) -> bool {
    let was_made = |from: Option<&ConnectionName>| !live.is_complete() && from == Some(old);
    record.owned(new).is_some_and(|owned| {
        live.connections.contains_key(new) || was_made(owned.renamed_from.as_ref())
    })
}

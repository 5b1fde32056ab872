//! Renames: which git declares, and how each of them stands (rule 6).
//!
//! | a rename is | when |
//! |---|---|
//! | done | the connection of the new name is ours and live; where lists fail, `Owned::renamed_from` says it |
//! | inert | it is done, and a connection of ours that git does not declare has the old name |
//! | open | it is not done; or the connection of its new name is itself to be renamed by an open one |
//! | due | it is open; the old name is live, and not of a connection that was made after this rename, as ids tell; the new name is not live, or a due rename frees it |
//! | waits | it is open; the connection of the new name is ours, and a rename that is not due is to move it on |
//! | refused | it is open; both names are live, the new one is not ours, and no connection is to stay under the old one |
//!
//! [`open_renames`] tells the done ones from the open ones, before any row is made. `standing` in `decide/renamed.rs`
//! tells the others apart, from the rows of both names.
//! Each comparison of a connection with its document sets `Owned::renamed_from` to what the document says, whether
//! or not a rename was made. Whether the call of a rename arrived is another question, which ids answer: `was_renamed` in
//! `apply/rename.rs` asks it right after the call, and `is_ours` in `unanswered.rs` in the next run.

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

/// The renames that are not done: the new name by the old one. `renames` are pairs of a new and an old name.
/// While a rename is not done, its commit counts as declaring the old name. Once it is done the commit does not,
/// so no later commit removes a connection that is made under the old name.
pub(crate) fn open_renames<'n>(
    renames: impl IntoIterator<Item = Pair<'n>>,
    record: &Record,
    live: &Live,
) -> BTreeMap<&'n ConnectionName, &'n ConnectionName> {
    let mut open = BTreeMap::new();
    take_all(&mut renames.into_iter().collect(), |(new, old)| {
        // The connection of the new name may be one that another rename is still to move on.
        let is_open = !is_done(new, old, record, live) || open.contains_key(new);
        if is_open {
            open.entry(*old).or_insert(*new);
        }
        is_open
    });
    open
}

/// Whether the connection of the new name is ours and live. Where lists that fail may lack it, the memory tells
/// whether this very rename was made.
fn is_done(new: &ConnectionName, old: &ConnectionName, record: &Record, live: &Live) -> bool {
    let was_made = |from: Option<&ConnectionName>| !live.is_complete() && from == Some(old);
    record.owned(new).is_some_and(|owned| {
        live.connections.contains_key(new) || was_made(owned.renamed_from.as_ref())
    })
}

/// Takes elements out, again and again until none of the rest is taken: one that is taken may free another.
pub(crate) fn take_all<T>(rest: &mut Vec<T>, mut takes: impl FnMut(&T) -> bool) {
    loop {
        let before = rest.len();
        rest.retain(|one| !takes(one));
        if rest.len() == before {
            return;
        }
    }
}

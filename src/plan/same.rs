//! Whether two things are one connection.

use crate::inventory::Owned;
use crate::live::LiveConnection;

/// Whether what is live is the very connection of the inventory's entry: of its type and, where
/// both are known, of its id.
pub(super) fn is_the_same(owned: &Owned, live: &LiveConnection) -> bool {
    let same_id = match (&owned.id, &live.id) {
        (Some(known), Some(shown)) => known == shown,
        _ => true,
    };
    same_id && owned.type_name == live.type_name
}

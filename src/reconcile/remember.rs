//! What the record keeps beside the plan: what outlives its document, and what a base revision stands
//! for.

use crate::desired::Desired;
use crate::inventory::{GoodCommit, Owned, Record};
use crate::plan::compare::Context;
use crate::secret::FingerprintKey;

/// Only a commit lifts `protect`: a working tree leaves it as the inventory has it.
pub(super) fn keep_protected(desired: &mut Desired, record: &Record) {
    for connection in desired.values_mut() {
        let names = [Some(&connection.name), connection.options.renamed_from.as_ref()];
        let is_protected =
            |name| record.inventory.get(name).is_some_and(|owned: &Owned| owned.protect);
        if names.into_iter().flatten().any(is_protected) {
            connection.options.protect = true;
        }
    }
}

/// The record that `--base REV` stands for: the inventory is what REV declared.
pub(super) fn record_of_base(good: GoodCommit, desired: &Desired, key: &FingerprintKey) -> Record {
    let empty = Record::default();
    let context = Context {
        record: &empty,
        key,
        key_is_known: true,
        stateless: true,
        corrects_drift: true,
        resend_secrets: false,
    };
    let inventory = desired
        .values()
        .map(|connection| {
            let owned = Owned {
                type_name: connection.connection_type.name.to_owned(),
                base: crate::plan::compare::base_of(connection, &context).into(),
                protect: connection.options.protect,
                ..Owned::default()
            };
            (connection.name.clone(), owned)
        })
        .collect();
    Record {
        last_good: Some(good),
        inventory,
        key_check: Some(key.check_value()),
        ..Record::default()
    }
}

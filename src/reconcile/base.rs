//! `--base REV`: the record that a revision stands for.

use std::sync::Arc;

use super::Engine;
use super::Options;
use super::load::load_target;
use crate::config::Target;
use crate::desired;
use crate::document::Severity;
use crate::plan::compare::{Keys, base_of};
use crate::record::{Memory, Owned, Record};
use crate::source::Snapshot;

/// The record that a base revision stands for: its declarations are the inventory. Blocks.
pub(super) fn record_of_base(
    engine: &Engine,
    target: &Target,
    base: &Snapshot,
    options: &Options,
    keys: Keys<'_>,
) -> Result<Record, String> {
    let then = load_target(engine, target, base).map_err(|error| error.to_string())?;
    if then.loaded.has_errors() {
        let errors = then.loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        let first = errors.map(|d| format!(": {}", d.message)).next().unwrap_or_default();
        return Err(format!(
            "the base revision does not load whole, so what it declared is not known{first}"
        ));
    }
    let commit = base.commit().map(|commit| commit.id.clone()).unwrap_or_default();
    let good = then.as_good_commit(engine.config_digest(target), &commit);
    let desired = desired::resolve(then.loaded.documents, &engine.resolution(target, options));
    let connections = desired.values().map(|connection| {
        let owned = Owned {
            type_name: connection.connection_type.name.to_owned(),
            base: base_of(connection, keys, true),
            protect: connection.options.protect,
            ..Owned::default()
        };
        let memory = Memory { owned: Some(owned), ..Memory::default() };
        (connection.name.clone(), Arc::new(memory))
    });
    Ok(Record {
        last_good: Some(good),
        connections: connections.collect(),
        key_check: Some(keys.key.check_value()),
        ..Record::default()
    })
}

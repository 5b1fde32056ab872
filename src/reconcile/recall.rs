//! The record that a reconcile goes by: read from the state file of the target under the lock, or the
//! one that `--base REV` stands for.

use std::sync::Arc;

use super::earlier_commits::is_overtaken;
use super::load::load_target;
use super::prepare::Reconcile;
use super::{Connection, Engine, Prepared, RunOptions, blocking};
use crate::api::ENDING;
use crate::config::Target;
use crate::desired;
use crate::plan::compare::{Keys, base_of};
use crate::record::{Memory, Owned, Record};
use crate::source::Snapshot;
use crate::state::{Ledger, Lock, StateError, StateFile};

/// The consequences for a target whose state is gone.
const LOST_STATE: &str = "what git declares is adopted again, nothing is deleted, and consents, holds \
                          and protection are forgotten";

impl Reconcile<'_> {
    /// Reads the state, under its lock where it will be written, or what the base revision stands
    /// for.
    pub(super) async fn recall(
        &self,
        connection: &Connection,
        prepared: &mut Prepared<'_>,
    ) -> Result<(Record, Option<Ledger>), String> {
        let Self { engine, target, snapshot, options } = *self;
        if let Some(base) = &options.base_revision {
            let notice = "compared with the base revision, without a state: rotated values of the \
                          environment are not seen";
            prepared.plan.notices.push(notice.to_owned());
            let keys = Keys { key: &connection.key, is_known: true, profile: None };
            let record = blocking(|| record_of_base(engine, target, base, options, keys))?;
            return Ok((record, None));
        }
        let file = engine.state_file(target);
        let lock = if options.writes { Some(self.lock(&file).await?) } else { None };
        if !options.writes && !file.exists() {
            prepared.plan.notices.push(format!(
                "there is no state of this target in {} and no --base: deletes cannot be known",
                file.home()
            ));
        }
        let record = file.read_aside().await.map_err(|error| error.to_string())?;
        if let Some(lost_at) = record.lost_at {
            self.tell_lost_state(lost_at, &record, prepared).map_err(|error| error.to_string())?;
        }
        if options.writes && options.follows && is_overtaken(engine, snapshot, &record) {
            return Err("a newer commit was applied by another process while this one waited; an \
                        older one is not put in its place"
                .to_owned());
        }
        let ledger = lock.map(|lock| Ledger::new(record.clone(), Some(file), Some(lock)));
        Ok((record, ledger))
    }

    /// Tells that the state was found to be gone, and keeps what stands in its place: a target stays
    /// suspended for other processes and after a restart too.
    fn tell_lost_state(
        &self,
        lost_at: i64,
        record: &Record,
        prepared: &mut Prepared<'_>,
    ) -> Result<(), StateError> {
        let Self { engine, target, snapshot, options } = *self;
        let time = jiff::Timestamp::from_second(lost_at).unwrap_or_default();
        let suspended = if record.suspended { "; it is still suspended" } else { "" };
        prepared.plan.notices.push(format!(
            "the state of this target was found to be gone at {time}: {LOST_STATE}{suspended}"
        ));
        if !options.writes {
            return Ok(());
        }
        let file = engine.state_file(target);
        if !file.exists() {
            blocking(|| file.write(record))?;
        }
        let commit = snapshot.commit().map(|commit| &commit.id);
        engine.trail(target, true).of_run(commit, &options.asked).lost_state(time, LOST_STATE);
        Ok(())
    }

    async fn lock(&self, file: &StateFile) -> Result<Lock, String> {
        let lock = tokio::select! {
            lock = file.lock(self.options.lock_timeout, &self.options.asked.cause) => lock,
            () = self.options.stop.cancelled() => return Err(ENDING.to_owned()),
        };
        lock.map_err(|error| error.to_string())
    }

    /// Whether the record's fingerprints were made under today's key; another one makes every masked
    /// secret unverified.
    pub(super) fn check_key(
        &self,
        record: &mut Record,
        connection: &Connection,
        prepared: &mut Prepared<'_>,
    ) -> bool {
        let check = connection.key.check_value();
        let is_known = record.key_check.as_ref().is_none_or(|known| *known == check);
        if !is_known {
            prepared.plan.notices.push(
                "the fingerprint key changed: secrets that the server masks cannot be compared, and \
                 are unverified; `apply --resend-secrets` sends them again"
                    .to_owned(),
            );
        }
        record.key_check = Some(check);
        is_known
    }
}

/// The record that a base revision stands for: its declarations are the inventory. Blocks.
fn record_of_base(
    engine: &Engine,
    target: &Target,
    base: &Snapshot,
    options: &RunOptions,
    keys: Keys<'_>,
) -> Result<Record, String> {
    let then = load_target(engine, target, base).map_err(|error| error.to_string())?;
    if then.contents.has_errors() {
        let first = then.contents.errors().next();
        let first = first.map(|error| format!(": {}", error.message)).unwrap_or_default();
        return Err(format!(
            "the base revision does not load whole, so what it declared is not known{first}"
        ));
    }
    let commit = base.commit().map(|commit| commit.id.clone()).unwrap_or_default();
    let good = then.as_good_commit(engine.config_digest(target), &commit);
    let desired = desired::resolve(&then.contents.documents, &engine.resolution(target, options));
    let connections = desired.values().map(|connection| {
        let owned = Owned {
            type_name: connection.connection_type.name.to_owned(),
            base: Arc::new(base_of(connection, keys, true)),
            protect: connection.options.protect,
            renamed_from: connection.options.renamed_from.clone(),
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

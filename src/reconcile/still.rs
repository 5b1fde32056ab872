//! Whether anything moved since a pass that found nothing to do.
//!
//! A plan is a function of what it is made from. While that stays the same to the byte (the commit,
//! the lists, the state, the values of the environment, the key), another pass would find nothing
//! either, and need not be made. A single difference, or a secret that is due to be read back, and
//! it is made as ever, from the very answers that showed it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::connect::{Connection, connect};
use super::recall::lock_within;
use super::{Engine, Options, now};
use crate::api::Retries;
use crate::config::Target;
use crate::desired::Desired;
use crate::inventory::Record;
use crate::name::CommitId;
use crate::observe::{self, Answers, Marks};
use crate::plan::Planned;
use crate::secret::{FingerprintKey, Sensitive};
use crate::source::Snapshot;
use crate::state::{Lock, StateMark};

/// What a pass that found nothing to do was made from.
#[derive(Debug)]
pub struct Basis {
    commit: CommitId,
    state: StateMark,
    lists: Marks,
    key: String,
    /// The values of the environment that the documents refer to, by name.
    values: Vec<(String, Sensitive)>,
    /// The newest reading of a secret, and when the next one is due, in seconds since 1970.
    read: i64,
    due: i64,
}

/// Whether anything moved.
#[derive(Debug)]
pub enum Stillness {
    /// Nothing.
    Still,
    /// Something, with what was looked at to see it, if it was begun.
    Stirred(Option<Box<Begun>>),
}

/// A pass that was begun: under the lock of the state, which is as it was, with the answers of all
/// lists.
#[derive(Debug)]
pub struct Begun {
    pub(super) connection: Connection,
    pub(super) lock: Option<Lock>,
    pub(super) answers: Answers,
    pub(super) before: Marks,
}

/// Looks whether anything moved.
pub async fn is_still(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    options: &Options,
    basis: &Basis,
) -> Stillness {
    let nothing_begun = Stillness::Stirred(None);
    let same_commit = snapshot.commit().is_some_and(|commit| commit.id == basis.commit);
    if !same_commit || basis.reads_are_due(now()) || !basis.has_values(engine) {
        return nothing_begun;
    }
    let Ok(connection) = connect(engine, target) else { return nothing_begun };
    if connection.key.check_value() != basis.key {
        return nothing_begun;
    }
    let connection = connection.with_retries(options);
    // The pass that follows waits for whoever holds it, and once is enough.
    let Ok(lock) = lock_within(Duration::ZERO, engine, target, options).await else {
        return nothing_begun;
    };
    let file = engine.state_file(target);
    let state = tokio::task::block_in_place(|| file.mark());
    if !state.is_ok_and(|state| state == basis.state) {
        return nothing_begun;
    }
    let asked = observe::ask(&connection.client, target.concurrency, Some(&basis.lists));
    let answers = asked.answers().await;
    if answers.are(&basis.lists) {
        return Stillness::Still;
    }
    let before = basis.lists.clone();
    Stillness::Stirred(Some(Box::new(Begun { connection, lock, answers, before })))
}

impl Connection {
    /// The same for one run, whose retries have a budget of their own.
    pub(super) fn with_retries(self, options: &Options) -> Self {
        let retries = Retries::new(options.retries, options.stop.child_token());
        let client = self.client.with_retries(retries.within(options.limit.clone()));
        Self { client, ..self }
    }
}

/// What a pass was made from, and what it came to.
pub(super) struct Made<'a> {
    pub(super) engine: &'a Engine,
    pub(super) target: &'a Target,
    pub(super) commit: Option<&'a CommitId>,
    pub(super) desired: &'a Desired,
    /// The names of the environment that the documents refer to.
    pub(super) env_names: BTreeSet<String>,
    /// Whether lists and documents said all: nothing was read one by one, nothing is not valid.
    pub(super) is_plain: bool,
    pub(super) planned: &'a Planned,
    pub(super) lists: Option<Marks>,
    pub(super) state: Option<StateMark>,
    pub(super) key: &'a FingerprintKey,
}

impl Basis {
    /// The basis of a pass that found nothing to do and nothing that waits; it holds if the pass
    /// then writes nothing, the state included.
    pub(super) fn of(made: Made<'_>) -> Option<Self> {
        let Planned { plan, record, .. } = made.planned;
        let waits = !record.intents.is_empty()
            || !record.deletes.is_empty()
            || !record.degraded.is_empty()
            || !record.unstable.is_empty()
            || record.suspended;
        if waits || !made.is_plain || !plan.changes.is_empty() || !plan.errors.is_empty() {
            return None;
        }
        let (read, due) = reads(made.desired, record, made.target)?;
        Some(Self {
            commit: made.commit?.clone(),
            state: made.state?,
            lists: made.lists?,
            key: made.key.check_value(),
            values: values(made.env_names, made.engine)?,
            read,
            due,
        })
    }

    /// Whether a secret is due to be read back; a clock that was set back must not put that off.
    fn reads_are_due(&self, now: i64) -> bool {
        now >= self.due || now < self.read
    }

    /// Whether the environment has the same values. Files that it names are read.
    fn has_values(&self, engine: &Engine) -> bool {
        self.values.iter().all(|(name, value)| {
            engine.environment.lookup(name).is_ok_and(|today| today.is(value.expose()))
        })
    }
}

/// The newest reading of a secret, and when the oldest is due again; `None`: one is due.
fn reads(desired: &Desired, record: &Record, target: &Target) -> Option<(i64, i64)> {
    let every = i64::try_from(target.verify_secrets.as_secs()).unwrap_or(i64::MAX);
    let (mut read, mut due) = (i64::MIN, i64::MAX);
    for connection in desired.values().filter(|c| c.declares_secret && !c.options.suspend) {
        let checked = record.inventory.get(&connection.name)?.secrets_checked?;
        read = read.max(checked);
        due = due.min(checked.saturating_add(every));
    }
    Some((read, due))
}

/// The values of all names that documents refer to; `None`: one has none.
fn values(names: BTreeSet<String>, engine: &Engine) -> Option<Vec<(String, Sensitive)>> {
    let value = |name: String| {
        let value = engine.environment.lookup(&name).ok()?;
        Some((name, value))
    };
    names.into_iter().map(value).collect()
}

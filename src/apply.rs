//! Carrying a plan out: the calls, in order, and what came of each.
//!
//! Everything is noted before it is sent where a crash could otherwise leave an orphan, and
//! remembered after it was acknowledged. One failure stops nothing but what waits for it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::api::Client;
use crate::desired::Desired;
use crate::environment::Environment;
use crate::inventory::{Record, Unstable};
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;
use crate::plan::compare::Context;
use crate::plan::{Action, CREATE, Change, Origin, TargetPlan, whole_digest};
use crate::secret::{FingerprintKey, Redactor};
use crate::state::{Ledger, StateError};

mod create;
mod delete;
mod outcome;
mod rename;
mod replace;
mod update;
mod writing;

pub use outcome::{ChangeResult, Counts, TargetOutcome, only_planned};

/// All that carrying out the plan of one target needs.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The plan.
    pub plan: &'a TargetPlan,
    /// What git wants.
    pub desired: &'a Desired,
    /// What live had when the plan was made.
    pub live: &'a Live,
    /// The own answers from then.
    pub singles: &'a BTreeMap<ConnectionName, LiveConnection>,
    /// Connections of one type that all differ in a secret that was read back.
    pub canaries: &'a BTreeMap<&'static str, Vec<ConnectionName>>,
    /// Who calls.
    pub client: &'a Client,
    /// What is remembered.
    pub ledger: &'a Ledger,
    /// How often fields had been written when the plan was made.
    pub unstable: &'a BTreeMap<ConnectionName, BTreeMap<String, Unstable>>,
    /// The key of today's fingerprints.
    pub key: &'a FingerprintKey,
    /// Whether the record's fingerprints were made under that key.
    pub key_is_known: bool,
    /// Whether the base came from a revision.
    pub stateless: bool,
    /// Whether drift is written back.
    pub corrects_drift: bool,
    /// Whether every declared secret is sent again.
    pub resend_secrets: bool,
    /// Whether what moved since the plan stops its change: a saved plan is carried out as it
    /// stands or not at all.
    pub strict: bool,
    /// The target's plain values and the environment, for the secrets of what a replace deletes.
    pub vars: &'a BTreeMap<String, serde_json::Value>,
    /// See `vars`.
    pub environment: &'a Environment,
    /// Learns every secret that is read.
    pub redactor: &'a Redactor,
    /// How many calls may be under way at once.
    pub concurrency: usize,
    /// Now, in seconds since 1970.
    pub now: i64,
    /// Ends the run: what has begun is finished, nothing more is begun.
    pub stop: &'a CancellationToken,
    /// Told after each change.
    pub progress: &'a (dyn Fn(&Change, &ChangeResult) + Sync),
}

/// Carries the plan out.
///
/// # Errors
/// The state could not be written before the first call; nothing was sent then.
pub async fn apply(job: &Job<'_>) -> Result<TargetOutcome, StateError> {
    note_before_the_calls(job);
    job.ledger.save().await?;
    let mut outcome = outcome::start(job.plan);
    let run = Run { job, failed_to_save: CancellationToken::new(), not_done: BTreeSet::new() };
    outcome.results = run.all().await;
    if let Err(error) = job.ledger.save().await {
        outcome.errors.push(error.to_string());
    }
    Ok(outcome)
}

/// Notes every create and rename in one go: a crash between a call and its answer must leave no
/// orphan. Where a call follows the state is written even if nothing is noted, so that one that
/// cannot be written stops the run before its first call; where none does it is left as it is.
fn note_before_the_calls(job: &Job<'_>) {
    let is_sent = |c: &&Change| !c.held && !matches!(c.action, Action::Blocked | Action::Drift);
    if !job.plan.changes.iter().any(|change| is_sent(&change)) {
        return;
    }
    let context_record = job.ledger.read(Clone::clone);
    let context = job.context(&context_record);
    job.ledger.edit(|record| {
        for change in job.plan.changes.iter().filter(|c| !c.held) {
            let Some(desired) = job.desired.get(&change.name) else { continue };
            let intent = match change.action {
                Action::Create | Action::Replace => create::intent(desired, &context),
                Action::Rename => rename::intent(job, change, desired, &context),
                _ => continue,
            };
            record.intents.insert(desired.name.clone(), intent);
        }
    });
}

/// Counts one more PUT of each field that it was about: a field that does not stay is given up
/// after two. Only what the server acknowledged counts, so that a process which is killed before
/// its calls gives up nothing that was never sent.
fn count_puts(
    record: &mut Record,
    change: &Change,
    desired: &crate::desired::DesiredConnection,
    key: &FingerprintKey,
) {
    for shown in &change.fields {
        let field = desired.field(&shown.path);
        let is_secret = field.is_some_and(crate::desired::DesiredField::is_secret);
        if is_secret && shown.origin == Origin::Git {
            // Nothing was read of it, so nothing can be seen not to stay.
            continue;
        }
        let wanted = field.and_then(|f| f.value()).cloned().or_else(|| shown.after.clone());
        let wanted = wanted.unwrap_or(serde_json::Value::Null);
        record.count(&desired.name, &shown.path, &wanted, key);
    }
}

impl<'a> Job<'a> {
    /// What a comparison looks at, with the record as it is given.
    fn context<'r>(&self, record: &'r Record) -> Context<'r>
    where
        'a: 'r,
    {
        Context {
            record,
            key: self.key,
            key_is_known: self.key_is_known,
            stateless: self.stateless,
            corrects_drift: self.corrects_drift,
            resend_secrets: self.resend_secrets,
        }
    }

    /// The part of the record that the comparison of one connection looks at.
    fn record_for(&self, name: &ConnectionName) -> Record {
        self.ledger.read(|record| Record {
            readable: record.readable.clone(),
            unstable: self
                .unstable
                .get(name)
                .map(|fields| BTreeMap::from([(name.clone(), fields.clone())]))
                .unwrap_or_default(),
            ..Record::default()
        })
    }

    /// Whether nothing more may be begun.
    fn is_ending(&self) -> bool {
        self.stop.is_cancelled() || self.client.retries().stopped().is_some()
    }
}

/// Changes with their place in the plan.
type Numbered<'c> = Vec<(usize, &'c Change)>;

struct Run<'j, 'a> {
    job: &'j Job<'a>,
    /// Cancelled once an acknowledged write could not be made durable: nothing more is begun.
    failed_to_save: CancellationToken,
    /// Names that a rename of this plan should have freed, and did not.
    not_done: BTreeSet<ConnectionName>,
}

impl Run<'_, '_> {
    async fn all(mut self) -> Vec<(Change, ChangeResult)> {
        let mut results: BTreeMap<usize, ChangeResult> = BTreeMap::new();
        let changes = &self.job.plan.changes;
        let of = |action: Action| -> Numbered<'_> {
            changes.iter().enumerate().filter(|(_, c)| c.action == action).collect()
        };
        // A chain of renames is walked from its free end, one after the other.
        for (index, change) in of(Action::Rename) {
            let result = self.one(change).await;
            if result != ChangeResult::Done
                && !matches!(result, ChangeResult::Degraded(_))
                && let Some(old) = &change.previous_name
            {
                self.not_done.insert(old.clone());
            }
            results.insert(index, result);
        }
        for action in [Action::Replace, Action::Create] {
            self.phase(of(action), &mut results).await;
        }
        let (first, others) = self.canaries_first(of(Action::Update));
        self.phase(first, &mut results).await;
        let (others, waiting) = self.without_canary(others, &results);
        self.phase(others, &mut results).await;
        for (index, change) in waiting {
            let why = "waits until another secret of its type has been written and read back";
            let result = ChangeResult::Failed(why.to_owned());
            (self.job.progress)(change, &result);
            results.insert(index, result);
        }
        for action in [Action::Delete, Action::Blocked, Action::Drift] {
            self.phase(of(action), &mut results).await;
        }
        let in_order = changes.iter().cloned().enumerate();
        in_order
            .map(|(index, change)| {
                let result = results.remove(&index).unwrap_or(ChangeResult::NotStarted);
                (change, result)
            })
            .collect()
    }

    /// Where the readable secrets of a type differ on several connections at once, one is
    /// written and read back before the others: perhaps the server has begun to hide them.
    fn canaries_first<'c>(&self, updates: Numbered<'c>) -> (Numbered<'c>, Numbered<'c>) {
        let first: BTreeSet<&ConnectionName> = self
            .job
            .canaries
            .values()
            .filter(|names| names.len() > 1)
            .filter_map(|names| names.first())
            .collect();
        updates.into_iter().partition(|(_, change)| first.contains(&change.name))
    }

    /// Splits off the updates whose canary was not written and read back: whether the server
    /// still shows secrets of their type is not known.
    fn without_canary<'c>(
        &self,
        updates: Numbered<'c>,
        results: &BTreeMap<usize, ChangeResult>,
    ) -> (Numbered<'c>, Numbered<'c>) {
        let failed: BTreeSet<&ConnectionName> = results
            .iter()
            .filter(|(_, result)| **result != ChangeResult::Done)
            .filter_map(|(index, _)| Some(&self.job.plan.changes.get(*index)?.name))
            .collect();
        let waiting: BTreeSet<&ConnectionName> = self
            .job
            .canaries
            .values()
            .filter(|names| names.len() > 1)
            .filter(|names| names.first().is_some_and(|first| failed.contains(first)))
            .flatten()
            .collect();
        updates.into_iter().partition(|(_, change)| !waiting.contains(&change.name))
    }

    async fn phase(&self, changes: Numbered<'_>, results: &mut BTreeMap<usize, ChangeResult>) {
        let mut waiting = changes.into_iter();
        let mut running = FuturesUnordered::new();
        // A step that waits its turn is no more than its number: of many that is what counts.
        loop {
            while running.len() < self.job.concurrency.max(1)
                && let Some(numbered) = waiting.next()
            {
                running.push(self.numbered(numbered));
            }
            let Some((index, result)) = running.next().await else { break };
            results.insert(index, result);
        }
    }

    async fn numbered(&self, (index, change): (usize, &Change)) -> (usize, ChangeResult) {
        (index, self.one(change).await)
    }

    async fn one(&self, change: &Change) -> ChangeResult {
        let was_known = self.job.ledger.read(|record| record.inventory.contains_key(&change.name));
        let result = self.carry_out(change).await;
        match result {
            ChangeResult::Done | ChangeResult::Degraded(_) => self.count(change, was_known),
            ChangeResult::NotStarted => self.forget_note(change),
            _ => {}
        }
        tell(change, &result);
        (self.job.progress)(change, &result);
        if self.job.ledger.save_if_due().await.is_err() {
            self.failed_to_save.cancel();
        }
        result
    }

    /// Counts an acknowledged write, so that one which does not stay is not made for ever.
    fn count(&self, change: &Change, was_known: bool) {
        let Some(desired) = self.job.desired.get(&change.name) else { return };
        let key = self.job.key;
        self.job.ledger.edit(|record| match change.action {
            Action::Update => count_puts(record, change, desired, key),
            Action::Create if was_known => {
                record.count(&desired.name, CREATE, &whole_digest(desired), key);
            }
            _ => {}
        });
    }

    /// Takes the note of a call back that was never sent: it must claim nothing that somebody
    /// else makes.
    fn forget_note(&self, change: &Change) {
        if matches!(change.action, Action::Create | Action::Rename | Action::Replace) {
            self.job.ledger.edit(|record| record.intents.remove(&change.name));
        }
    }

    async fn carry_out(&self, change: &Change) -> ChangeResult {
        let job = self.job;
        let reason = || change.reason.clone().unwrap_or_default();
        match change.action {
            Action::Blocked => return ChangeResult::Blocked(reason()),
            Action::Drift => return ChangeResult::Reported,
            _ if change.held => return ChangeResult::Held(reason()),
            _ => {}
        }
        if job.is_ending() || self.failed_to_save.is_cancelled() {
            return ChangeResult::NotStarted;
        }
        if self.not_done.contains(&change.name) {
            self.forget_note(change);
            return ChangeResult::Blocked(format!(
                "waits for the name `{}`, which an earlier step did not free",
                change.name
            ));
        }
        match change.action {
            Action::Delete => delete::delete(job, change).await,
            action => {
                let Some(desired) = job.desired.get(&change.name) else {
                    return ChangeResult::NotStarted;
                };
                match action {
                    Action::Rename => rename::rename(job, change, desired).await,
                    Action::Replace => replace::replace(job, desired).await,
                    Action::Create => create::create(job, desired).await,
                    _ => update::update(job, desired).await,
                }
            }
        }
    }
}

fn tell(change: &Change, result: &ChangeResult) {
    let (action, connection) = (change.action.as_str(), change.name.as_str());
    match result {
        ChangeResult::Done => info!(action, connection, "done"),
        // Who asked for the run tells what failed, all at once and not again at every pass.
        ChangeResult::Failed(why) => debug!(action, connection, "failed: {why}"),
        ChangeResult::Degraded(why) => debug!(action, connection, "saved but not deployed: {why}"),
        other => debug!(action, connection, result = ?other, "not made"),
    }
}

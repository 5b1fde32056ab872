//! Carries a plan out: makes the calls, in order, and gives the result of each.
//!
//! A call whose loss could mislead a later run is noted before it is sent (see `note`), so that the next run can
//! settle it. A call is remembered after it was acknowledged. One failure stops only the changes that wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::api::Client;
use crate::config::Target;
use crate::desired::{Desired, DesiredConnection, Resolution};
use crate::name::{CommitId, ConnectionName};
use crate::plan::compare::{CompareSettings, Comparison, LiveView, Remembered, compare};
use crate::plan::{
    Action, Change, ChangeResult, Entry, Judge, Observed, TargetPlan, all_declared, attempt,
    consent_to_redeploy,
};
use crate::record::{LastCommit, Owned, Record};
use crate::state::{Ledger, StateError};

mod create;
mod delete;
mod note;
mod rename;
mod replace;
mod send;
mod update;

use send::Ended;
pub(crate) use update::ReadableNow;

/// All that carrying out the plan of one target needs.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) target: &'a Target,
    /// The desired connections.
    pub(crate) desired: &'a Desired,
    /// Live as it was when the plan was made.
    pub(crate) observed: &'a Observed,
    /// The record as the plan leaves it.
    pub(crate) record_of_plan: &'a Record,
    pub(crate) compare_by: CompareSettings<'a>,
    /// Judges changes that are made over from a fresh answer.
    pub(crate) judge: Judge<'a>,
    /// Resolves the secrets of the connection that a replace deletes.
    pub(crate) resolution: Resolution<'a>,
    /// Names that a server may take for another one that is live or declared.
    pub(crate) lookalikes: &'a BTreeSet<ConnectionName>,
    /// The findings of this run about secrets that are shown.
    pub(crate) readable_now: &'a ReadableNow,
    pub(crate) client: &'a Client,
    pub(crate) ledger: &'a Ledger,
    pub(crate) control: RunControl<'a>,
}

pub(crate) type LastCommits = BTreeMap<ConnectionName, Option<Arc<LastCommit>>>;

/// How a run is carried out, and how it ends.
#[derive(Clone, Copy)]
pub(crate) struct RunControl<'a> {
    /// Whether a connection that moved since the plan stops its change: a saved plan is carried out
    /// as it stands or not at all.
    pub(crate) strict: bool,
    /// Now, in seconds since 1970.
    pub(crate) now: i64,
    /// The commit that is applied; `None`: a working tree.
    pub(crate) commit: Option<&'a CommitId>,
    /// The commit that last changed each connection whose change is of git; `None`: a working tree.
    pub(crate) last_commits: &'a LastCommits,
    /// Ends the run: calls in flight are finished, and no further one starts.
    pub(crate) stop: &'a CancellationToken,
    /// Told after each change.
    pub(crate) progress: &'a (dyn Fn(&Change, &ChangeResult) + Sync),
}

/// Carries the plan out, and keeps the result of each change in its entry.
///
/// # Errors
/// The state could not be written. Where that is so before the first call, nothing was sent.
pub(crate) async fn apply(job: &Job<'_>, plan: &mut TargetPlan) -> Result<(), StateError> {
    note::note_before_the_calls(job, plan);
    job.ledger.save().await?;
    let mut checked_first = BTreeMap::new();
    let entries = plan.entries.iter().filter(|entry| entry.sends_what_was_read_back());
    for change in entries.filter_map(|entry| entry.change.as_ref()) {
        checked_first.entry(change.type_name.as_str()).or_insert(&change.name);
    }
    let (failed_to_save, is_over) = (CancellationToken::new(), CancellationToken::new());
    let run = Run {
        job,
        entries: &plan.entries,
        checked_first,
        failed_to_save: failed_to_save.clone(),
        not_freed: BTreeSet::new(),
    };
    let run = async {
        let results = run.all().await;
        is_over.cancel();
        results
    };
    let (mut results, ()) = tokio::join!(run, keep_saving(job, &is_over, &failed_to_save));
    for (index, entry) in plan.entries.iter_mut().enumerate() {
        if let Some(result) = results.remove(&index) {
            entry.end(result);
        }
    }
    create::learn_ids(job, &plan.entries).await;
    job.ledger.save().await
}

/// The pause between two looks whether answers that came in are to be saved.
const SAVE_PAUSE: Duration = Duration::from_millis(100);

/// Saves what answers said while other calls are on their way. An answer saves only where the last save
/// is long enough ago, and the next answer may be half a minute off: a process that ends meanwhile would
/// forget that a name was deleted, or that a connection was not deployed.
async fn keep_saving(job: &Job<'_>, is_over: &CancellationToken, failed: &CancellationToken) {
    // A save is never broken off: the next one would write beside it.
    while is_over.run_until_cancelled(tokio::time::sleep(SAVE_PAUSE)).await.is_some() {
        if job.ledger.save_if_due().await.is_err() {
            failed.cancel();
        }
    }
}

impl Job<'_> {
    /// Compares a connection with git, with all that this run knows by now of secrets that are shown.
    fn compare(
        &self,
        desired: &DesiredConnection,
        live: &LiveView<'_>,
        remembered: Remembered<'_>,
        is_put_due: bool,
    ) -> Comparison {
        let readable = self.ledger.read(|record| record.readable.clone());
        let settings = CompareSettings { readable: &readable, ..self.compare_by };
        compare(desired, live, remembered, is_put_due, &settings)
    }

    /// The memory that a comparison looks at, of the name that live has, with the base of an entry of the
    /// inventory.
    fn remembered<'r>(&'r self, name: &ConnectionName, owned: Option<&'r Owned>) -> Remembered<'r> {
        let unstable = self.record_of_plan.memory(name).map(|memory| &memory.unstable);
        Remembered { base: owned.map(|owned| &owned.base), unstable }
    }

    /// Takes the note of a call back that did nothing: it must claim nothing that somebody else makes. The note of
    /// an earlier run that it replaced is there again.
    fn take_note_back(&self, name: &ConnectionName) {
        let earlier = self.record_of_plan.memory(name).and_then(|memory| memory.intent.clone());
        self.ledger.edit_memory(name, |memory| memory.intent = memory.intent.take().and(earlier));
    }

    /// A consent is for one change; the next one needs its own, even if it is the same. Of a change that was not
    /// deployed it stays for the redeploy.
    fn use_up_consents(&self, change: &Change, result: &ChangeResult) {
        let desired = self.desired.get(&change.name);
        if change.rules.is_empty() || !(result.is_success() || result.is_written()) {
            return;
        }
        self.ledger.edit_memory(&change.name, |memory| match (result, desired) {
            (ChangeResult::Degraded(_), Some(desired)) => {
                consent_to_redeploy(&mut memory.consents, desired);
            }
            _ => memory.consents.clear(),
        });
    }

    /// Counts an attempt that is not made for ever where nothing comes of it.
    fn count_attempt(&self, desired: &DesiredConnection, attempt: &str) {
        let (key, wanted) = (self.compare_by.keys.key, all_declared(desired));
        self.ledger.edit_memory(&desired.name, |memory| {
            memory.count_write(attempt, &wanted, &serde_json::Value::Null, key);
        });
    }
}

/// Changes with the numbers of their entries.
type Numbered<'c> = Vec<(usize, &'c Change)>;

/// The results of the changes, by the numbers of their entries.
type Results = BTreeMap<usize, ChangeResult>;

struct Run<'j, 'a> {
    job: &'j Job<'a>,
    entries: &'j [Entry],
    /// By type, the first of the connections whose update writes a secret since another one was read
    /// back: whether it arrived is checked before the others are written.
    checked_first: BTreeMap<&'j str, &'j ConnectionName>,
    /// Cancelled once an acknowledged write could not be made durable: no further call starts.
    failed_to_save: CancellationToken,
    /// Names that a rename of this plan should have freed, and did not.
    not_freed: BTreeSet<ConnectionName>,
}

impl<'j> Run<'j, '_> {
    /// Makes all changes in the order of their actions (rule 7).
    async fn all(mut self) -> Results {
        let mut results = Results::new();
        let mut by_action: BTreeMap<Action, Numbered<'j>> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if let Some(change) = &entry.change {
                by_action.entry(change.action).or_default().push((index, change));
            }
        }
        for (action, changes) in by_action {
            match action {
                Action::Rename => self.renames(changes, &mut results).await,
                Action::Create => self.creates(changes, &mut results).await,
                Action::Update => self.updates(changes, &mut results).await,
                _ => self.side_by_side(changes, &mut results).await,
            }
        }
        results
    }

    /// A chain of renames is walked from its free end, one after the other.
    async fn renames(&mut self, renames: Numbered<'_>, results: &mut Results) {
        for (index, change) in renames {
            let result = self.carry_out_one(change).await;
            if !result.is_written() {
                self.not_freed.extend(change.previous_name.clone());
            }
            results.insert(index, result);
        }
    }

    /// Names that a server may take for one are made one after the other.
    async fn creates(&self, creates: Numbered<'_>, results: &mut Results) {
        let (alike, others): (Numbered<'_>, Numbered<'_>) =
            creates.into_iter().partition(|(_, c)| self.job.lookalikes.contains(&c.name));
        self.side_by_side(others, results).await;
        for (index, change) in alike {
            results.insert(index, self.carry_out_one(change).await);
        }
    }

    /// Where secrets of a type that were read back differ on several connections at once, one is
    /// written and checked before the others: perhaps the server masks them from now on. Where that
    /// one was not written, the others wait.
    async fn updates(&self, updates: Numbered<'_>, results: &mut Results) {
        let (first, others): (Numbered<'_>, Numbered<'_>) =
            updates.into_iter().partition(|(_, change)| self.is_checked_first(change));
        let numbers: BTreeMap<&str, usize> =
            first.iter().map(|(index, change)| (change.type_name.as_str(), *index)).collect();
        self.side_by_side(first, results).await;
        let mut free = Numbered::new();
        for (index, change) in others {
            let waits = self.entries.get(index).is_some_and(Entry::sends_what_was_read_back);
            let first = numbers.get(change.type_name.as_str()).filter(|_| waits);
            let result = match first.and_then(|first| results.get(first)) {
                None | Some(ChangeResult::Done | ChangeResult::NotNeeded) => {
                    free.push((index, change));
                    continue;
                }
                Some(ChangeResult::NotStarted) => ChangeResult::NotStarted,
                Some(_) => ChangeResult::Failed(
                    "waits until another secret of its type has been written and read back"
                        .to_owned(),
                ),
            };
            self.job.take_note_back(&change.name);
            (self.job.control.progress)(change, &result);
            results.insert(index, result);
        }
        self.side_by_side(free, results).await;
    }

    fn is_checked_first(&self, change: &Change) -> bool {
        self.checked_first.get(change.type_name.as_str()) == Some(&&change.name)
    }

    /// Carries changes out at once, as many as the target allows.
    async fn side_by_side(&self, changes: Numbered<'_>, results: &mut Results) {
        let mut waiting = changes.into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.job.target.manager.concurrency.max(1)
                && let Some((index, change)) = waiting.next()
            {
                running.push(async move { (index, self.carry_out_one(change).await) });
            }
            let Some((index, result)) = running.next().await else { break };
            results.insert(index, result);
        }
    }

    /// Carries one change out, and tells its result.
    async fn carry_out_one(&self, change: &Change) -> ChangeResult {
        let was_owned = self.job.ledger.read(|record| record.owned(&change.name).is_some());
        let result = self.make(change).await;
        if was_owned
            && change.action == Action::Create
            && result.is_written()
            && let Some(desired) = self.job.desired.get(&change.name)
        {
            // A connection that was ours and is not listed may never show up.
            self.job.count_attempt(desired, attempt::CREATE);
        }
        self.job.use_up_consents(change, &result);
        // The audit trail tells of each write, and the run at its end of what failed.
        let (target, action) = (self.job.target.name.as_str(), change.action.into_str());
        debug!(target, action, connection = change.name.as_str(), ?result);
        (self.job.control.progress)(change, &result);
        if self.job.ledger.save_if_due().await.is_err() {
            self.failed_to_save.cancel();
        }
        result
    }

    async fn make(&self, change: &Change) -> ChangeResult {
        let job = self.job;
        if !change.needs_call() {
            return change.without_call();
        }
        let Ended { result, in_doubt, .. } = self.call(change).await;
        if !in_doubt {
            job.take_note_back(&change.name);
        }
        result
    }

    async fn call(&self, change: &Change) -> Ended {
        let job = self.job;
        let is_ending = job.control.stop.is_cancelled() || job.client.retries().stopped().is_some();
        if is_ending || self.failed_to_save.is_cancelled() {
            return ChangeResult::NotStarted.into();
        }
        if change.action == Action::Delete {
            return delete::delete(job, change).await;
        }
        let Some(desired) = job.desired.get(&change.name) else {
            return ChangeResult::NotStarted.into();
        };
        if self.not_freed.contains(&change.name) {
            let why =
                format!("waits for the name `{}`, which an earlier step did not free", change.name);
            return ChangeResult::Blocked(why).into();
        }
        match change.action {
            Action::Rename => rename::rename(job, change, desired).await,
            Action::Replace => replace::replace(job, desired).await,
            Action::Create => create::create(job, desired).await,
            _ => update::update(job, desired, self.is_checked_first(change)).await,
        }
    }
}

//! What creates, updates and renames have in common: sending until an answer is known, and
//! remembering what was acknowledged.

use std::collections::BTreeMap;

use super::{ChangeResult, Job};
use crate::api::{CallError, Deployment, ErrorKind, Tries};
use crate::desired::DesiredConnection;
use crate::inventory::{Base, BaseField, Degraded, LONGEST_PAUSE, Owned};
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::compare::{Comparison, Context, base_of};

/// How a call that failed goes on.
pub(super) enum Next {
    /// It was paused; send it again.
    Again,
    /// It is over.
    Over(ChangeResult),
}

/// Pauses after a failure that may pass; ends the change otherwise.
pub(super) async fn pause_or_fail(job: &Job<'_>, tries: &mut Tries, error: &CallError) -> Next {
    match job.client.retries().pause(tries, error).await {
        Ok(()) => Next::Again,
        Err(why) => Next::Over(failed(&CallError { gave_up: Some(why), ..error.clone() })),
    }
}

/// A failed call as the result of its change.
pub(super) fn failed(error: &CallError) -> ChangeResult {
    match error.kind {
        ErrorKind::NotSent => ChangeResult::NotStarted,
        _ => ChangeResult::Failed(error.to_string()),
    }
}

/// What a failed call makes of its change after `tries`: with an attempt before it, the change
/// was begun.
pub(super) fn failed_after(tries: &Tries, error: &CallError) -> ChangeResult {
    if tries.failed() == 0 { failed(error) } else { ChangeResult::Failed(error.to_string()) }
}

/// Reads a connection; a failure ends the change.
pub(super) async fn read(
    job: &Job<'_>,
    name: &ConnectionName,
) -> Result<Option<LiveConnection>, ChangeResult> {
    let found = job.client.get(name).await.map_err(|error| failed(&error))?;
    Ok(learned(job, found))
}

/// Reads what became of a write that was sent. The end of the run does not end this: what was
/// begun is finished and remembered.
pub(super) async fn look_after(
    job: &Job<'_>,
    name: &ConnectionName,
) -> Result<Option<LiveConnection>, ChangeResult> {
    let found = match job.client.get(name).await {
        Err(_) if job.stop.is_cancelled() => job.client.finishing().get(name).await,
        found => found,
    };
    let unknown = |error: CallError| {
        ChangeResult::Failed(format!("what became of the write is not known: {error}"))
    };
    Ok(learned(job, found.map_err(unknown)?))
}

fn learned(job: &Job<'_>, found: Option<LiveConnection>) -> Option<LiveConnection> {
    if let Some(live) = &found {
        live.teach_secrets(&job.plan.name, job.redactor);
    }
    found
}

/// Why a change ends whose connection is no longer the one that was planned for.
pub(super) const MADE_ANEW: &str =
    "somebody deleted it and made another since the plan was made; the next run compares that one";

/// Whether another connection than the planned one is live under a name: whether that one may be
/// taken over is for a plan to say.
pub(super) fn made_anew(job: &Job<'_>, name: &ConnectionName, fresh: &LiveConnection) -> bool {
    let planned = job.live.connections.get(name).and_then(|planned| planned.id.as_ref());
    planned.is_some() && fresh.id.is_some() && planned != fresh.id.as_ref()
}

/// The base after a PUT: what was written is agreed on now, what live kept has its older base.
pub(super) fn base_after_put(
    desired: &DesiredConnection,
    comparison: &Comparison,
    context: &Context<'_>,
) -> BTreeMap<String, BaseField> {
    let mut base = base_of(desired, context);
    for path in comparison.kept() {
        match comparison.base.get(path) {
            Some(older) => base.insert(path.to_owned(), older.clone()),
            None => base.remove(path),
        };
    }
    for (path, older) in &comparison.base {
        if desired.ignores(path) {
            base.insert(path.clone(), older.clone());
        }
    }
    base
}

/// Remembers an acknowledged write.
pub(super) fn remember(
    job: &Job<'_>,
    desired: &DesiredConnection,
    base: &BTreeMap<String, BaseField>,
    id: Option<String>,
    deployment: &Deployment,
) -> ChangeResult {
    let name = &desired.name;
    let base = Base::of(base);
    job.ledger.edit(|record| {
        record.intents.remove(name);
        let owned = record.inventory.entry(name.clone()).or_insert_with(Owned::default);
        owned.type_name = desired.connection_type.name.to_owned();
        owned.id = id;
        owned.base = base;
        owned.protect = desired.options.protect;
        owned.secrets_checked = desired.declares_secret.then_some(job.now);
        owned.last_change = Some(job.now);
    });
    note_deployment(job, name, deployment, None)
}

/// The first pause before a connection that was not deployed is written again, in seconds.
const FIRST_PAUSE: i64 = 60;

/// Remembers whether the workers got a write; `deleted` is the type of what it deleted.
pub(super) fn note_deployment(
    job: &Job<'_>,
    name: &ConnectionName,
    deployment: &Deployment,
    deleted: Option<&str>,
) -> ChangeResult {
    match deployment {
        Deployment::Done => {
            job.ledger.edit(|record| record.degraded.remove(name));
            ChangeResult::Done
        }
        Deployment::Failed(where_and_why) => {
            let reason = where_and_why.join("; ");
            job.ledger.edit(|record| {
                let attempts = record.degraded.get(name).map_or(0, |known| known.attempts);
                let pause = FIRST_PAUSE.saturating_mul(1 << attempts.min(6)).min(LONGEST_PAUSE);
                let noted = Degraded {
                    reason: reason.clone(),
                    attempts: attempts.saturating_add(1),
                    next: job.now.saturating_add(pause),
                    deleted: deleted.is_some(),
                    type_name: deleted.unwrap_or_default().to_owned(),
                };
                record.degraded.insert(name.clone(), noted);
            });
            ChangeResult::Degraded(reason)
        }
    }
}

/// Whether a failure proves that nothing was made, so that its note can go.
pub(super) fn nothing_was_done(error: &CallError) -> bool {
    !error.may_have_been_done()
}

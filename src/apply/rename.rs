//! One PUT under the old name, with the new one in its body.

use super::create;
use super::send::{WriteEnd, base_after_put, ended_with_note, look_after, remember, send};
use super::update::{self, Purpose, Put, ready_put};
use super::{ChangeResult, Job};
use crate::api::{Deployment, ErrorKind};
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::plan::{Change, attempt};
use crate::record::Intent;

/// Renames a connection in place, and writes git's other changes in the same call.
pub(super) async fn rename(
    job: &Job<'_>,
    change: &Change,
    desired: &DesiredConnection,
) -> ChangeResult {
    let Some(old) = &change.previous_name else { return ChangeResult::NotStarted };
    match ready_put(job, old, desired, Purpose::Rename).await {
        Ok(ready) => {
            let result = put(job, desired, &ready).await;
            if result.is_written() {
                job.ledger.edit_memory(&desired.name, |memory| {
                    ready.keep_shown_secrets(&mut memory.owned);
                });
            }
            result
        }
        Err(result) => {
            job.forget_intent(&desired.name);
            result
        }
    }
}

/// The note of a rename, before its call.
pub(super) fn intent(job: &Job<'_>, change: &Change, desired: &DesiredConnection) -> Intent {
    let mut intent = create::intent(desired, &job.compare_by);
    intent.from.clone_from(&change.previous_name);
    let old = change.previous_name.as_ref();
    if let Some((old, view)) = old.and_then(|old| Some((old, job.observed.listed(old)?))) {
        let owned = job.record_of_plan.owned(old);
        let owned = owned.filter(|owned| view.is_the_connection_of(owned, &job.compare_by));
        let comparison = job.compare(desired, &view, job.remembered(&view.listed.name, owned));
        intent.kept = comparison.kept().map(str::to_owned).collect();
        intent.base = base_after_put(desired, &comparison, &job.compare_by);
    }
    intent
}

async fn put(job: &Job<'_>, desired: &DesiredConnection, ready: &Put) -> ChangeResult {
    let Put { fresh: old, body, .. } = ready;
    let call = || job.client.update(&old.name, body);
    let hints_at_arrival = |kind| kind == ErrorKind::NotFound;
    let look = |_| was_renamed(job, desired, old);
    match send(job, call, hints_at_arrival, look).await {
        WriteEnd::Acknowledged(deployment) => after_answer(job, desired, ready, &deployment).await,
        WriteEnd::Arrived(live) => {
            let result = remember_rename(job, desired, ready, &live, &Deployment::Done);
            if desired.declares_secret() {
                // Whether its masked secrets arrived is not known: they are sent again.
                return update::resend(job, desired).await;
            }
            result
        }
        WriteEnd::Failed { error, nothing_was_done } => {
            let result = ended_with_note(job, &desired.name, &error, nothing_was_done);
            match error.kind {
                ErrorKind::Refused => ChangeResult::Blocked(format!(
                    "the server refuses the rename: {}",
                    error.message
                )),
                _ => result,
            }
        }
        WriteEnd::Over(result) => result,
    }
}

/// A server may take the PUT and keep the name, so the connection is read to decide.
async fn after_answer(
    job: &Job<'_>,
    desired: &DesiredConnection,
    ready: &Put,
    deployment: &Deployment,
) -> ChangeResult {
    match look_after(job, &desired.name).await {
        Ok(Some(live)) => remember_rename(job, desired, ready, &live, deployment),
        Ok(None) => {
            job.forget_intent(&desired.name);
            job.count_attempt(desired, attempt::RENAME);
            ChangeResult::Blocked("the server accepted the rename and kept the old name".to_owned())
        }
        Err(result) => result,
    }
}

/// The connection under the new name, if it is the one that had the old name: without an answer
/// of the PUT it may be somebody else's.
async fn was_renamed(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: &LiveConnection,
) -> Result<Option<LiveConnection>, ChangeResult> {
    let Some(live) = look_after(job, &desired.name).await? else { return Ok(None) };
    let is_same = match (&live.id, &old.id) {
        (Some(now), Some(then)) => now == then,
        _ => live.type_name == old.type_name && look_after(job, &old.name).await?.is_none(),
    };
    if is_same {
        return Ok(Some(live));
    }
    job.forget_intent(&desired.name);
    Err(ChangeResult::Failed(format!(
        "a connection of the name `{}` was made outside git in the meantime",
        desired.name
    )))
}

/// Remembers a rename that was made.
fn remember_rename(
    job: &Job<'_>,
    desired: &DesiredConnection,
    ready: &Put,
    live: &LiveConnection,
    deployment: &Deployment,
) -> ChangeResult {
    let Put { fresh: old, comparison, .. } = ready;
    let base = base_after_put(desired, comparison, &job.compare_by);
    job.ledger.edit(|record| {
        record.free(&old.name);
        // An entry that had the name before is of another connection.
        record.edit(&desired.name, |memory| (memory.owned, memory.unstable) = Default::default());
        if !job.desired.contains_key(&old.name) {
            record.leave(&old.name);
        }
    });
    let id = live.id.clone().or_else(|| old.id.clone());
    remember(job, desired, base, id, deployment)
}

//! One PUT under the old name, with the new one in its body.

use super::create::{self, forget_intent};
use super::writing::{
    MADE_ANEW, Next, base_after_put, failed_after, look_after, made_anew, pause_or_fail, read,
    remember,
};
use super::{ChangeResult, Job, update};
use crate::api::{Deployment, ErrorKind, Tries};
use crate::desired::DesiredConnection;
use crate::inventory::Intent;
use crate::live::LiveConnection;
use crate::plan::body;
use crate::plan::compare::{Comparison, Context, LiveView, compare};
use crate::plan::{Change, RENAME, whole_digest};

/// Renames a connection in place, and writes what else git changed in the same call.
pub(super) async fn rename(
    job: &Job<'_>,
    change: &Change,
    desired: &DesiredConnection,
) -> ChangeResult {
    let Some(old) = &change.previous_name else { return ChangeResult::NotStarted };
    let fresh = match read(job, old).await {
        Ok(Some(fresh)) => fresh,
        Ok(None) => {
            forget_intent(job, desired);
            return ChangeResult::Failed(format!("`{old}` is not there any more"));
        }
        Err(result) => {
            forget_intent(job, desired);
            return result;
        }
    };
    if fresh.type_name != desired.connection_type.name {
        forget_intent(job, desired);
        let now = &fresh.type_name;
        return ChangeResult::Blocked(format!("`{old}` became one of type {now} meanwhile"));
    }
    if made_anew(job, old, &fresh) {
        forget_intent(job, desired);
        return ChangeResult::Failed(MADE_ANEW.to_owned());
    }
    match read(job, &desired.name).await {
        Ok(None) => {}
        Ok(Some(_)) => {
            forget_intent(job, desired);
            return ChangeResult::Blocked(format!("the name `{}` is taken", desired.name));
        }
        Err(result) => {
            forget_intent(job, desired);
            return result;
        }
    }
    let owned = job.ledger.read(|record| record.inventory.get(old).cloned());
    let owned = owned.filter(|o| o.id.is_none() || fresh.id.is_none() || o.id == fresh.id);
    let planned = job.live.connections.get(old).unwrap_or(&fresh);
    let planned_view = LiveView::new(planned, job.singles.get(old));
    let base = owned.as_ref().map(|o| o.base.fields());
    let base = base.as_ref();
    if job.strict && body::has_moved(desired, base, &planned_view, &fresh) {
        forget_intent(job, desired);
        return ChangeResult::Held("it moved since the plan was made".to_owned());
    }
    let view = LiveView::new(planned, Some(&fresh));
    let record = job.record_for(&desired.name);
    let comparison = compare(desired, &view, base, &job.context(&record));
    match body::for_update(desired, &view, &comparison, &desired.name, &record) {
        Ok(body) => send(job, desired, &fresh, &comparison, &body).await,
        Err(problem) => {
            forget_intent(job, desired);
            ChangeResult::Blocked(problem.to_string())
        }
    }
}

/// The note of a rename, before its call.
pub(super) fn intent(
    job: &Job<'_>,
    change: &Change,
    desired: &DesiredConnection,
    context: &Context<'_>,
) -> Intent {
    let mut intent = create::intent(desired, context);
    intent.from.clone_from(&change.previous_name);
    let old = change.previous_name.as_ref();
    if let Some((old, live)) = old.and_then(|old| Some((old, job.live.connections.get(old)?))) {
        let owned = context.record.inventory.get(old);
        let owned = owned.filter(|o| o.id.is_none() || live.id.is_none() || o.id == live.id);
        let base = owned.map(|owned| owned.base.fields());
        let view = LiveView::new(live, job.singles.get(old));
        let comparison = compare(desired, &view, base.as_ref(), context);
        intent.kept = comparison.kept().map(str::to_owned).collect();
        intent.base = base_after_put(desired, &comparison, context).into();
    }
    intent
}

async fn send(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: &LiveConnection,
    comparison: &Comparison,
    body: &crate::secret::SensitiveValue,
) -> ChangeResult {
    let mut tries = Tries::default();
    loop {
        let error = match job.client.update(&old.name, body).await {
            Ok(deployment) => {
                return taken(job, desired, old, comparison, &deployment).await;
            }
            Err(error) if error.may_have_been_done() => error,
            // The attempt before this one arrived after all.
            Err(error) if error.kind == ErrorKind::NotFound && tries.failed() > 0 => error,
            Err(error) => {
                // An attempt before this one may yet arrive.
                if tries.failed() == 0 {
                    forget_intent(job, desired);
                }
                return match error.kind {
                    ErrorKind::Refused => ChangeResult::Blocked(format!(
                        "the server refuses the rename: {}",
                        error.message
                    )),
                    _ => failed_after(&tries, &error),
                };
            }
        };
        match was_renamed(job, desired, old).await {
            Ok(Some(live)) => {
                let done = Deployment::Done;
                let result = renamed(job, desired, old, comparison, &live, &done);
                if desired.declares_secret {
                    // Whether its masked secrets arrived is not known: they are sent again.
                    return update::resend(job, desired).await;
                }
                return result;
            }
            Ok(None) => {}
            Err(result) => return result,
        }
        match pause_or_fail(job, &mut tries, &error).await {
            Next::Again => {}
            Next::Over(result) => return result,
        }
    }
}

/// A server may take the PUT and keep the name: what is there decides.
async fn taken(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: &LiveConnection,
    comparison: &Comparison,
    deployment: &Deployment,
) -> ChangeResult {
    match look_after(job, &desired.name).await {
        Ok(Some(live)) => renamed(job, desired, old, comparison, &live, deployment),
        Ok(None) => {
            forget_intent(job, desired);
            let wanted = whole_digest(desired);
            job.ledger.edit(|record| record.count(&desired.name, RENAME, &wanted, job.key));
            ChangeResult::Blocked("the server took the rename and kept the old name".to_owned())
        }
        Err(result) => result,
    }
}

/// What is live under the new name, if it is what was live under the old one: without an answer
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
    forget_intent(job, desired);
    Err(ChangeResult::Failed(format!(
        "somebody else made a connection of the name `{}` meanwhile",
        desired.name
    )))
}

fn renamed(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: &LiveConnection,
    comparison: &Comparison,
    live: &LiveConnection,
    deployment: &Deployment,
) -> ChangeResult {
    let record = job.record_for(&desired.name);
    let base = base_after_put(desired, comparison, &job.context(&record));
    job.ledger.edit(|record| {
        record.free(&old.name);
        record.unstable.remove(&desired.name);
        // The old name counted as declared only while the rename was not done.
        let declares_it = job.desired.contains_key(&old.name);
        if let Some(good) = record.last_good.as_mut().filter(|_| !declares_it) {
            good.declared.remove(&old.name);
        }
    });
    remember(job, desired, &base, live.id.clone(), deployment)
}

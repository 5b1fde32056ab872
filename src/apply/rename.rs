//! One PUT under the old name, with the new one in its body.

use super::create::forget_intent;
use super::writing::{MADE_ANEW, Next, base_after_put, made_anew, pause_or_fail, read, remember};
use super::{ChangeResult, Job};
use crate::api::ErrorKind;
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::plan::body;
use crate::plan::compare::{Comparison, LiveView, compare};
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
    let planned_view = LiveView { entry: planned, single: job.singles.get(old) };
    let base = owned.as_ref().map(|o| &o.base);
    if job.strict && body::has_moved(desired, base, &planned_view, &fresh) {
        forget_intent(job, desired);
        return ChangeResult::Held("it moved since the plan was made".to_owned());
    }
    let view = LiveView { entry: planned, single: Some(&fresh) };
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

async fn send(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: &LiveConnection,
    comparison: &Comparison,
    body: &crate::secret::SensitiveValue,
) -> ChangeResult {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (error, deployment) = match job.client.update(&old.name, body).await {
            Ok(deployment) => (None, deployment),
            Err(error) if error.kind == ErrorKind::Refused => {
                forget_intent(job, desired);
                return ChangeResult::Blocked(format!(
                    "the server refuses the rename: {}",
                    error.message
                ));
            }
            Err(error) if error.may_have_been_done() => (Some(error), crate::api::Deployment::Done),
            Err(error) => {
                forget_intent(job, desired);
                return super::writing::failed(&error);
            }
        };
        // A server may take the PUT and keep the name: what is there decides.
        match read(job, &desired.name).await {
            Ok(Some(live)) => return renamed(job, desired, old, comparison, &live, &deployment),
            Ok(None) => {}
            Err(result) => return result,
        }
        let Some(error) = error else {
            forget_intent(job, desired);
            let wanted = whole_digest(desired);
            job.ledger.edit(|record| record.count(&desired.name, RENAME, &wanted, job.key));
            return ChangeResult::Blocked(
                "the server took the rename and kept the old name".to_owned(),
            );
        };
        match pause_or_fail(job, attempt, &error).await {
            Next::Again => {}
            Next::Over(result) => return result,
        }
    }
}

fn renamed(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: &LiveConnection,
    comparison: &Comparison,
    live: &LiveConnection,
    deployment: &crate::api::Deployment,
) -> ChangeResult {
    let record = job.record_for(&desired.name);
    let base = base_after_put(desired, comparison, &job.context(&record));
    job.ledger.edit(|record| {
        record.forget(&old.name);
        record.unstable.remove(&desired.name);
    });
    remember(job, desired, base, live.id.clone(), deployment)
}

//! GET, make sure that it is ours, DELETE.

use super::send::{Ended, Made, NOT_SHOWN, is_made_anew, look_after, note_deployment, read, send};
use super::{ChangeResult, Job};
use crate::api::{Deployment, ErrorKind};
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::compare::{self, LiveView};
use crate::plan::{Change, NOT_OURS};
use crate::record::Owned;

/// Deletes a connection that the plan lists, if it still is the one in the inventory.
pub(super) async fn delete(job: &Job<'_>, change: &Change) -> Ended {
    let name = &change.name;
    let (owned, live) = match ready_delete(job, name).await {
        Ok(ready) => ready,
        Err(result) => return result.into(),
    };
    let deployment = match send_delete(job, &live.name, &owned).await {
        Ok(made) => made.deployment(),
        Err(ended) => return ended,
    };
    job.ledger.edit(|record| record.forget(name));
    note_deployment(job, name, &deployment, Some(&owned.type_name)).into()
}

/// Reads the connection that is to be deleted. The error is the result of a change that must not delete it.
pub(super) async fn ready_delete(
    job: &Job<'_>,
    name: &ConnectionName,
) -> Result<(Owned, LiveConnection), ChangeResult> {
    let Some(owned) = job.ledger.read(|record| record.owned(name).cloned()) else {
        return Err(ChangeResult::Held("it is no longer in the inventory".to_owned()));
    };
    let Some(live) = read(job, name).await? else {
        return Err(ChangeResult::Failed(NOT_SHOWN.to_owned()));
    };
    match not_ours(job, name, &owned, &live) {
        Some(reason) => Err(ChangeResult::Held(reason)),
        None => Ok((owned, live)),
    }
}

/// Why the connection that is live must not be deleted.
fn not_ours(
    job: &Job<'_>,
    name: &ConnectionName,
    owned: &Owned,
    live: &LiveConnection,
) -> Option<String> {
    let view = LiveView::of(live);
    if !view.is_the_connection_of(owned, &job.compare_by) {
        return Some(NOT_OURS.to_owned());
    }
    let Some(in_plan) = job.observed.listed(name) else {
        return Some("no list has shown it".to_owned());
    };
    if is_made_anew(job, name, live) {
        return Some("it was deleted and created again since the plan was made".to_owned());
    }
    let paths = owned.base.keys().map(String::as_str);
    if job.control.strict && compare::has_moved(paths, &in_plan, live) {
        return Some("it moved since the plan was made".to_owned());
    }
    if job.compare_by.is_stateless
        && !view.shows(&owned.type_name, &owned.base, job.compare_by.keys)
    {
        return Some("it moved away from what git declared".to_owned());
    }
    None
}

/// Sends the DELETE until it is known whether the connection is gone.
pub(super) async fn send_delete(
    job: &Job<'_>,
    name: &ConnectionName,
    owned: &Owned,
) -> Result<Made<()>, Ended> {
    let call = || async move {
        match job.client.delete(name).await {
            // A refusal may speak of something else that is not found: a GET has to say it too.
            Err(error) if error.kind == ErrorKind::NotFound => match look_after(job, name).await {
                Ok(None) => Ok(Deployment::Done),
                _ => Err(error),
            },
            answer => answer,
        }
    };
    let look = |_| async move {
        let Some(live) = look_after(job, name).await? else { return Ok(Some(())) };
        match not_ours(job, name, owned, &live) {
            Some(why) => Err(Ended::not_known(ChangeResult::Held(why))),
            None => Ok(None),
        }
    };
    send(job, call, |_| false, look).await
}

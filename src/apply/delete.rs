//! GET, make sure that it is ours, DELETE.

use super::writing::{Next, failed_after, look_after, note_deployment, pause_or_fail, read};
use super::{ChangeResult, Job};
use crate::api::{Deployment, ErrorKind, Tries};
use crate::inventory::Owned;
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::compare::{LiveView, is_as_declared};
use crate::plan::{Change, body};

/// Deletes what the plan lists, if it still is what the inventory knows.
pub(super) async fn delete(job: &Job<'_>, change: &Change) -> ChangeResult {
    let name = &change.name;
    let Some(owned) = job.ledger.read(|record| record.inventory.get(name).cloned()) else {
        return ChangeResult::Held("it is no longer in the inventory".to_owned());
    };
    match read(job, name).await {
        Ok(None) => {
            job.ledger.edit(|record| record.forget(name));
            ChangeResult::Done
        }
        Ok(Some(live)) => match not_ours(job, name, &owned, &live) {
            Some(reason) => ChangeResult::Held(reason),
            None => send(job, &live.name, &owned).await,
        },
        Err(result) => result,
    }
}

/// Why the connection that is live must not be deleted.
pub(super) fn not_ours(
    job: &Job<'_>,
    name: &ConnectionName,
    owned: &Owned,
    live: &LiveConnection,
) -> Option<String> {
    let other_id = owned.id.is_some() && live.id.is_some() && owned.id != live.id;
    if owned.type_name != live.type_name || other_id {
        return Some("what is live under that name is not what the tool made".to_owned());
    }
    let planned = job.live.connections.get(name)?;
    let replaced = planned.id.is_some() && live.id.is_some() && planned.id != live.id;
    if replaced {
        return Some("it was made anew since the plan was made".to_owned());
    }
    let planned = LiveView::new(planned, job.singles.get(name));
    if job.strict && body::has_moved_from_base(owned, &planned, live) {
        return Some("it moved since the plan was made".to_owned());
    }
    let view = LiveView::new(live, Some(live));
    if job.stateless && !is_as_declared(owned, &view, job.key, job.key_is_known) {
        return Some("it moved away from what git declared".to_owned());
    }
    None
}

/// Sends the DELETE until it is known that the connection is gone.
async fn send(job: &Job<'_>, name: &ConnectionName, owned: &Owned) -> ChangeResult {
    let mut tries = Tries::default();
    loop {
        let error = match job.client.delete(name).await {
            Ok(deployment) => return gone(job, name, owned, &deployment),
            Err(error) if error.kind == ErrorKind::NotFound => {
                return gone(job, name, owned, &Deployment::Done);
            }
            Err(error) if error.may_have_been_done() => error,
            Err(error) => return failed_after(&tries, &error),
        };
        match look_after(job, name).await {
            Ok(None) => return gone(job, name, owned, &Deployment::Done),
            Ok(Some(live)) => {
                if let Some(reason) = not_ours(job, name, owned, &live) {
                    return ChangeResult::Held(reason);
                }
            }
            Err(result) => return result,
        }
        match pause_or_fail(job, &mut tries, &error).await {
            Next::Again => {}
            Next::Over(result) => return result,
        }
    }
}

fn gone(
    job: &Job<'_>,
    name: &ConnectionName,
    owned: &Owned,
    deployment: &Deployment,
) -> ChangeResult {
    job.ledger.edit(|record| record.forget(name));
    note_deployment(job, name, deployment, Some(&owned.type_name))
}

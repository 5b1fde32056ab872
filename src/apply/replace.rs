//! DELETE, then POST: another type under the same name, with a way back.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::create;
use super::delete::{ready_delete, send_delete};
use super::send::{Ended, Made, look_after, note_deployment, send};
use super::update::ShownSecrets;
use super::{ChangeResult, Job, RunControl, note};
use crate::api::{ENDING, ErrorKind};
use crate::catalog::{self, ConnectionType};
use crate::desired::{DesiredConnection, resolve_one};
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::compare::{LiveView, has_moved};
use crate::plan::{attempt, body};
use crate::record::Owned;
use crate::secret::SensitiveValue;

/// The connection that the replace deletes.
struct Old {
    owned: Owned,
    live: LiveConnection,
    /// The body that makes it again.
    way_back: SensitiveValue,
}

/// Replaces a connection by one of another type. The new one is made ready before the old one
/// is deleted, and so is the body that brings the old one back if the server refuses the new one.
pub(super) async fn replace(job: &Job<'_>, desired: &DesiredConnection) -> Ended {
    let old = match ready_old(job, desired).await {
        Ok(old) => old,
        Err(result) => return result.into(),
    };
    match send_delete(job, &old.live.name, &old.owned).await {
        Ok(_) => make_new(job, desired, old).await,
        Err(ended) => ended,
    }
}

/// Makes everything ready.
async fn ready_old(job: &Job<'_>, desired: &DesiredConnection) -> Result<Old, ChangeResult> {
    if let Err(problem) = body::for_create(desired) {
        return Err(ChangeResult::Blocked(problem.to_string()));
    }
    let (owned, live) = ready_delete(job, &desired.name).await?;
    let way_back = body_of_way_back(job, &owned, &live).await.map_err(ChangeResult::Blocked)?;
    Ok(Old { owned, live, way_back })
}

/// Makes the new connection where the old one was deleted.
async fn make_new(job: &Job<'_>, desired: &DesiredConnection, old: Old) -> Ended {
    let name = &desired.name;
    // Whatever comes under that name now is somebody else's, until it is ours.
    job.ledger.edit_memory(name, |memory| memory.owned = None);
    // The deleted connection must not stay away because the run is ending.
    let (client, never) = (job.client.finishing(), CancellationToken::new());
    let job = &Job { client: &client, control: RunControl { stop: &never, ..job.control }, ..*job };
    let ended = create::post(job, desired).await;
    if let ChangeResult::Failed(why) | ChangeResult::Blocked(why) = &ended.result {
        return bring_back(job, desired, old, why, &ended).await;
    }
    job.ledger.edit_memory(name, |memory| {
        memory.due = None;
        memory.unstable.remove(attempt::REPLACE);
    });
    ended
}

/// The body that makes the old connection again.
async fn body_of_way_back(
    job: &Job<'_>,
    owned: &Owned,
    old: &LiveConnection,
) -> Result<SensitiveValue, String> {
    let resolve = |declared: &Value| resolve_one(declared, &job.resolution);
    let profile = job.resolution.profile.and_then(|profile| profile.types.get(&old.type_name));
    let fields = catalog::find(&old.type_name).into_iter().flat_map(ConnectionType::fields);
    let unresolved = fields.filter(|field| {
        let declared = owned.base.get(&field.pointer()).map(|base| &base.declared);
        let declared = declared.filter(|declared| !declared.is_null());
        body::may_be_masked(field, profile) && declared.is_none_or(|text| resolve(text).is_err())
    });
    let proof = ShownSecrets::of(job, &owned.type_name, unresolved, old, Some(owned)).await;
    let is_proven = |path: &str, value: &Value| proof.has(path, value);
    body::way_back(old, &owned.base, profile, &is_proven, &resolve)
}

/// Makes the old connection again after the new one was not made, and remembers that, so that the
/// same document is not tried at every reconcile: one that is refused is not tried again, and one
/// that only failed is tried once more. `new` is how the POST of the new one ended, and `why` its problem.
async fn bring_back(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: Old,
    why: &str,
    new: &Ended,
) -> Ended {
    let (is_refused, in_doubt) = (new.refused.is_some(), new.in_doubt);
    let is_free = match look_after(job, &desired.name).await {
        Ok(None) => Ok(()),
        Ok(Some(live)) => Err(format!("{why}; a connection of type {} is live", live.type_name)),
        Err(_) => Err(format!(
            "{why}; the old connection is deleted and was not made again, since it is not known what has \
             its name now"
        )),
    };
    if let Err(why) = is_free {
        return Ended { in_doubt, ..ChangeResult::Failed(why).into() };
    }
    let again = make_again(job, &desired.name, old, in_doubt).await;
    job.count_attempt(desired, attempt::REPLACE);
    if is_refused {
        job.ledger.edit_memory(&desired.name, |memory| {
            memory.unstable.get_mut(attempt::REPLACE).into_iter().for_each(|k| k.given_up = true);
        });
    }
    let why = match again.result {
        ChangeResult::Done => why.to_owned(),
        ChangeResult::Degraded(reason) => format!("{why}; saved but not deployed: {reason}"),
        other => {
            let error =
                if let ChangeResult::Failed(error) = other { error } else { ENDING.to_owned() };
            let why = format!("{why}; the old one could not be made again: {error}");
            return Ended { in_doubt: again.in_doubt, ..ChangeResult::Failed(why).into() };
        }
    };
    let result = if is_refused {
        let refused = "the new one was refused, and the old one made again";
        ChangeResult::Blocked(format!("{refused}: {why}"))
    } else {
        let failed = "the new one could not be made, and the old one was made again";
        ChangeResult::Failed(format!("{failed}: {why}"))
    };
    result.into()
}

/// Sends the way back, with a note of its own; `new_in_doubt` says whether the new connection may still
/// arrive, whose note stays where this one does nothing.
async fn make_again(job: &Job<'_>, name: &ConnectionName, old: Old, new_in_doubt: bool) -> Ended {
    let Old { owned, live, way_back } = old;
    let intent = note::of_way_back(job, &owned, &live, &way_back);
    let base = Arc::new(intent.base.clone());
    let of_new = job.ledger.edit_memory(name, |memory| memory.intent.replace(intent));
    // A state that cannot be written keeps the old connection away no longer.
    let _ = job.ledger.save().await;
    let call = || job.client.create(&live.name, &way_back);
    let look = |_| look_after(job, &live.name);
    let is_as_sent = |found: &LiveConnection| {
        !has_moved(base.keys().map(String::as_str), &LiveView::of(&live), found)
    };
    let made: Result<_, Ended> =
        match send(job, call, |kind| kind == ErrorKind::AlreadyExists, look).await {
            Ok(Made::Arrived(found)) if !is_as_sent(&found) => {
                let why = format!("another connection of type {} is live", found.type_name);
                Err(ChangeResult::Failed(why).into())
            }
            Ok(made) => Ok(made.deployment()),
            Err(ended) => Err(ended),
        };
    match made {
        Ok(deployment) => {
            job.ledger.edit_memory(name, |memory| {
                memory.intent = None;
                memory.owned = Some(Owned { id: None, base, ..owned });
            });
            note_deployment(job, name, &deployment, None).into()
        }
        Err(ended) if ended.in_doubt => ended,
        Err(ended) => {
            job.ledger.edit_memory(name, |memory| memory.intent = of_new);
            Ended { in_doubt: new_in_doubt, ..ended }
        }
    }
}

//! DELETE, then POST: another type under the same name, with a way back.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::create::{self, Posted};
use super::delete::{not_ours, send_delete};
use super::send::{NOT_SHOWN, WriteEnd, ended_with_note, look_after, note_deployment, read, send};
use super::update::ShownSecrets;
use super::{ChangeResult, Job, RunControl};
use crate::api::{Deployment, ErrorKind};
use crate::catalog::{self, ConnectionType};
use crate::desired::{DesiredConnection, resolve_one};
use crate::live::LiveConnection;
use crate::plan::compare::LiveView;
use crate::plan::{attempt, body};
use crate::record::{Base, BaseField, Intent, Owned};
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
pub(super) async fn replace(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    let old = match ready_old(job, desired).await {
        Ok(old) => old,
        Err(result) => {
            job.forget_intent(&desired.name);
            return result;
        }
    };
    match send_delete(job, &old.live.name, &old.owned).await {
        WriteEnd::Acknowledged(_) | WriteEnd::Arrived(()) => {}
        WriteEnd::Failed { error, nothing_was_done } => {
            return ended_with_note(job, &desired.name, &error, nothing_was_done);
        }
        WriteEnd::Over(held @ ChangeResult::Held(_)) => {
            job.forget_intent(&desired.name);
            return held;
        }
        // It may be gone by our doing, which the next run has to know.
        WriteEnd::Over(result) => return result,
    }
    make_new(job, desired, old).await
}

/// Makes everything ready.
async fn ready_old(job: &Job<'_>, desired: &DesiredConnection) -> Result<Old, ChangeResult> {
    let name = &desired.name;
    let Some(owned) = job.ledger.read(|record| record.owned(name).cloned()) else {
        return Err(ChangeResult::Held("it is no longer in the inventory".to_owned()));
    };
    if let Err(problem) = body::for_create(desired) {
        return Err(ChangeResult::Blocked(problem.to_string()));
    }
    let Some(live) = read(job, name).await? else {
        return Err(ChangeResult::Failed(NOT_SHOWN.to_owned()));
    };
    if let Some(reason) = not_ours(job, name, &owned, &live) {
        return Err(ChangeResult::Held(reason));
    }
    let way_back = body_of_way_back(job, &owned, &live).await.map_err(ChangeResult::Blocked)?;
    Ok(Old { owned, live, way_back })
}

/// Makes the new connection where the old one was deleted.
async fn make_new(job: &Job<'_>, desired: &DesiredConnection, old: Old) -> ChangeResult {
    let name = &desired.name;
    // Whatever comes under that name now is somebody else's, until it is ours.
    job.ledger.edit_memory(name, |memory| memory.owned = None);
    // The deleted connection must not stay away because the run is ending.
    let (client, never) = (job.client.finishing(), CancellationToken::new());
    let job = &Job { client: &client, control: RunControl { stop: &never, ..job.control }, ..*job };
    let Posted { result, is_refused } = create::post(job, desired).await;
    match result {
        ChangeResult::Failed(why) | ChangeResult::Blocked(why) => {
            bring_back(job, desired, old, why, is_refused).await
        }
        done => {
            job.ledger.edit_memory(name, |memory| {
                memory.due = None;
                memory.unstable.remove(attempt::REPLACE);
            });
            done
        }
    }
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
/// that only failed is tried once more.
async fn bring_back(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: Old,
    why: String,
    is_refused: bool,
) -> ChangeResult {
    let Old { owned, live, way_back } = old;
    match look_after(job, &desired.name).await {
        Ok(None) => {}
        Ok(Some(live)) => {
            return ChangeResult::Failed(format!(
                "{why}; a connection of type {} is live",
                live.type_name
            ));
        }
        Err(_) => {
            return ChangeResult::Failed(format!(
                "{why}; the old connection is deleted and was not made again, since it is not known \
                 what has its name now"
            ));
        }
    }
    // A POST of the new one that is still on its way keeps its note where this one comes to nothing.
    let intent = intent_of_way_back(job, &owned, &live, &way_back);
    let base = Arc::new(intent.base.clone());
    let noted = job.ledger.edit_memory(&desired.name, |memory| memory.intent.replace(intent));
    let restored = make_again(job, &live, &way_back, noted).await.map(|deployment| {
        job.ledger.edit_memory(&desired.name, |memory| {
            memory.intent = None;
            memory.owned = Some(Owned { id: None, base, ..owned });
        });
        match note_deployment(job, &desired.name, &deployment, None) {
            ChangeResult::Degraded(reason) => format!("{why}; saved but not deployed: {reason}"),
            _ => why.clone(),
        }
    });
    job.count_attempt(desired, attempt::REPLACE);
    if is_refused {
        job.ledger.edit_memory(&desired.name, |memory| {
            memory.unstable.get_mut(attempt::REPLACE).into_iter().for_each(|k| k.given_up = true);
        });
    }
    match restored {
        Ok(why) if is_refused => ChangeResult::Blocked(format!(
            "the new one was refused, and the old one made again: {why}"
        )),
        Ok(why) => ChangeResult::Failed(format!(
            "the new one could not be made, and the old one was made again: {why}"
        )),
        Err(error) => {
            ChangeResult::Failed(format!("{why}; the old one could not be made again: {error}"))
        }
    }
}

/// The note of the way back: what git declared of the old connection, with the values that are sent, and
/// apart from what live had otherwise.
fn intent_of_way_back(
    job: &Job<'_>,
    owned: &Owned,
    old: &LiveConnection,
    way_back: &SensitiveValue,
) -> Intent {
    let keys = job.compare_by.keys;
    let fields = owned.base.iter().map(|(path, field)| {
        let sent = way_back.expose().pointer(path).filter(|_| field.print.is_some());
        let print = sent.map(|sent| keys.key.of(path, sent));
        (path.clone(), BaseField { print, ..field.clone() })
    });
    let base: Base = fields.collect();
    let is_otherwise = |(path, field): &(&String, &BaseField)| {
        let alone = Base::from([((*path).clone(), (*field).clone())]);
        !LiveView::of(old).shows(&owned.type_name, &alone, keys)
    };
    let kept = base.iter().filter(is_otherwise).map(|(path, _)| path.clone()).collect();
    let (type_name, protect) = (owned.type_name.clone(), owned.protect);
    Intent { type_name, from: None, base, kept, protect }
}

/// Sends the way back; `noted` is the note of the new connection, which stays where nothing was done.
async fn make_again(
    job: &Job<'_>,
    old: &LiveConnection,
    way_back: &SensitiveValue,
    noted: Option<Intent>,
) -> Result<Deployment, String> {
    let call = || job.client.create(&old.name, way_back);
    let look = |_| look_after(job, &old.name);
    match send(job, call, |kind| kind == ErrorKind::AlreadyExists, look).await {
        WriteEnd::Acknowledged(deployment) => Ok(deployment),
        WriteEnd::Arrived(live) if live.type_name == old.type_name => Ok(Deployment::Done),
        WriteEnd::Arrived(live) => {
            job.ledger.edit_memory(&old.name, |memory| memory.intent = noted);
            Err(format!("a connection of type {} is live", live.type_name))
        }
        WriteEnd::Failed { error, nothing_was_done } => {
            if nothing_was_done {
                job.ledger.edit_memory(&old.name, |memory| memory.intent = noted);
            }
            Err(error.to_string())
        }
        WriteEnd::Over(ChangeResult::Failed(why)) => Err(why),
        WriteEnd::Over(_) => Err("the run is ending".to_owned()),
    }
}

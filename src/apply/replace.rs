//! DELETE, then POST: another type under the same name, with a way back.

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::create::{self, forget_intent};
use super::delete::{not_ours, send_delete};
use super::send::{Sent, ended, look_after, read, send};
use super::{ChangeResult, Control, Job};
use crate::catalog::{ConnectionType, Field, is_bookkeeping};
use crate::desired::{DesiredConnection, holds_env, resolve_one};
use crate::live::LiveConnection;
use crate::plan::compare::{shown_text, shows_file};
use crate::plan::{body, step, whole_digest};
use crate::pointer::{self, steps};
use crate::record::{Base, BaseField, Owned};
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
    let old = match prepared(job, desired).await {
        Ok(Some(old)) => old,
        Ok(None) => {
            return create::post(job, desired).await.unwrap_or_else(|not_made| not_made.result);
        }
        Err(result) => {
            forget_intent(job, desired);
            return result;
        }
    };
    match send_delete(job, &old.live.name, &old.owned).await {
        Sent::Acknowledged(_) | Sent::Arrived(()) => {}
        Sent::Failed { error, nothing_was_done } => {
            forget_intent(job, desired);
            return ended(&error, nothing_was_done);
        }
        Sent::Over(held @ ChangeResult::Held(_)) => {
            forget_intent(job, desired);
            return held;
        }
        // It may be gone by our doing, which the next run has to know.
        Sent::Over(result) => return result,
    }
    make_new(job, desired, old).await
}

/// Makes everything ready; `None`: the old connection is gone already.
async fn prepared(job: &Job<'_>, desired: &DesiredConnection) -> Result<Option<Old>, ChangeResult> {
    let name = &desired.name;
    let Some(owned) = job.ledger.read(|record| record.owned(name).cloned()) else {
        return Err(ChangeResult::Held("it is no longer in the inventory".to_owned()));
    };
    if let Err(problem) = body::for_create(desired) {
        return Err(ChangeResult::Blocked(problem.to_string()));
    }
    let Some(live) = read(job, name).await? else { return Ok(None) };
    if let Some(reason) = not_ours(job, name, &owned, &live) {
        return Err(ChangeResult::Held(reason));
    }
    let way_back = way_back(job, &owned, &live).await.map_err(ChangeResult::Blocked)?;
    Ok(Some(Old { owned, live, way_back }))
}

/// Makes the new connection where the old one was deleted.
async fn make_new(job: &Job<'_>, desired: &DesiredConnection, old: Old) -> ChangeResult {
    let name = &desired.name;
    // Whatever comes under that name now is somebody else's, until it is ours.
    job.ledger.edit_memory(name, |memory| memory.owned = None);
    // The deleted connection must not stay away because the run is ending.
    let (client, never) = (job.client.finishing(), CancellationToken::new());
    let job = &Job { client: &client, control: Control { stop: &never, ..job.control }, ..*job };
    let (result, is_refused) = match create::post(job, desired).await {
        Ok(result) => (result, false),
        Err(not_made) => (not_made.result, not_made.is_refused),
    };
    match result {
        ChangeResult::Failed(why) | ChangeResult::Blocked(why) => {
            bring_back(job, desired, old, why, is_refused).await
        }
        done => {
            job.ledger.edit_memory(name, |memory| {
                memory.due = None;
                memory.unstable.remove(step::REPLACE);
            });
            done
        }
    }
}

/// The body that makes the old connection again: what GET showed, with the secrets of the old
/// document's references, or as they were read where that is proven to be their value.
async fn way_back(
    job: &Job<'_>,
    owned: &Owned,
    old: &LiveConnection,
) -> Result<SensitiveValue, String> {
    let Some(old_type) = crate::catalog::find(&old.type_name) else {
        return Err(format!("the type {} of the old connection is not known", old.type_name));
    };
    let mut body = old.body().clone();
    body.retain(|key, _| !is_bookkeeping(old_type, key));
    let profile = job.resolution.profile.and_then(|profile| profile.types.get(old_type.name));
    for hidden in old_type.fields().filter(|field| body::is_hidden(field, profile)) {
        let value = old_value(job, owned, old, old_type, hidden).await?;
        let declared = owned.base.get(&format!("/{}", hidden.name)).map(|base| &base.declared);
        let is_null_in_git = declared.is_some_and(Value::is_null);
        match value {
            Some(value) => {
                body.insert(hidden.name.to_owned(), value);
            }
            None if hidden.is_used(old_type, &body) && !is_null_in_git => {
                return Err(body::restores_nothing(hidden.name));
            }
            None => {
                body.shift_remove(hidden.name);
            }
        }
    }
    let mut body = Value::Object(body);
    unmask(job, &owned.base, old_type, &mut body)?;
    Ok(SensitiveValue::new(body))
}

/// The value of a secret or file of the old connection, where it is known.
async fn old_value(
    job: &Job<'_>,
    owned: &Owned,
    old: &LiveConnection,
    old_type: &'static ConnectionType,
    hidden: &Field,
) -> Result<Option<Value>, String> {
    let path = format!("/{}", hidden.name);
    let shown = old.body().get(hidden.name);
    if hidden.is_file() && shows_file(shown) {
        return Ok(shown.cloned());
    }
    let declared = owned.base.get(&path).map(|base| &base.declared).filter(|d| !d.is_null());
    let resolved = declared.map(|declared| resolve_one(declared, &job.resolution));
    if let Some(Ok(value)) = resolved {
        return Ok(Some(value));
    }
    if let Some(text) = shown_text(shown) {
        let value = Value::from(text);
        let is_known = owned.knows_secret(&path, &value, job.rules.keys.key);
        if is_known || job.is_proven(old_type.name, &path).await {
            return Ok(Some(value));
        }
    }
    match resolved {
        Some(Err(problem)) => {
            Err(format!("the old connection's `{}` could not be restored: {problem}", hidden.name))
        }
        _ => Ok(None),
    }
}

/// Puts the values of the old document's references where the answer masks a secret inside another
/// field, as in a header of a webhook.
fn unmask(
    job: &Job<'_>,
    base: &Base,
    old_type: &'static ConnectionType,
    body: &mut Value,
) -> Result<(), String> {
    let masked = body::masked_fields(old_type, body);
    let is_in_it = |path: &str| steps(path).next().is_some_and(|key| masked.contains(&*key));
    let is_nothing = |path: &str| body.pointer(path).is_none_or(Value::is_null);
    // A `null` may stand in the place of a value of the environment.
    let hides_value =
        |path: &str, known: &BaseField| holds_env(&known.declared) && is_nothing(path);
    let to_restore: Vec<_> =
        base.iter().filter(|(path, known)| is_in_it(path) || hides_value(path, known)).collect();
    for (path, known) in to_restore {
        let field = path.trim_start_matches('/');
        let value = resolve_one(&known.declared, &job.resolution).map_err(|problem| {
            format!("the old connection's `{field}` could not be restored: {problem}")
        })?;
        pointer::set(body, path, value);
    }
    match body::masked_fields(old_type, body).first() {
        None => Ok(()),
        Some(field) => Err(format!(
            "the server masks a secret in the old connection's `{field}`, so it could not be \
             restored if the new one were refused"
        )),
    }
}

/// Makes the old connection again after the new one was not made, and remembers that, so that the
/// same document is not tried at every reconcile: one that is refused is not tried again, and one
/// that only failed once more.
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
        Err(_) => return ChangeResult::Failed(why),
    }
    let restored = make_again(job, &live, &way_back).await;
    job.ledger.edit_memory(&desired.name, |memory| {
        if restored.is_ok() {
            memory.intent = None;
            memory.owned = Some(Owned { id: None, ..owned });
        } else {
            // That it is gone is our doing, which the next run has to know.
            memory.intent = Some(create::intent(desired, &job.rules));
        }
    });
    job.count_step(desired, step::REPLACE, &whole_digest(desired));
    if is_refused {
        job.ledger.edit_memory(&desired.name, |memory| {
            memory.unstable.get_mut(step::REPLACE).into_iter().for_each(|k| k.given_up = true);
        });
    }
    match restored {
        Ok(()) if is_refused => ChangeResult::Blocked(format!(
            "the new one was refused, and the old one made again: {why}"
        )),
        Ok(()) => ChangeResult::Failed(format!(
            "the new one could not be made, and the old one was made again: {why}"
        )),
        Err(error) => {
            ChangeResult::Failed(format!("{why}; the old one could not be made again: {error}"))
        }
    }
}

async fn make_again(
    job: &Job<'_>,
    old: &LiveConnection,
    way_back: &SensitiveValue,
) -> Result<(), String> {
    let call = || job.client.create(&old.name, way_back).boxed();
    let look = |_| {
        let look = async { Ok(look_after(job, &old.name).await.ok().flatten()) };
        look.boxed()
    };
    match send(job, call, |_| false, look).await {
        Sent::Acknowledged(_) | Sent::Arrived(_) => Ok(()),
        Sent::Failed { error, .. } => Err(error.to_string()),
        Sent::Over(ChangeResult::Failed(why)) => Err(why),
        Sent::Over(_) => Err("the run is ending".to_owned()),
    }
}

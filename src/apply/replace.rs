//! DELETE, then POST: another type under the same name, with a way back.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::create::forget_intent;
use super::delete::not_ours;
use super::writing::{Next, failed_after, look_after, pause_or_fail, read};
use super::{ChangeResult, Job};
use crate::api::{CallError, ErrorKind, Tries};
use crate::catalog::{ConnectionType, Secrecy, hidden, is_bookkeeping};
use crate::desired::DesiredConnection;
use crate::inventory::{BaseField, Owned, Record};
use crate::live::LiveConnection;
use crate::plan::{REPLACE, body};
use crate::pointer::steps;
use crate::secret::SensitiveValue;

/// Replaces a connection by one of another type. The new one is made ready before the old one
/// is deleted, and so is the body that brings the old one back if the server refuses the new one.
pub(super) async fn replace(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    let name = &desired.name;
    let Some(owned) = job.ledger.read(|record| record.inventory.get(name).cloned()) else {
        forget_intent(job, desired);
        return ChangeResult::Held("it is no longer in the inventory".to_owned());
    };
    if let Err(problem) = body::for_create(desired) {
        forget_intent(job, desired);
        return ChangeResult::Blocked(problem.to_string());
    }
    let old = match read(job, name).await {
        Ok(Some(old)) => old,
        Ok(None) => return super::create::send(job, desired).await,
        Err(result) => {
            forget_intent(job, desired);
            return result;
        }
    };
    if let Some(reason) = not_ours(job, name, &owned, &old) {
        forget_intent(job, desired);
        return ChangeResult::Held(reason);
    }
    let way_back = match way_back(job, &owned, &old) {
        Ok(body) => body,
        Err(reason) => {
            forget_intent(job, desired);
            return ChangeResult::Blocked(reason);
        }
    };
    match delete_old(job, &owned, &old).await {
        Ok(()) => {}
        Err(NotDeleted::Stands(result)) => {
            forget_intent(job, desired);
            return result;
        }
        // That it may be gone is our doing, which the next run has to know.
        Err(NotDeleted::Unknown(result)) => return result,
    }
    // Whatever comes under that name now is somebody else's, until it is ours.
    job.ledger.edit(|record| record.inventory.remove(name));
    // What was deleted must not stay away because the run is ending.
    let (client, never) = (job.client.finishing(), CancellationToken::new());
    let job = &Job { client: &client, stop: &never, ..*job };
    let (result, is_refused) = match super::create::post(job, desired).await {
        Ok(result) => (result, false),
        Err(not_made) => (not_made.result, not_made.is_refused),
    };
    match result {
        ChangeResult::Failed(why) | ChangeResult::Blocked(why) => {
            let gone = Deleted { owned, live: old, way_back };
            bring_back(job, desired, gone, why, is_refused).await
        }
        done => {
            job.ledger.edit(|record| {
                record.deletes.remove(name);
                // Of a narrowed run, which leaves it as it was: it declared the old one.
                if let Some(good) = &mut record.last_good {
                    let old_type = || owned.type_name.clone();
                    good.types.entry(name.clone()).or_insert_with(old_type);
                }
                if let Some(tried) = record.unstable.get_mut(name) {
                    tried.remove(REPLACE);
                }
            });
            done
        }
    }
}

/// The body that makes the old connection again: what GET showed, with the secrets of the old
/// document's references, or as they were read.
fn way_back(job: &Job<'_>, owned: &Owned, old: &LiveConnection) -> Result<SensitiveValue, String> {
    let Some(old_type) = crate::catalog::find(&old.type_name) else {
        return Err(format!("the type {} of the old connection is not known", old.type_name));
    };
    let mut body = old.body();
    let shown_body = old.body();
    body.retain(|key, _| !is_bookkeeping(old_type, key));
    let base = owned.base.fields();
    for secret in old_type.secrets() {
        let Secrecy::Secret { used } = &secret.secrecy else { continue };
        let path = format!("/{}", secret.name);
        let shown = shown_body.get(secret.name).and_then(Value::as_str);
        let shown = shown.filter(|text| !text.is_empty() && !hidden::is_masked_text(text));
        let readable = job.ledger.read(|record| record.is_readable(&old.type_name, &path));
        let declared = base.get(&path).map(|base| &base.declared);
        let resolved = declared.filter(|declared| !declared.is_null()).map(|declared| {
            crate::desired::resolve_one(declared, job.vars, job.environment, job.redactor)
        });
        let value = match (resolved, shown) {
            (Some(Ok(value)), _) => Some(value),
            (_, Some(text)) if readable => Some(Value::from(text)),
            (Some(Err(problem)), _) => {
                return Err(format!(
                    "the old connection's `{}` could not be restored: {problem}",
                    secret.name
                ));
            }
            (None, _) => None,
        };
        match value {
            Some(value) => {
                body.insert(secret.name.to_owned(), value);
            }
            None => {
                let is_null_in_git = declared.is_some_and(Value::is_null);
                let of_use =
                    used.as_ref().is_none_or(|c| c.holds(&|name| old_type.field(name), &body));
                if of_use && !is_null_in_git {
                    return Err(format!(
                        "the old connection's `{}` can be neither resolved nor read, so it could not \
                         be restored if the new one were refused",
                        secret.name
                    ));
                }
                body.shift_remove(secret.name);
            }
        }
    }
    let mut body = Value::Object(body);
    unmask(job, &base, old_type, &mut body)?;
    Ok(SensitiveValue::new(body))
}

/// Puts the values of the old document's references where the answer masks a secret inside another
/// field, as in a header of a webhook.
fn unmask(
    job: &Job<'_>,
    base: &BTreeMap<String, BaseField>,
    old_type: &'static ConnectionType,
    body: &mut Value,
) -> Result<(), String> {
    let masked = body::masked_fields(old_type, body);
    let is_in_it = |path: &str| steps(path).next().is_some_and(|key| masked.contains(&*key));
    for (path, known) in base.iter().filter(|(path, _)| is_in_it(path)) {
        let field = path.trim_start_matches('/');
        let value =
            crate::desired::resolve_one(&known.declared, job.vars, job.environment, job.redactor)
                .map_err(|problem| {
                format!("the old connection's `{field}` could not be restored: {problem}")
            })?;
        body::set(body, path, value);
    }
    match body::masked_fields(old_type, body).first() {
        None => Ok(()),
        Some(field) => Err(format!(
            "the server masks a secret in the old connection's `{field}`, so it could not be \
             restored if the new one were refused"
        )),
    }
}

/// Why the old connection is not known to be deleted.
enum NotDeleted {
    /// It is live.
    Stands(ChangeResult),
    /// It may be gone.
    Unknown(ChangeResult),
}

async fn delete_old(job: &Job<'_>, owned: &Owned, old: &LiveConnection) -> Result<(), NotDeleted> {
    let mut tries = Tries::default();
    loop {
        let error = match job.client.delete(&old.name).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.may_have_been_done() => error,
            Err(error) => return Err(NotDeleted::Stands(failed_after(&tries, &error))),
        };
        match look_after(job, &old.name).await.map_err(NotDeleted::Unknown)? {
            None => return Ok(()),
            Some(live) => {
                if let Some(reason) = not_ours(job, &old.name, owned, &live) {
                    return Err(NotDeleted::Stands(ChangeResult::Held(reason)));
                }
            }
        }
        match pause_or_fail(job, &mut tries, &error).await {
            Next::Again => {}
            Next::Over(result) => return Err(NotDeleted::Stands(result)),
        }
    }
}

/// What the replace deleted.
struct Deleted {
    owned: Owned,
    live: LiveConnection,
    way_back: SensitiveValue,
}

/// Makes the old connection again after the new one was not made, and remembers that, so that the
/// same document is not tried at every reconcile: one that is refused is not tried again, and one
/// that only failed once more.
async fn bring_back(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: Deleted,
    why: String,
    is_refused: bool,
) -> ChangeResult {
    let Deleted { owned, live, way_back } = old;
    let name = &desired.name;
    match look_after(job, name).await {
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
    let document = crate::plan::whole_digest(desired);
    let empty = Record::default();
    let note = super::create::intent(desired, &job.context(&empty));
    job.ledger.edit(|record| {
        match &restored {
            Ok(()) => {
                record.intents.remove(name);
                record.inventory.insert(name.clone(), Owned { id: None, ..owned });
            }
            // That it is gone is our doing, which the next run has to know.
            Err(_) => _ = record.intents.insert(name.clone(), note),
        }
        record.count(name, REPLACE, &document, job.key);
        let tried = record.unstable.get_mut(name).and_then(|fields| fields.get_mut(REPLACE));
        if let Some(tried) = tried.filter(|_| is_refused) {
            tried.puts = u32::MAX;
        }
    });
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
) -> Result<(), CallError> {
    let mut tries = Tries::default();
    loop {
        let error = match job.client.create(&old.name, way_back).await {
            Ok(_) => return Ok(()),
            Err(error) if error.may_have_been_done() => error,
            Err(error) => return Err(error),
        };
        if matches!(look_after(job, &old.name).await, Ok(Some(_))) {
            return Ok(());
        }
        if let Next::Over(_) = pause_or_fail(job, &mut tries, &error).await {
            return Err(error);
        }
    }
}

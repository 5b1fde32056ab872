//! GET, compare again, PUT.

use super::writing::{
    MADE_ANEW, Next, base_after_put, failed_after, look_after, made_anew, pause_or_fail, read,
    remember,
};
use super::{ChangeResult, Job};
use crate::api::Tries;
use crate::desired::DesiredConnection;
use crate::inventory::{Owned, Record};
use crate::live::LiveConnection;
use crate::plan::body;
use crate::plan::compare::{Comparison, LiveView, compare};

/// Why an update ends whose connection is no longer there.
const DELETED: &str = "somebody deleted it meanwhile";

/// Brings one connection to what git wants.
pub(super) async fn update(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    let result = write(job, desired, false).await;
    let is_canary = job
        .canaries
        .get(desired.connection_type.name)
        .is_some_and(|names| names.len() > 1 && names.first() == Some(&desired.name));
    if is_canary && result == ChangeResult::Done {
        return read_back(job, desired).await;
    }
    result
}

/// Sends a connection again whose secrets may not have arrived.
pub(super) async fn resend(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    write(job, desired, true).await
}

async fn write(job: &Job<'_>, desired: &DesiredConnection, always: bool) -> ChangeResult {
    let name = &desired.name;
    let fresh = match read(job, name).await {
        Ok(Some(fresh)) => fresh,
        Ok(None) => return ChangeResult::Failed(DELETED.to_owned()),
        Err(result) => return result,
    };
    if fresh.type_name != desired.connection_type.name {
        let now = &fresh.type_name;
        return ChangeResult::Blocked(format!("it became a connection of type {now} meanwhile"));
    }
    if !always && made_anew(job, name, &fresh) {
        return ChangeResult::Failed(MADE_ANEW.to_owned());
    }
    let owned = job.ledger.read(|record| record.inventory.get(name).cloned());
    let owned = owned.filter(|o| {
        o.type_name == fresh.type_name && (o.id.is_none() || fresh.id.is_none() || o.id == fresh.id)
    });
    // What is sent again was made by this very run: what was there before is another connection.
    let planned = job.live.connections.get(name).filter(|_| !always);
    let single = job.singles.get(name).filter(|_| !always);
    let planned = planned.unwrap_or(&fresh);
    planned.teach_secrets(&job.plan.name, job.redactor);
    let planned_view = LiveView::new(planned, single);
    let base = owned.as_ref().map(|o| o.base.fields());
    let base = base.as_ref();
    if job.strict && !always && body::has_moved(desired, base, &planned_view, &fresh) {
        return ChangeResult::Held("it moved since the plan was made".to_owned());
    }
    let view = LiveView::new(planned, Some(&fresh));
    let record = job.record_for(name);
    let comparison = compare(desired, &view, base, &job.context(&record));
    let degraded = job.ledger.read(|record| record.degraded.contains_key(name));
    if !comparison.writes() && !degraded && !always {
        agree(job, desired, owned, &fresh, comparison);
        return ChangeResult::Done;
    }
    put(job, desired, &fresh, &view, &comparison, &record).await
}

async fn put(
    job: &Job<'_>,
    desired: &DesiredConnection,
    fresh: &LiveConnection,
    view: &LiveView<'_>,
    comparison: &Comparison,
    record: &Record,
) -> ChangeResult {
    let body = match body::for_update(desired, view, comparison, &fresh.name, record) {
        Ok(body) => body,
        Err(problem) => return ChangeResult::Blocked(problem.to_string()),
    };
    let context = job.context(record);
    // Where nothing differed before, finding it equal proves nothing of the PUT; and of a secret
    // that is masked it never does.
    let equal_proves_it = comparison.writes() && !desired.declares_secret;
    let mut tries = Tries::default();
    loop {
        match job.client.update(&fresh.name, &body).await {
            Ok(deployment) => {
                let base = base_after_put(desired, comparison, &context);
                return remember(job, desired, &base, fresh.id.clone(), &deployment);
            }
            // The answer is lost: what is there decides, save for a masked secret, which is
            // sent again.
            Err(error) if error.may_have_been_done() => {
                match look_after(job, &desired.name).await {
                    Ok(Some(now)) if equal_proves_it => {
                        let view = LiveView::new(&now, Some(&now));
                        let again = compare(desired, &view, Some(&comparison.base), &context);
                        if !again.writes() {
                            let base = base_after_put(desired, comparison, &context);
                            let done = crate::api::Deployment::Done;
                            return remember(job, desired, &base, now.id.clone(), &done);
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return ChangeResult::Failed(DELETED.to_owned()),
                    Err(result) => return result,
                }
                match pause_or_fail(job, &mut tries, &error).await {
                    Next::Again => {}
                    Next::Over(result) => return result,
                }
            }
            Err(error) => return failed_after(&tries, &error),
        }
    }
}

/// Somebody else brought it to what git wants: it is remembered without a write.
fn agree(
    job: &Job<'_>,
    desired: &DesiredConnection,
    owned: Option<Owned>,
    fresh: &LiveConnection,
    comparison: Comparison,
) {
    let mut owned = owned.unwrap_or_default();
    owned.type_name.clone_from(&fresh.type_name);
    owned.id.clone_from(&fresh.id);
    owned.protect = desired.options.protect;
    owned.base = comparison.base.into();
    job.ledger.edit(|record| record.inventory.insert(desired.name.clone(), owned));
}

/// Reads the canary back: a secret that does not come back equal is not readable after all, and
/// what was taken for a difference on the other connections was none.
async fn read_back(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    let fresh = match read(job, &desired.name).await {
        Ok(Some(fresh)) => fresh,
        Ok(None) => return ChangeResult::Failed(DELETED.to_owned()),
        Err(result) => return result,
    };
    let view = LiveView::new(&fresh, Some(&fresh));
    let record = job.record_for(&desired.name);
    let comparison = compare(desired, &view, None, &job.context(&record));
    let type_name = desired.connection_type.name;
    job.ledger.edit(|record| {
        let Some(readable) = record.readable.get_mut(type_name) else { return };
        let secrets = desired.fields().iter().filter(|f| f.is_secret());
        for secret in secrets.filter(|f| !comparison.proven_readable.iter().any(|p| **p == *f.path))
        {
            readable.remove(&*secret.path);
        }
    });
    ChangeResult::Done
}

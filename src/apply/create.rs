//! POST, and finding out what became of it.

use super::writing::{
    Next, failed, failed_after, look_after, nothing_was_done, pause_or_fail, read, remember,
};
use super::{ChangeResult, Job, update};
use crate::api::{CallError, Deployment, ErrorKind, Tries};
use crate::desired::DesiredConnection;
use crate::inventory::{Intent, Record};
use crate::live::LiveConnection;
use crate::plan::body;
use crate::plan::compare::{LiveView, base_of, is_as_sent};

/// Creates a connection that complete lists do not show. A name of the inventory is confirmed
/// absent by a GET first: a POST may be an upsert.
pub(super) async fn create(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    if !job.ledger.read(|record| record.inventory.contains_key(&desired.name)) {
        return send(job, desired).await;
    }
    match read(job, &desired.name).await {
        Ok(None) => send(job, desired).await,
        Ok(Some(_)) => {
            forget_intent(job, desired);
            ChangeResult::Failed(
                "somebody else made a connection of that name meanwhile; the next run compares it"
                    .to_owned(),
            )
        }
        Err(result) => {
            forget_intent(job, desired);
            result
        }
    }
}

/// Sends the POST, of a name that was just seen to be absent.
pub(super) async fn send(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    let body = match body::for_create(desired) {
        Ok(body) => body,
        Err(problem) => {
            forget_intent(job, desired);
            return ChangeResult::Blocked(problem.to_string());
        }
    };
    let mut tries = Tries::default();
    loop {
        match job.client.create(&desired.name, &body).await {
            Ok(deployment) => return created(job, desired, None, &deployment),
            // The attempt before this one arrived after all.
            Err(error) if error.kind == ErrorKind::AlreadyExists && tries.failed() > 0 => {
                return match look_after(job, &desired.name).await {
                    Ok(Some(live)) => found(job, desired, &live, &error).await,
                    Ok(None) => failed(&error),
                    Err(result) => result,
                };
            }
            Err(error) if error.may_have_been_done() => {
                match look_after(job, &desired.name).await {
                    Ok(None) => match pause_or_fail(job, &mut tries, &error).await {
                        Next::Again => {}
                        Next::Over(result) => return result,
                    },
                    Ok(Some(live)) => return found(job, desired, &live, &error).await,
                    Err(result) => return result,
                }
            }
            Err(error) => {
                // An attempt before this one may yet arrive.
                if tries.failed() == 0 && nothing_was_done(&error) {
                    forget_intent(job, desired);
                }
                return failed_after(&tries, &error);
            }
        }
    }
}

/// Decides by what is there whether a POST without an answer made it.
async fn found(
    job: &Job<'_>,
    desired: &DesiredConnection,
    live: &LiveConnection,
    error: &CallError,
) -> ChangeResult {
    let record = Record::default();
    let context = job.context(&record);
    let sent = Intent {
        type_name: desired.connection_type.name.to_owned(),
        from: None,
        base: base_of(desired, &context),
        protect: desired.options.protect,
    };
    let view = LiveView { entry: live, single: Some(live) };
    if !is_as_sent(&sent, &view, job.key, true) {
        forget_intent(job, desired);
        return failed(error);
    }
    let result = created(job, desired, live.id.clone(), &Deployment::Done);
    if desired.declares_secret() {
        // It is there, but whether its masked secrets are is not known: they are sent again.
        return update::resend(job, desired).await;
    }
    result
}

fn created(
    job: &Job<'_>,
    desired: &DesiredConnection,
    id: Option<String>,
    deployment: &Deployment,
) -> ChangeResult {
    let record = Record::default();
    let base = base_of(desired, &job.context(&record));
    remember(job, desired, base, id, deployment)
}

pub(super) fn forget_intent(job: &Job<'_>, desired: &DesiredConnection) {
    job.ledger.edit(|record| record.intents.remove(&desired.name));
}

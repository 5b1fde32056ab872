//! POST, and finding out what became of it.

use std::collections::BTreeSet;

use super::writing::{
    Next, failed, failed_after, look_after, nothing_was_done, pause_or_fail, read, remember,
};
use super::{ChangeResult, Job, update};
use crate::api::{CallError, Deployment, ErrorKind, Tries};
use crate::desired::DesiredConnection;
use crate::inventory::{Intent, Record};
use crate::live::LiveConnection;
use crate::plan::body;
use crate::plan::compare::{Context, LiveView, base_of, is_as_sent};

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

/// The note of a create, before its call.
pub(super) fn intent(desired: &DesiredConnection, context: &Context<'_>) -> Intent {
    Intent {
        type_name: desired.connection_type.name.to_owned(),
        from: None,
        base: base_of(desired, context).into(),
        kept: BTreeSet::new(),
        protect: desired.options.protect,
    }
}

/// A POST that made nothing.
pub(super) struct NotMade {
    pub(super) result: ChangeResult,
    /// The server refused this very document, and will again.
    pub(super) is_refused: bool,
}

impl From<ChangeResult> for NotMade {
    fn from(result: ChangeResult) -> Self {
        Self { result, is_refused: false }
    }
}

/// Sends the POST, of a name that was just seen to be absent.
pub(super) async fn send(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    post(job, desired).await.unwrap_or_else(|not_made| not_made.result)
}

/// Sends the POST, and says of a failure whether another try would end as this one did.
pub(super) async fn post(
    job: &Job<'_>,
    desired: &DesiredConnection,
) -> Result<ChangeResult, NotMade> {
    let body = match body::for_create(desired) {
        Ok(body) => body,
        Err(problem) => {
            forget_intent(job, desired);
            return Err(ChangeResult::Blocked(problem.to_string()).into());
        }
    };
    let mut tries = Tries::default();
    loop {
        match job.client.create(&desired.name, &body).await {
            Ok(deployment) => return Ok(created(job, desired, None, &deployment)),
            // The attempt before this one arrived after all.
            Err(error) if error.kind == ErrorKind::AlreadyExists && tries.failed() > 0 => {
                return match look_after(job, &desired.name).await? {
                    Some(live) => Ok(found(job, desired, &live, &error).await),
                    None => Err(failed(&error).into()),
                };
            }
            Err(error) if error.may_have_been_done() => {
                if let Some(live) = look_after(job, &desired.name).await? {
                    return Ok(found(job, desired, &live, &error).await);
                }
                match pause_or_fail(job, &mut tries, &error).await {
                    Next::Again => {}
                    Next::Over(result) => return Err(result.into()),
                }
            }
            Err(error) => {
                // An attempt before this one may yet arrive.
                if tries.failed() == 0 && nothing_was_done(&error) {
                    forget_intent(job, desired);
                }
                let is_refused = error.kind == ErrorKind::Refused;
                return Err(NotMade { result: failed_after(&tries, &error), is_refused });
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
    let sent = intent(desired, &context);
    let view = LiveView::new(live, Some(live));
    if !is_as_sent(&sent, &view, job.key, true) {
        forget_intent(job, desired);
        return failed(error);
    }
    let result = created(job, desired, live.id.clone(), &Deployment::Done);
    if desired.declares_secret {
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
    remember(job, desired, &base, id, deployment)
}

pub(super) fn forget_intent(job: &Job<'_>, desired: &DesiredConnection) {
    job.ledger.edit(|record| record.intents.remove(&desired.name));
}

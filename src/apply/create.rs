//! Creates a connection with a POST, and finds out whether it arrived.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;

use super::send::{Sent, ended, look_after, read, remember, send};
use super::{ChangeResult, Job, update};
use crate::api::{CallError, Deployment, ErrorKind};
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::plan::body;
use crate::plan::compare::CompareRules;
use crate::plan::view::LiveView;
use crate::record::Intent;

/// Creates a connection that complete lists do not show. A name of the inventory, and one that a
/// server may take for another name, is confirmed absent by a GET first: a POST may be an upsert.
pub(super) async fn create(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    let is_owned = job.ledger.read(|record| record.owned(&desired.name).is_some());
    if !is_owned && !job.lookalikes.contains(&desired.name) {
        return post(job, desired).await.unwrap_or_else(|not_made| not_made.result);
    }
    let why = match read(job, &desired.name).await {
        Ok(None) => return post(job, desired).await.unwrap_or_else(|not_made| not_made.result),
        Ok(Some(live)) if live.name.as_str() != desired.name.as_str() => {
            ChangeResult::Blocked(format!("the server takes its name for that of `{}`", live.name))
        }
        Ok(Some(_)) => ChangeResult::Failed(
            "a connection of that name was made outside git; the next run compares it".to_owned(),
        ),
        Err(result) => result,
    };
    forget_intent(job, desired);
    why
}

/// The note of a create, before its call.
pub(super) fn intent(desired: &DesiredConnection, rules: &CompareRules<'_>) -> Intent {
    Intent {
        type_name: desired.connection_type.name.to_owned(),
        from: None,
        base: rules.base_of(desired),
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

/// Sends the POST, of a name that was just seen to be absent.
pub(super) async fn post(
    job: &Job<'_>,
    desired: &DesiredConnection,
) -> Result<ChangeResult, NotMade> {
    let not_made = |result| NotMade { result, is_refused: false };
    let body = match body::for_create(desired) {
        Ok(body) => body,
        Err(problem) => {
            forget_intent(job, desired);
            return Err(not_made(ChangeResult::Blocked(problem.to_string())));
        }
    };
    let call = || job.client.create(&desired.name, &body).boxed();
    let is_proof = |kind| kind == ErrorKind::AlreadyExists;
    let look = |error| {
        let look = async {
            let live = look_after(job, &desired.name).await?;
            Ok(live.map(|live| (live, error)))
        };
        look.boxed()
    };
    match send(job, call, is_proof, look).await {
        Sent::Acknowledged(deployment) => {
            let base = job.rules.base_of(desired);
            Ok(remember(job, desired, base, None, &deployment))
        }
        Sent::Arrived((live, error)) => Ok(found(job, desired, &live, &error).await),
        Sent::Failed { error, nothing_was_done } => {
            if nothing_was_done {
                forget_intent(job, desired);
            }
            let is_refused = error.kind == ErrorKind::Refused;
            Err(NotMade { result: ended(&error, nothing_was_done), is_refused })
        }
        Sent::Over(result) => Err(not_made(result)),
    }
}

/// Reads the connection to decide whether a POST without an answer made it.
async fn found(
    job: &Job<'_>,
    desired: &DesiredConnection,
    live: &LiveConnection,
    error: &CallError,
) -> ChangeResult {
    let base = job.rules.base_of(desired);
    if !LiveView::of(live).shows(desired.connection_type.name, &base, job.rules.keys) {
        forget_intent(job, desired);
        return ChangeResult::Failed(error.to_string());
    }
    let result = remember(job, desired, base, live.id.clone(), &Deployment::Done);
    if desired.declares_secret() {
        // It is there, but whether its masked secrets are is not known: they are sent again.
        return update::resend(job, desired).await;
    }
    result
}

/// Takes the note of a call back that made nothing: it must claim nothing that somebody else makes.
pub(super) fn forget_intent(job: &Job<'_>, desired: &DesiredConnection) {
    job.ledger.edit_memory(&desired.name, |memory| memory.intent = None);
}

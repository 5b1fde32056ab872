//! Creates a connection with a POST, and finds out whether it arrived. At the end of the run the ids of
//! what was created are read: a create does not tell them, and without one a connection that somebody
//! makes anew under the name could be mistaken for ours (rule 3).

use std::collections::BTreeSet;

use super::send::{Ended, Made, look_after, read, remember, send};
use super::{ChangeResult, Job, update};
use crate::api::{CallError, Deployment, ErrorKind, Listed};
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::compare::LiveView;
use crate::plan::{Action, Entry, body};

/// Creates a connection that complete lists do not show. A name of the inventory, and one that a
/// server may take for another name, is confirmed absent by a GET first: a POST may be an upsert.
pub(super) async fn create(job: &Job<'_>, desired: &DesiredConnection) -> Ended {
    let is_owned = job.ledger.read(|record| record.owned(&desired.name).is_some());
    if !is_owned && !job.lookalikes.contains(&desired.name) {
        return post(job, desired).await;
    }
    let why = match read(job, &desired.name).await {
        Ok(None) => return post(job, desired).await,
        Ok(Some(live)) if live.name.as_str() != desired.name.as_str() => {
            ChangeResult::Blocked(format!("the server takes its name for that of `{}`", live.name))
        }
        Ok(Some(_)) => ChangeResult::Failed(
            "a connection of that name was made outside git; the next run compares it".to_owned(),
        ),
        Err(result) => result,
    };
    why.into()
}

/// Sends the POST of a name that complete lists, or a GET just now, do not show.
pub(super) async fn post(job: &Job<'_>, desired: &DesiredConnection) -> Ended {
    let body = match body::for_create(desired) {
        Ok(body) => body,
        Err(problem) => return ChangeResult::Blocked(problem.to_string()).into(),
    };
    let call = || job.client.create(&desired.name, &body);
    let hints_at_arrival = |kind| kind == ErrorKind::AlreadyExists;
    let look = |error| async move {
        let live = look_after(job, &desired.name).await?;
        Ok(live.map(|live| (live, error)))
    };
    match send(job, call, hints_at_arrival, look).await {
        Ok(Made::Acknowledged(deployment)) => {
            let base = job.compare_by.base_of(desired);
            remember(job, desired, base, None, &deployment).into()
        }
        Ok(Made::Arrived((live, error))) => arrived_or_not(job, desired, &live, &error).await,
        Err(ended) => ended,
    }
}

/// Decides from what was read whether a POST without an answer made it.
async fn arrived_or_not(
    job: &Job<'_>,
    desired: &DesiredConnection,
    live: &LiveConnection,
    error: &CallError,
) -> Ended {
    let base = job.compare_by.base_of(desired);
    if !LiveView::of(live).shows(desired.connection_type.name, &base, job.compare_by.keys) {
        return ChangeResult::Failed(error.to_string()).into();
    }
    remember(job, desired, base, live.id.clone(), &Deployment::Done);
    update::resend_masked(job, desired, live).await
}

/// Reads one list for each type of which something was created, where lists show ids, and keeps the
/// ids. A list that cannot be read is no failure of the run: the next reading compares what live
/// shows with what was written.
pub(super) async fn learn_ids(job: &Job<'_>, entries: &[Entry]) {
    let live = &job.observed.live;
    if !live.connections.is_empty() && !live.shows_ids() {
        return;
    }
    let changes = entries.iter().filter_map(|entry| entry.change.as_ref());
    let created: BTreeSet<&ConnectionName> = changes
        .filter(|change| matches!(change.action, Action::Create | Action::Replace))
        // A create that failed may have met somebody else's connection under the name. A replace that failed
        // may have made the old one again, whose id was known.
        .filter(|change| {
            let known = job.record_of_plan.owned(&change.name).and_then(|owned| owned.id.as_ref());
            change.result.as_ref().is_some_and(ChangeResult::is_written)
                || (change.action == Action::Replace && known.is_some())
        })
        .map(|change| &change.name)
        .collect();
    let types: BTreeSet<String> = job.ledger.read(|record| {
        let owned = created.iter().filter_map(|name| record.owned(name));
        owned.filter(|owned| owned.id.is_none()).map(|owned| owned.type_name.clone()).collect()
    });
    // A run that is killed meanwhile has to know what it made.
    if !types.is_empty() && job.ledger.save().await.is_err() {
        return;
    }
    for type_name in types {
        let Ok(Listed::Complete(listed)) = job.client.list(&type_name).await else { continue };
        for live in listed.into_iter().filter(|live| created.contains(&live.name)) {
            job.ledger.edit_memory(&live.name, |memory| {
                let ours = memory.owned.as_mut().filter(|owned| owned.id.is_none());
                if let Some(owned) = ours.filter(|owned| owned.type_name == live.type_name) {
                    owned.id.clone_from(&live.id);
                }
            });
        }
    }
}

//! One PUT under the old name, with the new one in its body.

use super::send::{Ended, Made, look_after, send};
use super::update::{self, Purpose, Put, ready_put};
use super::{ChangeResult, Job};
use crate::api::{Deployment, ErrorKind};
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::plan::{Change, attempt};

/// Renames a connection in place, and writes git's other changes in the same call.
pub(super) async fn rename(job: &Job<'_>, change: &Change, desired: &DesiredConnection) -> Ended {
    let Some(old) = &change.previous_name else { return ChangeResult::NotStarted.into() };
    match ready_put(job, old, desired, Purpose::Rename).await {
        Ok(ready) => put(job, desired, &ready).await,
        Err(result) => result.into(),
    }
}

async fn put(job: &Job<'_>, desired: &DesiredConnection, ready: &Put) -> Ended {
    let Put { fresh: old, body, .. } = ready;
    let call = || job.client.update(&old.name, body);
    let hints_at_arrival = |kind| kind == ErrorKind::NotFound;
    let look = |_| was_renamed(job, desired, old);
    let deployment = match send(job, call, hints_at_arrival, look).await {
        Ok(Made::Acknowledged(deployment)) => deployment,
        Ok(Made::Arrived(live)) => {
            remember_rename(job, desired, ready, &live, &Deployment::Done);
            return update::resend_masked(job, desired, &live).await;
        }
        Err(ended) => {
            let Some(words) = &ended.refused else { return ended };
            let why = format!("the server refuses the rename: {words}");
            return Ended { result: ChangeResult::Blocked(why), ..ended };
        }
    };
    // A server may take the PUT and keep the name, so the connection is read to decide.
    match was_renamed(job, desired, old).await {
        Ok(Some(live)) => remember_rename(job, desired, ready, &live, &deployment).into(),
        Ok(None) => {
            job.count_attempt(desired, attempt::RENAME);
            let why = "the server accepted the rename and kept the old name";
            // The next run settles what else it took.
            Ended::not_known(ChangeResult::Blocked(why.to_owned()))
        }
        Err(ended) => ended,
    }
}

/// The connection under the new name, if it is the one that had the old name: the server may have kept that, and
/// somebody may have made another one under the new name meanwhile.
async fn was_renamed(
    job: &Job<'_>,
    desired: &DesiredConnection,
    old: &LiveConnection,
) -> Result<Option<LiveConnection>, Ended> {
    let Some(live) = look_after(job, &desired.name).await? else { return Ok(None) };
    let is_same = match (&live.id, &old.id) {
        (Some(now), Some(then)) => now == then,
        _ => live.type_name == old.type_name && look_after(job, &old.name).await?.is_none(),
    };
    if is_same {
        return Ok(Some(live));
    }
    let why =
        format!("a connection of the name `{}` was made outside git in the meantime", desired.name);
    Err(Ended::not_known(ChangeResult::Failed(why)))
}

/// Remembers a rename that was made.
fn remember_rename(
    job: &Job<'_>,
    desired: &DesiredConnection,
    ready: &Put,
    live: &LiveConnection,
    deployment: &Deployment,
) -> ChangeResult {
    let old = &ready.fresh.name;
    job.ledger.edit(|record| {
        record.free(old);
        // An entry that had the name before is of another connection.
        record.edit(&desired.name, |memory| {
            (memory.owned, memory.unstable, memory.protected_by) = Default::default();
        });
        if !job.desired.contains_key(old) {
            record.leave(old);
        }
    });
    ready.remember(job, desired, live.id.clone(), deployment)
}

//! GET, compare again, PUT.

use futures_util::FutureExt as _;

use serde_json::Value;

use super::put::{DELETED, Put, prepare};
use super::send::{Sent, base_after_put, ended, look_after, read, remember, send};
use super::{ChangeResult, Job};
use crate::api::Deployment;
use crate::desired::DesiredConnection;
use crate::plan::Action;
use crate::plan::compare::{Remembered, Subject, Treatment};
use crate::plan::view::LiveView;
use crate::record::Memory;

/// Makes one connection equal to git; with `reads_back` it looks whether its secrets arrived.
pub(super) async fn update(
    job: &Job<'_>,
    desired: &DesiredConnection,
    reads_back: bool,
) -> ChangeResult {
    let result = write(job, desired, false).await;
    if reads_back && result == ChangeResult::Done {
        return read_back(job, desired).await;
    }
    result
}

/// Sends a connection again whose secrets may not have arrived.
pub(super) async fn resend(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    write(job, desired, true).await
}

/// `again`: this very run made what is there, and sends it again.
async fn write(job: &Job<'_>, desired: &DesiredConnection, again: bool) -> ChangeResult {
    let name = &desired.name;
    let ready = match prepare(job, name, desired, Action::Update, again).await {
        Ok(ready) => ready,
        Err(result) => return result,
    };
    let result = put(job, desired, &ready).await;
    if matches!(result, ChangeResult::Done | ChangeResult::Degraded(_)) {
        job.ledger.edit_memory(name, |memory| {
            if !again {
                count_puts(job, memory, desired, &ready);
            }
            ready.keep_shown_secrets(&mut memory.owned);
        });
    }
    result
}

async fn put(job: &Job<'_>, desired: &DesiredConnection, ready: &Put) -> ChangeResult {
    let Put { fresh, comparison, body, .. } = ready;
    // Live that equals git proves that the PUT arrived only if it differed before, and if git declares
    // no secret, which may be masked.
    let equal_proves_it = comparison.writes() && !desired.declares_secret();
    let call = || job.client.update(&fresh.name, body).boxed();
    let look = |_| {
        let look = async {
            let Some(now) = look_after(job, &desired.name).await? else {
                return Err(ChangeResult::Failed(DELETED.to_owned()));
            };
            let remembered = Remembered { base: Some(&comparison.base), unstable: None };
            let is_equal = || !job.compare(desired, &LiveView::of(&now), remembered).writes();
            Ok((equal_proves_it && is_equal()).then_some(now))
        };
        look.boxed()
    };
    let base = || base_after_put(desired, comparison, &job.rules);
    match send(job, call, |_| false, look).await {
        Sent::Acknowledged(deployment) => {
            remember(job, desired, base(), fresh.id.clone(), &deployment)
        }
        Sent::Arrived(now) => remember(job, desired, base(), now.id, &Deployment::Done),
        Sent::Failed { error, nothing_was_done } => ended(&error, nothing_was_done),
        Sent::Over(result) => result,
    }
}

/// Counts one more PUT of each field that it was about: a field that does not stay is given up. Only
/// what the server acknowledged counts, so that a process which is killed before its calls gives
/// up nothing that was never sent.
fn count_puts(job: &Job<'_>, memory: &mut Memory, desired: &DesiredConnection, put: &Put) {
    let entry = job.observed.live.connections.get(&desired.name).unwrap_or(&put.fresh);
    let before = LiveView { entry, own: Some(&put.fresh) };
    let key = job.rules.keys.key;
    let written = put.comparison.differences.iter().filter(|d| d.treatment == Treatment::Write);
    // Of a secret that was not read nothing can be seen not to stay.
    for difference in written.filter(|d| d.subject != Subject::Secret) {
        let path = &difference.change.path;
        let wanted = desired.field(path).and_then(|field| field.value());
        let wanted = wanted.or(difference.change.after.as_ref()).unwrap_or(&Value::Null);
        let shown =
            if difference.is_secret() { before.shown_by_get(path) } else { before.get(path) };
        memory.count(path, wanted, shown.unwrap_or(&Value::Null), key);
    }
}

/// Reads a secret back that was written since another one was shown: one that does not come back
/// equal is not readable after all, and the difference was only apparent.
async fn read_back(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    let fresh = match read(job, &desired.name).await {
        Ok(Some(fresh)) => fresh,
        Ok(None) => return ChangeResult::Failed(DELETED.to_owned()),
        Err(result) => return result,
    };
    let comparison = job.compare(desired, &LiveView::of(&fresh), Remembered::default());
    let secrets = desired.fields.iter().filter(|field| field.is_secret());
    let hidden = secrets.filter(|field| !comparison.proven_readable.contains(&field.path));
    job.ledger.edit(|record| {
        for field in hidden {
            record.readable.remove(desired.connection_type.name, &field.path);
        }
    });
    ChangeResult::Done
}

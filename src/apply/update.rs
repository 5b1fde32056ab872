//! GET, compare again, PUT.

use futures_util::FutureExt as _;

use super::proof::Proof;
use super::send::{
    MADE_ANEW, Sent, base_after_put, ended, is_made_anew, look_after, read, remember, send,
};
use super::{ChangeResult, Job};
use crate::api::Deployment;
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::plan::compare::{CompareRules, Comparison, Remembered, Treatment, compare};
use crate::plan::view::LiveView;
use crate::plan::{Action, body};
use crate::record::{Memory, Owned};

/// Why an update ends whose connection is no longer there.
const DELETED: &str = "it was deleted since the plan was made";

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

/// Whether live moved since the plan was made, in what git declares or the base has.
pub(super) fn has_moved(
    desired: &DesiredConnection,
    owned: Option<&Owned>,
    planned: &LiveView<'_>,
    now: &LiveConnection,
) -> bool {
    let declared = desired.fields.iter().map(|field| field.path.as_str());
    let remembered = owned.into_iter().flat_map(|owned| owned.base.keys().map(String::as_str));
    body::has_moved(desired.connection_type, declared.chain(remembered), planned, now)
}

/// `again`: this very run made what is there, and sends it again.
async fn write(job: &Job<'_>, desired: &DesiredConnection, again: bool) -> ChangeResult {
    let name = &desired.name;
    let fresh = match read(job, name).await {
        Ok(Some(fresh)) => fresh,
        Ok(None) => return ChangeResult::Failed(DELETED.to_owned()),
        Err(result) => return result,
    };
    if fresh.type_name != desired.connection_type.name {
        let now = &fresh.type_name;
        return ChangeResult::Blocked(format!("it now has the type {now}"));
    }
    if !again && is_made_anew(job, name, &fresh) {
        return ChangeResult::Failed(MADE_ANEW.to_owned());
    }
    // If this run created it, the plan's view is of an older connection.
    let entry = job.observed.live.connections.get(name).filter(|_| !again).unwrap_or(&fresh);
    let planned = LiveView { entry, own: job.observed.singles.get(name).filter(|_| !again) };
    let view = LiveView { entry, own: Some(&fresh) };
    let owned = job.ledger.read(|record| record.owned(name).cloned());
    let owned = owned.filter(|owned| view.is_the_connection_of(owned, &job.rules));
    if job.control.strict && !again && has_moved(desired, owned.as_ref(), &planned, &fresh) {
        return ChangeResult::Held("it moved since the plan was made".to_owned());
    }
    let readable = job.readable();
    let rules = job.rules_with(&readable);
    let unstable = job.planned.memory(name).map(|memory| &memory.unstable);
    let remembered = Remembered { base: owned.as_ref().map(|owned| &owned.base), unstable };
    let comparison = compare(desired, &view, remembered, &rules);
    let degraded = job.ledger.read(|r| r.memory(name).is_some_and(|m| m.degraded.is_some()));
    if !comparison.writes() && !degraded && !again {
        agree(job, desired, owned, &fresh, comparison);
        return ChangeResult::NotNeeded;
    }
    let written = comparison.treated(Treatment::Write);
    if let Some(stopped) = job.stopped_by_rules(desired, Action::Update, written).filter(|_| !again)
    {
        return stopped;
    }
    let proof = Proof::of(job, desired, &view, owned.as_ref()).await;
    let is_proven = |path: &str, value: &serde_json::Value| proof.has(path, value);
    let body = match body::for_update(desired, &view, &comparison, &fresh.name, &is_proven) {
        Ok(body) => body,
        Err(problem) => return ChangeResult::Blocked(problem.to_string()),
    };
    let result = put(job, desired, &fresh, &comparison, &body, &rules).await;
    if matches!(result, ChangeResult::Done | ChangeResult::Degraded(_)) {
        job.ledger.edit_memory(name, |memory| {
            if !again {
                count_puts(memory, desired, &comparison, &view, &rules);
            }
            if let Some(owned) = &mut memory.owned {
                owned.shown_secrets = proof.shown(&fresh);
            }
        });
    }
    result
}

async fn put(
    job: &Job<'_>,
    desired: &DesiredConnection,
    fresh: &LiveConnection,
    comparison: &Comparison,
    body: &crate::secret::SensitiveValue,
    rules: &CompareRules<'_>,
) -> ChangeResult {
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
            let is_equal = || !compare(desired, &LiveView::of(&now), remembered, rules).writes();
            Ok((equal_proves_it && is_equal()).then_some(now))
        };
        look.boxed()
    };
    let base = || base_after_put(desired, comparison, rules);
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
fn count_puts(
    memory: &mut Memory,
    desired: &DesiredConnection,
    comparison: &Comparison,
    before: &LiveView<'_>,
    rules: &CompareRules<'_>,
) {
    let written = comparison.differences.iter().filter(|d| d.treatment == Treatment::Write);
    // Of a secret that was not read nothing can be seen not to stay.
    for difference in written.filter(|d| !d.secret || d.read_back) {
        let path = &difference.change.path;
        let wanted = desired.field(path).and_then(|field| field.value());
        let wanted = wanted.or(difference.change.after.as_ref());
        let nothing = serde_json::Value::Null;
        let shown = if difference.secret { before.shown_by_get(path) } else { before.get(path) };
        memory.count(path, wanted.unwrap_or(&nothing), shown.unwrap_or(&nothing), rules.keys.key);
    }
}

/// Takes an agreement that somebody else made into the memory, without a write.
fn agree(
    job: &Job<'_>,
    desired: &DesiredConnection,
    owned: Option<Owned>,
    fresh: &LiveConnection,
    comparison: Comparison,
) {
    let owned = Owned {
        type_name: fresh.type_name.clone(),
        id: fresh.id.clone(),
        protect: desired.options.protect,
        base: comparison.base,
        ..owned.unwrap_or_default()
    };
    job.ledger.edit_memory(&desired.name, |memory| memory.owned = Some(owned));
}

/// Reads a secret back that was written since another one was shown: one that does not come back
/// equal is not readable after all, and the difference was only apparent.
async fn read_back(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    let fresh = match read(job, &desired.name).await {
        Ok(Some(fresh)) => fresh,
        Ok(None) => return ChangeResult::Failed(DELETED.to_owned()),
        Err(result) => return result,
    };
    let readable = job.readable();
    let rules = job.rules_with(&readable);
    let comparison = compare(desired, &LiveView::of(&fresh), Remembered::default(), &rules);
    let secrets = desired.fields.iter().filter(|field| field.is_secret());
    let hidden = secrets.filter(|field| !comparison.proven_readable.contains(&field.path));
    job.ledger.edit(|record| {
        for field in hidden {
            record.readable.remove(desired.connection_type.name, &field.path);
        }
    });
    ChangeResult::Done
}

//! The common part of an update and a rename: GET, compare again, make the body of the PUT (rule 5).

use std::collections::BTreeMap;

use super::proof::Proof;
use super::send::{MADE_ANEW, is_made_anew, read};
use super::{ChangeResult, Job};
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::compare::{Comparison, Treatment};
use crate::plan::view::LiveView;
use crate::plan::{Action, body};
use crate::record::Owned;
use crate::secret::{Fingerprint, SensitiveValue};

/// Why an update ends whose connection is no longer there.
pub(super) const DELETED: &str = "it was deleted since the plan was made";

/// A PUT that is ready to be sent.
pub(super) struct Put {
    /// The connection as it was read just now.
    pub(super) fresh: LiveConnection,
    pub(super) comparison: Comparison,
    pub(super) body: SensitiveValue,
    /// The fingerprints to keep of secrets that git does not declare.
    pub(super) shown_secrets: BTreeMap<String, Fingerprint>,
}

/// Reads the connection that has a name now and makes the body of an update or a rename of it. The
/// error is the result of a change that needs no PUT, or must not be made. `again`: this very run
/// made what is there, and sends it again.
pub(super) async fn prepare(
    job: &Job<'_>,
    name: &ConnectionName,
    desired: &DesiredConnection,
    action: Action,
    again: bool,
) -> Result<Put, ChangeResult> {
    let is_rename = action == Action::Rename;
    let Some(fresh) = read(job, name).await? else {
        let renamed = format!("`{name}` is not there any more");
        return Err(ChangeResult::Failed(if is_rename { renamed } else { DELETED.to_owned() }));
    };
    if fresh.type_name != desired.connection_type.name {
        let what = if is_rename { format!("`{name}`") } else { "it".to_owned() };
        return Err(ChangeResult::Blocked(format!("{what} now has the type {}", fresh.type_name)));
    }
    if !again && is_made_anew(job, name, &fresh) {
        return Err(ChangeResult::Failed(MADE_ANEW.to_owned()));
    }
    if is_rename && read(job, &desired.name).await?.is_some() {
        return Err(ChangeResult::Blocked(format!("the name `{}` is taken", desired.name)));
    }
    // If this run created it, the plan's view is of an older connection.
    let entry = job.observed.live.connections.get(name).filter(|_| !again).unwrap_or(&fresh);
    let planned = LiveView { entry, own: job.observed.singles.get(name).filter(|_| !again) };
    let view = LiveView { entry, own: Some(&fresh) };
    let owned = job.ledger.read(|record| record.owned(name).cloned());
    let owned = owned.filter(|owned| view.is_the_connection_of(owned, &job.rules));
    if job.control.strict && !again && has_moved(desired, owned.as_ref(), &planned, &fresh) {
        return Err(ChangeResult::Held("it moved since the plan was made".to_owned()));
    }
    let comparison = job.compare(desired, &view, job.remembered(desired, owned.as_ref()));
    let is_degraded = || job.ledger.read(|r| r.memory(name).is_some_and(|m| m.degraded.is_some()));
    if !is_rename && !again && !comparison.writes() && !is_degraded() {
        agree(job, desired, owned, &fresh, comparison);
        return Err(ChangeResult::NotNeeded);
    }
    let written = comparison.treated(Treatment::Write);
    if let Some(stopped) = job.stopped_by_rules(desired, action, written).filter(|_| !again) {
        return Err(stopped);
    }
    let proof = Proof::of(job, desired, &view, owned.as_ref()).await;
    let is_proven = |path: &str, value: &serde_json::Value| proof.has(path, value);
    let named = if is_rename { &desired.name } else { &fresh.name };
    let body = body::for_update(desired, &view, &comparison, named, &is_proven)
        .map_err(|problem| ChangeResult::Blocked(problem.to_string()))?;
    let shown_secrets = proof.shown(&fresh);
    Ok(Put { fresh, comparison, body, shown_secrets })
}

/// Whether live moved since the plan was made, in what git declares or the base has.
fn has_moved(
    desired: &DesiredConnection,
    owned: Option<&Owned>,
    planned: &LiveView<'_>,
    now: &LiveConnection,
) -> bool {
    let declared = desired.fields.iter().map(|field| field.path.as_str());
    let remembered = owned.into_iter().flat_map(|owned| owned.base.keys().map(String::as_str));
    body::has_moved(desired.connection_type, declared.chain(remembered), planned, now)
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

impl Put {
    /// Keeps the fingerprints of secrets with a connection that the PUT was made for.
    pub(super) fn keep_shown_secrets(self, owned: &mut Option<Owned>) {
        if let Some(owned) = owned {
            owned.shown_secrets = self.shown_secrets;
        }
    }
}

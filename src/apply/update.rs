//! GET, compare again, PUT (rule 5), for an update and a rename. The body wipes no secret. One that git
//! does not declare is sent back in three cases: the same field of a connection of the type reads back equal
//! in this reconcile; the value is the one that was shown when that was so; it is the one that was sent
//! last. That the field was readable once is not enough: a server may show cipher text today.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::send::{
    Ended, MADE_ANEW, Made, NOT_SHOWN, base_after_put, is_made_anew, look_after, read, remember,
    send,
};
use super::{ChangeResult, Job};
use crate::api::Deployment;
use crate::catalog::Field;
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::compare::{
    self, Comparison, LiveView, Remembered, Subject, Treatment, shown_text,
};
use crate::plan::{Action, body};
use crate::pointer::look_up;
use crate::record::{Memory, Owned};
use crate::secret::{Fingerprint, FingerprintKey, SensitiveValue, same_in_constant_time};

/// Makes one connection equal to git; with `is_checked` it looks whether its secrets arrived.
pub(super) async fn update(job: &Job<'_>, desired: &DesiredConnection, is_checked: bool) -> Ended {
    let ended = write(job, desired, Purpose::Update).await;
    if is_checked && ended.result == ChangeResult::Done {
        return check_secrets(job, desired).await.into();
    }
    ended
}

/// Sends a connection again of which live masks something, where the answer to a write was lost: whether that
/// arrived is not known. Until that is done it does not count as sent.
pub(super) async fn resend_masked(
    job: &Job<'_>,
    desired: &DesiredConnection,
    live: &LiveConnection,
) -> Ended {
    let (view, keys) = (LiveView::of(live), job.compare_by.keys);
    let is_masked = job.ledger.edit_memory(&desired.name, |memory| {
        let owned = memory.owned.as_mut();
        owned.is_some_and(|owned| view.forget_masked(Arc::make_mut(&mut owned.base), keys))
    });
    if !is_masked {
        return ChangeResult::Done.into();
    }
    let ended = write(job, desired, Purpose::Resend).await;
    // The first write arrived all the same.
    if ended.result == ChangeResult::NotStarted { ChangeResult::Done.into() } else { ended }
}

async fn write(job: &Job<'_>, desired: &DesiredConnection, purpose: Purpose) -> Ended {
    let name = &desired.name;
    let ready = match ready_put(job, name, desired, purpose).await {
        Ok(ready) => ready,
        Err(result) => return result.into(),
    };
    let ended = put(job, desired, &ready).await;
    if ended.result.is_written() && purpose == Purpose::Update {
        job.ledger.edit_memory(name, |memory| count_puts(job, memory, desired, &ready));
    }
    ended
}

async fn put(job: &Job<'_>, desired: &DesiredConnection, ready: &Put) -> Ended {
    let Put { fresh, comparison, body, .. } = ready;
    // Live that equals git proves that the PUT arrived only if it differed before, and if git declares
    // no secret, which may be masked.
    let equal_proves_it = comparison.writes() && !desired.declares_secret();
    let call = || job.client.update(&fresh.name, body);
    let look = |_| async move {
        let Some(now) = look_after(job, &desired.name).await? else {
            return Err(Ended::not_known(ChangeResult::Failed(NOT_SHOWN.to_owned())));
        };
        if fresh.id.is_some() && now.id.is_some() && now.id != fresh.id {
            return Err(ChangeResult::Failed(MADE_ANEW.to_owned()).into());
        }
        // A PUT is due: else a difference that it was to write would prove that it arrived.
        let remembered = Remembered { base: Some(&comparison.base), unstable: None };
        let is_equal = || !job.compare(desired, &LiveView::of(&now), remembered, true).writes();
        Ok((equal_proves_it && is_equal()).then_some(now))
    };
    let (id, deployment) = match send(job, call, |_| false, look).await {
        Ok(Made::Acknowledged(deployment)) => (None, deployment),
        Ok(Made::Arrived(now)) => (now.id, Deployment::Done),
        Err(ended) => return ended,
    };
    ready.remember(job, desired, id, &deployment).into()
}

/// Counts one more PUT of each field that it was about: a field that does not stay is given up. Only
/// what the server acknowledged counts, so that a process which is killed before its calls gives
/// up nothing that was never sent.
fn count_puts(job: &Job<'_>, memory: &mut Memory, desired: &DesiredConnection, put: &Put) {
    let listed = job.observed.live.connections.get(&desired.name).unwrap_or(&put.fresh);
    let before = LiveView { listed, own: Some(&put.fresh) };
    let key = job.compare_by.keys.key;
    let written = put.comparison.differences.iter().filter(|d| d.treatment == Treatment::Write);
    // Of a secret that was not read nothing can be seen not to stay.
    for difference in written.filter(|d| d.subject != Subject::Secret) {
        let path = &difference.change.path;
        let wanted = desired.field(path).and_then(|field| field.value());
        let wanted = wanted.or(difference.change.after.as_ref());
        let is_secret = difference.subject == Subject::SecretReadBack;
        let shown = if is_secret { before.shown_by_get(path) } else { before.get(path) };
        let shown = compare::as_declared(desired.connection_type, path, wanted, shown);
        memory.count_write(path, wanted.unwrap_or(&Value::Null), &shown, key);
    }
}

/// Reads secrets that were written since others were shown: one that does not come back equal is not
/// readable after all, and the difference was only apparent.
async fn check_secrets(job: &Job<'_>, desired: &DesiredConnection) -> ChangeResult {
    let fresh = match read(job, &desired.name).await {
        Ok(Some(fresh)) => fresh,
        Ok(None) => return ChangeResult::Failed(NOT_SHOWN.to_owned()),
        // The write before it is done.
        Err(ChangeResult::NotStarted) => return ChangeResult::Done,
        Err(result) => return result,
    };
    let comparison = job.compare(desired, &LiveView::of(&fresh), Remembered::default(), false);
    let secrets = desired.fields.iter().filter(|field| field.is_secret());
    let masked = secrets.filter(|field| !comparison.proven_readable.contains(&field.path));
    job.ledger.edit(|record| {
        for field in masked {
            record.readable.remove(desired.connection_type.name, &field.path);
        }
    });
    ChangeResult::Done
}

/// The purpose of a PUT.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Live becomes as git declares it.
    Update,
    /// This very run made what is there, and sends it again, since its secrets may not have arrived.
    Resend,
    /// It gets another name, and git's other changes.
    Rename,
}

/// A PUT that is ready to be sent.
pub(super) struct Put {
    /// The connection as it was read just now.
    pub(super) fresh: LiveConnection,
    pub(super) comparison: Comparison,
    pub(super) body: SensitiveValue,
    /// The fingerprints to keep of secrets that git does not declare.
    pub(super) shown_secrets: BTreeMap<String, Fingerprint>,
}

/// Reads the connection that has a name now and makes the body of a PUT to it. The error is the result
/// of a change that needs no PUT, or must not be made.
pub(super) async fn ready_put(
    job: &Job<'_>,
    name: &ConnectionName,
    desired: &DesiredConnection,
    purpose: Purpose,
) -> Result<Put, ChangeResult> {
    let (is_rename, is_resend) = (purpose == Purpose::Rename, purpose == Purpose::Resend);
    let Some(mut fresh) = read(job, name).await? else {
        let renamed = format!("`{name}` is not there any more");
        return Err(ChangeResult::Failed(if is_rename { renamed } else { NOT_SHOWN.to_owned() }));
    };
    if fresh.type_name != desired.connection_type.name {
        let what = if is_rename { format!("`{name}`") } else { "it".to_owned() };
        return Err(ChangeResult::Blocked(format!("{what} now has the type {}", fresh.type_name)));
    }
    if !is_resend && is_made_anew(job, name, &fresh) {
        return Err(ChangeResult::Failed(MADE_ANEW.to_owned()));
    }
    if is_rename && read(job, &desired.name).await?.is_some() {
        return Err(ChangeResult::Blocked(format!("the name `{}` is taken", desired.name)));
    }
    // If this run created it, the plan's view is of an older connection.
    let listed = job.observed.live.connections.get(name).filter(|_| !is_resend);
    // Some servers show ids in lists alone.
    fresh.id = fresh.id.or_else(|| listed?.id.clone());
    let listed = listed.unwrap_or(&fresh);
    let in_plan = LiveView { listed, own: job.observed.singles.get(name).filter(|_| !is_resend) };
    let view = LiveView { listed, own: Some(&fresh) };
    let owned = job.ledger.read(|record| record.owned(name).cloned());
    let owned = owned.filter(|owned| view.is_the_connection_of(owned, &job.compare_by));
    let own_type = desired.connection_type;
    let declared = desired.fields.iter().map(|field| field.path.as_str());
    let base = owned.iter().flat_map(|owned| owned.base.keys().map(String::as_str));
    let has_moved = || compare::has_moved(declared.chain(base), &in_plan, &fresh);
    if job.control.strict && !is_resend && has_moved() {
        return Err(ChangeResult::Held("it moved since the plan was made".to_owned()));
    }
    let is_put_due = purpose != Purpose::Update
        || job.ledger.read(|r| r.memory(name).is_some_and(|m| m.degraded.is_some()));
    let remembered = job.remembered(name, owned.as_ref());
    let comparison = job.compare(desired, &view, remembered, is_put_due);
    if !is_put_due && !comparison.writes() {
        agree(job, desired, owned, &fresh, comparison);
        return Err(ChangeResult::NotNeeded);
    }
    let written = comparison.written();
    let consents = job.record_of_plan.memory(&desired.name).map(|memory| &memory.consents);
    let action = if is_rename { Action::Rename } else { Action::Update };
    if !is_resend && let Some(stopped) = job.judge.stops(desired, action, written, consents) {
        return Err(stopped);
    }
    let undeclared = own_type.secrets().filter(|secret| {
        let path = secret.pointer();
        desired.field(&path).is_none() || desired.ignores(&path)
    });
    let proof = ShownSecrets::of(job, own_type.name, undeclared, &fresh, owned.as_ref()).await;
    let is_proven = |path: &str, value: &Value| proof.has(path, value);
    let named = if is_rename { &desired.name } else { &fresh.name };
    let body = body::for_update(desired, &view, &comparison, named, &is_proven)
        .map_err(|problem| ChangeResult::Blocked(problem.to_string()))?;
    Ok(Put { shown_secrets: proof.shown(&fresh), fresh, comparison, body })
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
        renamed_from: desired.options.renamed_from.clone(),
        base: comparison.base,
        ..owned.unwrap_or_default()
    };
    job.ledger.edit_memory(&desired.name, |memory| memory.owned = Some(owned));
}

impl Put {
    /// Remembers that it was made; `id` is the connection's, where it was read since.
    pub(super) fn remember(
        &self,
        job: &Job<'_>,
        desired: &DesiredConnection,
        id: Option<String>,
        deployment: &Deployment,
    ) -> ChangeResult {
        let base = base_after_put(desired, &self.comparison, &job.compare_by);
        let result = remember(job, desired, base, id.or_else(|| self.fresh.id.clone()), deployment);
        job.ledger.edit_memory(&desired.name, |memory| {
            let owned = memory.owned.iter_mut();
            owned.for_each(|owned| owned.shown_secrets.clone_from(&self.shown_secrets));
        });
        result
    }
}

/// The findings of this reconcile about secrets: by type and pointer, whether one that git
/// declares reads back equal now.
#[derive(Debug, Default)]
pub(crate) struct ReadableNow(tokio::sync::Mutex<BTreeMap<(String, String), bool>>);

/// The proven secrets of one connection.
pub(super) struct ShownSecrets<'a> {
    key: &'a FingerprintKey,
    /// The fields that a secret of the type proves to be shown in clear.
    readable: BTreeSet<String>,
    /// The values that may be sent back while live shows them.
    known: BTreeMap<String, Fingerprint>,
}

impl<'a> ShownSecrets<'a> {
    /// Finds out of some fields of a connection, which a body takes from live, whether live shows them
    /// in clear.
    pub(super) async fn of(
        job: &'a Job<'_>,
        type_name: &str,
        fields: impl Iterator<Item = &Field>,
        live: &LiveConnection,
        owned: Option<&Owned>,
    ) -> Self {
        let known = owned.map(Owned::known_secrets).unwrap_or_default();
        let mut proof = Self { key: job.compare_by.keys.key, readable: BTreeSet::new(), known };
        for field in fields {
            let path = field.pointer();
            let shown = live.body().get(field.name);
            let is_open =
                shown_text(shown).is_some() && !shown.is_some_and(|v| proof.has(&path, v));
            if is_open && job.is_proven(type_name, &path).await {
                proof.readable.insert(path);
            }
        }
        proof
    }

    /// Whether a shown value is proven to be the secret itself.
    pub(super) fn has(&self, path: &str, shown: &Value) -> bool {
        self.readable.contains(path) || self.knows(path, shown)
    }

    /// The fingerprints to keep of what is shown now.
    pub(super) fn shown(&self, live: &LiveConnection) -> BTreeMap<String, Fingerprint> {
        let mut shown = self.known.clone();
        for path in &self.readable {
            let value = live.body().get(path.trim_start_matches('/'));
            if let Some(value) = value.filter(|value| !self.knows(path, value)) {
                shown.insert(path.clone(), self.key.of(path, value));
            }
        }
        shown
    }

    fn knows(&self, path: &str, value: &Value) -> bool {
        self.known.get(path).is_some_and(|known| self.key.matches(known, path, value))
    }
}

impl Job<'_> {
    /// Whether a secret of that type which git declares reads back equal now. It is looked for once
    /// in a run.
    async fn is_proven(&self, type_name: &str, path: &str) -> bool {
        let mut readable_now = self.readable_now.0.lock().await;
        let field = (type_name.to_owned(), path.to_owned());
        if let Some(known) = readable_now.get(&field) {
            return *known;
        }
        let is_proven = self.reads_back_equal(type_name, path).await;
        readable_now.insert(field, is_proven);
        is_proven
    }

    async fn reads_back_equal(&self, type_name: &str, path: &str) -> bool {
        let witnesses = self.desired.values().filter_map(|desired| {
            let field = desired.field(path).filter(|_| !desired.ignores(path))?;
            let wanted = field.value()?.as_str().filter(|wanted| !wanted.is_empty())?;
            // One that no list showed may have been created by this very run.
            let live = self.observed.live.connections.get(&desired.name);
            let has_type = live.map_or(desired.connection_type.name, |live| &live.type_name);
            (has_type == type_name).then_some((&desired.name, wanted))
        });
        // Each costs a call, and where three are not shown as git has them, more would not be either.
        const MOST_WITNESSES: usize = 3;
        for (name, wanted) in witnesses.take(MOST_WITNESSES) {
            let known = self.observed.singles.get(name).cloned();
            let own = match known {
                Some(own) => Some(own),
                None => read(self, name).await.ok().flatten(),
            };
            let shown = own.as_ref().and_then(|own| look_up(own.body(), path));
            if shown_text(shown).is_some_and(|shown| same_in_constant_time(shown, wanted)) {
                return true;
            }
        }
        false
    }
}

//! Calls are noted before they are sent: `plan::unanswered` settles those whose answer no run saw. An update
//! that adopts has no note, nor has a PUT that is sent again: nothing is lost with them.

use std::collections::BTreeSet;

use super::Job;
use super::send::base_after_put;
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::plan::compare::LiveView;
use crate::plan::{Action, Change, FieldChange, TargetPlan};
use crate::record::{Base, Intent, NotedCall, Owned};
use crate::secret::SensitiveValue;

/// Notes the calls of a run in one go: after a crash between a call and its answer the next run must know what the
/// call may have made or written. Where a call follows, the state is written even if nothing is noted: a state that
/// cannot be written stops the run before its first call.
pub(super) fn note_before_the_calls(job: &Job<'_>, plan: &TargetPlan) {
    let changes = plan.entries.iter().filter_map(|entry| entry.change.as_deref());
    let sent: Vec<&Change> = changes.filter(|change| change.needs_call()).collect();
    if sent.is_empty() {
        return;
    }
    let intent = |change: &Change| {
        let desired = job.desired.get(&change.name);
        match change.action {
            Action::Create => Some(of_create(job, desired?)),
            Action::Replace => Some(of_replace(job, desired?)),
            Action::Rename => Some(of_rename(job, change, desired?)),
            Action::Update => of_update(job, change, desired?),
            Action::Delete => of_delete(job, &change.name),
            Action::Blocked | Action::Drift => None,
        }
    };
    let intents: Vec<_> =
        sent.iter().filter_map(|change| Some((&change.name, intent(change)?))).collect();
    job.ledger.edit(|record| {
        for (name, intent) in intents {
            record.edit(name, |memory| memory.intent = Some(intent));
        }
    });
}

/// The note of a create, before its call.
fn of_create(job: &Job<'_>, desired: &DesiredConnection) -> Intent {
    Intent {
        type_name: desired.connection_type.name.to_owned(),
        base: job.compare_by.base_of(desired),
        protect: desired.options.protect,
        commit: job.control.commit.cloned(),
        ..Intent::default()
    }
}

/// The note of a replace, before its calls: of the old connection it has what had drifted.
fn of_replace(job: &Job<'_>, desired: &DesiredConnection) -> Intent {
    let Intent { proves_nothing, shown, .. } = of_delete(job, &desired.name).unwrap_or_default();
    Intent { proves_nothing, shown, ..of_create(job, desired) }
}

/// The note of a rename, before its call.
fn of_rename(job: &Job<'_>, change: &Change, desired: &DesiredConnection) -> Intent {
    let mut intent = of_create(job, desired);
    intent.from.clone_from(&change.previous_name);
    let old = change.previous_name.as_ref();
    if let Some((old, view)) = old.and_then(|old| Some((old, job.observed.shown(old)?))) {
        let owned = job.record_of_plan.owned(old);
        let owned = owned.filter(|owned| view.is_the_connection_of(owned, &job.compare_by));
        let comparison =
            job.compare(desired, &view, job.remembered(&view.listed.name, owned), true);
        intent.proves_nothing = comparison.kept().map(str::to_owned).collect();
        let keys = job.compare_by.keys;
        let drifted = owned.map(|owned| view.shown_otherwise(&owned.base, keys));
        intent.shown = view.listed_prints(&drifted.unwrap_or_default(), keys);
        intent.base = base_after_put(desired, &comparison, &job.compare_by);
    }
    intent
}

/// The note of an update, before its call: the base with the fields that it writes. One that adopts has no
/// base, and needs no note.
fn of_update(job: &Job<'_>, change: &Change, desired: &DesiredConnection) -> Option<Intent> {
    let mut base = Base::clone(&job.record_of_plan.owned(&desired.name)?.base);
    let view = job.observed.shown(&desired.name)?;
    let of_git = of_create(job, desired);
    let mut proves_nothing = BTreeSet::new();
    for FieldChange { path, .. } in &change.fields {
        let now = of_git.base.get(path);
        if view.shows_or_default(path, now, job.compare_by.keys) {
            proves_nothing.insert(path.clone());
        }
        match now {
            Some(now) => base.insert(path.clone(), now.clone()),
            None => base.remove(path),
        };
    }
    Some(Intent { call: NotedCall::Update, base, proves_nothing, ..of_git })
}

/// The note of a delete, before its call.
fn of_delete(job: &Job<'_>, name: &ConnectionName) -> Option<Intent> {
    let owned = job.record_of_plan.owned(name)?;
    Some(of_old(job, NotedCall::Delete, owned, &job.observed.listed(name)?))
}

/// The note of the way back: what git declared of the old connection, with the values that are sent.
pub(super) fn of_way_back(
    job: &Job<'_>,
    owned: &Owned,
    old: &LiveConnection,
    way_back: &SensitiveValue,
) -> Intent {
    let listed = job.observed.listed(&old.name).map_or(old, |view| view.listed);
    let view = LiveView { listed, own: Some(old) };
    let mut intent = of_old(job, NotedCall::WayBack, owned, &view);
    for (path, field) in
        intent.base.iter_mut().filter(|(path, _)| !intent.proves_nothing.contains(*path))
    {
        let sent = way_back.expose().pointer(path);
        if let Some((print, sent)) = field.print.as_mut().zip(sent) {
            *print = job.compare_by.keys.key.of(path, sent);
        }
    }
    intent
}

/// The note of a call that is about a connection of the inventory as it is: with what had drifted in it.
fn of_old(job: &Job<'_>, call: NotedCall, owned: &Owned, view: &LiveView<'_>) -> Intent {
    let proves_nothing = view.shown_otherwise(&owned.base, job.compare_by.keys);
    Intent {
        call,
        type_name: owned.type_name.clone(),
        from: None,
        base: Base::clone(&owned.base),
        shown: view.listed_prints(&proves_nothing, job.compare_by.keys),
        proves_nothing,
        protect: owned.protect,
        commit: job.control.commit.cloned(),
    }
}

//! A connection that git declares: created, updated, replaced, adopted, blocked, or left as it is.

use std::sync::Arc;

use serde_json::Value;

use crate::config::Adopt;
use crate::desired::DesiredConnection;
use crate::plan::body::{self, NoBody};
use crate::plan::compare::{
    CompareSettings, Comparison, LiveView, Remembered, Reported, compare, desired_for_people,
    moved_field,
};
use crate::plan::entry::{ALLOW_DELETES, Decision, Why, all_declared, attempt, lost_path_in_words};
use crate::plan::row::{Claim, Row, Settings, Sight};
use crate::plan::{Action, Change, ConnectionState, FieldChange, Origin, protection};
use crate::pointer;
use crate::record::{Degraded, Memory, Owned};

use super::{allow_delete_command, why_replace_held};

/// The reason of a change that takes a connection into the inventory.
pub(crate) const ADOPTED: &str = "adopted";

/// Decides a connection that git declares.
pub(super) fn decide_declared(
    row: &Row<'_>,
    desired: &DesiredConnection,
    settings: &Settings<'_>,
) -> Decision {
    let mut decision = decide_wanted(row, desired, settings);
    protection::follow_protection(&mut decision, row, desired, settings);
    hold_for_absent_path(&mut decision, row, settings);
    decision
}

fn decide_wanted(row: &Row<'_>, desired: &DesiredConnection, settings: &Settings<'_>) -> Decision {
    if desired.options.suspend {
        return Decision::new(row, ConnectionState::Suspended, None);
    }
    if let Some(Claim::Locks(new)) = row.claim {
        let reason = format!("waits until `{new}` has been renamed from it");
        return Decision::blocked(row, Why::new(reason));
    }
    if let Some(reason) = cannot_be_written(desired, settings) {
        return Decision::blocked(row, Why::new(reason));
    }
    let is_freed = matches!(row.claim, Some(Claim::Frees(_)));
    match &row.sight {
        _ if is_freed => create(row, desired, None, settings),
        Sight::Gone | Sight::NotKnown => create(row, desired, row.owned(), settings),
        Sight::Unclear(problem) => Decision::blocked(row, Why::new(problem)),
        Sight::Shown(view) if view.listed.type_name == desired.connection_type.name => {
            present(row, desired, *view, settings)
        }
        Sight::Shown(view) => other_type(row, desired, view, settings),
    }
}

/// Why nothing can be written, whatever live has.
pub(super) fn cannot_be_written(
    desired: &DesiredConnection,
    settings: &Settings<'_>,
) -> Option<String> {
    if let Some(problem) = desired.unresolved.first() {
        let more = desired.unresolved.len() - 1;
        let and = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        return Some(format!("unresolved: {problem}{and}"));
    }
    let type_name = desired.connection_type.name;
    let is_unsupported =
        settings.live.unsupported.iter().any(|unsupported| unsupported == type_name);
    is_unsupported.then(|| format!("this version of the server does not know the type {type_name}"))
}

/// A path that declared a part of this connection is missing, empty or not read now: what is left of the
/// document is not written.
fn hold_for_absent_path(decision: &mut Decision, row: &Row<'_>, settings: &Settings<'_>) {
    let Some(path) = row.absent_path.filter(|_| !settings.consents_to_absent_paths()) else {
        return;
    };
    let is_replaced =
        decision.entry.change.as_ref().is_some_and(|change| change.action == Action::Replace);
    let is_allowed = is_replaced && settings.allows_delete_of(row.name);
    if is_allowed && !settings.earlier.lost_paths.contains_key(path) {
        return;
    }
    // A replace that is held already waits for consent to its name.
    let is_sent = |change: &Change| change.action.is_write() && !change.held;
    // The rest of the document is not remembered as agreed either, nor that something was told of it.
    (decision.memory, decision.entry.adopted) = (None, false);
    decision.notices.clear();
    if decision.entry.change.as_deref().is_some_and(is_sent) {
        decision.entry.hold(absent_path_in_words(path, settings));
    }
}

/// Why an absent path holds an update: a lost one, or one that is not read.
pub(super) fn absent_path_in_words(path: &str, settings: &Settings<'_>) -> Why {
    if settings.earlier.lost_paths.contains_key(path) {
        return lost_path_in_words(path);
    }
    let reason = format!("held: `{path}` declared a part of it, and is there but not read now");
    Why::new(reason).advice(ALLOW_DELETES)
}

fn create(
    row: &Row<'_>,
    desired: &DesiredConnection,
    owned: Option<&Owned>,
    settings: &Settings<'_>,
) -> Decision {
    if let Some(problem) = settings.live.why_incomplete() {
        let reason = format!("not created: whether it exists is not known, since {problem}");
        return Decision::blocked(row, Why::new(reason));
    }
    if came_to_nothing(row.memory, desired, attempt::CREATE, settings) {
        return Decision::not_converging(
            row,
            "not converging: the server took it twice and does not list it",
        );
    }
    let reason = owned.map(|_| "deleted outside git".to_owned());
    let origin = match owned {
        None => Origin::Git,
        Some(owned) if git_moved(desired, owned, &settings.compare) => Origin::Both,
        Some(_) => Origin::Drift,
    };
    let is_kept = settings.compare.keeps(origin);
    let (action, state) = if is_kept {
        (Action::Drift, ConnectionState::Drifted)
    } else {
        (Action::Create, ConnectionState::Pending)
    };
    let fields = created_fields(desired, origin);
    let change = Change { action, reason: reason.clone(), fields, ..Change::of(row) };
    Decision::new(row, state, reason).with(change)
}

fn present(
    row: &Row<'_>,
    desired: &DesiredConnection,
    view: LiveView<'_>,
    settings: &Settings<'_>,
) -> Decision {
    let degraded = row.memory.and_then(|memory| memory.degraded.as_ref());
    let degraded = degraded.filter(|degraded| degraded.deleted.is_none());
    let is_due =
        |degraded: &Degraded| settings.run.degraded_at_once || degraded.is_due(settings.judge.now);
    let compared = Compared::of(row, view, desired, settings, degraded.is_some_and(is_due));
    if let Some(blocked) = compared.not_adopted(row) {
        return blocked;
    }
    let Compared { ours, comparison, .. } = &compared;
    let mut decision = Decision::new(row, ConnectionState::InSync, None);
    decision.entry.unverified = comparison.unverified;
    decision.proven_readable.clone_from(&comparison.proven_readable);
    learn_what_stays(&mut decision, row, comparison);
    compared.remember_agreement(&mut decision, row);
    let change = || Change { fields: comparison.written(), ..Change::of(row) };
    let entry = &mut decision.entry;
    if comparison.writes() {
        let adopted = ours.is_none().then(|| ADOPTED.to_owned());
        let wipes = compared.would_wipe();
        decision.needs_reading = matches!(wipes, Wipes::NotKnown);
        let (action, state, reason) = match wipes {
            Wipes::Yes(why) => (Action::Blocked, ConnectionState::Blocked, Some(why)),
            Wipes::No | Wipes::NotKnown => (Action::Update, ConnectionState::Pending, adopted),
        };
        entry.read_back = action == Action::Update && comparison.writes_what_was_read_back();
        entry.change = Some(Box::new(Change { action, reason: reason.clone(), ..change() }));
        (entry.state, entry.reason) = (state, reason);
    } else if let Some(degraded) = degraded {
        let mut reason = degraded.reason.clone();
        if is_due(degraded) {
            reason = format!("saved but not deployed: {reason}");
            entry.change = Some(Box::new(Change { reason: Some(reason.clone()), ..change() }));
        }
        (entry.state, entry.reason) = (ConnectionState::Degraded, Some(reason));
    }
    entry.adopted = ours.is_none() && entry.change.is_none();
    report_kept(&mut decision, row, comparison);
    decision
}

/// Shows the differences in which live is kept: drift that is only reported, and fields that the
/// server rewrites. Fields that git dropped and that keep what live has are noted.
pub(super) fn report_kept(decision: &mut Decision, row: &Row<'_>, comparison: &Comparison) {
    for path in &comparison.dropped_secrets {
        let (name, field) = (&decision.entry.name, pointer::for_people(path));
        decision.notices.push(format!(
            "git no longer declares `{field}` of `{name}`, which held a secret: it stays as it is live; \
             to empty it, declare it `null`"
        ));
    }
    let both = [
        (Reported::Drift, ConnectionState::Drifted),
        (Reported::Rewritten, ConnectionState::NotConverging),
    ];
    for (why, state) in both {
        let fields = comparison.reported(why);
        if fields.is_empty() {
            continue;
        }
        let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
        let reason = (why == Reported::Rewritten).then(|| {
            format!(
                "not converging: after every write of {} live differs again, since the server or \
                 somebody else rewrites it; it is not written again until git has another value for \
                 it",
                paths.join(", ")
            )
        });
        if let Some(reason) = &reason {
            let unstable = &mut decision.memory(row).unstable;
            let mut is_new = false;
            for path in &paths {
                let known = unstable.get_mut(*path);
                is_new |= known.is_some_and(|k| !std::mem::replace(&mut k.given_up, true));
            }
            if is_new {
                decision.notices.push(format!("`{}` is {reason}", decision.entry.name));
            }
        }
        if decision.entry.state == ConnectionState::InSync {
            decision.entry.state = state;
            decision.entry.reason.clone_from(&reason);
        }
        let change = Change { action: Action::Drift, reason, fields, ..Change::of(row) };
        decision.entry.kept.push(change);
    }
}

/// A live connection, compared with the document that declares it.
pub(super) struct Compared<'a> {
    desired: &'a DesiredConnection,
    view: LiveView<'a>,
    settings: &'a Settings<'a>,
    /// Its entry in the inventory; `None`: it would be adopted.
    pub(super) ours: Option<&'a Owned>,
    pub(super) comparison: Comparison,
}

impl<'a> Compared<'a> {
    /// Compares the live connection of a row, to which a PUT may be due whatever differs.
    pub(super) fn of(
        row: &Row<'a>,
        view: LiveView<'a>,
        desired: &'a DesiredConnection,
        settings: &'a Settings<'a>,
        is_put_due: bool,
    ) -> Self {
        let ours = row.ours(&settings.compare);
        let remembered = Remembered::of(row.memory, ours.is_some());
        let comparison = compare(desired, &view, remembered, is_put_due, &settings.compare);
        Self { desired, view, settings, ours, comparison }
    }

    /// The decision about a connection that may not be adopted.
    pub(super) fn not_adopted(&self, row: &Row<'_>) -> Option<Decision> {
        let Self { comparison, .. } = self;
        let (why, advice) = match self.settings.policy.adopt {
            _ if self.ours.is_some() => return None,
            Adopt::Always => return None,
            Adopt::Equal if comparison.differences.is_empty() => return None,
            Adopt::Equal => ("it differs from git", "make git equal to it, or set `adopt: always`"),
            Adopt::Never => ("`adopt` is `never`", "set `adopt: equal` or `adopt: always`"),
        };
        let reason = format!("not adopted: it was made outside git, and {why}");
        let mut decision = Decision::blocked(row, Why::new(reason).advice(advice));
        if let Some(change) = &mut decision.entry.change {
            change.fields = comparison.differences.iter().map(|d| d.change.clone()).collect();
        }
        decision.proven_readable.clone_from(&comparison.proven_readable);
        Some(decision)
    }

    /// Whether the PUT would be refused: for a secret that git does not declare and that this server
    /// was never seen to show, for a file that it answers `null` for, or for a mask that it showed.
    pub(super) fn would_wipe(&self) -> Wipes {
        let Self { desired, view, ours, comparison, settings } = self;
        let may_be_sent_back = may_be_sent_back(desired.connection_type.name, *ours, settings);
        let put = body::for_update(desired, view, comparison, &desired.name, &may_be_sent_back);
        match put {
            Ok(_) | Err(NoBody::Unresolved(_)) => Wipes::No,
            Err(refused) if view.own.is_some() => Wipes::Yes(refused.to_string()),
            Err(_) => Wipes::NotKnown,
        }
    }

    /// Remembers the fields that agree now. A connection that is adopted enters the inventory here if
    /// nothing has to be written for it; otherwise its write does that.
    fn remember_agreement(&self, decision: &mut Decision, row: &Row<'_>) {
        let Self { desired, view, comparison, settings, .. } = self;
        let ours = self.ours;
        if ours.is_none() && comparison.writes() {
            return;
        }
        let first = || Owned { protect: desired.options.protect, ..Owned::default() };
        let mut owned = ours.cloned().unwrap_or_else(first);
        owned.type_name.clone_from(&view.listed.type_name);
        owned.id = view.id().cloned().or(owned.id);
        owned.base = Arc::clone(&comparison.base);
        owned.renamed_from.clone_from(&desired.options.renamed_from);
        if view.own.is_some() && desired.declares_secret() {
            owned.secrets_checked = Some(settings.judge.now);
        }
        // A secret that git no longer declares may be sent back while it equals the value that was
        // last sent.
        let dropped = ours.into_iter().flat_map(Owned::verified_secrets);
        let dropped = dropped.filter(|(path, _)| !comparison.base.contains_key(*path));
        owned.shown_secrets.extend(dropped.map(|(path, print)| (path.clone(), print.clone())));
        // In sync, as almost all are: their memories are not copied.
        if ours == Some(&owned) {
            return;
        }
        let memory = decision.memory(row);
        match ours {
            Some(_) => memory.owned = Some(owned),
            None => *memory = Memory { owned: Some(owned), ..Memory::default() },
        }
    }
}

/// Whether a PUT would be refused since it would wipe a secret or a file.
pub(super) enum Wipes {
    /// Nothing is known that it would wipe.
    No,
    /// Only the list was read, which does not show enough.
    NotKnown,
    /// It would, and why.
    Yes(String),
}

/// Tells of a secret that live shows whether the plan expects that the apply can send it back.
fn may_be_sent_back<'a>(
    type_name: &'a str,
    ours: Option<&'a Owned>,
    settings: &'a Settings<'a>,
) -> impl Fn(&str, &Value) -> bool + 'a {
    move |path, value| {
        let is_known =
            || ours.is_some_and(|ours| ours.knows_secret(path, value, settings.compare.keys.key));
        settings.sendable.has(type_name, path) || is_known()
    }
}

fn other_type(
    row: &Row<'_>,
    desired: &DesiredConnection,
    view: &LiveView<'_>,
    settings: &Settings<'_>,
) -> Decision {
    let live_type = &view.listed.type_name;
    let wanted = desired.connection_type.name;
    let Some(owned) = row.ours(&settings.compare).filter(|owned| owned.type_name != wanted) else {
        let reason = format!("is of type {live_type} on the server, and git declares {wanted}");
        let advice = "give it another name in git, or delete it in the console";
        return Decision::blocked(row, Why::new(reason).advice(advice));
    };
    let was_refused = came_to_nothing(row.memory, desired, attempt::REPLACE, settings);
    if was_refused && !settings.allows_delete_of(&desired.name) {
        let reason = format!(
            "the server did not take a {wanted} connection in the place of the {live_type} one, and \
             the document has not changed since"
        );
        let advice = format!(
            "change the document; where the server takes it now, `{}` tries it once more",
            allow_delete_command(&desired.name)
        );
        return Decision::blocked(row, Why::new(reason).advice(advice));
    }
    let type_change = FieldChange {
        path: "/type".to_owned(),
        before: Some(live_type.as_str().into()),
        after: Some(wanted.into()),
        base: None,
        sensitive: false,
        origin: Origin::Git,
    };
    let created = created_fields(desired, Origin::Git);
    let fields = std::iter::once(type_change).chain(created).collect();
    let change = Change { action: Action::Replace, fields, ..Change::of(row) };
    let mut decision = Decision::new(row, ConnectionState::Pending, None).with(change);
    if let Some(why) = why_replace_held(row, owned, wanted, settings) {
        decision.entry.hold(why);
        return decision;
    }
    let old = view.own.unwrap_or(view.listed);
    let may_be_sent_back = may_be_sent_back(live_type, Some(owned), settings);
    let profile = desired.profile_of(live_type);
    let as_text = |declared: &Value| Ok(declared.clone());
    match body::way_back(old, &owned.base, profile, &may_be_sent_back, &as_text) {
        Err(reason) if view.own.is_some() => {
            Decision::blocked(row, Why::new(reason).advice(TO_RESTORE))
        }
        // Lists show no secret.
        way_back => Decision { needs_reading: way_back.is_err(), ..decision },
    }
}

/// The way past a replace that could not be undone.
const TO_RESTORE: &str = "declare it first, with the type that the connection has, or delete the \
                          connection in the console";

/// Whether something was tried often enough for what is declared today.
pub(super) fn came_to_nothing(
    memory: Option<&Memory>,
    desired: &DesiredConnection,
    attempt: &str,
    settings: &Settings<'_>,
) -> bool {
    let tried = memory.and_then(|memory| memory.unstable.get(attempt));
    let key = settings.compare.keys.key;
    tried.is_some_and(|tried| {
        tried.is_given_up(key, attempt, None)
            && key.matches(&tried.print, attempt, &all_declared(desired))
    })
}

fn learn_what_stays(decision: &mut Decision, row: &Row<'_>, comparison: &Comparison) {
    if row.memory.is_none_or(|memory| memory.unstable.is_empty()) {
        return;
    }
    let unstable = &mut decision.memory(row).unstable;
    unstable.remove(attempt::CREATE);
    for path in &comparison.stayed {
        // A field that agrees while another one is written may be displaced by that.
        match unstable.get_mut(path).filter(|_| comparison.writes()) {
            Some(known) => (known.puts, known.given_up) = (0, false),
            None => _ = unstable.remove(path),
        }
    }
}

/// The fields of a connection that is created.
pub(super) fn created_fields(desired: &DesiredConnection, origin: Origin) -> Vec<FieldChange> {
    let shown = desired.fields.iter().map(|field| FieldChange {
        path: field.path.clone(),
        before: None,
        after: Some(desired_for_people(desired, field, field.value().unwrap_or(&Value::Null)))
            .filter(|after| !after.is_null()),
        base: None,
        sensitive: field.is_sensitive(),
        origin,
    });
    shown.collect()
}

/// Whether git declares anything else than the base has.
fn git_moved(desired: &DesiredConnection, owned: &Owned, settings: &CompareSettings<'_>) -> bool {
    let mut fields = desired.fields.iter().filter(|field| !desired.ignores(&field.path));
    fields.any(|field| {
        let base = owned.base.get(&field.path);
        base.is_none_or(|base| moved_field(desired, field, field.value(), base, settings.keys))
    }) || owned.base.keys().any(|path| desired.field(path).is_none())
}

//! Renames come first: they free the names that later steps need (rules 6 and 7).

use std::collections::BTreeSet;

use crate::desired::DesiredConnection;
use crate::name::ConnectionName;
use crate::plan::compare::{CompareSettings, LiveView};
use crate::plan::entry::{Decision, Why, attempt};
use crate::plan::judge::judge;
use crate::plan::renames::{Pair, open_renames, take_all};
use crate::plan::row::{Claim, Declared, Row, Rows, Settings, Sight};
use crate::plan::{Action, Change, ConnectionState};
use crate::record::Record;

use super::declared::{
    ADOPTED, Compared, Wipes, absent_path_in_words, came_to_nothing, cannot_be_written, report_kept,
};
use super::tell_edit;

/// Decides all renames in their order, and claims the old name of each in its row.
pub(crate) fn decide_renames<'a>(
    rows: &mut Rows<'a>,
    record: &Record,
    settings: &Settings<'_>,
) -> Vec<Decision> {
    let declared = rows.values().filter_map(|row| row.wanted()?.rename());
    let mut others: Vec<Pair<'a>> = declared.collect();
    let open = open_renames(others.iter().copied(), record, settings.live);
    let stands = |rows: &Rows<'a>, (new, old): Pair<'a>, is_freed: bool| {
        standing(rows, (new, old), open.get(old) == Some(&new), is_freed, &settings.compare)
    };
    // A chain from its free end.
    let (mut due, mut freed) = (Vec::new(), BTreeSet::new());
    take_all(&mut others, |(new, old)| {
        let is_due = stands(rows, (new, old), freed.contains(new)) == Standing::Due;
        if is_due {
            freed.insert(*old);
            due.push((*new, *old));
        }
        is_due
    });
    let claim = |rows: &mut Rows<'a>, old: &ConnectionName, claim: Claim<'a>| {
        if let Some(row) = rows.get_mut(old) {
            row.claim = Some(claim);
        }
    };
    let mut decisions = Vec::new();
    for (new, old) in others {
        match stands(rows, (new, old), false) {
            Standing::Inert => claim(rows, old, Claim::Inert(new)),
            Standing::Refused => {
                let row = rows.get(new);
                decisions.extend(row.and_then(|row| refuse(row, old, settings)));
                claim(rows, old, Claim::Locks(new));
            }
            Standing::Waits => claim(rows, old, Claim::Locks(new)),
            Standing::Done | Standing::Open | Standing::Due => {}
        }
    }
    for (new, old) in due {
        let decision = rows.get(new).zip(rows.get(old)).and_then(|(row, old)| {
            let is_admitted = settings.run.filter.admits(row.type_name(), new);
            let desired = row.wanted().filter(|_| is_admitted)?;
            let mut decision = decide_rename(row, old, desired, settings);
            tell_edit(&mut decision, old);
            judge(&mut decision, row, settings);
            Some(decision)
        });
        let is_planned = decision.as_ref().is_some_and(|decision| {
            decision.entry.change.as_ref().is_some_and(|c| c.action == Action::Rename && !c.held)
        });
        decisions.extend(decision);
        claim(rows, old, if is_planned { Claim::Frees(new) } else { Claim::Locks(new) });
    }
    decisions
}

/// How a declared rename stands: the table is in `plan/renames.rs`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Done,
    /// Done, and nothing is renamed: both names are ours and live.
    Inert,
    Due,
    Refused,
    /// Open, and the connection of its new name is to be moved on by a rename that is not due.
    Waits,
    /// Open, and none of these.
    Open,
}

/// How a rename stands, by the rows of its two names. `is_freed` tells whether a due rename frees its new name.
fn standing(
    rows: &Rows<'_>,
    (new, old): Pair<'_>,
    is_open: bool,
    is_freed: bool,
    settings: &CompareSettings<'_>,
) -> Standing {
    // Whether a connection of ours has a name under which git declares none.
    let stays_undeclared = |name: &ConnectionName| {
        let row = rows.get(name).filter(|row| row.wanted().is_none());
        row.is_some_and(|row| row.ours(settings).is_some())
    };
    if !is_open {
        return if stays_undeclared(old) { Standing::Inert } else { Standing::Done };
    }
    let Some((row, old_row)) = rows.get(new).zip(rows.get(old)) else { return Standing::Open };
    let is_there = matches!(old_row.sight, Sight::Shown(_) | Sight::Unclear(_));
    // Was the rename made before, what has the old name now was made after it, as the ids tell.
    let renamed = row.owned().filter(|owned| owned.renamed_from.as_ref() == Some(old));
    let ids = renamed.and_then(|owned| owned.id.as_ref()).zip(old_row.view().and_then(|v| v.id()));
    let is_another = ids.is_some_and(|(known, shown)| known != shown) && !stays_undeclared(old);
    // In a chain git declares the old name for a connection that is itself to be renamed.
    let moves_on = |document: &DesiredConnection| {
        document.rename().is_some_and(|(_, old)| stays_undeclared(old))
    };
    if !is_there || is_another {
        Standing::Open
    } else if is_freed || row.view().is_none() {
        Standing::Due
    } else if row.owned().is_some() {
        Standing::Waits
    } else if old_row.wanted().is_none_or(moves_on) {
        Standing::Refused
    } else {
        Standing::Open
    }
}

/// Blocks a rename of which both names are live.
fn refuse(row: &Row<'_>, old: &ConnectionName, settings: &Settings<'_>) -> Option<Decision> {
    let new = row.name;
    let reason = format!("cannot be renamed from `{old}`: both names are live");
    let advice =
        format!("take `renamedFrom` out of `{new}`, or delete one of the two in the console");
    let is_admitted = settings.run.filter.admits(row.type_name(), new);
    is_admitted.then(|| Decision::blocked(row, Why::new(reason).advice(advice)))
}

/// Decides one rename: `row` is the new name's, `old_row` the old one's.
fn decide_rename(
    row: &Row<'_>,
    old_row: &Row<'_>,
    desired: &DesiredConnection,
    settings: &Settings<'_>,
) -> Decision {
    if desired.options.suspend {
        return Decision::new(row, ConnectionState::Suspended, None);
    }
    let view = match old_view(row, old_row, desired, settings) {
        Ok(view) => view,
        Err(why) => return Decision::blocked(row, why),
    };
    if came_to_nothing(row.memory, desired, attempt::RENAME, settings) {
        let name = &view.listed.name;
        return Decision::not_converging(
            row,
            format!("not converging: the server keeps the name `{name}`"),
        );
    }
    let compared = Compared::of(old_row, view, desired, settings, true);
    if let Some(blocked) = compared.not_adopted(row) {
        return blocked;
    }
    let wipes = compared.would_wipe();
    let Compared { ours, comparison, .. } = compared;
    if let Wipes::Yes(reason) = wipes {
        return Decision::blocked(row, Why::new(reason));
    }
    let change = Change {
        action: Action::Rename,
        previous_name: Some(view.listed.name.clone()),
        reason: ours.is_none().then(|| ADOPTED.to_owned()),
        fields: comparison.written(),
        ..Change::of(row)
    };
    let mut decision = Decision::new(row, ConnectionState::Pending, None).with(change);
    report_kept(&mut decision, row, &comparison);
    decision.proven_readable = comparison.proven_readable;
    // A list may leave out a secret that the PUT would wipe.
    decision.needs_reading = view.own.is_none();
    if let Some(path) = row.absent_path.filter(|_| !settings.consents_to_absent_paths()) {
        decision.entry.hold(absent_path_in_words(path, settings));
    }
    decision
}

/// The connection to be renamed, or why that cannot be done now.
fn old_view<'a>(
    row: &Row<'_>,
    old_row: &Row<'a>,
    desired: &DesiredConnection,
    settings: &Settings<'_>,
) -> Result<LiveView<'a>, Why> {
    let (new_name, old_name) = (row.name, old_row.name);
    let is_freed = matches!(row.claim, Some(Claim::Frees(_)));
    if matches!(row.claim, Some(Claim::Locks(_))) || (row.view().is_some() && !is_freed) {
        return Err(Why::new(format!("waits for the name `{new_name}`, which is not free")));
    }
    if old_row.wanted().is_some_and(|desired| desired.options.suspend) {
        return Err(Why::new(format!("waits until `{old_name}` is no longer suspended")));
    }
    if matches!(old_row.declared, Declared::Invalid(_)) {
        let reason = format!("waits for the document of `{old_name}`, which is not valid");
        return Err(Why::new(reason));
    }
    if let Some(reason) = cannot_be_written(desired, settings) {
        return Err(Why::new(reason));
    }
    let view = match (&row.sight, &old_row.sight) {
        (Sight::Unclear(problem), _) if !is_freed => return Err(Why::new(problem)),
        (_, Sight::Shown(view)) => view,
        (_, Sight::Unclear(problem)) => return Err(Why::new(problem)),
        (_, Sight::Gone | Sight::NotKnown) => {
            return Err(Why::new(format!("`{old_name}` is not live any more")));
        }
    };
    if view.listed.type_name != desired.connection_type.name {
        let (name, live_type) = (&view.listed.name, &view.listed.type_name);
        let reason = format!("cannot be renamed from `{name}`: that is of type {live_type}");
        let advice = "rename it in one commit, and change its type in a later one";
        return Err(Why::new(reason).advice(advice));
    }
    Ok(*view)
}

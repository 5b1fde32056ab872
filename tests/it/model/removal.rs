//! Deletes and replaces.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{BASE, Document, Kind, Loaded, OVERLAY, SECRET};
use super::memory::{Hold, Memory, Note, Sight};
use super::rules::{Planned, Run};

/// Notes which deletes are due, what consents to them, and what holds them at first sight.
pub(crate) fn note(run: &mut Run<'_>) {
    let sight = run.sight;
    let declared = declared(run);
    let replaced = replaced(run);
    let tip = sight.commits.len() - 1;
    let loaded_at = |commit: usize| sight.commits[commit].tree.load(&sight.settings.paths);
    let names_at = |commit: usize| loaded_at(commit).names_and_old_ones();
    let good = run.before.good.as_ref().map(|good| loaded_at(good.commit));
    let mut notes = BTreeMap::new();
    for (name, kind) in &replaced {
        if let Some(note) = of_replace(run, good.as_ref(), name, *kind) {
            notes.insert(name.clone(), note);
        }
    }
    for (name, note) in run.memory.notes.iter().filter(|(name, _)| !declared.contains(*name)) {
        notes.insert(name.clone(), note.clone());
    }
    if let (Some(good), Some(loaded)) = (&run.before.good, &good) {
        let mut then = declared_in(run, loaded, true);
        then.retain(|name| {
            !declared_by_an_unread_path(run).contains(name) && !good.left.contains(name)
        });
        for name in run.before.owned.keys() {
            if !declared.contains(name) && then.contains(name) {
                let note = notes.entry(name.clone());
                let note = note.or_insert_with(|| Note { undue: true, ..Note::default() });
                if note.undue || note.becomes.is_some() {
                    let Note { hold, emptied, .. } = note.clone();
                    let moved_to = moved_to(run, loaded, name);
                    *note = Note { hold, emptied, moved_to, ..Note::default() };
                }
            }
        }
        for at in good.commit + 1..=tip {
            // A file that cannot be read may declare any name again.
            let may_declare = |at: usize, name: &String| {
                !loaded_at(at).unreadable.is_empty() || names_at(at).contains(name)
            };
            for (_, note) in notes.iter_mut().filter(|(name, _)| may_declare(at, name)) {
                note.consent = false;
            }
            if !sight.commits[at].consents {
                continue;
            }
            if at == tip {
                for (name, note) in notes.iter_mut().filter(|(_, note)| !note.undue) {
                    if note.becomes.is_some() {
                        note.consent |= replaced.contains_key(name);
                        continue;
                    }
                    let kind = run.before.owned.get(name).map_or(Kind::Email, |o| o.kind);
                    note.consent |= sight.flags.admits(kind, name);
                }
            } else {
                let mut removed = names_at(at - 1);
                for later in at..=tip {
                    removed.retain(|name| !may_declare(later, name));
                }
                let asks = |note: &Note| !note.undue && note.becomes.is_none();
                for (name, note) in notes.iter_mut().filter(|(_, note)| asks(note)) {
                    note.consent |= removed.contains(name);
                }
            }
        }
    }
    if !run.lost_paths.is_empty() {
        for note in notes.values_mut() {
            note.emptied |= !note.consent && !note.undue;
        }
    }
    run.memory.notes = notes;
}

/// The note of a replace, which is due if a commit changed the type.
fn of_replace(run: &Run<'_>, good: Option<&Loaded>, name: &str, kind: Kind) -> Option<Note> {
    let known = run.memory.notes.get(name);
    let was_due = known.is_some_and(|note| note.becomes.is_some() && !note.undue);
    let is_of_this = known.is_some_and(|note| note.becomes == Some(kind));
    let then = good.map(|good| good.documents.get(name).map(|document| document.kind));
    let is_new = then.is_some_and(|then| {
        then == Some(run.before.owned[name].kind) || (was_due && then != Some(kind))
    });
    let undue = !(is_new || was_due && is_of_this);
    let inherits = is_of_this || known.is_some_and(|note| note.becomes.is_none());
    let note = match known.filter(|_| inherits) {
        Some(note) => note.clone(),
        None if undue => return known.filter(|_| was_due).cloned(),
        None => Note::default(),
    };
    let consent = note.consent && is_of_this && !undue && !note.undue;
    Some(Note { consent, undue, becomes: Some(kind), moved_to: None, ..note })
}

/// The name that git now renames from this one, which the last good commit did not.
fn moved_to(run: &Run<'_>, good: &Loaded, old: &str) -> Option<String> {
    let renames = |document: &Document| document.renamed_from.as_deref() == Some(old);
    let mut documents = run.loaded.documents.iter();
    let (new, _) = documents
        .find(|(new, now)| renames(now) && !good.documents.get(*new).is_some_and(renames))?;
    Some(new.clone())
}

/// The memory of a narrowed run: a hold, but not that a delete is due, since the last good commit
/// is as it was; and of what it leaves out nothing new.
pub(crate) fn keep_narrowly(run: &mut Run<'_>) {
    let before = &run.before.notes;
    let of_the_run = |name: &String| {
        let kind = run.before.owned.get(name).map_or(Kind::Email, |owned| owned.kind);
        run.sight.flags.admits(kind, name)
    };
    let mut notes = std::mem::take(&mut run.memory.notes);
    notes.retain(|name, note| {
        note.undue |= before.get(name).is_none_or(|known| known.undue);
        !note.undue || note.hold.is_some() || note.emptied
    });
    for (name, note) in notes.iter_mut().filter(|(name, _)| !of_the_run(name)) {
        if let Some(known) = before.get(name) {
            note.clone_from(known);
        }
    }
    run.memory.notes = notes;
}

/// The names that count as declared: the old name of a rename that is not done is one.
fn declared(run: &Run<'_>) -> BTreeSet<String> {
    let mut names = declared_in(run, &run.loaded, false);
    names.extend(run.blocked_names());
    names
}

/// Of a commit of before, renames count only as long as they were surely not made.
fn declared_in(run: &Run<'_>, loaded: &Loaded, is_before: bool) -> BTreeSet<String> {
    let mut names = loaded.names();
    let documents = loaded.documents.iter();
    let renames =
        documents.filter_map(|(new, document)| Some((new, document.renamed_from.as_ref()?)));
    let was_made = |new: &String, old: &String| {
        let known = run.before.owned.get(new).and_then(|owned| owned.renamed_from.as_ref());
        is_before && known == Some(old)
    };
    let open = run.open_renames(renames).into_iter().filter(|(new, old)| !was_made(new, old));
    names.extend(open.map(|(_, old)| old));
    names
}

fn replaced(run: &Run<'_>) -> BTreeMap<String, Kind> {
    let documents = run.loaded.documents.iter();
    let is_replaced = |name: &String, kind: Kind| {
        run.before.owned.get(name).is_some_and(|owned| owned.kind != kind)
    };
    documents.filter(|(n, d)| is_replaced(n, d.kind)).map(|(n, d)| (n.clone(), d.kind)).collect()
}

/// Paths that declared something in the last good commit, or were lost before it, and are missing
/// or empty now. One that today's config no longer has is missing where the config has another that is
/// missing or empty and declared nothing before: it may be mistyped. Without a state nothing is known of
/// what such a path declared, so it is lost.
pub(crate) fn lost_paths(
    sight: Sight<'_>,
    before: &Memory,
    loaded: &Loaded,
) -> BTreeSet<&'static str> {
    let Some(good) = &before.good else { return BTreeSet::new() };
    let is_empty = |count: &Option<usize>| count.unwrap_or(0) == 0;
    let with_names = good.touched.iter().filter(|(_, names)| !names.is_empty());
    // What the last good commit has in a path counts, whether or not it was read then.
    let then = sight.commits[good.commit].tree.load(&sight.settings.paths).counts;
    let counts = good.loaded.counts.iter().chain(&then);
    let with_documents = counts.filter(|(_, count)| !is_empty(count));
    let with_names = with_names.map(|(path, _)| path).chain(&good.lost);
    let declared_something: BTreeSet<&'static str> =
        with_documents.map(|(path, _)| path).chain(with_names).copied().collect();
    let is_mistyped = loaded
        .counts
        .iter()
        .any(|(path, count)| is_empty(count) && !declared_something.contains(path));
    let is_lost = |path: &&'static str| match loaded.counts.get(path) {
        Some(count) => is_empty(count),
        None => is_mistyped && !sight.settings.paths.contains(path),
    };
    let empty = loaded.counts.iter().filter(|(_, count)| before.stateless && is_empty(count));
    let lost = declared_something.iter().filter(|path| is_lost(path));
    lost.chain(empty.map(|(path, _)| path)).copied().collect()
}

/// Whether somebody consents to what a lost path holds.
pub(crate) fn consents_to_lost_paths(sight: Sight<'_>, before: &Memory) -> bool {
    let tip = sight.commits.len() - 1;
    let is_new = before.good.as_ref().is_none_or(|good| good.commit < tip);
    // A run that looks at a part does not remember that a trailer consented.
    let is_whole =
        !sight.flags.narrow() && sight.commits[tip].tree.load(&sight.settings.paths).is_whole();
    sight.flags.allow_deletes || (is_new && is_whole && sight.commits[tip].consents)
}

/// The names that each path touched, once this commit is the last good one. A path that is lost, or
/// that today's config does not read, keeps its names, unless somebody consented.
pub(crate) fn touched(run: &Run<'_>) -> BTreeMap<&'static str, BTreeSet<String>> {
    let tree = &run.sight.commits.last().unwrap().tree;
    let mut touched: BTreeMap<_, _> = BTreeMap::new();
    for path in &run.sight.settings.paths {
        touched.insert(*path, tree.touched_by(path));
    }
    let is_consented = consents_to_lost_paths(run.sight, run.before);
    let Some(good) = &run.before.good else { return touched };
    // A connection that is held stays as the paths of before declared it.
    let both = |name: &String| {
        good.loaded.documents.contains_key(name) && run.loaded.documents.contains_key(name)
    };
    for name in run.partial.iter().filter(|name| !is_consented && both(name)) {
        for (path, names) in &mut touched {
            match good.touched.get(path).is_some_and(|then| then.contains(name)) {
                true => names.insert(name.clone()),
                false => names.remove(name),
            };
        }
    }
    for (path, names) in touched.iter_mut().filter(|_| !is_consented) {
        names.extend(links_of(path, run.sight, run.before));
    }
    // A path that the config no longer has is kept while it declares something, and did so before.
    let is_kept = |path: &str, names: &BTreeSet<String>| {
        let was_empty = names.is_empty() && good.loaded.counts.contains_key(path);
        !was_empty && (run.lost_paths.contains(path) || !tree.touched_by(path).is_empty())
    };
    for (path, names) in good.touched.iter().filter(|(path, names)| is_kept(path, names)) {
        let is_lost = run.lost_paths.contains(path);
        if !touched.contains_key(path) && is_consented {
            touched.insert(*path, BTreeSet::new());
        } else if (is_lost && !is_consented) || !touched.contains_key(path) {
            touched.insert(*path, names.clone());
        }
    }
    touched
}

/// The names that were touched by files of a path which are links now.
fn links_of(path: &str, sight: Sight<'_>, before: &Memory) -> BTreeSet<String> {
    let tree = &sight.commits.last().unwrap().tree;
    let patches = tree.linked_patches();
    let is_link = |name: &String| match path {
        BASE => tree.is_link(name) || tree.may_hide(name),
        OVERLAY => patches.contains(name),
        _ => false,
    };
    let is_read = sight.settings.paths.contains(&path);
    let Some(good) = before.good.as_ref().filter(|_| is_read) else { return BTreeSet::new() };
    let then = good.touched.get(path).into_iter().flatten();
    let has_document = |name: &String| !good.old_names.contains(name) || good.hidden.contains(name);
    let mut hidden: BTreeSet<String> =
        then.filter(|name| has_document(name) && is_link(name)).cloned().collect();
    let documents = hidden.iter().filter_map(|name| good.loaded.documents.get(name));
    let old_names: Vec<String> = documents.filter_map(|d| d.renamed_from.clone()).collect();
    hidden.extend(old_names);
    if !hidden.is_empty() {
        let is_read = |name: &String| tree.base.contains_key(name) && !tree.is_link(name);
        hidden.extend(good.hidden.iter().filter(|name| !is_read(name)).cloned());
    }
    hidden
}

/// The names that links of all paths hide.
pub(crate) fn links(sight: Sight<'_>, before: &Memory) -> BTreeSet<String> {
    [BASE, OVERLAY].iter().flat_map(|path| links_of(path, sight, before)).collect()
}

/// The names that were touched by paths which today's config does not read though they still declare
/// something, and by files that are links.
pub(crate) fn unread_paths(sight: Sight<'_>, before: &Memory) -> BTreeSet<String> {
    let tree = &sight.commits.last().unwrap().tree;
    let touched = before.good.iter().flat_map(|good| &good.touched);
    let unread = touched.filter(|(path, _)| {
        let good = before.good.as_ref().unwrap();
        let is_there = !tree.declared_by(path).is_empty() || tree.hides_some_of(path, good);
        !sight.settings.paths.contains(*path) && is_there
    });
    let mut names = links(sight, before);
    names.extend(unread.flat_map(|(_, names)| names.clone()));
    names
}

/// Names that a path which today's config does not read still declares, or patches.
fn declared_by_an_unread_path(run: &Run<'_>) -> BTreeSet<String> {
    let tree = &run.sight.commits.last().unwrap().tree;
    let declared = run.before.good.iter().flat_map(|good| {
        // A path that is not read any more stays known after a consent; one that held nothing is not.
        let counted = |path: &str| good.loaded.counts.get(path).is_none_or(|n| n.unwrap_or(0) > 0);
        let paths =
            good.touched.iter().filter(move |(path, names)| !names.is_empty() || counted(path));
        paths.map(|(path, _)| path)
    });
    let unread = declared.filter(|path| !run.sight.settings.paths.contains(*path));
    let all = || run.before.owned.keys().cloned().collect();
    let good = run.before.good.as_ref();
    let had_links =
        |path: &str| tree.has_links(path) && good.is_some_and(|good| good.links.contains(path));
    let names =
        |path: &&'static str| match tree.hides_some_of(path, good.unwrap()) || had_links(path) {
            true => all(),
            false => tree.declared_by(path),
        };
    unread.flat_map(names).collect()
}

/// The memory of a run that looks at a part: where each path has a say in what it looked at, and what it
/// made anew, which no commit declared as far as the memory knows.
pub(crate) fn keep_seen(run: &mut Run<'_>) {
    let tree = &run.sight.commits.last().unwrap().tree;
    let loaded = run.loaded.clone();
    let documents = loaded.documents.iter();
    let seen = documents.filter(|(name, document)| run.sight.flags.admits(document.kind, name));
    let seen: BTreeMap<&String, &Document> = seen.collect();
    let with_old_names = |(name, document): (&&String, &&Document)| {
        document.renamed_from.iter().cloned().chain([(*name).clone()]).collect::<Vec<_>>()
    };
    let named: BTreeSet<String> = seen.iter().flat_map(with_old_names).collect();
    let Run { before, memory, .. } = run;
    let left = before.owned.keys().filter(|name| !memory.owned.contains_key(*name)).cloned();
    let Some(good) = &mut memory.good else { return };
    if run.sight.flags.allow_deletes && !run.sight.flags.narrow() {
        // Consented to: what lost paths and links had a say in is forgotten.
        for path in std::mem::take(&mut good.lost).iter().chain(&run.lost_paths) {
            good.touched.insert(path, BTreeSet::new());
            good.loaded.counts.remove(path);
        }
        for path in &run.sight.settings.paths {
            let hidden = links_of(path, run.sight, before);
            let touched = good.touched.entry(path).or_default();
            touched.retain(|name| !hidden.contains(name));
        }
        good.hidden.clear();
    }
    good.old_names.retain(|name| !seen.contains_key(name));
    let old_names = named.iter().filter(|name| !seen.contains_key(name));
    let old_names = old_names.filter(|name| !good.loaded.documents.contains_key(*name));
    good.old_names.extend(old_names.cloned().collect::<Vec<_>>());
    good.seen.extend(seen.into_keys().cloned());
    good.left.extend(left);
    for path in &run.sight.settings.paths {
        let names = tree.touched_by(path);
        let names = names.into_iter().filter(|name| named.contains(name)).collect::<BTreeSet<_>>();
        if !names.is_empty() {
            good.touched.entry(path).or_default().extend(names);
            let known = good.loaded.counts.entry(path).or_default();
            *known = (*known).max(loaded.counts[path]);
        }
    }
}

/// Decides what is deleted, and replaced, and what is held.
pub(crate) fn decide(run: &mut Run<'_>) {
    let flags = run.sight.flags.clone();
    let is_exact = |name: &String| flags.allow_delete.contains(name);
    let mut due: BTreeSet<String> = BTreeSet::new();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    let mut held: Vec<(String, &'static str)> = Vec::new();
    let mut keeps = run.loaded.names();
    keeps.extend(run.blocked_names());
    keeps.extend(run.freed.union(&run.waiting).cloned());
    for (name, owned) in run.before.owned.clone() {
        if keeps.contains(&name) || !run.memory.owned.contains_key(&name) {
            continue;
        }
        let admitted = flags.admits(owned.kind, &name);
        let Some(live) = run.sight.live.get(&name) else {
            gone.insert(name.clone());
            if admitted {
                forget(run, &name);
            }
            continue;
        };
        if !run.sight.settings.prune {
            // What did not load whole, and a lost path, prove nothing.
            let tree = &run.sight.commits.last().unwrap().tree;
            let is_read = !run.sight.settings.paths.iter().any(|path| tree.has_links(path))
                && !declared_by_an_unread_path(run).contains(&name);
            if admitted && run.loaded.is_whole() && run.lost_paths.is_empty() && is_read {
                forget(run, &name);
            }
            continue;
        }
        let is_ours = run.ours(&name, live).is_some_and(|owned| {
            let is_known = owned.id.is_some() || !run.sight.ids || run.before.stateless;
            owned.kind == Kind::of(&live.body) && (is_known || owned.is_all_of(live))
        });
        let alone = if !run.loaded.is_whole() {
            Some("load whole")
        } else if !is_ours {
            Some("not the one in the inventory")
        } else if run.before.stateless && !owned.is_shown_by(live) {
            Some("base revision")
        } else if waits_for_its_rename(run, &name) {
            Some("renamedFrom")
        } else if !is_due(run, &name) && !is_exact(&name) {
            Some("commit")
        } else if !is_exact(&name) && declared_by_an_unread_path(run).contains(&name) {
            Some("no longer reads")
        } else if hides_something(run, &name) {
            Some("not read")
        } else if run.memory.owned[&name].protect {
            Some("protected")
        } else {
            None
        };
        // Of a connection that is not ours the plan tells what is live.
        let admitted = if is_ours { admitted } else { flags.admits(Kind::of(&live.body), &name) };
        match alone {
            Some(why) if admitted => held.push((name, why)),
            Some(_) => {}
            None => {
                due.insert(name);
            }
        }
    }
    for name in run.replaces.clone() {
        let why = if run.memory.owned[&name].protect {
            Some("protected")
        } else if !run.loaded.is_whole() {
            Some("load whole")
        } else if run.before.stateless
            && !run.memory.owned[&name].is_shown_by(&run.sight.live[&name])
        {
            Some("base revision")
        } else if !is_due(run, &name) && !is_exact(&name) {
            Some("changed its type")
        } else if run.is_lost(&name, &run.loaded.documents[&name])
            && !(run.unread.contains(&name) && is_exact(&name))
        {
            Some("missing or empty")
        } else if !run.sight.settings.prune {
            Some("prune")
        } else {
            None
        };
        let (owned, live) = (&run.memory.owned[&name], &run.sight.live[&name]);
        let Some(why) = why else {
            match run.could_be_restored(owned, live) {
                true => _ = due.insert(name),
                false => run.block(&name),
            }
            continue;
        };
        run.changes.push(Planned { action: "replace", name, held: Some(why) });
    }
    let outside = run.replaces_outside.iter().filter(|name| {
        let owned = &run.memory.owned[*name];
        let is_its_base = !run.before.stateless || owned.is_shown_by(&run.sight.live[*name]);
        let is_due = is_due(run, name) && run.sight.settings.prune;
        let can_come_back = run.could_be_restored(owned, &run.sight.live[*name]);
        run.loaded.is_whole() && !owned.protect && is_its_base && is_due && can_come_back
    });
    let outside = outside.count();
    let holds = group(run, &due, outside, &gone);
    for name in due {
        let held_by = holds.iter().find(|(n, _)| *n == name).map(|(_, why)| *why);
        let is_replace = run.replaces.contains(&name);
        let kind = run.before.owned[&name].kind;
        if !is_replace && !flags.admits(kind, &name) {
            continue;
        }
        let action = if is_replace { "replace" } else { "delete" };
        run.changes.push(Planned { action, name: name.clone(), held: held_by });
        if held_by.is_some() {
            continue;
        }
        if is_replace {
            replace(run, &name);
        } else {
            run.live.remove(&name);
            run.written.insert(name.clone());
            forget(run, &name);
        }
    }
    for (name, why) in held {
        run.changes.push(Planned { action: "delete", name, held: Some(why) });
    }
}

fn is_due(run: &Run<'_>, name: &str) -> bool {
    let becomes = run.loaded.documents.get(name).map(|document| document.kind);
    run.memory.notes.get(name).is_some_and(|note| !note.undue && note.becomes == becomes)
}

/// Whether something that is not read may declare the name, and nobody consented to the delete.
fn hides_something(run: &Run<'_>, name: &str) -> bool {
    let is_consented = run.sight.flags.allow_delete.iter().any(|exact| exact == name);
    let tree = &run.sight.commits.last().unwrap().tree;
    !is_consented && run.sight.settings.paths.iter().any(|path| tree.has_links(path))
}

/// Whether both names of its rename are live and ours, so that nothing was renamed.
fn waits_for_its_rename(run: &Run<'_>, old: &str) -> bool {
    let new = run.memory.notes.get(old).and_then(|note| note.moved_to.clone());
    new.is_some_and(|new| {
        let document = run.loaded.documents.get(&new);
        document.is_some_and(|d| d.renamed_from.as_deref() == Some(old))
            && run.before.owned.contains_key(&new)
            && run.sight.live.contains_key(&new)
    })
}

fn forget(run: &mut Run<'_>, name: &str) {
    run.memory.owned.remove(name);
    run.memory.notes.remove(name);
}

/// The limits over all that is due; what they hold is remembered.
fn group(
    run: &mut Run<'_>,
    due: &BTreeSet<String>,
    outside: usize,
    gone: &BTreeSet<String>,
) -> Vec<(String, &'static str)> {
    let max = run.sight.settings.max;
    // What is gone already, or leaves without a delete, counts no more.
    let is_left = |name: &String| {
        !gone.contains(name) && (run.memory.owned.contains_key(name) || run.freed.contains(name))
    };
    let held_before = run.before.owned.keys().filter(|name| is_left(name)).count();
    let allowed = max.allows(held_before);
    let is_over = held_before + gone.len() >= 2;
    let count = due.len() + outside;
    let whole = is_over && count > 0 && count >= held_before;
    let emptied = !run.lost_paths.is_empty();
    let mut held = Vec::new();
    for name in due {
        if !run.replaces.contains(name)
            && !run.sight.flags.admits(run.before.owned[name].kind, name)
        {
            continue;
        }
        let unasked = || Note { undue: true, ..Note::default() };
        let known = run.memory.notes.get(name).cloned().unwrap_or_else(unasked);
        let is_new = !run.memory.notes.contains_key(name);
        if known.consent || run.sight.flags.allow_deletes {
            if let Some(note) = run.memory.notes.get_mut(name) {
                note.hold = None;
                note.emptied = false;
            }
            continue;
        }
        let emptied = known.emptied || emptied;
        let hold = match known.hold {
            Some(Hold::Limit { allowed, inventory }) => {
                let raised = max.allows(inventory.min(held_before));
                let is_free = raised > allowed && count <= raised && !whole;
                (!is_free).then_some(Hold::Limit { allowed, inventory })
            }
            Some(other) => Some(other),
            None if whole => Some(Hold::Whole),
            None if count > allowed => Some(Hold::Limit { allowed, inventory: held_before }),
            None => None,
        };
        let why = match hold {
            Some(Hold::Limit { .. }) => Some("max_deletes"),
            Some(Hold::Whole) => Some("nothing would be left"),
            None => emptied.then_some("missing or empty"),
        };
        held.extend(why.map(|why| (name.clone(), why)));
        if why.is_some() || !is_new {
            run.memory.notes.insert(name.clone(), Note { hold, emptied, ..known });
        }
    }
    held
}

/// Delete, then create: blocked before the delete where the old one could not be made again.
fn replace(run: &mut Run<'_>, name: &str) {
    let owned = run.memory.owned[name].clone();
    let live = run.sight.live[name].clone();
    let stored = live.body.get(SECRET);
    let shown = run.sight.shows.of(owned.kind, stored).filter(serde_json::Value::is_string);
    let sent = owned.base.get(SECRET).filter(|_| !owned.secret.unverified).map(|base| &base.value);
    // What is shown as it was sent, or as it was proven, is the value itself.
    let is_known = shown.is_some() && shown.as_ref() == sent.or(owned.secret.shown.as_ref());
    let is_readable = run.proves(owned.kind) && shown.is_some();
    let is_shown = is_known || (is_readable && shown.as_ref() == stored);
    let can_come_back = match owned.base.get(SECRET) {
        Some(base) if base.declared.is_null() => true,
        Some(base) => run.sight.resolve(&base.declared).is_some() || is_shown,
        None => is_shown || !owned.kind.uses_secret(&live.body),
    };
    if !can_come_back {
        run.fails = true;
        return;
    }
    let document = run.loaded.documents[name].clone();
    run.create(name, &document);
    run.replacing.extend(run.memory.notes.remove_entry(name));
}

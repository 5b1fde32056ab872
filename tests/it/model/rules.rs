//! The rules, written from their words and not from the program: what one undisturbed run plans,
//! what is live afterwards, and what is remembered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::document::{BASE, Document, Kind, Loaded, SECRET};
use super::fields::{self, Fate};
use super::memory::{Adopt, Agreed, Asked, Good, Live, Memory, Note, Owned, SecretKnown, Sight};
use super::removal;

/// An expected change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Planned {
    pub(crate) action: &'static str,
    pub(crate) name: String,
    /// Why it is held, if it is.
    pub(crate) held: Option<&'static str>,
}

/// The expected outcome of a run.
pub(crate) struct Expected {
    pub(crate) changes: Vec<Planned>,
    pub(crate) plan_exit: u8,
    pub(crate) apply_exit: u8,
    pub(crate) live: BTreeMap<String, Map<String, Value>>,
    pub(crate) memory: Memory,
    /// Names whose connection a call may change.
    pub(crate) written: BTreeSet<String>,
    /// Old names of renames, which the server is asked for.
    pub(crate) asked: BTreeSet<String>,
    /// The notes of replaces, for those that come to nothing.
    pub(crate) replacing: BTreeMap<String, Note>,
    /// The names whose protection counts from the moment that the commit was loaded.
    pub(crate) raised: BTreeSet<String>,
    /// Somebody consented to layers that are not read: the next run of the commit lifts what they protect.
    pub(crate) lifts_next: bool,
}

/// The run in the making.
pub(crate) struct Run<'a> {
    pub(crate) sight: Sight<'a>,
    pub(crate) before: &'a Memory,
    /// The types whose secret can be read, as far as the plan found out.
    pub(crate) readable: &'a BTreeSet<Kind>,
    pub(crate) loaded: Loaded,
    pub(crate) memory: Memory,
    pub(crate) live: BTreeMap<String, Live>,
    pub(crate) changes: Vec<Planned>,
    pub(crate) written: BTreeSet<String>,
    /// Something is blocked only when it is carried out.
    pub(crate) fails: bool,
    pub(crate) freed: BTreeSet<String>,
    /// Paths that declared something before and are missing or empty now.
    pub(crate) lost_paths: BTreeSet<&'static str>,
    /// The names that they touched, which lose no protection in this run.
    pub(crate) partial: BTreeSet<String>,
    /// Those of them that are not written, since nobody consented.
    pub(crate) lost: BTreeSet<String>,
    /// The names that only layers touched which are there and are not read.
    pub(crate) unread: BTreeSet<String>,
    /// Names that a planned rename should have freed and did not.
    pub(crate) not_freed: BTreeSet<String>,
    pub(crate) waiting: BTreeSet<String>,
    pub(crate) replaces: BTreeSet<String>,
    /// Those that a narrowed run leaves out: they count for the limit all the same.
    pub(crate) replaces_outside: BTreeSet<String>,
    /// The notes of those that are made.
    pub(crate) replacing: BTreeMap<String, Note>,
    /// The names whose protection counts from the moment that the commit was loaded.
    pub(crate) raised: BTreeSet<String>,
}

pub(crate) fn expect(sight: Sight<'_>, before: &Memory) -> Expected {
    let planned = expect_knowing(sight, before, &before.readable);
    let expected = expect_knowing(sight, before, &planned.memory.readable);
    if before.suspended { suspended(expected, sight, before) } else { expected }
}

/// Of a suspended target everything is held, and nothing is remembered but raised protection.
fn suspended(expected: Expected, sight: Sight<'_>, before: &Memory) -> Expected {
    let mut changes = expected.changes;
    for change in changes.iter_mut().filter(|c| !["blocked", "drift"].contains(&c.action)) {
        change.held = Some("suspended");
    }
    let is_refused = expected.plan_exit == 1;
    let is_held = changes.iter().any(|change| change.held.is_some());
    let exit = match (is_refused, is_held, changes.is_empty()) {
        (true, _, _) => 1,
        (_, true, _) => 3,
        (_, _, false) => 2,
        _ => 0,
    };
    let apply_exit = if exit == 2 { 0 } else { exit };
    let mut memory = before.clone();
    for name in &expected.raised {
        memory.owned.entry(name.clone()).and_modify(|owned| owned.protect = true);
    }
    Expected { changes, plan_exit: exit, apply_exit, memory, ..nothing(sight, before) }
}

fn expect_knowing(sight: Sight<'_>, before: &Memory, readable: &BTreeSet<Kind>) -> Expected {
    let tip = sight.commits.last().unwrap();
    let loaded = tip.tree.load(&sight.settings.paths);
    let whole = loaded.is_whole();
    let missing = loaded.counts.values().any(Option::is_none);
    let unknown_file = loaded.unreadable.iter().any(|name| {
        let knows =
            |good: &Good| good.loaded.documents.contains_key(name) || good.seen.contains(name);
        !before.good.as_ref().is_some_and(knows)
    });
    let knows_nothing = before.owned.is_empty() || before.good.is_none();
    if (!whole && (!sight.settings.isolate || unknown_file)) || (missing && knows_nothing) {
        return nothing(sight, before);
    }
    let lost_paths = removal::lost_paths(sight, before, &loaded);
    let touched = before.good.as_ref().map(|good| &good.touched);
    let lost = touched.into_iter().flatten().filter(|(path, _)| lost_paths.contains(*path));
    let by_path: BTreeSet<String> = lost.flat_map(|(_, names)| names.clone()).collect();
    let unread = removal::unread_paths(sight, before);
    let partial: BTreeSet<String> = by_path.union(&unread).cloned().collect();
    let is_consented = removal::consents_to_lost_paths(sight, before);
    let mut run = Run {
        lost_paths,
        lost: if is_consented { BTreeSet::new() } else { partial.clone() },
        partial,
        unread: unread.difference(&by_path).cloned().collect(),
        sight,
        before,
        readable,
        memory: before.clone(),
        live: sight.live.clone(),
        changes: Vec::new(),
        written: BTreeSet::new(),
        fails: false,
        freed: BTreeSet::new(),
        not_freed: BTreeSet::new(),
        waiting: BTreeSet::new(),
        replaces: BTreeSet::new(),
        replaces_outside: BTreeSet::new(),
        replacing: BTreeMap::new(),
        raised: BTreeSet::new(),
        loaded,
    };
    if whole {
        removal::note(&mut run);
    }
    run.raise_protection();
    run.renames();
    // Creates come first: what they made may prove that a secret can be read.
    let (present, absent): (Vec<_>, Vec<_>) = run
        .loaded
        .documents
        .clone()
        .into_iter()
        .partition(|(name, _)| sight.live.contains_key(name));
    for (name, document) in absent.into_iter().chain(present) {
        run.declared(&name, &document);
    }
    for name in run.blocked_names() {
        let kind = sight.live.get(&name).map(|live| Kind::of(&live.body));
        let kind = kind.or_else(|| Some(before.owned.get(&name)?.kind));
        let kind = kind.or_else(|| {
            let is_invalid = run.loaded.invalid.contains(&name);
            let is_read = sight.settings.paths.contains(&BASE) && !tip.tree.is_link(&name);
            let document = tip.tree.base.get(&name).filter(|_| is_invalid && is_read);
            document.map(|document| document.kind)
        });
        let admitted = match kind {
            Some(kind) => sight.flags.admits(kind, &name),
            None => sight.flags.types.is_empty() && sight.flags.admits(Kind::Email, &name),
        };
        if admitted {
            run.block(&name);
        }
    }
    removal::decide(&mut run);
    run.finish(whole)
}

fn nothing(sight: Sight<'_>, before: &Memory) -> Expected {
    Expected {
        changes: Vec::new(),
        plan_exit: 1,
        apply_exit: 1,
        live: bodies(sight.live),
        memory: before.clone(),
        written: BTreeSet::new(),
        asked: BTreeSet::new(),
        replacing: BTreeMap::new(),
        raised: BTreeSet::new(),
        lifts_next: false,
    }
}

fn bodies(live: &BTreeMap<String, Live>) -> BTreeMap<String, Map<String, Value>> {
    live.iter().map(|(name, live)| (name.clone(), live.body.clone())).collect()
}

impl Run<'_> {
    fn finish(mut self, whole: bool) -> Expected {
        let is_held = self.changes.iter().any(|change| change.held.is_some());
        let is_blocked = self.changes.iter().any(|change| change.action == "blocked");
        let plan_exit = match (is_blocked, is_held) {
            (true, _) => 1,
            (_, true) => 3,
            _ if self.changes.is_empty() => 0,
            _ => 2,
        };
        let apply_exit = match (is_blocked || self.fails, is_held) {
            (true, _) => 1,
            (_, true) => 3,
            _ => 0,
        };
        let tip = self.sight.commits.len() - 1;
        if self.sight.flags.narrow() {
            removal::keep_narrowly(&mut self);
        }
        if whole && !self.sight.flags.narrow() {
            let touched = removal::touched(&self);
            let is_consented = removal::consents_to_lost_paths(self.sight, self.before);
            let (lost, hidden) = match is_consented {
                true => (BTreeSet::new(), BTreeSet::new()),
                false => (self.lost_paths.clone(), removal::links(self.sight, self.before)),
            };
            let (tree, settings) = (&self.sight.commits[tip].tree, self.sight.settings);
            let links = tree.paths_with_links(&settings.paths, self.before.good.as_ref());
            let loaded = self.loaded.clone();
            let [seen, left] = [BTreeSet::new(), BTreeSet::new()];
            let old_names = loaded.documents.values().filter_map(|d| d.renamed_from.clone());
            let old_names = old_names.filter(|old| !loaded.documents.contains_key(old)).collect();
            self.memory.good = Some(Good {
                commit: tip,
                loaded,
                touched,
                seen,
                left,
                old_names,
                hidden,
                links,
                lost,
            });
            let Memory { undeployed, owned, .. } = &mut self.memory;
            undeployed.retain(|name| !owned.contains_key(name));
            if apply_exit == 0 && undeployed.is_empty() {
                self.memory.applied = Some(tip);
            }
        }
        if !whole || self.sight.flags.narrow() {
            removal::keep_seen(&mut self);
        }
        Expected {
            changes: self.changes,
            plan_exit,
            apply_exit,
            live: bodies(&self.live),
            memory: self.memory,
            written: self.written,
            asked: self.freed,
            replacing: self.replacing,
            raised: self.raised,
            lifts_next: removal::consents_to_lost_paths(self.sight, self.before)
                && !(self.partial.is_empty() && self.lost_paths.is_empty()),
        }
    }

    pub(crate) fn blocked_names(&self) -> BTreeSet<String> {
        let blocked: BTreeSet<String> =
            self.loaded.invalid.union(&self.loaded.unreadable).cloned().collect();
        let old_names = self.old_names_of(&blocked);
        blocked.into_iter().chain(old_names).collect()
    }

    /// While a rename is not done its old name is kept, also where its document is not valid now:
    /// what that renames is read from it, or known from the last good commit.
    fn old_names_of(&self, blocked: &BTreeSet<String>) -> BTreeSet<String> {
        let then = self.before.good.iter().flat_map(|good| &good.loaded.documents);
        let then = then.filter_map(|(new, document)| Some((new, document.renamed_from.as_ref()?)));
        let of_blocked = then.filter(|(new, _)| blocked.contains(*new));
        let of_blocked: BTreeMap<&String, &String> =
            of_blocked.chain(&self.loaded.renames_of_invalid).collect();
        let valid = self.loaded.documents.iter();
        let valid =
            valid.filter_map(|(new, document)| Some((new, document.renamed_from.as_ref()?)));
        let open = self.open_renames(valid.chain(of_blocked));
        let is_known = |old: &String| {
            let is_live = self.sight.live.contains_key(old);
            (is_live && self.loaded.documents.contains_key(old))
                || self.before.owned.contains_key(old)
        };
        let mut old_names = BTreeSet::new();
        for _ in 0..=open.len() {
            for (new, old) in open.iter().filter(|(_, old)| is_known(old)) {
                if blocked.contains(new) || old_names.contains(new) {
                    old_names.insert(old.clone());
                }
            }
        }
        old_names
    }

    pub(crate) fn plan(&mut self, action: &'static str, name: &str) {
        self.changes.push(Planned { action, name: name.to_owned(), held: None });
    }

    /// A document of which a part is on a lost path is not written.
    pub(crate) fn hold_for_lost_path(&mut self, action: &'static str, name: &str) {
        let held = Some("missing or empty");
        self.changes.push(Planned { action, name: name.to_owned(), held });
    }

    pub(crate) fn block(&mut self, name: &str) {
        self.plan("blocked", name);
    }

    /// Whether nobody remembers what a path declared that is missing or empty.
    pub(crate) fn has_absent_layer(&self) -> bool {
        let is_empty = |count: &Option<usize>| count.unwrap_or(0) == 0;
        self.before.stateless
            && !self.sight.flags.allow_deletes
            && self.loaded.counts.values().any(is_empty)
    }

    /// Whether a part of it, or of what it is to be renamed from, is on a lost path.
    fn touches(names: &BTreeSet<String>, name: &str, document: &Document) -> bool {
        let old = document.renamed_from.as_ref();
        names.contains(name) || old.is_some_and(|old| names.contains(old))
    }

    pub(crate) fn is_lost(&self, name: &str, document: &Document) -> bool {
        Self::touches(&self.lost, name, document)
    }

    pub(crate) fn is_resolved(&self, document: &Document) -> bool {
        document.fields.values().all(|value| self.sight.resolve(value).is_some())
    }

    /// The entry of the inventory, if it is of the connection that is live.
    pub(crate) fn ours(&self, name: &str, live: &Live) -> Option<Owned> {
        let owned = self.memory.owned.get(name)?;
        let same = owned.kind == Kind::of(&live.body);
        (same && owned.id.as_ref().is_none_or(|id| *id == live.id)).then(|| owned.clone())
    }

    pub(crate) fn own(
        &mut self,
        name: &str,
        document: &Document,
        id: Option<String>,
        base: BTreeMap<String, Agreed>,
        secret: SecretKnown,
    ) {
        let old = document.renamed_from.as_deref();
        let is_kept = self.keeps_protection(name, name, document)
            || old.is_some_and(|old| self.keeps_protection(old, name, document));
        let protect = document.protect || is_kept;
        let renamed_from = document.renamed_from.clone();
        let owned = Owned { kind: document.kind, id, base, protect, renamed_from, secret };
        self.memory.owned.insert(name.to_owned(), owned);
    }

    /// A connection that a document protects is protected from the first pass that sees it, and so is what it
    /// is to be renamed from.
    fn raise_protection(&mut self) {
        let renames = self.loaded.documents.iter();
        let renames = renames.filter_map(|(new, d)| Some((new, d.renamed_from.as_ref()?)));
        let open = self.open_renames(renames);
        for (name, document) in self.loaded.documents.iter().filter(|(_, d)| d.protect) {
            // Only live tells that a rename is done: a run that reads nothing of it protects the old name.
            self.raised.extend(document.renamed_from.clone());
            self.raised.insert(name.clone());
            let old = document
                .renamed_from
                .iter()
                .filter(|old| open.contains(&(name.clone(), (*old).clone())));
            for name in old.chain([name]) {
                self.memory.owned.entry(name.clone()).and_modify(|owned| owned.protect = true);
            }
        }
    }

    /// Whether the protection of `owned` outlives the document of `declared`: only a commit that
    /// loaded whole lifts it, with all of its paths.
    fn keeps_protection(&self, owned: &str, declared: &str, document: &Document) -> bool {
        let is_protected = self.before.owned.get(owned).is_some_and(|owned| owned.protect);
        let is_partial = Self::touches(&self.partial, declared, document);
        is_protected && (is_partial || !self.loaded.is_whole())
    }

    /// Whether a declared secret of the type reads back equal now. Three are tried.
    pub(crate) fn proves(&self, kind: Kind) -> bool {
        let documents = self.loaded.documents.iter();
        let witnesses = documents.filter_map(|(name, document)| {
            let declared = document.fields.get(SECRET).filter(|_| !document.ignores(SECRET))?;
            // Without a state nothing is known but what the run looks at.
            let is_seen = !self.before.stateless || self.sight.flags.admits(document.kind, name);
            let declared = Some(declared).filter(|_| is_seen)?;
            let wanted = self.sight.resolve(declared).filter(Value::is_string)?;
            let created = || self.live.get(name).filter(|_| self.written.contains(name));
            let live = self.sight.live.get(name).or_else(created)?;
            (Kind::of(&live.body) == kind).then_some((live, wanted))
        });
        let mut tried = witnesses.take(3);
        tried.any(|(live, wanted)| self.sight.shows.of(kind, live.body.get(SECRET)) == Some(wanted))
    }

    /// Whether a PUT may send the secret back: its type was read before, and the plan's own reading shows this one.
    pub(crate) fn may_be_readable(&self, kind: Kind, live: &Live) -> bool {
        let shown = self.sight.shows.of(kind, live.body.get(SECRET));
        self.before.readable.contains(&kind) && shown.is_some()
    }

    pub(crate) fn may_take_over(&self, fate: &Fate) -> bool {
        match self.sight.settings.adopt {
            Adopt::Always => true,
            Adopt::Equal => fate.differences.is_empty(),
            Adopt::Never => false,
        }
    }

    pub(crate) fn learn(&mut self, kind: Kind, fate: &Fate) {
        if fate.read_equal {
            self.memory.readable.insert(kind);
        }
    }

    fn declared(&mut self, name: &str, document: &Document) {
        let is_settled = self
            .changes
            .iter()
            .any(|c| c.name == name && ["rename", "blocked"].contains(&c.action));
        if is_settled || self.blocked_names().contains(name) {
            return;
        }
        if !self.sight.flags.admits(document.kind, name) {
            self.left_out(name, document);
            return;
        }
        let keeps_protection = self.keeps_protection(name, name, document);
        if let Some(owned) = self.memory.owned.get_mut(name)
            && !self.freed.contains(name)
            && (!self.waiting.contains(name) || document.protect)
            // A commit that declares another type is none that lifted it first.
            && (owned.kind == document.kind || document.protect)
        {
            owned.protect = document.protect || keeps_protection;
        }
        if document.suspend {
            return;
        }
        if self.waiting.contains(name) || !self.is_resolved(document) {
            self.block(name);
            return;
        }
        match self.sight.live.get(name).filter(|_| !self.freed.contains(name)).cloned() {
            None => self.absent(name, document),
            Some(live) if Kind::of(&live.body) == document.kind => {
                self.present(name, document, &live);
            }
            Some(live) => self.other_type(name, document, &live),
        }
    }

    fn absent(&mut self, name: &str, document: &Document) {
        let owned = self.before.owned.get(name).filter(|_| !self.freed.contains(name));
        if let Some(owned) = owned
            && (self.has_absent_layer()
                || (self.sight.settings.report && !fields::git_moved(self.sight, document, owned)))
        {
            self.plan("drift", name);
            return;
        }
        if self.is_lost(name, document) {
            self.hold_for_lost_path("create", name);
            return;
        }
        self.plan("create", name);
        if self.not_freed.contains(name) {
            self.fails = true;
            return;
        }
        self.create(name, document);
    }

    pub(crate) fn create(&mut self, name: &str, document: &Document) {
        let mut body = Map::new();
        body.insert("type".to_owned(), document.kind.name().into());
        body.insert("name".to_owned(), name.into());
        for (field, declared) in &document.fields {
            body.insert(field.clone(), self.sight.resolve(declared).unwrap());
        }
        self.live.insert(name.to_owned(), Live { id: String::new(), body });
        let base = fields::base_of(self.sight, document);
        self.own(name, document, None, base, SecretKnown::default());
        self.written.insert(name.to_owned());
    }

    fn present(&mut self, name: &str, document: &Document, live: &Live) {
        let ours = self.ours(name, live);
        let fate = fields::compare(self, document, live, ours.as_ref());
        self.learn(document.kind, &fate);
        if ours.is_none() && !self.may_take_over(&fate) {
            self.block(name);
            return;
        }
        let id = Some(live.id.clone());
        if self.is_lost(name, document) {
            let again = fields::compare_again(self, document, live, ours.as_ref());
            let body = fields::put(self, document, live, &again, ours.as_ref());
            let is_possible = body.is_some() || self.may_be_readable(document.kind, live);
            match fate.writes() {
                true if is_possible => self.hold_for_lost_path("update", name),
                // What nobody could write is blocked, whatever else holds it.
                true => self.block(name),
                false => {}
            }
            if fate.keeps() {
                self.plan("drift", name);
            }
            return;
        }
        if ours.is_some() || !fate.writes() {
            let secret = fields::secret_known(&fate, ours.as_ref());
            self.own(name, document, id.clone(), fate.base.clone(), secret);
            if ours.is_none() {
                self.memory.notes.remove(name);
            }
        }
        if fate.writes() {
            let again = fields::compare_again(self, document, live, ours.as_ref());
            match fields::put(self, document, live, &again, ours.as_ref()) {
                None if !self.may_be_readable(document.kind, live) => {
                    self.block(name);
                }
                None => {
                    self.plan("update", name);
                    self.fails = true;
                }
                Some(body) => {
                    self.plan("update", name);
                    self.live.insert(name.to_owned(), Live { id: live.id.clone(), body });
                    let base = fields::base_after_put(self, document, &again);
                    let secret =
                        fields::secret_after_put(self, document, live, &again, ours.as_ref());
                    self.own(name, document, id, base, secret);
                    self.written.insert(name.to_owned());
                }
            }
        }
        if fate.keeps() {
            self.plan("drift", name);
        }
    }

    fn other_type(&mut self, name: &str, document: &Document, live: &Live) {
        if self.may_replace(name, document, live) {
            self.replaces.insert(name.to_owned());
        } else {
            self.block(name);
        }
    }

    fn may_replace(&self, name: &str, document: &Document, live: &Live) -> bool {
        let live_kind = Kind::of(&live.body);
        let ours = self.ours(name, live).filter(|owned| owned.kind == live_kind);
        let asked = Asked::of(document, self.sight.settings, self.sight.env);
        let is_exact = self.sight.flags.allow_delete.iter().any(|asked| asked == name);
        let is_refused = !is_exact && self.before.refused.get(name) == Some(&asked);
        ours.is_some() && !is_refused
    }

    /// Whether the old connection could be made again: its secret is in the base, is shown, or has no use.
    pub(crate) fn could_be_restored(&self, owned: &Owned, live: &Live) -> bool {
        let mut body = live.body.clone();
        !owned.kind.has_secret()
            || owned.base.contains_key(SECRET)
            || self.may_be_readable(owned.kind, live)
            || fields::keep_secret(self, owned.kind, &mut body, owned.secret.shown.as_ref())
                .is_some()
    }

    fn left_out(&mut self, name: &str, document: &Document) {
        let Some(live) = self.sight.live.get(name) else { return };
        let is_left_alone = document.suspend
            || self.waiting.contains(name)
            || self.freed.contains(name)
            || !self.is_resolved(document);
        let differs = Kind::of(&live.body) != document.kind;
        if !is_left_alone && differs && self.may_replace(name, document, live) {
            self.replaces_outside.insert(name.to_owned());
        }
    }
}
